"""A simulated day, shown to a person: the real daemon against the sandbox, on a clock whose hours pass at once.

Six wallets, each with another policy: a floor that is always kept, one in office hours, one while it is in use, energy
for a payroll that is planned, energy that an application asks for before each payout, and cycles for Host Mode. And two
mishaps that every operator will meet: the node is away for some minutes, and Netts takes an order, charges it, and its
answer is lost.
"""

import asyncio
import io
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from energyd import daemon, units
from energyd.calls import Calls
from energyd.config.load import load
from energyd.ledger.ledger import Ledger
from energyd.model import Mode, Order, OrderKind, OrderState
from energyd.sandbox import addresses
from energyd.sandbox.contracts import USDT
from energyd.sandbox.netts import Netts
from energyd.sandbox.netts_terms import API_KEY, REAL_IP
from energyd.sandbox.node import Node
from energyd.sandbox.virtual_time import VirtualLoop
from energyd.sandbox.wire import Fault, Wire
from energyd.sandbox.world import World
from energyd.telemetry import Log

EPOCH = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday, so that the office-hours wallet has a day of work."""
USDT_TRANSFER = 64_285
"""Energy of a USDT transfer to a holder (tron-energy B2)."""
EMPLOYEES = 12
WAGES_AT = timedelta(hours=8)
WAGE = 1_500_000_000
"""1,500 USDT."""
NODE_AWAY_AT, NODE_AWAY_FOR = timedelta(hours=9, minutes=30), timedelta(minutes=4)
ANSWER_LOST_AT = timedelta(hours=11)
PROGRESS_EVERY = timedelta(minutes=10)
CHART_WIDTH = 96
_BARS = " ▁▂▃▄▅▆▇█"

SETTINGS = f"""\
mode: live
node: {{url: "http://node.sandbox", max_rps: 1000}}
netts:
  url: https://netts.sandbox
  api_key: "{API_KEY}"
  real_ip: {REAL_IP}
policies: policies/
state: energyd.db
"""


@dataclass(frozen=True, slots=True)
class Wallet:
    """A pretend wallet: its policy, and between which hours (UTC) it makes a transfer every so many minutes."""

    name: str
    what: str
    rules: str
    busy: tuple[int, int] = (0, 0)
    every_minutes: tuple[int, int] = (60, 60)
    asks: bool = False
    """It asks for the energy of each transfer and waits until it is there."""
    cycles: int = 0
    """Host Mode cycles that it starts with; none: it is not in Host Mode."""

    @property
    def address(self) -> str:
        return addresses.made_up(self.name)

    def policy(self) -> str:
        return (
            f"policy: {self.name}\naddresses: [{{address: {self.address}, label: {self.name}}}]\n"
            f"{self.rules}\n"
            "budget: {per_order: 60 TRX, per_hour: 60 TRX, per_day: 400 TRX}\n"
        )


WALLETS = (
    Wallet(
        "payouts",
        "pays out around the clock; its floor is always kept",
        "energy: {floor: 65_000, target: 131_000, check_every: 60s, max_price: 80% of burn}",
        busy=(0, 24),
        every_minutes=(15, 50),
    ),
    Wallet(
        "office",
        "pays invoices on workdays; kept from 08:00 to 18:00 in Berlin",
        'energy: {floor: 65_000, keep: [{days: mon-fri, from: "08:00", to: "18:00", timezone: Europe/Berlin}], '
        "check_every: 60s, max_price: 80% of burn}",
        busy=(7, 17),
        every_minutes=(20, 80),
    ),
    Wallet(
        "sweeper",
        "collects deposits in bursts; kept while it is in use",
        "energy: {floor: 65_000, target: 131_000, keep: while_active, active_within: 20m, check_every: 60s, "
        "max_price: 80% of burn}",
        busy=(12, 15),
        every_minutes=(4, 15),
    ),
    Wallet(
        "payroll",
        f"pays {EMPLOYEES} wages at 09:00 in Berlin, and nothing else",
        "planned_calls:\n"
        '  - {name: wages, cron: "0 9 * * *", timezone: Europe/Berlin, lead: 3m, hold: 20m, margin: 1%,\n'
        f"     contract: {USDT}, function: 'transfer(address,uint256)', receivers: wages.csv}}",
    ),
    Wallet(
        "gateway",
        "runs `energyd ensure` before each of its few payouts",
        "energy: {floor: 0, keep: never, check_every: 60s, max_price: 80% of burn}",
        busy=(6, 22),
        every_minutes=(90, 180),
        asks=True,
    ),
    Wallet(
        "deposits",
        "is swept through Host Mode; energyd sees to it that there are cycles",
        "host_mode: {min_cycles: 2, top_up_to: 6, max_cycle_price: 4 TRX}",
        busy=(0, 24),
        every_minutes=(40, 120),
        cycles=3,
    ),
)


@dataclass(slots=True)
class Day:
    """What a simulated day left behind."""

    world: World
    netts: Netts
    hours: int
    orders: tuple[Order, ...] = ()
    reasons: dict[str, str] = field(default_factory=dict)
    """Why each order was made, by its decision."""
    log: io.BytesIO = field(default_factory=io.BytesIO)


def show(*, hours: int, seed: int, json: bool) -> None:
    """Run the day and print it."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    with tempfile.TemporaryDirectory(prefix="energyd-demo-") as folder, _progress(hours, quiet=json) as progress:
        runner = asyncio.Runner(loop_factory=lambda: VirtualLoop(EPOCH))
        with runner:
            day = runner.run(_live(Path(folder), hours, seed, progress))
    if json:
        sys.stdout.buffer.write(day.log.getvalue())
    else:
        _show(console, day)


