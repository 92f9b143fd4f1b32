"""A stage for the real daemon: virtual time, a pretend world over the wire, a real SQLite file, and the whole log."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from energyd import daemon
from energyd.catalogue import EVENTS, FIELDS, HEAD, Type
from energyd.config.load import load
from energyd.daemon import Daemon
from energyd.ledger.ledger import Ledger
from energyd.model import Mode, Order
from energyd.sandbox import addresses
from energyd.sandbox.netts import Netts
from energyd.sandbox.netts_terms import API_KEY, REAL_IP
from energyd.sandbox.node import Node
from energyd.sandbox.virtual_time import VirtualLoop
from energyd.sandbox.wire import Wire
from energyd.sandbox.world import World
from energyd.systemd import Manager
from energyd.telemetry import Log

EPOCH = datetime(2026, 1, 5, tzinfo=UTC)
ALICE, BOB, CAROL = (addresses.made_up(name) for name in ("alice", "bob", "carol"))
TRX = 1_000_000
SETTINGS = {
    "mode": "live",
    "node": {"url": "http://node.sandbox", "max_rps": 1000, "timeout": "5s"},
    "netts": {
        "url": "https://netts.sandbox",
        "api_key": API_KEY,
        "real_ip": REAL_IP,
        "max_rps": 20,
        "timeout": "10s",
    },
    "policies": "policies",
    "state": "energyd.db",
}
RULE = {"floor": 65_000, "check_every": "15s", "cooldown": "10s"}
BUDGET = {"per_order": "15 TRX", "per_hour": "60 TRX", "per_day": "400 TRX"}


def a_policy(name: str = "payouts", *watched: str, budget: object = None, **parts: Any) -> dict[str, Any]:
    """A policy that keeps a floor of 65,000; keywords change its `energy` part, `mode` the policy itself."""
    mode = {"mode": parts.pop("mode")} if "mode" in parts else {}
    own = {"policy": name, "addresses": list(watched or (ALICE,)), "energy": RULE | parts, "budget": budget or BUDGET}
    return mode | own


class Stage:
    """One host with its files, in one world. Times are seconds of the virtual loop, which starts at `EPOCH`."""

    def __init__(self, folder: Path, runner: asyncio.Runner) -> None:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        self.folder, self.runner, self.loop = folder, runner, loop
        self.complaints: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: self.complaints.append(context))
        self.world = World(now=loop.now, rng=Random(7))
        self.node, self.netts = Node(self.world), Netts(self.world)
        self.wire = Wire(Random(11), {"node.sandbox": self.node, "netts.sandbox": self.netts})
        self.log = _Tape()
        self.rng = Random(13)
        self.ledgers: list[Ledger] = []
        self.running: list[asyncio.Task[None]] = []
        for address in (ALICE, BOB, CAROL):
            self.world.add_account(address)

    # --- the host -----------------------------------------------------------------------------------------------

    def write(self, *policies: dict[str, Any], **settings: Any) -> None:
        """The files of the configuration; JSON is YAML, too."""
        folder = self.folder / "policies"
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for policy in policies or (a_policy(),):
            (folder / f"{policy['policy']}.yaml").write_text(json.dumps(policy))
        (self.folder / "energyd.yaml").write_text(json.dumps(SETTINGS | settings))

    def build(
        self,
        *policies: dict[str, Any],
        mode: Mode = Mode.LIVE,
        host: str = "host",
        manager: Manager | None = None,
    ) -> Daemon:
        """The real daemon; without policies from the files that are there, or else with one plain policy."""
        if policies or not (self.folder / "policies").exists():
            self.write(*policies)
        ledger = Ledger.open(self.folder / "energyd.db", now=self.loop.now(), host=host, rng=self.rng)
        self.ledgers.append(ledger)
        return daemon.build(
            load(self.folder / "energyd.yaml", {}),
            mode=mode,
            ledger=ledger,
            log=Log(now=self.loop.now, stream=self.log),  # type: ignore[arg-type] # a file as far as it is used
            now=self.loop.now,
            rng=self.rng,
            host=host,
            wire=self.wire.transport(host),
            reload=lambda: load(self.folder / "energyd.yaml", {}),
            manager=manager,
        )

    async def prepared(self, *policies: dict[str, Any], mode: Mode = Mode.LIVE) -> Daemon:
        """A daemon that has its policies and has read prices and funds, and waits for ticks by hand."""
        built = self.build(*policies, mode=mode)
        await built._start()
        await built._refresh.everything()
        return built

    async def watch(self, built: Daemon, address: str = ALICE, **duration: float) -> None:
        """Tick one address at its own pace for a while, prices and funds kept fresh."""
        end = self.loop.time() + timedelta(**duration).total_seconds()
        while self.loop.time() < end:
            began = self.loop.time()
            again_in = await built.engine.tick(address)
            assert again_in is not None
            await asyncio.sleep(max(began + again_in.total_seconds() - self.loop.time(), 0))
            prices = built.engine.known.prices
            if prices.rent_read_at is None or self.loop.now() - prices.rent_read_at >= timedelta(minutes=2):
                await built._refresh.everything()

    def begin(self, built: Daemon) -> "asyncio.Task[None]":
        """Let a daemon live."""
        task = self.loop.create_task(built.run(), name="daemon")
        self.running.append(task)
        return task

    async def live(self, built: Daemon, **duration: float) -> None:
        """Let a daemon live for a while and stop it."""
        task = self.begin(built)
        await asyncio.sleep(timedelta(**duration).total_seconds())
        built.stop()
        await task

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def crash(self, ledger: Ledger | None = None) -> None:
        """What the end of a process does to a ledger: nothing more is written."""
        (ledger or self.ledgers[-1]).cut()

    async def close(self) -> None:
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        for ledger in self.ledgers:
            ledger.cut()
        self.node.moods.clear()
        self.netts.moods.clear()
        await self.wire.settle()
        assert self.complaints == []
        assert self.log.faults == []

    async def kept_orders(self) -> tuple[Order, ...]:
        """What stands in the ledger file, newest first."""
        async with Ledger.open_to_read(self.folder / "energyd.db") as ledger:
            return await ledger.orders()

    # --- what happened ------------------------------------------------------------------------------------------

    def events(self, *names: str, **fields: object) -> list[dict[str, Any]]:
        """The lines of the log with one of these names (all, without any), and these values."""
        wanted = [line for line in self.log.lines if not names or line["event"] in names]
        return [line for line in wanted if all(line.get(name) == value for name, value in fields.items())]

    def seconds(self, line: dict[str, Any]) -> float:
        """When a line was written, on the loop's clock."""
        return (datetime.fromisoformat(line["timestamp"]) - EPOCH).total_seconds()

    def names(self, start: str = "") -> list[str]:
        """The names of the events that begin so, in their order."""
        return [line["event"] for line in self.log.lines if line["event"].startswith(start)]

    def reasons(self, address: str = ALICE) -> list[str]:
        """The reasons of the decisions about an address, repeats left out."""
        found = [line["reason"] for line in self.events("decision", address=address)]
        return [reason for reason, before in zip(found, ["", *found], strict=False) if reason != before]

    def posts(self) -> list[Any]:
        """What reached Netts with which money could be spent."""
        return [one for one in self.netts.received if one.endpoint in ("order1h", "order5m", "time/order")]

    def charged(self, address: str = ALICE) -> list[Any]:
        return [charge for charge in self.netts.charges if charge.address == address]


