"""One pretend universe from one seed: hosts that run the real daemon, a chain, a vendor, a network, and accidents.

The daemon is the one of `energyd run`: `daemon.build` with tronpy, httpx, SQLAlchemy on a file, and APScheduler in it.
Only the four doors are replaced: the wire, the wall clock, chance, and the event loop, whose hours pass at once.

A universe has two phases. In the storm everything that was drawn for it goes wrong (faults.py) and the daemon must be
safe. Then all is mended, people do what the alerts ask them for, and within an hour everything must have settled.
judges.py looks at what is left.

Two things are imitated here that no fake network can show:

* A **crash** runs no `finally`: the host's wires and its connection to the ledger are cut first, then its tasks are
  cancelled. It can strike right after any transaction is durable and before its caller hears of it.
* A **frozen** host stands still at the next moment at which it would hear from its ledger or its network. A request
  that waited to leave meets the client's own check of the mark of sending when the host thaws, as httpcore would make
  it meet it; what has left before travels on.

All chance comes from generators named after the seed and their purpose, so that one more draw in one place changes
nothing elsewhere.
"""

import asyncio
import logging
import re
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack, closing, suppress
from contextvars import ContextVar, Token, copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from math import inf
from pathlib import Path
from random import Random
from typing import Any, Literal
from unittest.mock import patch

import httpx

from energyd import daemon
from energyd.config.load import load
from energyd.core.order import Event
from energyd.errors import ConfigFaults, LedgerError
from energyd.ledger.ledger import Ledger
from energyd.model import Mode, OrderState
from energyd.sandbox import addresses
from energyd.sandbox.netts import Netts
from energyd.sandbox.netts_terms import API_KEY, REAL_IP, Terms
from energyd.sandbox.node import Node
from energyd.sandbox.virtual_time import HostClock, VirtualLoop
from energyd.sandbox.wire import Wire, WireEvent
from energyd.sandbox.world import World
from energyd.telemetry import Log

EPOCH = datetime(2026, 1, 5, 8, tzinfo=UTC)
LONG_CALM, SHORT_CALM = timedelta(minutes=76), timedelta(minutes=26)
"""The long one is enough for a hold of one rental period, and for what is wrongly waited for as long as a rental."""
LAST_USE = timedelta(minutes=8)
"""Nobody uses energy at the very end, so that what is missing then was not missing a moment before."""
PERSON_COMES = timedelta(minutes=12)
"""When, after the storm, a person settles the orders about which the daemon says that it cannot tell."""
RESTART_SECONDS = 5.0
"""What a supervisor waits before it starts a process again that ended by itself."""
NODE, OTHER_NODE, NETTS = "http://node.sandbox", "http://other.sandbox", "https://netts.sandbox"
ORDER, CYCLES_ORDER = f"{NETTS}/apiv2/order1h", f"{NETTS}/apiv2/time/order"
_COUNTS = f"{NETTS}/apiv2/time/status"
FIRST_CYCLES = 3
"""What an address in Host Mode begins with."""
HOUSEKEEPING_EVERY = timedelta(seconds=40)
"""Instead of the daemon's own five seconds, which would cost more than all its looks at addresses."""
_ABOUT_TO_LEAVE = "http11.send_request_headers.started"

_DIGEST = re.compile(r'"digest":"[0-9a-f]*",')
"""Of the configuration: it contains where the files are, which is another folder each time."""

Moment = Literal["intent", "mark", "write", "any", "left", "answer"]
"""Right before an intent is written; right after a transaction: a mark of sending, any that writes, or any; right after
a purchase has left the host, or right before the host hears the answer to it."""


@dataclass(frozen=True, slots=True)
class CallPlan:
    """A planned call: when it is made (true seconds), what it needs, how long before and after that must be there."""

    at: float
    energy: int
    lead: int = 180
    hold: int = 600


