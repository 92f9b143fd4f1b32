"""A pretend world at one moment that tests move by hand, and a way to ask its applications."""

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from energyd.sandbox.asgi import Application
from energyd.sandbox.netts import Netts
from energyd.sandbox.netts_terms import API_KEY, REAL_IP
from energyd.sandbox.node import Node
from energyd.sandbox.world import World

KEYS = {"X-API-KEY": API_KEY, "X-Real-IP": REAL_IP}


@dataclass
class Clock:
    now: datetime = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Reply:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def talk(app: Application, scope: dict[str, Any], body: bytes) -> Reply:
    reply = Reply()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            reply.status = message["status"]
            reply.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        reply.body += message.get("body", b"")

    await app(scope, receive, send)
    return reply


Ask = Callable[..., Reply]


@pytest.fixture
def ask() -> Ask:
    def ask(
        app: Application,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Reply:
        path, _, query = path.partition("?")
        sent = KEYS | (headers or {})
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        }
        return asyncio.run(talk(app, scope, json.dumps(body or {}).encode() if raw is None else raw))

    return ask


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock: Clock) -> World:
    return World(now=clock, rng=random.Random(7))


@pytest.fixture
def node(world: World) -> Node:
    return Node(world)


@pytest.fixture
def netts(world: World) -> Netts:
    return Netts(world)