_KINDS: dict[Type, Callable[[Any], object]] = {
    Type.TEXT: lambda value: isinstance(value, str) and value,
    Type.WORD: lambda value: isinstance(value, str) and value,
    Type.INTEGER: lambda value: type(value) is int,
    Type.NUMBER: lambda value: type(value) in (int, float),
    Type.MOMENT: lambda value: isinstance(value, str) and value.endswith("Z") and datetime.fromisoformat(value),
    Type.TEXTS: lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
}


def faults(line: dict[str, Any]) -> list[str]:
    """Where a line of the log is not as src/energyd/catalogue.py says."""
    entry = EVENTS.get(line["event"])
    if entry is None:
        return [f"{line['event']} is not in the catalogue"]
    due = (*HEAD, *entry.always)
    return [
        *(f"{name} is missing in {line}" for name in due if name not in line),
        *(f"{name} is not in the catalogue: {line}" for name in line if name not in (*due, *entry.sometimes)),
        *(f"{name} is of another type: {line}" for name in line if not _KINDS[FIELDS[name].type](line[name])),
    ]


class _Tape:
    """A stream that keeps every line, parsed: each must be one whole JSON object, as the catalogue says."""

    def __init__(self) -> None:
        self.raw = b""
        self.lines: list[dict[str, Any]] = []
        self.faults: list[str] = []

    def write(self, line: bytes) -> None:
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        self.raw += line
        self.lines.append(json.loads(line))
        self.faults += faults(self.lines[-1])

    def flush(self) -> None:
        pass


Story = Callable[[Stage], Coroutine[Any, Any, None]]


@contextmanager
def a_stage(folder: Path) -> Iterator[Stage]:
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(EPOCH)) as runner:
        stage = Stage(folder, runner)
        yield stage
        runner.run(stage.close())
