"""Serves the sandbox on loopback: a pretend node, a pretend Netts, and a way to disturb both."""

import asyncio
import random
import socket
from datetime import UTC, datetime

import typer
import uvicorn

from energyd import units
from energyd.sandbox.asgi import over_tcp
from energyd.sandbox.control import application
from energyd.sandbox.netts import Netts
from energyd.sandbox.netts_terms import API_KEY, REAL_IP, Terms
from energyd.sandbox.node import Node
from energyd.sandbox.world import World

LOOPBACK = "127.0.0.1"

SETTINGS = """\
mode: live
node: {{url: "{url}"}}
netts: {{url: "{url}", api_key: {key}, real_ip: {ip}}}
policies: policies/
state: energyd.db
listen: unix:energyd.sock
"""


def serve(*, port: int, seed: int, balance: str, delivery: str) -> None:
    """Serve until interrupted. Raises typer.BadParameter for figures that are none."""
    try:
        balance_sun, seconds = units.read_money(balance), units.read_duration(delivery).total_seconds()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    with _listen(port) as listener:
        url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        world = World(now=lambda: datetime.now(UTC), rng=random.Random(seed), drift_ppm=2, activate_unknown=True)
        netts = Netts(world, balance_sun=balance_sun, terms=Terms(delivery_seconds=(seconds, seconds)))
        print(f"A pretend TRON node and a pretend Netts on {url}; Ctrl-C ends them. A configuration for them:\n")
        print(SETTINGS.format(url=url, key=API_KEY, ip=REAL_IP))
        print(f"What was ordered: curl {url}/sandbox/books")
        print(f'Use energy:       curl {url}/sandbox/use -d \'{{"address": "T…", "energy": 65000}}\'', flush=True)
        config = uvicorn.Config(over_tcp(application(world, Node(world), netts)), log_level="warning", access_log=False)
        asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen()
    except OSError as error:
        raise typer.BadParameter(f"port {port} cannot be had: {error.strerror}; choose another, 0 for any") from None
    return listener
