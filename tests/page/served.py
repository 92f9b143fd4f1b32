"""A daemon for the page: a day that passes at once, and then goes on in real time and is served.

`python -m tests.page.served --scene trouble --port 8480`
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from energyd import daemon
from energyd.api.app import application
from energyd.api.serve import serving
from energyd.config.load import load
from energyd.config.settings import TcpSocket
from energyd.daemon import Daemon
from energyd.ledger.ledger import Ledger
from energyd.model import Mode
from energyd.sandbox import addresses
from energyd.sandbox.netts import Netts
from energyd.sandbox.netts_terms import API_KEY, REAL_IP
from energyd.sandbox.node import Node
from energyd.sandbox.virtual_time import VirtualLoop
from energyd.sandbox.wire import Fault, Wire
from energyd.sandbox.world import World
from energyd.telemetry import Log

TRANSFER = 64_285
"""Energy of a USDT transfer to a holder."""
INJECTED = "<img src=x onerror=\"document.title='injected'\">"
BUDGET = {"per_order": "60 TRX", "per_hour": "90 TRX", "per_day": "400 TRX"}
RULE = {"floor": 65_000, "target": 131_000, "check_every": "30s", "max_price": "80% of burn"}
HOSTED = {"min_cycles": 2, "top_up_to": 6, "max_cycle_price": "4 TRX"}
SETTINGS = {
    "mode": "live",
    "node": {"url": "http://node.sandbox", "max_rps": 1000},
    "netts": {"url": "https://netts.sandbox", "api_key": API_KEY, "real_ip": REAL_IP, "max_rps": 20},
    "policies": "policies",
    "state": "energyd.db",
}
SCENES = ("day", "dry-run", "trouble", "empty", "many")


@dataclass(frozen=True, slots=True)
class Wallet:
    """A pretend wallet: its policy, and how many minutes lie between its transfers."""

    policy: str
    label: str
    rules: dict[str, Any]
    every_minutes: tuple[int, int] | None = None
    cycles: int = 0

    @property
    def address(self) -> str:
        return addresses.made_up(f"{self.policy} {self.label}")


WALLETS = (
    Wallet("payouts", "hot", {"energy": RULE}, (12, 45)),
    Wallet("payouts", "second hot", {"energy": RULE}, (40, 120)),
    Wallet("sweeper", "", {"energy": RULE | {"keep": "while_active", "active_within": "20m"}}, (3, 110)),
    Wallet(
        "payroll",
        "wages",
        {"planned_calls": [{"name": "wages", "cron": "0 */8 * * *", "energy": TRANSFER, "count": 9, "hold": "15m"}]},
        None,
    ),
    Wallet(
        "deposits",
        "Host Mode",
        {"host_mode": {"min_cycles": 2, "top_up_to": 6, "max_cycle_price": "4 TRX"}},
        (40, 120),
        3,
    ),
    Wallet("patient", "cold", {"energy": RULE | {"max_price": "1 sun"}}, (30, 200)),
)
MANY = tuple(Wallet("many", f"wallet {number}", {"energy": RULE}, (30, 90)) for number in range(1, 61))


class Scene:
    """One world with one daemon in it."""

    def __init__(self, folder: Path, name: str, hours: float) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.folder, self.name, self.hours, self.loop = folder, name, hours, loop
        self.rng = Random(5)
        self.world = World(now=loop.now, rng=self.rng, drift_ppm=2)
        self.netts = Netts(self.world, balance_sun=900_000_000)
        self.wire = Wire(self.rng, {"node.sandbox": Node(self.world), "netts.sandbox": self.netts})
        told = (*WALLETS[:-1], replace(WALLETS[-1], label=INJECTED)) if name == "trouble" else WALLETS
        self.wallets = () if name == "empty" else MANY if name == "many" else told

    def build(self) -> Daemon:
        self._write_files()
        for wallet in self.wallets:
            self._people(wallet)
        return daemon.build(
            load(self.folder / "energyd.yaml", {}),
            mode=Mode.DRY_RUN if self.name == "dry-run" else Mode.LIVE,
            ledger=Ledger.open(self.folder / "energyd.db", now=self.loop.now(), host="page", rng=self.rng),
            log=Log(now=self.loop.now, stream=(self.folder / "log").open("ab"), form="json"),
            now=self.loop.now,
            rng=self.rng,
            host="page",
            wire=self.wire.transport("page"),
        )

    def _write_files(self) -> None:
        (self.folder / "policies").mkdir()
        (self.folder / "energyd.yaml").write_text(json.dumps(SETTINGS))
        for name in {wallet.policy for wallet in self.wallets} or {"none"}:
            own = [wallet for wallet in self.wallets if wallet.policy == name]
            watched = [{"address": wallet.address, "label": wallet.label} for wallet in own]
            nobody = {"addresses": [addresses.made_up("nobody")], "energy": RULE, "enabled": False}
            policy = {"policy": name, "budget": BUDGET} | ({"addresses": watched} | own[0].rules if own else nobody)
            (self.folder / "policies" / f"{name}.yaml").write_text(json.dumps(policy))

    def _people(self, wallet: Wallet) -> None:
        self.world.add_account(wallet.address)
        if wallet.cycles:
            self.netts.host_mode.host(wallet.address, cycles=wallet.cycles)
        for at in self._calls(wallet):
            self.world.plan_use(at, wallet.address, TRANSFER)

    def _calls(self, wallet: Wallet) -> Iterator[datetime]:
        at = self.loop.now()
        while wallet.every_minutes and at < self.loop.now() + timedelta(hours=self.hours + 2):
            at += timedelta(minutes=self.rng.randint(*wallet.every_minutes))
            yield at

    async def mishaps(self) -> None:
        """The node is away for a while in the middle; in `trouble` an order is lost on its way at the end."""
        await asyncio.sleep(self.hours * 3600 * 0.6)
        self.wire.disturb(Fault.UNREACHABLE, where="http://node.sandbox", for_seconds=1500)
        if self.name == "trouble":
            await asyncio.sleep(self.hours * 3600 * 0.4 - 40)
            self.wire.disturb(Fault.LOST_REQUEST, where="https://netts.sandbox/apiv2/order1h", count=1)
            self.world.use(WALLETS[0].address, 2 * TRANSFER)


async def live(arguments: argparse.Namespace, folder: Path) -> None:
    scene = Scene(folder, arguments.scene, arguments.hours)
    built = scene.build()
    running = asyncio.create_task(built.run(), name="daemon")
    mishaps = asyncio.create_task(scene.mishaps(), name="mishaps")
    host = built.api_host()
    await asyncio.sleep(arguments.hours * 3600)
    if arguments.scene == "trouble":
        await host.ledger.pause("sweeper", None, host.now() + timedelta(hours=2), "moving the deposits", host.now())
    scene.loop._selector._speed = 1.0  # type: ignore[attr-defined] # from here on in real time
    async with serving(application(host, token=arguments.token), TcpSocket("127.0.0.1", arguments.port)):
        sys.stdout.write("served\n")
        sys.stdout.flush()
        await running
    mishaps.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.page.served", description=__doc__)
    parser.add_argument("--scene", choices=SCENES, default="day")
    parser.add_argument("--hours", type=float, default=23.5)
    parser.add_argument("--port", type=int, default=8480)
    parser.add_argument("--token")
    arguments = parser.parse_args()
    epoch = datetime.now(UTC) - timedelta(hours=arguments.hours)
    folder = tempfile.TemporaryDirectory(prefix="energyd-page-")
    with folder as name, asyncio.Runner(loop_factory=lambda: VirtualLoop(epoch)) as runner:
        runner.run(live(arguments, Path(name)))


if __name__ == "__main__":
    main()