def _progress(hours: int, *, quiet: bool) -> Progress:
    progress = Progress(
        TextColumn("simulating {task.description}"),
        BarColumn(),
        TextColumn("{task.fields[clock]}"),
        console=Console(stderr=True),
        transient=True,
        disable=quiet,
    )
    progress.add_task(f"{hours} hours", total=hours * 3600, clock="00:00")
    return progress


async def _live(folder: Path, hours: int, seed: int, progress: Progress) -> Day:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    rng = Random(seed)
    world = World(now=loop.now, rng=rng, drift_ppm=2)
    day = Day(world, Netts(world), hours)
    wire = Wire(rng, {"node.sandbox": Node(world), "netts.sandbox": day.netts})
    _plan_calls(world, rng, hours)
    for wallet in WALLETS:
        if wallet.cycles:
            day.netts.host_mode.host(wallet.address, cycles=wallet.cycles)
    ledger = Ledger.open(folder / "energyd.db", now=loop.now(), host="demo", rng=rng)
    log = Log(now=loop.now, stream=day.log, form="json")
    log.listen(lambda line: _remember(day, line))
    built = daemon.build(
        load(_files(folder), {}),
        mode=Mode.LIVE,
        ledger=ledger,
        log=log,
        now=loop.now,
        rng=rng,
        host="demo",
        wire=wire.transport("demo"),
    )
    asking = [time for wallet in WALLETS if wallet.asks for time in _calls(wallet, rng, hours)]
    payouts = asyncio.create_task(_pay_out(world, built.engine.calls, asking), name="payouts")
    mishaps = asyncio.create_task(_mishaps(wire), name="mishaps")
    running = asyncio.create_task(built.run(), name="daemon")
    await _wait(hours, progress)
    day.orders = await ledger.orders(limit=10_000)
    built.stop()
    await running
    for task in (mishaps, payouts):
        task.cancel()
    await wire.settle()
    return day


def _files(folder: Path) -> Path:
    (folder / "policies").mkdir()
    wages = "".join(f"{receiver},{WAGE}\n" for receiver in _employees())
    (folder / "policies" / "wages.csv").write_text(wages)
    for wallet in WALLETS:
        (folder / "policies" / f"{wallet.name}.yaml").write_text(wallet.policy())
    settings = folder / "energyd.yaml"
    settings.write_text(SETTINGS)
    return settings


