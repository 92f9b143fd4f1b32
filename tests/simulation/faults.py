"""What can go wrong in a universe: each fault by its name, and which of them a seed draws.

A universe has a random subset of the faults, and each of these its own strength, so that rare combinations come up and
one common fault does not hide all others. A fault goes on until the storm is over; `Universe.heal` mends what it did.
Wallets use energy again and again while it lasts: a fault that no order meets tells nothing.

Nothing here delays a request by more than the daemon's longest flight (100 s from the mark of sending): past that only
the vendor's own idempotency could help, and energyd does not claim more.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from math import ceil
from random import Random
from typing import Any

from energyd.errors import LedgerError
from energyd.sandbox.addresses import made_up
from energyd.sandbox.asgi import Answer, Mood, reshaped_json
from energyd.sandbox.netts import MOODS
from energyd.sandbox.netts_terms import Terms
from energyd.sandbox.node import Node
from energyd.sandbox.wire import BOTH, Fault, Leg

from .universe import (
    CYCLES_ORDER,
    LAST_USE,
    LONG_CALM,
    NETTS,
    NODE,
    ORDER,
    SHORT_CALM,
    CallPlan,
    Host,
    Moment,
    Plan,
    PolicyPlan,
    Process,
    Universe,
)

Doing = Callable[[Universe, Random], Coroutine[None, None, None]]

FAULTS: dict[str, Doing] = {}
SOMETIMES = 400.0
"""Seconds between two strikes of a fault that comes now and then, on average."""
LATE, VERY_LATE = (1.0, 80.0), (35.0, 84.0)
"""Seconds by which a request may arrive late, or the vendor may work on it; never both, so that it stays within the
longest flight. What is very late comes after the daemon has stopped waiting."""
RESTORE_TAKES = (150.0, 900.0)
"""Seconds that a person needs to put a backup in place: longer than any request can still be travelling."""
_MISPLACED = "policy: pay\nadresses: []\n"


def fault(doing: Doing) -> Doing:
    FAULTS[doing.__name__] = doing
    return doing


def now_and_then(
    strike: Callable[[Universe, Random], Coroutine[None, None, None] | None], name: str = "", every: float = SOMETIMES
) -> Doing:
    """A fault that strikes again and again, on average every so many seconds, half as often or twice as often.

    Every other one is there from the start, where all wallets need energy.
    """

    async def doing(universe: Universe, rng: Random) -> None:
        mean = rng.choice((0.5, 1.0, 2.0)) * every
        wait = rng.choice((0.0, rng.expovariate(1 / mean)))
        while True:
            await asyncio.sleep(wait)
            if (going := strike(universe, rng)) is not None:
                await going
            wait = rng.expovariate(1 / mean)

    FAULTS[name or strike.__name__] = doing
    return doing


# --- single messages ------------------------------------------------------------------------------------------------


def _message_fault(kind: Fault) -> None:
    async def doing(universe: Universe, rng: Random) -> None:
        share, late = rng.uniform(0.2, 0.9), rng.choice((LATE, VERY_LATE, VERY_LATE))
        for where in (ORDER, CYCLES_ORDER):
            universe.wire.disturb(kind, where=where, share=share, late_seconds=late)
        where = rng.choice((None, None, None, NETTS, NODE, ""))
        if where is not None:
            universe.wire.disturb(kind, where=where, share=rng.uniform(0.01, 0.15), late_seconds=LATE)

    FAULTS[f"message_{kind}"] = doing


for _kind in Fault:
    if _kind is not Fault.DUPLICATE:
        _message_fault(_kind)


@fault
async def orders_arrive_twice(universe: Universe, rng: Random) -> None:
    """Only at a vendor that honours the idempotency key: without it two arrivals are two orders, whoever sent them.

    Nor together with REFUSALS: of two arrivals one could be refused and the other taken, and only one answer is heard.
    """
    universe.netts.terms.idempotency = True
    universe.wire.disturb(Fault.DUPLICATE, where=ORDER, share=rng.uniform(0.1, 0.7))


@now_and_then
async def one_way_cut(universe: Universe, rng: Random) -> None:
    host, where = rng.choice(["", *universe.plan.hosts]), rng.choice((NODE, NETTS, NETTS, ""))
    legs = rng.choice(((Leg.REQUEST,), (Leg.REPLY,), (Leg.REPLY,), BOTH))
    universe.wire.partition(host, where, legs=legs)
    await asyncio.sleep(rng.uniform(10, 300))
    universe.wire.repair(host, where)


@fault
async def slow_network(universe: Universe, rng: Random) -> None:
    universe.wire.travel_seconds = 0.02, rng.uniform(0.5, 5)


# --- the vendor -----------------------------------------------------------------------------------------------------


def _order_mood(name: str, mood: Mood | None = None) -> None:
    def strike(universe: Universe, rng: Random) -> None:
        for endpoint in ("order1h", "time/order"):
            universe.netts.moods.clear(endpoint)
            universe.netts.moods.set(mood or MOODS[name], endpoint, times=rng.randint(1, 3))

    now_and_then(strike, f"order_{name}", every=SOMETIMES / 3)


for _name in (
    "charge_then_drop",
    "charge_then_hang",
    "charge_then_internal",
    "charge_then_502",
    "charge_then_empty",
    "unreadable",
    "no_code",
    "truncated",
    "wrong_type",
    "too_slow",
    "internal",
    "html_502",
    "drop",
    "empty_body",
    "provider_5001",
    "minimum_5004",
    "database",
    "rate_limit",
    "rate_limit_bare",
    "unauthorised",
):
    _order_mood(_name)


def order_works_late(universe: Universe, rng: Random) -> None:
    late = rng.choice((LATE, VERY_LATE))
    for endpoint in ("order1h", "time/order"):
        universe.netts.moods.clear(endpoint)
        universe.netts.moods.set(Mood(wait_before=rng.uniform(*late)), endpoint, times=rng.randint(1, 2))


now_and_then(order_works_late, every=SOMETIMES / 3)


@now_and_then
def netts_reads_fail(universe: Universe, rng: Random) -> None:
    mood = rng.choice(("html_502", "drop", "empty_body", "truncated", "too_slow", "rate_limit_bare", "unauthorised"))
    universe.netts.mood(mood, rng.choice(("userinfo", "pricing", "prices")), times=rng.randint(1, 8))


@fault
async def late_delivery(universe: Universe, rng: Random) -> None:
    universe.netts.terms.delivery_seconds = 2.0, rng.uniform(20, 400)


@fault
async def short_delivery(universe: Universe, rng: Random) -> None:
    universe.netts.terms.short_by = rng.choice((1, 1, 12))


@now_and_then
async def early_reclaim(universe: Universe, rng: Random) -> None:
    universe.netts.terms.early_reclaim = timedelta(minutes=rng.uniform(5, 58))
    await asyncio.sleep(rng.uniform(60, 1800))
    universe.netts.terms.early_reclaim = None


@now_and_then
async def paid_for_nothing(universe: Universe, rng: Random) -> None:
    universe.netts.terms.delivers = False
    await asyncio.sleep(rng.uniform(60, 600))
    universe.netts.terms.delivers = True


@now_and_then
async def charge_above_quote(universe: Universe, rng: Random) -> None:
    universe.netts.terms.overcharge_percent = rng.choice((1, 10, 80, 300))
    await asyncio.sleep(rng.uniform(60, 1800))
    universe.netts.terms.overcharge_percent = 0


@now_and_then
async def price_changes(universe: Universe, rng: Random) -> None:
    """What is too dear for everybody does not last: who orders nothing meets no other fault."""
    price = rng.choice((15, 20, 35, 60, 79, 95, 130))
    universe.netts.prices.set_price(price)
    if price > 60:
        await asyncio.sleep(rng.uniform(10, 120))
        universe.netts.prices.set_price(27)


@fault
async def other_dialect(universe: Universe, rng: Random) -> None:
    terms = universe.netts.terms
    terms.order_dialect, terms.money_as_text = rng.choice(("A", "C")), rng.random() < 0.5
    terms.hash_form = rng.choice((None, "list", "string", "empty", "pending"))


@fault
async def vendor_limits_requests(universe: Universe, rng: Random) -> None:
    universe.netts.terms.pace = rng.randint(1, 5), rng.choice((5.0, 20.0))
    universe.netts.terms.retry_after = rng.random() < 0.5


@now_and_then
async def account_runs_dry(universe: Universe, rng: Random) -> None:
    books = universe.netts.books
    taken = books.balance_sun - rng.randint(0, 3_000_000)
    books.deposit(-taken)
    await asyncio.sleep(rng.uniform(60, 1800))
    books.deposit(taken)


@now_and_then
async def cycles_cannot_be_counted(universe: Universe, rng: Random) -> None:
    """What is answered about the cycles that are left is no answer, tells of none, or contradicts itself."""
    moods = (MOODS["html_502"], MOODS["empty_body"], MOODS["truncated"], MOODS["too_slow"], *COUNTS_OF_NOTHING)
    universe.netts.moods.set(rng.choice(moods), "time/status")
    await asyncio.sleep(rng.uniform(60, 900))
    universe.netts.moods.clear("time/status")


@fault
async def cycles_are_counted_late(universe: Universe, rng: Random) -> None:
    universe.netts.terms.count_lag = timedelta(seconds=rng.uniform(5, 300))
    universe.netts.terms.count_as_text = rng.random() < 0.5


def _without_count(body: Any) -> Any:
    for entry in body["data"]["addresses"]:
        entry.pop("cycles_remaining")
    return body


def _told_twice(body: Any) -> Any:
    listed = body["data"]["addresses"]
    listed += [entry | {"cycles_remaining": int(entry["cycles_remaining"]) + 1} for entry in listed]
    return body


COUNTS_OF_NOTHING = (
    Mood(answer=Answer(200, b"{}")),
    Mood(reshape=reshaped_json(_without_count)),
    Mood(reshape=reshaped_json(_told_twice)),
)


# --- the node -------------------------------------------------------------------------------------------------------


def _a_node(universe: Universe, rng: Random) -> Node:
    return rng.choice((universe.node, universe.other_node)) if universe.plan.fallback else universe.node


@now_and_then
def node_errs(universe: Universe, rng: Random) -> None:
    moods = (
        "error",
        "frequency",
        "too_many",
        "busy",
        "lite",
        "html_502",
        "truncated",
        "too_slow",
        "drop",
        "wrong_type",
    )
    _a_node(universe, rng).mood(rng.choice(moods), times=rng.randint(1, 6))


@now_and_then
async def empty_readings(universe: Universe, rng: Random) -> None:
    node = _a_node(universe, rng)
    node.mood("empty", "getaccountresource")
    await asyncio.sleep(rng.choice((rng.uniform(1, 30), rng.uniform(30, 120))))
    node.moods.clear("getaccountresource")


@now_and_then
async def stale_node(universe: Universe, rng: Random) -> None:
    node = _a_node(universe, rng)
    node.stale = True
    await asyncio.sleep(rng.uniform(5, 200))
    node.stale = False


@fault
async def nodes_behind_a_balancer(universe: Universe, rng: Random) -> None:
    lags = tuple(rng.randint(0, rng.choice((1, 3, 8))) for _ in range(rng.randint(1, 4)))
    universe.node.lags = universe.other_node.lags = lags


# --- hosts ----------------------------------------------------------------------------------------------------------


def _living(universe: Universe, rng: Random) -> Process | None:
    return rng.choice(universe.hosts).living


def crash(universe: Universe, rng: Random) -> None:
    """At any moment, or right after one of the next transactions."""
    process, down = _living(universe, rng), _down_for(rng)
    if process is not None:
        _strike(process, rng, partial(process.host.crash, down))


now_and_then(crash, every=SOMETIMES / 2)


def _strike(process: Process, rng: Random, act: Callable[[], object]) -> None:
    """At once, right after one of the next transactions, or between two steps of the next order."""
    moment: Moment | None = rng.choice((None, "intent", "mark", "left", "answer", "write", "any"))
    if moment is None:
        act()
    else:
        process.strike_at(moment, rng.randint(1, 20) if moment in ("write", "any") else 1, act)


def struck_between_two_steps(universe: Universe, rng: Random) -> None:
    """The next host that gets so far with an order crashes, or stands still: longer than its mark of sending is good,
    or so long that another host has written the order off."""
    moment: Moment = rng.choice(("intent", "mark", "mark", "mark", "left", "answer"))
    down, seconds = rng.uniform(0.1, 60), rng.choice((rng.uniform(12, 60), rng.uniform(200, 400)))
    crashes = moment == "left" or (moment == "answer" and rng.random() < 0.5)

    def act(process: Process) -> None:
        for host in universe.hosts:
            if host.living:
                host.living.strikes.clear()
        process.host.crash(down) if crashes else process.freeze(seconds)

    for host in universe.hosts:
        if host.living:
            host.living.strikes.clear()
            host.living.strike_at(moment, 1, partial(act, host.living))


now_and_then(struck_between_two_steps)


@now_and_then
async def a_pause_of_all_machines(universe: Universe, rng: Random) -> None:
    """When it ends all addresses are due at once, on disks that are slow to wake, and all need energy."""
    before = {host.name: host.disk_seconds for host in universe.hosts}
    for wallet in universe.plan.wallets:
        universe.world.use(made_up(wallet), 130_285)
    for host in universe.hosts:
        host.disk_seconds = rng.choice((0.5, 1.0, 3.0))
        if host.living:
            host.living.freeze(rng.uniform(20, 90))
    await asyncio.sleep(150)
    for host in universe.hosts:
        host.disk_seconds = before[host.name]


def _down_for(rng: Random) -> float:
    return rng.choice((rng.uniform(0.1, 5), rng.uniform(5, 60), rng.uniform(60, 300)))


def freeze(universe: Universe, rng: Random) -> None:
    process = _living(universe, rng)
    seconds = rng.choice((rng.uniform(1, 20), rng.uniform(20, 120), rng.uniform(120, 400)))
    if process is not None:
        _strike(process, rng, partial(process.freeze, seconds))


now_and_then(freeze, every=SOMETIMES / 2)


@fault
async def clocks_differ(universe: Universe, rng: Random) -> None:
    """By so little that most blocks still seem fresh: who takes all for stale orders nothing."""
    most = rng.choice((5.0, 15.0, 25.0))
    for host in universe.hosts:
        host.clock.skew += timedelta(seconds=rng.uniform(-most, most))
    universe.clocks_moved()


@now_and_then
async def clock_jumps(universe: Universe, rng: Random) -> None:
    """By seconds for good, or by minutes until somebody sets it right."""
    host, most = rng.choice(universe.hosts), rng.choice((3.0, 25.0, 300.0, 1800.0))
    _set_clock(universe, host, rng.uniform(-most, most))
    if most > 25:
        await asyncio.sleep(rng.uniform(1, 180))
        _set_clock(universe, host, rng.uniform(-3, 3))


def _set_clock(universe: Universe, host: Host, seconds: float) -> None:
    host.clock.skew = timedelta(seconds=seconds)
    universe.clocks_moved()
    universe.tell(f"the clock of {host.name} is {seconds:+.1f}s off")


@fault
async def slow_disk(universe: Universe, rng: Random) -> None:
    for host in universe.hosts:
        host.disk_seconds = rng.choice((0.3, 2.0, 4.0))


@now_and_then
async def full_disk(universe: Universe, rng: Random) -> None:
    host = rng.choice(universe.hosts)
    host.disk_is_full = True
    universe.tell(f"the disk of {host.name} is full")
    await asyncio.sleep(rng.uniform(10, 400))
    host.disk_is_full = False
    universe.tell(f"the disk of {host.name} has room")


# --- people ---------------------------------------------------------------------------------------------------------


async def _reload(universe: Universe) -> None:
    reloads = [host.living.create_task(host.living.daemon.reload()) for host in universe.hosts if host.living]
    for task in reloads:
        await asyncio.wait([task], timeout=60)
        error = task.exception() if task.done() and not task.cancelled() else None
        if error is not None and not isinstance(error, LedgerError):
            universe.story.bugs.append(f"reload failed: {error!r}")


@now_and_then
async def reload_with_a_broken_file(universe: Universe, rng: Random) -> None:
    (universe.folder / "policies" / "pay.yaml").write_text(_MISPLACED)
    universe.when_healed(universe.write_policies)
    await _reload(universe)
    await asyncio.sleep(rng.uniform(30, 900))
    universe.write_policies()
    await _reload(universe)


@now_and_then
async def reload_without_a_policy(universe: Universe, rng: Random) -> None:
    universe.write_policies(without=rng.choice(universe.plan.policies).name)
    if any((universe.folder / "policies").iterdir()):
        await _reload(universe)
        await asyncio.sleep(rng.uniform(1, 900))
    universe.write_policies()
    await _reload(universe)


@now_and_then
async def pause(universe: Universe, rng: Random) -> None:
    """Of everything or one address, for a while, right after an intent or at any moment."""
    process = _living(universe, rng)
    if process is None:
        return
    address = rng.choice((None, made_up(rng.choice(universe.plan.wallets))))
    now, length = universe.loop.now(), timedelta(seconds=rng.uniform(1, 1200))
    try:
        await process.ledger.pause(None, address, now + length, "a person paused it", now)
    except LedgerError as error:
        universe.tell(f"pause failed: {error}")


async def _replace_ledger(universe: Universe, rng: Random, *, age_seconds: float | None) -> None:
    older = None
    if age_seconds is not None:
        older = universe.copy_ledger("older.db")
        await asyncio.sleep(age_seconds)
    for host in universe.hosts:
        host.crash(None)
        if host.process is not None:  # one that was about to start by itself must not
            host.process.alive = False
    await asyncio.sleep(rng.uniform(*RESTORE_TAKES))
    for host in universe.hosts:
        host.crash(None)
    await asyncio.sleep(1)
    universe.replace_ledger(older)
    for host in universe.hosts:
        host.start()


@fault
async def older_ledger_restored(universe: Universe, rng: Random) -> None:
    latest = universe.plan.storm.total_seconds() * 0.6
    await asyncio.sleep(rng.uniform(30, latest))
    await _replace_ledger(universe, rng, age_seconds=rng.choice((rng.uniform(1, 60), rng.uniform(60, 3000))))


@fault
async def ledger_lost(universe: Universe, rng: Random) -> None:
    await asyncio.sleep(rng.uniform(60, universe.plan.storm.total_seconds() * 0.9))
    await _replace_ledger(universe, rng, age_seconds=None)


REFUSALS = (
    *("order_provider_5001", "order_minimum_5004", "order_database", "order_unauthorised"),
    *("order_rate_limit", "order_rate_limit_bare", "vendor_limits_requests", "account_runs_dry"),
)
CHARGED_AND_UNHEARD = (
    *("message_lost_reply", "message_late_reply", "message_reset", "one_way_cut", "order_charge_then_drop"),
    *("order_charge_then_hang", "order_charge_then_internal", "order_charge_then_502", "order_charge_then_empty"),
    *("order_unreadable", "order_no_code", "order_truncated", "order_too_slow"),
)
ARRIVES_LATE = ("message_late_request", "order_works_late")
NEVER_CHARGED = ("message_lost_request", "order_internal", "order_html_502", "order_drop", "order_empty_body")
HOSTS = ("crash", "crash", "freeze", "clocks_differ", "clock_jumps", "full_disk")
DELIVERIES = ("late_delivery", "late_delivery", "short_delivery", "early_reclaim", "paid_for_nothing")
NODES = ("empty_readings", "empty_readings", "node_errs", "stale_node", "nodes_behind_a_balancer")
AIMED = (
    (CHARGED_AND_UNHEARD, 1.0),
    (CHARGED_AND_UNHEARD, 0.5),
    (ARRIVES_LATE, 0.9),
    (NEVER_CHARGED, 0.6),
    (HOSTS, 0.9),
    (HOSTS, 0.4),
    (("struck_between_two_steps",), 0.7),
    (("slow_disk",), 0.5),
    (("a_pause_of_all_machines",), 0.6),
    (DELIVERIES, 0.6),
    (NODES, 0.35),
)
"""What is drawn on purpose: one of each of these kinds, so often."""
TAKES_AN_HOUR = ("older_ledger_restored", "ledger_lost", "early_reclaim", "paid_for_nothing")
"""Faults whose traces are gone only when each rental has ended."""

# --- drawing --------------------------------------------------------------------------------------------------------


async def storm(universe: Universe) -> None:
    """Every fault of the plan at once, each with chance of its own, until cancelled."""
    doings = [universe.begin(FAULTS[name](universe, universe.plan.chance(name))) for name in universe.plan.faults]
    try:
        for task in doings:
            await task
        await asyncio.get_running_loop().create_future()
    finally:
        for task in doings:
            task.cancel()


ASKED_BEFORE_THE_END, CALLED_BEFORE_THE_END = 10 * 60.0, 5 * 60.0
"""When even a lost ledger holds nothing back any more, and a person has settled what nobody else could."""


def draw(seed: int) -> Plan:
    """The universe of a seed."""
    rng = Random(f"{seed}:plan")
    wallets = [f"wallet {number}" for number in range(rng.choice((1, 3, 4, 4)))]
    faults = _faults(Random(f"{seed}:faults"))
    is_long = rng.random() < 0.1 or any(name in TAKES_AN_HOUR for name in faults)
    calm, storm_seconds = LONG_CALM if is_long else SHORT_CALM, rng.uniform(900, 3600)
    end = storm_seconds + calm.total_seconds()
    calling = _calling(Random(f"{seed}:calls"), storm_seconds, end - CALLED_BEFORE_THE_END)
    hosted = _hosted(Random(f"{seed}:host mode"))
    hosts = ("a", "b", "c")[: rng.choice((1, 1, 2, 2, 2, 3))]
    # Another host would look only minutes later at a wallet without a floor; one ledger file has one daemon today.
    asked = calm.total_seconds() - ASKED_BEFORE_THE_END
    asks = ((asked, "asker", 65_000), (asked + 5 * (seed % 3), "asker", 70_000))
    last_use = end - LAST_USE.total_seconds()
    return Plan(
        seed=seed,
        hosts=hosts,
        policies=(*_policies(rng, wallets), *calling, *hosted),
        asks=asks if calling and len(hosts) == 1 else (),
        storm=timedelta(seconds=storm_seconds),
        calm=calm,
        person_comes_every=300.0,
        faults=faults,
        uses=tuple(use for wallet in wallets for use in _uses(rng, wallet, storm_seconds, last_use))
        + _bursts(rng, wallets, last_use)
        + tuple(
            use
            for policy in hosted
            for use in _uses(Random(f"{seed}:hosted"), policy.wallets[0], storm_seconds, last_use)
        ),
        stake_energy=rng.choice((0, 20_000, 140_000, 140_000)),
        drift_ppm=rng.choice((0, 2)),
        netts_rps=rng.choice((1, 1, 5)),
        fallback=rng.random() < 0.5,
        terms=Terms,
    )


def _faults(rng: Random) -> tuple[str, ...]:
    """None in a few universes; in all others some of each kind that is aimed at orders, and others by chance."""
    likely = rng.choice((0.02, 0.02, 0.02, 0.05, 0.05, 0.1, 0.15))
    if rng.random() < 0.05:
        return ()
    drawn = [name for name in FAULTS if rng.random() < likely]
    drawn += [rng.choice(kind) for kind, share in AIMED if rng.random() < share]
    if "orders_arrive_twice" in drawn:
        drawn = [name for name in drawn if name not in REFUSALS]
    if "message_late_request" in drawn:
        drawn = [name for name in drawn if name != "order_works_late"]
    return tuple(name for name in FAULTS if name in drawn)


def _policies(rng: Random, wallets: list[str]) -> tuple[PolicyPlan, ...]:
    """One has no budget to speak of, so that it orders all the time; the wallets of another share a narrow one."""
    split = rng.choice((1, 1, 2))
    groups = (("pay", wallets[:split], (None,)), ("sweep", wallets[split:], (None, 1.2, 1.2, 2.3, 4.5)))
    return tuple(_policy(rng, name, group, orders) for name, group, orders in groups if group)


def _policy(rng: Random, name: str, wallets: list[str], budgets: tuple[float | None, ...]) -> PolicyPlan:
    floor = rng.choice((30_000, 65_000, 65_000, 131_000))
    target = floor * rng.choice((1, 1, 2, 3))
    orders = rng.choice(budgets)
    per_hour = None if orders is None else ceil(orders * max(target, 61_000) * 27 / 10**6)
    return PolicyPlan(
        name=name,
        wallets=tuple(wallets),
        floor=floor,
        target=target,
        keep=rng.choice(("always",) * 5 + ("while_active",)),
        check_every=rng.choice((15, 60, 60)),
        renew_before=rng.choice((0, 90, 90, 300)),
        cooldown=rng.choice((0, 0, 30, 30, 120)),
        on_unknown=rng.choice(("hold",) * 7 + ("assume_empty",)),
        per_hour=per_hour,
        per_day=None if per_hour is None else per_hour * rng.choice((1, 2, 5)),
    )


def _calling(rng: Random, storm_seconds: float, calm_call_at: float) -> tuple[PolicyPlan, ...]:
    """In every other universe a wallet with planned calls and one for which applications ask; neither has a floor."""
    if rng.random() < 0.5:
        return ()
    energies = (30_000, 65_000, 200_000, 4_000_000)
    stormy = [CallPlan(rng.uniform(60, storm_seconds), rng.choice(energies)) for _ in range(rng.randint(0, 3))]
    calm = CallPlan(calm_call_at, rng.choice(energies), lead=120, hold=120)
    calls = (*stormy, calm)
    return (PolicyPlan("calls", ("caller", "asker"), floor=0, target=0, keep="never", renew_before=90, calls=calls),)


def _hosted(rng: Random) -> tuple[PolicyPlan, ...]:
    """In every third universe a wallet in Host Mode."""
    if rng.random() < 2 / 3:
        return ()
    least = rng.choice((1, 2, 4))
    cycles = (least, least + rng.choice((0, 3, 8)))
    return (PolicyPlan("host", ("hosted",), floor=0, target=0, keep="never", cycles=cycles),)


def _uses(rng: Random, wallet: str, storm_seconds: float, end: float) -> list[tuple[float, str, int]]:
    """Contract calls: at full minutes now and then, so that wallets of one policy need energy at the same moment.

    Afterwards they are rare.
    """
    every = rng.choice((100.0, 200.0, 600.0))
    at, uses = 0.0, []
    while (at := at + rng.expovariate(1 / (every if at < storm_seconds else 900.0))) < end:
        moment = at - at % 60 if rng.random() < 0.5 else at
        uses.append((moment, wallet, rng.choice((14_650, 64_285, 64_285, 130_285))))
    return uses


def _bursts(rng: Random, wallets: list[str], end: float) -> tuple[tuple[float, str, int], ...]:
    """Moments at which all wallets make a call, so that all need energy at once and share what is left of a budget."""
    moments = [rng.uniform(0, end) for _ in range(rng.choice((0, 2, 6)))]
    return tuple((moment, wallet, 64_285) for moment in moments for wallet in wallets)