@dataclass(frozen=True, slots=True)
class PolicyPlan:
    """One policy of a universe, in the words of its file. Money in TRX, times in seconds; no budget is unlimited.

    One without a floor has calls only, and applications that ask.
    """

    name: str
    wallets: tuple[str, ...]
    floor: int = 65_000
    target: int = 131_000
    keep: str = "always"
    check_every: int = 15
    renew_before: int = 90
    cooldown: int = 30
    on_unknown: str = "hold"
    per_hour: int | None = None
    per_day: int | None = None
    calls: tuple[CallPlan, ...] = ()
    cycles: tuple[int, int] | None = None
    """Host Mode: the least number of cycles, and up to how many are ordered."""

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(map(addresses.made_up, self.wallets))

    def text(self) -> str:
        budget = "unlimited"
        if self.per_hour is not None:
            budget = f"{{per_order: {self.per_hour} TRX, per_hour: {self.per_hour} TRX, per_day: {self.per_day} TRX}}"
        return (
            f"policy: {self.name}\naddresses: [{', '.join(self.addresses)}]\nbudget: {budget}\n"
            + (self._energy_text() if self.floor else "")
            + (f"host_mode: {{{self._cycles_text()}}}\n" if self.cycles else "")
            + (f"planned_calls: [{', '.join(map(_call_text, enumerate(self.calls)))}]\n" if self.calls else "")
        )

    def _cycles_text(self) -> str:
        least, most = self.cycles or (0, 0)
        return f"min_cycles: {least}, top_up_to: {most}, check_every: 2m, max_cycle_price: 9 TRX"

    def _energy_text(self) -> str:
        return (
            f"energy: {{floor: {self.floor}, target: {self.target}, keep: {self.keep}, "
            f"check_every: {self.check_every}s, renew_before: {self.renew_before}s, cooldown: {self.cooldown}s, "
            f"on_unknown: {self.on_unknown}, max_price: 80% of burn, active_within: 20m}}\n"
        )


def _call_text(numbered: tuple[int, CallPlan]) -> str:
    number, call = numbered
    at = (EPOCH + timedelta(seconds=call.at)).isoformat()
    return f"{{name: call-{number}, at: {at}, energy: {call.energy}, lead: {call.lead}s, hold: {call.hold}s}}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about a universe that is settled before it begins."""

    seed: int | str
    hosts: tuple[str, ...] = ("a",)
    policies: tuple[PolicyPlan, ...] = (PolicyPlan("pay", ("one",)),)
    storm: timedelta = timedelta(hours=2)
    faults: tuple[str, ...] = ()
    uses: tuple[tuple[float, str, int], ...] = ()
    """Seconds, wallet, energy."""
    asks: tuple[tuple[float, str, int], ...] = ()
    """Applications that ask for energy and wait: seconds after all was mended, wallet, energy."""
    stake_energy: int = 0
    balance_sun: int = 100_000_000_000
    calm: timedelta = LONG_CALM
    person_comes_every: float | None = None
    """Seconds after which, in the storm too, a person settles an order that nobody else could."""
    drift_ppm: int = 0
    netts_rps: int = 1
    fallback: bool = False
    terms: Callable[[], Terms] = Terms

    @property
    def wallets(self) -> tuple[str, ...]:
        return tuple(wallet for policy in self.policies for wallet in policy.wallets)

    def settings(self) -> str:
        fallbacks = f'["{OTHER_NODE}"]' if self.fallback else "[]"
        return (
            f'mode: live\nnode: {{url: "{NODE}", fallbacks: {fallbacks}, max_rps: 1000}}\n'
            f"netts: {{url: {NETTS}, api_key: {API_KEY}, real_ip: {REAL_IP}, max_rps: {self.netts_rps}}}\n"
            "policies: policies/\nstate: ledger.db\n"
        )

    def chance(self, purpose: str) -> Random:
        return Random(f"{self.seed}:{purpose}")


@dataclass(slots=True)
class Line:
    """One line that a host wrote to its log, and the true second at which it did."""

    at: float
    host: str
    fields: Mapping[str, Any]

    @property
    def event(self) -> str:
        return str(self.fields["event"])


@dataclass(slots=True)
class Asked:
    """What an application asked for: when, until when it is kept, and when it was told that it is there."""

    address: str
    energy: int
    at: float
    until: float
    told_at: float | None = None