def _employees() -> list[str]:
    return [addresses.made_up(f"employee {number}") for number in range(EMPLOYEES)]


def _plan_calls(world: World, rng: Random, hours: int) -> None:
    for wallet in WALLETS:
        world.add_account(wallet.address)
        for at in () if wallet.asks else _calls(wallet, rng, hours):
            world.plan_use(at, wallet.address, USDT_TRANSFER)
    _plan_wages(world)


def _plan_wages(world: World) -> None:
    payer = addresses.made_up("payroll")
    world.usdt.balances[payer] = EMPLOYEES * WAGE
    for number, employee in enumerate(_employees()):
        if number % 4:
            world.usdt.balances[employee] = WAGE
        pay = partial(world.transfer, payer, employee, WAGE)
        world.plan(EPOCH + WAGES_AT + timedelta(seconds=10 * number), pay)


async def _pay_out(world: World, calls: Calls, times: Sequence[datetime]) -> None:
    """What an application does that has its energy ensured before each payout."""
    address = next(wallet.address for wallet in WALLETS if wallet.asks)
    for at in times:
        await asyncio.sleep(max((at - EPOCH).total_seconds() - asyncio.get_running_loop().time(), 0))
        asked = await calls.ensure(
            address, energy=USDT_TRANSFER, within=timedelta(minutes=2), keep=timedelta(minutes=10), name="payout"
        )
        await calls.ended(asked.call_id)
        world.use(address, USDT_TRANSFER)


def _calls(wallet: Wallet, rng: Random, hours: int) -> Iterator[datetime]:
    at = EPOCH + timedelta(minutes=rng.randint(10, 20))
    while at < EPOCH + timedelta(hours=hours):
        if wallet.busy[0] <= at.hour < wallet.busy[1]:
            yield at
        at += timedelta(minutes=rng.randint(*wallet.every_minutes))


async def _mishaps(wire: Wire) -> None:
    await asyncio.sleep(NODE_AWAY_AT.total_seconds())
    wire.disturb(Fault.UNREACHABLE, where="http://node.sandbox", for_seconds=NODE_AWAY_FOR.total_seconds())
    await asyncio.sleep((ANSWER_LOST_AT - NODE_AWAY_AT).total_seconds())
    wire.disturb(Fault.LOST_REPLY, where="https://netts.sandbox/apiv2/order1h", count=1)


async def _wait(hours: int, progress: Progress) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + hours * 3600
    while (rest := end - loop.time()) > 0:
        await asyncio.sleep(min(PROGRESS_EVERY.total_seconds(), rest))
        clock = EPOCH + timedelta(seconds=loop.time())
        progress.update(progress.task_ids[0], completed=loop.time(), clock=f"{clock:%H:%M}")


def _remember(day: Day, line: Mapping[str, Any]) -> None:
    if line["event"] == "decision" and line["action"] == "rent":
        day.reasons[line["decision_id"]] = line["reason"]


# --- showing it -----------------------------------------------------------------------------------------------------


def _show(console: Console, day: Day) -> None:
    console.print(
        f"\n[bold]A simulated day of {day.hours} hours[/]: the real daemon, a pretend node, a pretend Netts.\n"
        f"At {_clock(NODE_AWAY_AT)} the node is away for {units.duration_text(NODE_AWAY_FOR)}; after "
        f"{_clock(ANSWER_LOST_AT)} the answer to one order is lost after Netts has charged it.\n"
    )
    for wallet in WALLETS:
        _show_wallet(console, day, wallet)
    console.print(_rentals(day))
    _show_sums(console, day)


def _clock(since_midnight: timedelta) -> str:
    return f"{EPOCH + since_midnight:%H:%M}"