@dataclass(slots=True)
class Story:
    """What a universe leaves to its judges. Times are true seconds since the epoch, whatever hosts believed."""

    plan: Plan
    world: World
    netts: Netts
    lines: list[Line] = field(default_factory=list)
    trace: list[bytes] = field(default_factory=list)
    bugs: list[str] = field(default_factory=list)
    ledgers: list[Path] = field(default_factory=list)
    """The ledger as it was at the end, and before it each one that was lost or replaced, oldest first."""
    ledger_changed_at: list[float] = field(default_factory=list)
    ledger_lost_at: list[float] = field(default_factory=list)
    """Those of these moments at which nothing was put in its place."""
    clock_range: timedelta = timedelta(0)
    """The most by which two moments told by the hosts' clocks were ever apart that were one moment."""
    healed_at: float = inf
    ended_at: float = inf
    settled_by_a_person: int = 0
    intended: dict[str, float] = field(default_factory=dict)
    """When the intent of each order was written down, by the order's key."""
    marked: dict[str, float] = field(default_factory=dict)
    """When each was marked as being sent."""
    left: list[tuple[float, str]] = field(default_factory=list)
    """When which order left its host; an order that left twice stands here twice."""
    counted: list[tuple[float, str, bytes]] = field(default_factory=list)
    """When which host was told what about the cycles that are left; nothing at all where the answer was no success."""
    asked: list[Asked] = field(default_factory=list)

    def tell(self, at: float, text: str) -> None:
        self.trace.append(f"{at:.6f} {text}".encode())


# --- a host ---------------------------------------------------------------------------------------------------------

PROCESS: ContextVar["Process | None"] = ContextVar("PROCESS", default=None)


class WatchedLedger(Ledger):
    """The daemon's own ledger; its process hears of each transaction before the caller does."""

    process: "Process"

    def _transaction(self, work: Any, writing: bool) -> Any:  # noqa: FBT001 - as the method that it replaces
        host = self.process.host
        told, self.process.about_to_tell = self.process.about_to_tell if writing else None, None
        answer = super()._transaction(partial(_full, work) if writing and host.disk_is_full else work, writing)
        self.process.worked(told, writing=writing)
        return answer

    # What is about to be told is known of the next transaction: both run up to theirs without a break.

    async def commit(self, decision: Any, order: Any, *arguments: Any) -> None:
        self.process.reached({"intent"})
        await self.process.thawed()
        if order is not None:
            self.process.about_to_tell = (self.process.universe.story.intended, order.key)
        await super().commit(decision, order, *arguments)

    async def mark_sending(self, order: Any, *arguments: Any) -> Any:
        self.process.about_to_tell = (self.process.universe.story.marked, order.key)
        return await super().mark_sending(order, *arguments)