def _show_wallet(console: Console, day: Day, wallet: Wallet) -> None:
    console.print(f"[bold]{wallet.name}[/] {wallet.address}  {wallet.what}", highlight=False)
    step = timedelta(hours=day.hours) / CHART_WIDTH
    moments = [EPOCH + step * column for column in range(CHART_WIDTH)]
    levels = [day.world.available_at(wallet.address, moment) for moment in moments]
    top = max(*levels, 131_000)
    bars = "".join(_BARS[min(-(-level * (len(_BARS) - 1) // top), len(_BARS) - 1)] for level in levels)
    console.print(f"[green]{bars}[/] energy, up to {top:,}", highlight=False)
    ordered = [order.intended_at for order in day.orders if order.address == wallet.address]
    bought = "cycles bought" if wallet.cycles else "rented"
    console.print(f"[cyan]{_marks(ordered, step)}[/] {bought}", highlight=False)
    called = [use.at for use in day.world.uses if use.address == wallet.address]
    console.print(f"[dim]{_marks(called, step, '·')}[/] calls", highlight=False)
    hours = "".join(f"{EPOCH + timedelta(hours=hour):%H}".ljust(CHART_WIDTH // 8) for hour in _eighths(day.hours))
    console.print(f"[dim]{hours}[/]\n", highlight=False)


def _eighths(hours: int) -> list[float]:
    return [hours * part / 8 for part in range(8)]


def _marks(moments: list[datetime], step: timedelta, mark: str = "▲") -> str:
    columns = {int((moment - EPOCH) / step) for moment in moments}
    return "".join(mark if column in columns else " " for column in range(CHART_WIDTH))


def _rentals(day: Day) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Every rental", title_justify="left")
    for name in ("at", "wallet", "why", "what became of it"):
        table.add_column(name)
    for name in ("energy", "price", "cost", "burning it"):
        table.add_column(name, justify="right")
    names = {wallet.address: wallet.name for wallet in WALLETS}
    for order in sorted(_of_kind(day, OrderKind.RENTAL), key=lambda order: order.intended_at):
        cost = order.cost_max_sun if order.cost_sun is None else order.cost_sun
        energy = order.energy or 0
        table.add_row(
            f"{order.intended_at:%H:%M:%S}",
            names[order.address],
            day.reasons.get(order.decision_id, ""),
            _fate(order),
            f"{energy:,}",
            f"{order.cost_max_sun // energy} sun",
            units.trx_text(cost),
            units.trx_text(units.cost_sun(energy, day.world.burn_price_sun())),
        )
    return table


def _of_kind(day: Day, kind: OrderKind) -> list[Order]:
    return [order for order in day.orders if order.kind is kind]


def _fate(order: Order) -> str:
    if order.state is OrderState.UNRESOLVED:
        return "[bold red]unresolved[/]"
    seconds = f" after {(order.delivered_at - order.sent_at).seconds} s" if order.delivered_at and order.sent_at else ""
    lost = ", [yellow]answer lost[/]" if order.http_status is None and order.sent_at else ""
    delivered = order.state in (OrderState.DELIVERED, OrderState.EXPIRED)
    return f"{'delivered' if delivered else order.state}{seconds}{lost}"


def _show_sums(console: Console, day: Day) -> None:
    used = sum(use.energy for use in day.world.uses)
    burned = sum(use.burned_sun for use in day.world.uses)
    charged = sum(charge.cost_sun for charge in day.netts.books.charges)
    booked = sum(order.booked_sun for order in day.orders)
    instead = units.cost_sun(used, day.world.burn_price_sun())
    rows = Table(box=None, show_header=False, pad_edge=False)
    rows.add_column()
    rows.add_column(justify="right")
    rows.add_row(f"{len(day.world.uses)} calls used {used:,} energy; burning for all of it", units.trx_text(instead))
    cycles = sum(order.cycles or 0 for order in _of_kind(day, OrderKind.CYCLES))
    bought = f"{len(_of_kind(day, OrderKind.RENTAL))} rentals and {cycles} Host Mode cycles"
    rows.add_row(f"{bought}, as Netts charged them", units.trx_text(charged))
    rows.add_row("the same, as the ledger has them", units.trx_text(booked))
    rows.add_row("burned all the same", units.trx_text(burned))
    rows.add_row("[bold]saved", f"[bold green]{units.trx_text(instead - charged - burned)}")
    console.print(rows, highlight=False)