class Process:
    """One life of a host's daemon: from its start to its crash, or to the end of the universe."""

    def __init__(self, universe: "Universe", host: "Host") -> None:
        self.universe, self.host = universe, host
        self.alive = True
        self.about_to_tell: tuple[dict[str, float], str] | None = None
        self.frozen_until = 0.0
        self.strikes: list[tuple[Moment, int, Callable[[], object]]] = []
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.context = copy_context()
        self.context.run(PROCESS.set, self)

    def start(self) -> None:
        universe, host = self.universe, self.host
        self.ledger = WatchedLedger.open(
            universe.ledger_file, now=host.clock(), host=host.name, rng=host.chance, exclusive=False
        )
        self.ledger.process = self
        log = Log(now=host.clock, stream=_Stream(self), form="json")
        log.listen(self._heard)
        self.daemon = daemon.build(
            load(universe.settings_file, {}),
            mode=Mode.LIVE,
            ledger=self.ledger,
            log=log,
            now=host.clock,
            rng=host.chance,
            host=host.name,
            wire=_Line(self),
            reload=lambda: load(universe.settings_file, {}),
        )
        self.main = self.create_task(self._run())

    def create_task(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(work, context=self.context)

    async def _run(self) -> None:
        try:
            await self.daemon.run()
        except LedgerError as error:
            self._ended(f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - whatever ends the daemon is for the judges
            if self.alive:
                self.universe.story.bugs.append(f"the daemon of {self.host.name} ended: {error!r}")
            self._ended(repr(error))

    def _ended(self, why: str) -> None:
        if self.alive:
            self.universe.tell(f"{self.host.name} ended by itself: {why}")
            self.universe.soon(RESTART_SECONDS, partial(self.host.restart, self))

    def _heard(self, line: Mapping[str, Any]) -> None:
        if self.alive:
            self.universe.story.lines.append(Line(self.universe.loop.time(), self.host.name, dict(line)))

    async def heard_count(self, response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        body = b"".join([part async for part in response.stream]) if response.is_success else b""
        self.universe.story.counted.append((self.universe.loop.time(), self.host.name, body))

    # Accidents

    def strike_at(self, moment: Moment, count: int, act: Callable[[], object]) -> None:
        """Have something happen to this process after so many of these moments."""
        self.strikes.append((moment, count, act))

    def worked(self, told: tuple[dict[str, float], str] | None, *, writing: bool) -> None:
        story, moments = self.universe.story, {"any", *(("write",) if writing else ())}
        if told is not None:
            times, order_key = told
            times[order_key] = self.universe.loop.time()
            moments |= {"mark"} if times is story.marked else set()
        self.reached(moments)

    def reached(self, moments: set[str]) -> None:
        waiting, self.strikes = self.strikes, []
        for moment, count, act in waiting:
            left = count - (moment in moments)
            if left:
                self.strikes.append((moment, left, act))
            else:
                act()

    def stall(self) -> float:
        """Virtual seconds until this process hears of what its ledger has done."""
        slow = self.host.chance_of_disk.uniform(0, self.host.disk_seconds) if self.host.disk_seconds else 0.0
        return max(self.frozen_until - self.universe.loop.time(), 0.0) + slow

    async def thawed(self) -> None:
        # It may be frozen anew while it is frozen.
        while (rest := self.frozen_until - self.universe.loop.time()) > 0:  # noqa: ASYNC110 - waits for a moment
            await asyncio.sleep(rest)

    def freeze(self, seconds: float) -> None:
        self.universe.tell(f"{self.host.name} is frozen for {seconds:.1f}s")
        self.frozen_until = self.universe.loop.time() + seconds

    def crash(self) -> None:
        """Now: nothing that this process does from here on can be seen by anybody."""
        if not self.alive:
            return
        self.universe.tell(f"{self.host.name} crashes")
        self.alive = False
        self.universe.wire.cut(self.host.name)
        self.universe.loop.call_soon(self._buried)

    def _buried(self) -> None:
        # In a turn of its own: a crash may strike inside a transaction, whose connection is still in use.
        self.ledger.cut()
        for task in list(self.tasks):
            task.cancel()


def _full(work: Callable[[Any], Any], connection: Any) -> None:
    """A transaction whose last page finds no room."""
    work(connection)
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


class Host:
    """A machine: its name, its clock, its disk, and the process that lives on it at the moment."""

    def __init__(self, universe: "Universe", name: str) -> None:
        self.universe, self.name = universe, name
        self.clock = HostClock(universe.loop)
        self.chance = universe.plan.chance(f"host {name}")
        self.chance_of_disk = universe.plan.chance(f"disk {name}")
        self.disk_seconds = 0.0
        self.disk_is_full = False
        self.process: Process | None = None

    @property
    def living(self) -> Process | None:
        return self.process if self.process is not None and self.process.alive else None

    def start(self) -> None:
        if self.living:
            return
        self.universe.wire.bounce(self.name)
        self.process = Process(self.universe, self)
        self.universe.tell(f"{self.name} starts")
        try:
            self.process.start()
        except (LedgerError, ConfigFaults) as error:
            self.process.alive = False
            self.universe.tell(f"{self.name} cannot start: {error}")
            self.universe.soon(RESTART_SECONDS, self.start)

    def restart(self, ended: Process) -> None:
        if self.process is ended:
            ended.alive = False
            self.start()

    def crash(self, down_seconds: float | None) -> None:
        """Crash; without a time it stays down until somebody starts it."""
        if self.living:
            self.living.crash()
            if down_seconds is not None:
                self.universe.soon(down_seconds, self.start)


class _Line(httpx.AsyncBaseTransport):
    """A process' way to the network, which stands still while the process does and ends with it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        process = self._process
        if process.frozen_until > process.universe.loop.time():
            await process.thawed()
            if trace := request.extensions.get("trace"):
                await trace(_ABOUT_TO_LEAVE, {})
        if not process.alive:
            await asyncio.get_running_loop().create_future()
        order_key = request.headers.get("X-Idempotency-Key")
        if order_key is not None:
            process.universe.story.left.append((process.universe.loop.time(), order_key))
            process.universe.soon(0.0, partial(process.reached, {"left"}))
        token: Token[Process | None] = PROCESS.set(None)  # what travels does not end with who sent it
        try:
            response = await process.universe.wire.carry(process.host.name, request)
        finally:
            PROCESS.reset(token)
            if order_key is not None:
                process.reached({"answer"})
            await process.thawed()
        if not process.alive:
            await asyncio.get_running_loop().create_future()
        if str(request.url).startswith(_COUNTS):
            await process.heard_count(response)
        return response


class _Stream:
    """Where a process' log goes: into the trace, while it lives."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def write(self, line: bytes) -> int:
        if self._process.alive:
            self._process.universe.tell(f"{self._process.host.name} {_DIGEST.sub('', line.decode().rstrip())}")
        return len(line)

    def flush(self) -> None: ...


# --- the universe ---------------------------------------------------------------------------------------------------


class Universe:
    """Everything that exists in one run."""

    def __init__(self, plan: Plan, folder: Path, loop: VirtualLoop) -> None:
        self.plan, self.folder, self.loop = plan, folder, loop
        self.ledger_file, self.settings_file = folder / "ledger.db", folder / "energyd.yaml"
        self.world = World(now=loop.now, rng=plan.chance("world"), drift_ppm=plan.drift_ppm)
        self.netts = Netts(self.world, balance_sun=plan.balance_sun, terms=plan.terms())
        self.node, self.other_node = Node(self.world), Node(self.world)
        routes = {"node.sandbox": self.node, "other.sandbox": self.other_node, "netts.sandbox": self.netts}
        self.wire = Wire(plan.chance("wire"), routes)
        self.story = Story(plan, self.world, self.netts)
        self.hosts = [Host(self, name) for name in plan.hosts]
        self._unfinished: dict[asyncio.Task[Any], None] = {}
        self._seen_clocks = [timedelta(0)]
        self._heal_too: list[Callable[[], object]] = []
        self._prepare()

    def _prepare(self) -> None:
        (self.folder / "policies").mkdir()
        self.write_policies()
        self.settings_file.write_text(self.plan.settings())
        self.ledger_file.write_bytes(_empty_ledger())
        for wallet in self.plan.wallets:
            self.world.add_account(addresses.made_up(wallet), stake_energy=self.plan.stake_energy)
        for policy in self.plan.policies:
            for address in policy.addresses if policy.cycles else ():
                self.netts.host_mode.host(address, cycles=FIRST_CYCLES)
        for seconds, wallet, energy in self.plan.uses:
            self.world.plan_use(EPOCH + timedelta(seconds=seconds), addresses.made_up(wallet), energy)
        self.wire.on_event(self._on_wire)
        self.loop.set_task_factory(_make_task)
        self.loop.thread_seconds = _stall
        self.loop.set_exception_handler(self._on_loose_end)

    def write_policies(self, *, without: str = "") -> None:
        for policy in self.plan.policies:
            file = self.folder / "policies" / f"{policy.name}.yaml"
            file.unlink(missing_ok=True)
            if policy.name != without:
                file.write_text(policy.text())

    def tell(self, text: str) -> None:
        """Add to the trace, without the folder, which is another one each time."""
        self.story.tell(self.loop.time(), text.replace(str(self.folder), ""))

    def _on_wire(self, event: WireEvent) -> None:
        self.story.tell(event.at, f"trip {event.trip} {event.host} {event.path} {event.what} {event.detail}")

    def _on_loose_end(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        process = PROCESS.get()
        if process is None or process.alive:
            self.story.bugs.append(f"a loose end: {context['message']}: {context.get('exception')!r}")

    def soon(self, seconds: float, act: Callable[[], object]) -> None:
        self.loop.call_later(seconds, act, context=copy_context())

    def begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = self.loop.create_task(work)
        self._unfinished[task] = None
        return task

    def clocks_moved(self) -> None:
        self._seen_clocks += [host.clock.skew for host in self.hosts]
        self.story.clock_range = max(self._seen_clocks) - min(self._seen_clocks)

    def when_healed(self, act: Callable[[], object]) -> None:
        """Have something mended at the end of the storm that `heal` cannot know of."""
        self._heal_too.append(act)

    # The ledger's file

    def copy_ledger(self, name: str) -> Path:
        copy = self.folder / name
        with closing(sqlite3.connect(self.ledger_file)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        return copy

    def replace_ledger(self, by: Path | None) -> None:
        """Put another file in the place of the ledger, None for an empty one. No process may live."""
        assert not any(host.living for host in self.hosts)
        self.story.ledgers.append(self.copy_ledger(f"lost-{len(self.story.ledgers)}.db"))
        self.story.ledger_changed_at.append(self.loop.time())
        if by is None:
            self.story.ledger_lost_at.append(self.loop.time())
        for suffix in ("-wal", "-shm"):
            self.ledger_file.with_name(self.ledger_file.name + suffix).unlink(missing_ok=True)
        self.ledger_file.unlink()
        self.ledger_file.write_bytes(by.read_bytes() if by else _empty_ledger())
        self.tell("the ledger was replaced")

    # The two phases

    async def live(self, storm: Callable[["Universe"], Coroutine[Any, Any, None]]) -> Story:
        for host in self.hosts:
            host.start()
        storming = self.begin(storm(self))
        if self.plan.person_comes_every is not None:
            self.begin(self._visits(self.plan.person_comes_every))
        await asyncio.sleep(self.plan.storm.total_seconds())
        await self._end(storming)
        await self.heal()
        person_comes = min(PERSON_COMES, self.plan.calm)
        await asyncio.sleep(person_comes.total_seconds())
        await self.settle_as_a_person()
        await asyncio.sleep((self.plan.calm - person_comes).total_seconds())
        await self.end()
        return self.story

    async def _end(self, task: asyncio.Task[Any]) -> None:
        task.cancel()
        for result in await asyncio.gather(task, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    async def heal(self) -> None:
        """All that is broken is mended: network, vendor, node, disks, clocks, files; and every host is up."""
        self.tell("the storm is over")
        self.wire.calm()
        self.wire.repair()
        self.wire.travel_seconds = (0.02, 0.2)
        self.netts.moods.clear()
        self.netts.prices.set_price(27)
        _restore(self.netts.terms, self.plan.terms())
        self.netts.books.deposit(1_000_000_000)
        for node in (self.node, self.other_node):
            node.moods.clear()
            node.stale, node.lags = False, (0,)
        for act in self._heal_too:
            act()
        self.write_policies()
        for host in self.hosts:
            self._heal_host(host)
        self.story.healed_at = self.loop.time()
        for seconds, wallet, energy in self.plan.asks:
            self.soon(seconds, partial(self._ask, addresses.made_up(wallet), energy))
        await asyncio.sleep(1)
        for host in self.hosts:
            if host.living:
                await self._lift_pauses(host.living)
                host.living.create_task(host.living.daemon.reload())

    def _ask(self, address: str, energy: int) -> None:
        """What an application does before a call of its own."""
        process = next(host.living for host in self.hosts if host.living)
        within, keep = timedelta(minutes=3), timedelta(minutes=5)
        asked = Asked(address, energy, self.loop.time(), self.loop.time() + (within + keep).total_seconds())
        self.story.asked.append(asked)

        async def wait() -> None:
            calls = process.daemon.engine.calls
            call = await calls.ensure(address, energy=energy, within=within, keep=keep)
            ended = await calls.ended(call.call_id)
            if ended.covered_at is not None:
                asked.told_at = self.loop.time()

        self._unfinished[process.create_task(wait())] = None

    def _heal_host(self, host: Host) -> None:
        host.clock.skew = timedelta(0)
        host.disk_is_full, host.disk_seconds = False, 0.0
        if host.living is None:
            host.start()
        assert host.process is not None
        host.process.strikes.clear()

    async def _lift_pauses(self, process: Process) -> None:
        with suppress(LedgerError):
            for pause in await process.ledger.pauses(self.loop.now()):
                await process.ledger.resume(pause.policy, pause.address, self.loop.now())

    async def _visits(self, every: float) -> None:
        """Whatever is unresolved from one visit to the next is settled, so that its address can get energy again."""
        known: set[str] = set()
        while True:
            await asyncio.sleep(every)
            process = next((host.living for host in self.hosts if host.living), None)
            if process is not None:
                with suppress(LedgerError):
                    known = await self._settle(process, known)

    async def _settle(self, process: Process, known: set[str]) -> set[str]:
        """Settle those that are known; returns the others."""
        unresolved = await process.ledger.orders(states=[OrderState.UNRESOLVED])
        charged = {charge.idempotency_key for charge in self.netts.charges}
        for order in unresolved:
            if order.key in known:
                event = Event.SETTLED_PLACED if order.key in charged else Event.SETTLED_NOT_PLACED
                self.tell(f"a person settles {order.key[:12]}: {event}")
                self.story.settled_by_a_person += 1
                await process.ledger.record(order, event, self.loop.now(), outcome="settled by a person")
        return {order.key for order in unresolved} - known

    async def settle_as_a_person(self) -> None:
        """What `order_unresolved` asks a person for: look into the vendor's books and say what became of the order."""
        process = next(host.living for host in self.hosts if host.living)
        await self._settle(process, {order.key for order in await process.ledger.open_orders()})

    async def end(self) -> None:
        self.story.ended_at = self.loop.time()
        for host in self.hosts:
            if host.living:
                host.living.daemon.stop()
                await asyncio.gather(host.living.main, return_exceptions=True)
        try:
            await self.wire.settle()
        except BaseExceptionGroup as group:
            self.story.bugs += [f"the pretend world failed: {error!r}" for error in group.exceptions]
        self.world.advance()
        for task in list(self._unfinished):
            task.cancel()
        await asyncio.gather(*self._unfinished, return_exceptions=True)
        self.story.ledgers.append(self.ledger_file)
        self._tell_books()

    def _tell_books(self) -> None:
        """The outcome, too, is part of the trace."""
        for charge in self.netts.charges:
            self.tell(f"charge {charge}")
        for process in (host.process for host in self.hosts):
            if process is not None and self.loop.time() < process.frozen_until:
                self.tell(f"{process.host.name} is still frozen")


def _make_task(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
    """Tasks as always, but each process knows its own, in the order of their making."""
    context = more.get("context")
    process = PROCESS.get() if context is None else context.get(PROCESS)
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **more)
    if process is not None:
        process.tasks[task] = None
        task.add_done_callback(process.tasks.pop)
    return task


def _stall() -> float:
    process = PROCESS.get()
    return process.stall() if process is not None else 0.0


def _restore(terms: Terms, first: Terms) -> None:
    for name in Terms.__slots__:
        setattr(terms, name, getattr(first, name))


# --- running one ----------------------------------------------------------------------------------------------------

Storm = Callable[[Universe], Coroutine[Any, Any, None]]


def run(plan: Plan, storm: Storm, judge: Callable[[Story], list[str]]) -> tuple[Story, list[str]]:
    """Live through a universe, and what the judges say about it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="universe-", dir=_memory())))
        runner = stack.enter_context(asyncio.Runner(loop_factory=lambda: VirtualLoop(EPOCH)))

        async def live() -> Story:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            return await Universe(plan, folder, loop).live(storm)

        for name in ("ALERTS_EVERY", "WRITE_EVERY"):
            stack.enter_context(patch.object(daemon, name, HOUSEKEEPING_EVERY))

        story = runner.run(live())
        return story, judge(story)


def _memory() -> str | None:
    """A file system without a disk, where there is one: synchronising costs nothing there."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


@cache
def _empty_ledger() -> bytes:
    """A ledger with its tables and nothing in it; building the tables takes longer than an hour of a universe."""
    with tempfile.TemporaryDirectory(prefix="universe-empty-", dir=_memory()) as folder:
        file = Path(folder) / "ledger.db"
        Ledger.open(file, now=EPOCH, host="", rng=Random(0), exclusive=False).cut()
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("DELETE FROM meta")
            connection.commit()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return file.read_bytes()


logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a job that is skipped because a disk is slow is no news
