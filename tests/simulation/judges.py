"""Judges of a universe. They stand outside: nothing of the daemon's code is used here, only what it leaves behind.

They look at the vendor's own books, at the chain, at the lines of the log and, with plain SQL, at the ledger's files.
Each judge yields one sentence for each thing that should not have happened.

**Charged once for a shortfall**, exactly: take the orders that Netts charged, in the order in which they were
*intended* (not in which they arrived). When one is intended, the address is covered by what it can spend then, less
what is about to end (within `renew_before`, the longest flight and what clocks are apart), plus the energy of every
charged order that was intended earlier, has not been delivered and will still run (but what a lost ledger took with it
and the chain does not show, nobody can know). If that is the floor or more, there was no shortfall and the order is a
second payment. It does not matter which of two orders arrives first, nor whether the first was still travelling. A
reading may be a minute old, so the least cover of that minute counts. An order may also not be larger than what is
missing to the target, or than the smallest order that there is; a limit drifts, and so an order has a thousandth of the
whole limit more.

**Sent once**: an order leaves its host at most once, and only within seconds of its mark of sending, whether or not it
is charged then.

**Cycles** are bought only by a host that was told last, and not long ago, how many are left, and that was too few.

**Budgets**: when an order is intended, its own quote and all that was spent before within the window fit into the
budget. Spent is the charge where its answer was heard before, else the quote, charged or not, until it is
known not to be; a charge above the quote was not known when it was agreed to. A window is measured on hosts' clocks and
from the moment of deciding, so it may be shorter by what clocks were apart and by what a slow disk took.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any

from energyd.sandbox import energy as rules
from energyd.sandbox.history import Rental
from energyd.sandbox.netts_books import Charge

from .universe import EPOCH, FIRST_CYCLES, Line, PolicyPlan, Story

REASONS = {
    *("enough", "below_floor", "planned_call", "ensure", "no_estimate", "in_flight", "unresolved_order"),
    *("cooldown", "outside_window", "inactive", "price_too_high", "price_unknown", "dearer_than_burning"),
    *("budget_per_order", "budget_per_hour", "budget_per_day", "no_funds", "auth_failed", "rate_limited"),
    *("netts_unavailable", "refused", "node_unreachable", "reading_stale", "not_activated", "cycles_enough"),
    *("cycles_low", "cycles_unknown", "infinite_cycles", "not_in_host_mode", "ledger_lost", "dry_run"),
    *("observe", "paused", "left_to_host_mode", "by_hand"),
}
UNSETTLED = ("intended", "sent", "unresolved")
NEVER_CHARGED = ("dropped", "refused", "not_placed")
SMALLEST_ORDER = 61_000
LONGEST_FLIGHT = 110.0
SEND_WITHIN, FACTS_GOOD_FOR = 10.5, 45.0
SLOW_DISK = 20.0
READING_AGES = (0.0, 5.0, 15.0, 30.0, 60.0)
COUNT_GOOD_FOR, WRITTEN_WITHIN, DECIDED_WITHIN = 330.0, 30.0, 40.0
DEAREST_FLOOR, DEAREST, DEAREST_CYCLE = 80, 100, 9_000_000
SETTLED_AFTER, MISSING_AT_MOST = 900.0, 600.0
HOUR, DAY, LAST_MINUTES = 3600.0, 86_400.0, 600.0
REFUSED_IN_AN_HOUR = 14
"""Waits double from half a minute: seven tries in the first hour; twice that when a success lies between."""
SUN = 1_000_000

Judge = Callable[[Story], Iterator[str]]
JUDGES: list[Judge] = []


def judge(one: Judge) -> Judge:
    JUDGES.append(one)
    return one


def verdict(story: Story) -> list[str]:
    """What all judges have to say; nothing where all is well."""
    return [f"{one.__name__}: {sentence}" for one in JUDGES for sentence in one(story)]


# --- what they look at ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bought:
    """An order that was charged: when it was intended (true seconds), and what came of it."""

    at: float
    key: str
    policy: str
    address: str
    energy: int
    quote_sun: int
    charge: Charge
    rental: Rental

    @property
    def until(self) -> float:
        return _seconds(self.rental.until)

    def is_delivered(self, at: float) -> bool:
        return _seconds(self.rental.due_at) <= at


def bought(story: Story) -> list[Bought]:
    """By when they were intended. A host that dies right after it has written an intent down does not tell of it."""
    wishes = _wishes(story)
    undelivered = {rental.rental_id for rental in story.world.undelivered}
    found = []
    for charge in story.netts.charges:
        wish = wishes.get(charge.idempotency_key or "")
        if wish is None or charge.kind != "order1h" or charge.order_id is None:
            continue
        rental = story.netts.books.orders[charge.order_id].rental
        if rental.rental_id in undelivered:
            rental = Rental(**{name: getattr(rental, name) for name in Rental.__slots__} | {"due_at": rental.until})
        found.append(Bought(wish.at, wish.key, wish.policy, wish.address, wish.amount, wish.quote_sun, charge, rental))
    return sorted(found, key=lambda order: order.at)


@dataclass(frozen=True, slots=True)
class Wish:
    """What was intended when: energy or cycles, in true seconds."""

    at: float
    key: str
    policy: str
    address: str
    is_rental: bool
    amount: int
    quote_sun: int


def _wishes(story: Story) -> dict[str, Wish]:
    """As the log tells them, and else the ledger."""
    found = {}
    for file in story.ledgers:
        for row in _rows(file, "SELECT * FROM orders"):
            if row["key"] in story.intended:
                amount, quote = row["energy"] or row["cycles"], row["cost_max_sun"]
                told = (row["policy"], row["address"], row["kind"] == "rental", amount, quote)
                found[row["key"]] = Wish(story.intended[row["key"]], row["key"], *told)
    for line in story.lines:
        if line.event == "order.intended":
            one = line.fields
            key, amount, quote = one["order_key"], one.get("energy") or one["cycles"], int(one["cost_trx"] * SUN)
            told = (one["policy"], one["address"], one.get("energy") is not None, amount, quote)
            found[key] = Wish(story.intended.get(key, line.at), key, *told)
    return found


def _policy(story: Story, address: str) -> PolicyPlan:
    return next(policy for policy in story.plan.policies if address in policy.addresses)


def _seconds(moment: datetime) -> float:
    return (moment - EPOCH).total_seconds()


def _shows(story: Story, address: str, at: float) -> tuple[int, int]:
    """Limit and use of an address at a past moment."""
    state = story.world.accounts[address].at(EPOCH + timedelta(seconds=at))
    if state is None:
        return 0, 0
    slot = int((EPOCH + timedelta(seconds=at)).timestamp() * 1000) // rules.SLOT_MS
    return rules.energy_limit(state.stake, story.world.network()), rules.energy_used(state.stake, slot)


def _rows(file: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(query).fetchall()


# --- money ----------------------------------------------------------------------------------------------------------


@judge
def charged_once(story: Story) -> Iterator[str]:
    earlier: dict[str, list[Bought]] = defaultdict(list)
    for order in bought(story):
        policy, before = _policy(story, order.address), earlier[order.address]
        cover = min(_cover(story, policy, order, before, age) for age in READING_AGES)
        called = _called_for(story, order.address, order.at)
        floor, target = policy.floor + called, policy.target + called
        tolerance = 500 + target // 50 + _limit(story, order, before) // 800
        when = f"{order.at:.0f}s, order {order.key[:12]} for {order.address}"
        if cover >= floor:
            yield f"{when}: {order.energy} bought and {cover} was there or on its way; {floor} was needed"
        elif order.energy > max(target - cover + tolerance, SMALLEST_ORDER):
            yield f"{when}: {order.energy} bought where {target} - {cover} was missing"
        before.append(order)


def _called_for(story: Story, address: str, at: float) -> int:
    """What calls and applications need of an address at a moment, as far as hosts' clocks may have told it."""
    apart = story.clock_range.total_seconds() + 5
    policy = _policy(story, address)
    planned = [
        call.energy for call in policy.calls if call.at - call.lead - 200 - apart <= at <= call.at + call.hold + apart
    ]
    asked = [one.energy for one in story.asked if one.address == address and one.at <= at <= one.until]
    return sum(planned) + sum(asked)


def _cover(story: Story, policy: PolicyPlan, order: Bought, before: list[Bought], age: float) -> int:
    """What the address had and was sure to get `age` seconds before an order was intended."""
    at = order.at - age
    ends = order.at + policy.renew_before + LONGEST_FLIGHT + story.clock_range.total_seconds()
    lost = max((moment for moment in story.ledger_lost_at if moment < order.at), default=0.0)
    coming = sum(one.rental.energy for one in before if one.at > lost and not one.is_delivered(at) and one.until > ends)
    if policy.on_unknown == "assume_empty":
        return coming
    limit, used = _shows(story, order.address, at)
    going = sum(one.rental.energy for one in before if one.is_delivered(at) and at < one.until <= ends)
    # Own stake can hide that a rental was taken back early: then its end is still waited for.
    ended = (one for one in before if one.until <= at < _seconds(one.charge.at) + HOUR <= ends)
    hidden = sum(one.rental.energy for one in ended) if story.plan.stake_energy else 0
    return limit - going - hidden - used + coming


def _limit(story: Story, order: Bought, before: list[Bought]) -> int:
    """The most that the limit was taken to be, what was on its way included."""
    coming = sum(one.rental.energy for one in before if not one.is_delivered(order.at - READING_AGES[-1]))
    return max(_shows(story, order.address, order.at - age)[0] for age in READING_AGES) + coming


@judge
def an_order_leaves_once_and_right_after_its_mark(story: Story) -> Iterator[str]:
    gone: set[str] = set()
    for at, key in story.left:
        marked_at = story.marked.get(key)
        if key in gone:
            yield f"{at:.0f}s: order {key[:12]} was sent again"
        elif marked_at is None:
            yield f"{at:.0f}s: order {key[:12]} was sent without a mark"
        elif not 0 <= at - marked_at <= SEND_WITHIN:
            yield f"{at:.0f}s: order {key[:12]} was sent {at - marked_at:.0f}s after its mark"
        gone.add(key)


@judge
def nothing_is_sent_on_facts_that_are_old(story: Story) -> Iterator[str]:
    query = "SELECT key, intended_at FROM orders"
    decided = {
        row["key"]: row["intended_at"] / 1e6 - EPOCH.timestamp() for f in story.ledgers for row in _rows(f, query)
    }
    for at, key in story.left:
        age = at - decided.get(key, at)
        if age > FACTS_GOOD_FOR + story.clock_range.total_seconds():
            yield f"{at:.0f}s: order {key[:12]} was sent on what was known {age:.0f}s before"


@judge
def one_charge_for_one_order(story: Story) -> Iterator[str]:
    keys: set[str | None] = set()
    for charge in story.netts.charges:
        if charge.idempotency_key is None or charge.idempotency_key in keys:
            yield f"{charge} repeats an order's key or has none"
        keys.add(charge.idempotency_key)


@judge
def intended_and_marked_first(story: Story) -> Iterator[str]:
    told = {(line.event, line.fields.get("order_key")): line.at for line in reversed(story.lines)}
    for charge in story.netts.charges:
        for event in ("order.intended", "order.sent"):
            at = told.get((event, charge.idempotency_key))
            # A host that dies or freezes right after its commit has written it down and not told it.
            written = _written(story, charge.idempotency_key) if at is None else None
            if written is None and (at is None or at > _seconds(charge.at)):
                yield f"{charge} was made and no {event} before it"


def _written(story: Story, key: str | None) -> Any:
    query = f"SELECT state FROM orders WHERE key = '{key}'"
    return next((rows[0] for file in story.ledgers if (rows := _rows(file, query))), None)


@judge
def every_charge_is_in_the_ledger_and_no_other(story: Story) -> Iterator[str]:
    booked: dict[str, Any] = {}
    for file in story.ledgers:
        booked |= {row["key"]: row for row in _rows(file, "SELECT * FROM orders")}
    final = {row["key"] for row in _rows(story.ledgers[-1], "SELECT key FROM orders")}
    charges = {charge.idempotency_key: charge for charge in story.netts.charges}
    told = {line.fields.get("order_key") for line in story.lines if line.event == "order.sent"}
    for key, charge in charges.items():
        row = booked.get(key)
        if row is None:
            if not (story.ledger_changed_at and key in told):
                yield f"{charge} is in no ledger"
        elif key in final and row["state"] in NEVER_CHARGED:
            yield f"{charge} is booked as {row['state']}"
        elif key in final and not _cost_agrees(story, row, charge):
            yield f"{charge} is booked with {row['cost_sun']} (quoted {row['cost_max_sun']}) sun"
    # An older ledger misses orders that are in the account's books, and must think that they are its unclear ones.
    for key in sorted(final - charges.keys()) if not story.ledger_changed_at else ():
        if booked[key]["state"] not in (*NEVER_CHARGED, *UNSETTLED):
            yield f"order {key[:12]} is booked as {booked[key]['state']} and was never charged"


def _cost_agrees(story: Story, row: Any, charge: Charge) -> bool:
    if row["cost_sun"] is not None:
        return bool(row["cost_sun"] == charge.cost_sun)
    prices_move = {"charge_above_quote", "price_changes"} & set(story.plan.faults)
    return bool(prices_move) or bool(row["cost_max_sun"] == charge.cost_sun)


@dataclass(frozen=True, slots=True)
class Agreed:
    """An order as it counts in its budget, charged or not: from its intent until it is known that it costs nothing."""

    wish: Wish
    heard: tuple[float, int]
    """When which charge was heard; the quote where none was."""
    free_at: float

    def costs(self, at: float) -> int:
        heard_at, cost = self.heard
        return 0 if self.free_at <= at else cost if heard_at < at else self.wish.quote_sun


def agreed(story: Story) -> list[Agreed]:
    heard = {
        line.fields["order_key"]: (line.at, int(line.fields["cost_trx"] * SUN))
        for line in reversed(story.lines)
        if line.event == "order.placed"
    }
    free, wishes = _free(story), sorted(_wishes(story).values(), key=lambda wish: wish.at)
    return [Agreed(one, heard.get(one.key, (0.0, one.quote_sun)), free.get(one.key, inf)) for one in wishes]


def _free(story: Story) -> dict[str, float]:
    """From when on each order that costs nothing may have been known to, as hosts' clocks have told it."""
    states = ", ".join(f"'{state}'" for state in NEVER_CHARGED)
    query = f"SELECT order_key, min(at) AS at FROM order_events WHERE state IN ({states}) GROUP BY order_key"
    apart = story.clock_range.total_seconds() + 0.001
    return {
        row["order_key"]: row["at"] / 1e6 - EPOCH.timestamp() - apart
        for file in story.ledgers
        for row in _rows(file, query)
    }


@judge
def budgets_hold(story: Story) -> Iterator[str]:
    orders = agreed(story)
    for order in orders:
        wish, plan = order.wish, _policy(story, order.wish.address)
        for name, length, limit in (("hour", HOUR, plan.per_hour), ("day", DAY, plan.per_day)):
            if limit is None:
                continue
            apart = story.clock_range.total_seconds() + SLOW_DISK
            since = max(wish.at - length + apart, *_ledger_starts(story, wish.at), -DAY)
            before = [one for one in orders if one.wish.policy == wish.policy and since < one.wish.at < wish.at]
            spent = wish.quote_sun + sum(one.costs(wish.at) for one in before)
            if spent > limit * SUN:
                yield f"{wish.at:.0f}s: {wish.policy} may spend {limit} TRX in a {name} and agreed to {spent / SUN}"


def _ledger_starts(story: Story, before: float) -> list[float]:
    """A ledger that was lost took with it what had been spent."""
    return [at for at in story.ledger_changed_at if at < before]


def _cycles_left(story: Story, address: str, at: float) -> int:
    """What Netts' own books say of a moment."""
    hosted = story.netts.host_mode.hosted[address]
    bought_cycles = sum(count for moment, count in hosted.ordered if _seconds(moment) <= at)
    return FIRST_CYCLES + bought_cycles - sum(_seconds(rental.ordered_at) <= at for rental in hosted.rentals)


@judge
def no_price_is_above_its_limit(story: Story) -> Iterator[str]:
    """80 % of the burn price where a floor is kept, the burn price elsewhere, and 9 TRX for a cycle."""
    for line in story.lines:
        if line.event == "order.intended":
            limit = DEAREST_CYCLE if line.fields.get("cycles") else DEAREST_FLOOR if _floor(story, line) else DEAREST
            amount = line.fields.get("cycles") or line.fields["energy"]
            if line.fields["cost_trx"] * SUN > limit * amount:
                yield f"{line.at:.0f}s: {amount} for {line.fields['cost_trx']} TRX are dearer than {limit} sun each"


def _floor(story: Story, line: Line) -> int:
    return _policy(story, line.fields["address"]).floor


@judge
def orders_for_an_address_keep_their_distance(story: Story) -> Iterator[str]:
    apart = story.clock_range.total_seconds() + SLOW_DISK
    sent: dict[str, float] = {}
    for order in sorted(_wishes(story).values(), key=lambda wish: wish.at):
        if order.is_rental:
            cooldown, before = _policy(story, order.address).cooldown, sent.get(order.address, -inf)
            if order.at - before < cooldown - apart and not story.ledger_changed_at:
                yield f"{order.at:.0f}s: {order.address} had its last order {order.at - before:.0f}s ago"
            sent[order.address] = max(before, story.marked.get(order.key, before))


@judge
def a_pause_is_kept(story: Story) -> Iterator[str]:
    query = "SELECT policy, address, since, until, ended_at FROM pauses"
    rows = [row for file in story.ledgers for row in _rows(file, query)]
    apart = story.clock_range.total_seconds()
    for order in sorted(_wishes(story).values(), key=lambda wish: wish.at):
        for row in rows:
            ends = [
                moment / 1e6 - EPOCH.timestamp() for moment in (row["until"], row["ended_at"]) if moment is not None
            ]
            concerned = row["policy"] in (None, order.policy) and row["address"] in (None, order.address)
            since = row["since"] / 1e6 - EPOCH.timestamp() + apart + DECIDED_WITHIN
            lost = any(since < at < order.at for at in story.ledger_changed_at)
            if concerned and not lost and since < order.at < min(ends, default=inf) - apart:
                yield f"{order.at:.0f}s: an order for {order.address}, which is paused since {since:.0f}s"


@judge
def cycles_are_bought_once_for_a_shortfall(story: Story) -> Iterator[str]:
    charges = {charge.idempotency_key: charge for charge in story.netts.charges if charge.kind == "cycles"}
    earlier: dict[str, list[Charge]] = defaultdict(list)
    for line in story.lines:
        charge = charges.get(line.fields.get("order_key"))
        if line.event != "order.intended" or charge is None:
            continue
        least, most = _policy(story, charge.address).cycles or (0, 0)
        travelling = sum(one.amount for one in earlier[charge.address] if _seconds(one.at) > line.at)
        left = _cycles_left(story, charge.address, line.at) + travelling
        if left >= least or charge.amount > most - left:
            yield f"{line.at:.0f}s: {charge.amount} cycles bought where {left} were left; {least} to {most} are wanted"
        earlier[charge.address].append(charge)


@judge
def cycles_are_bought_only_on_a_count(story: Story) -> Iterator[str]:
    left = {key for _, key in story.left}
    for line in story.lines:
        if line.event != "order.intended" or not line.fields.get("cycles") or line.fields["order_key"] not in left:
            continue
        address = line.fields["address"]
        heard = [(at, body) for at, host, body in story.counted if host == line.host and at <= line.at]
        # One that comes while an order is being written down may not be known to it.
        newest = heard[-1:] + [one for one in heard[-2:-1] if heard[-1][0] > line.at - WRITTEN_WITHIN]
        good = [
            one for at, body in newest if at > line.at - COUNT_GOOD_FOR and (one := _count(body, address)) is not None
        ]
        least = (_policy(story, address).cycles or (0, 0))[0]
        if not good or min(good) >= least:
            yield f"{line.at:.0f}s: {line.fields['cycles']} cycles bought for {address}, and the last count was {good}"


def _count(body: bytes, address: str) -> int | None:
    """The count for an address where an answer tells exactly one."""
    try:
        listed = json.loads(body)["data"]["addresses"]
        found = {entry.get("cycles_remaining") for entry in listed if entry["address"] == address}
        return int(found.pop()) if len(found) == 1 else None
    except (ValueError, KeyError, TypeError):
        return None


@judge
def after_the_storm_there_are_cycles(story: Story) -> Iterator[str]:
    """At the end, and never missing for long once a person has settled what nobody else could."""
    if any(line.event == "cycles.doubted" for line in story.lines):
        return  # a person has to look at it
    is_held = bool(story.ledger_changed_at)
    since = story.ended_at - LAST_MINUTES if is_held else min(story.healed_at + SETTLED_AFTER, story.ended_at)
    moments = [
        since + MISSING_AT_MOST * step / 4 for step in range(int((story.ended_at - since) / MISSING_AT_MOST * 4))
    ]
    for policy in story.plan.policies:
        for address in policy.addresses if policy.cycles else ():
            least = (policy.cycles or (0, 0))[0]
            low = [_cycles_left(story, address, at) < least for at in (*moments, story.ended_at)]
            if low[-1] or any(all(low[start : start + 5]) for start in range(len(low) - 4)):
                left = _cycles_left(story, address, story.ended_at)
                yield f"{address} has {left} cycles after the storm or had too few for long, and {least} are wanted"


@judge
def calls_after_the_storm_have_their_energy(story: Story) -> Iterator[str]:
    for policy in story.plan.policies:
        for call in policy.calls:
            if call.at < story.plan.storm.total_seconds():
                continue
            for address in policy.addresses:
                # The lead is there for surprises, such as a rental that ends while the order for it is on its way.
                there = story.world.available_at(address, EPOCH + timedelta(seconds=call.at))
                if there < call.energy:
                    yield f"{address} has {there} of {call.energy} for its call at {call.at:.0f}s"


@judge
def who_asks_gets_energy_of_its_own(story: Story) -> Iterator[str]:
    claimed: dict[str, int] = defaultdict(int)
    for asked in sorted(story.asked, key=lambda one: one.told_at or 0.0):
        if asked.told_at is None:
            yield f"{asked} was never told that its energy is there"
            continue
        claimed[asked.address] += asked.energy
        there = story.world.available_at(asked.address, EPOCH + timedelta(seconds=asked.told_at))
        if there < claimed[asked.address]:
            yield f"{asked.told_at:.0f}s: {there} at {asked.address}, and {claimed[asked.address]} was promised"


# --- the ledger and the log -----------------------------------------------------------------------------------------


@judge
def one_unsettled_order_for_an_address(story: Story) -> Iterator[str]:
    for file in story.ledgers:
        open_orders: dict[str, set[str]] = defaultdict(set)
        for row in _rows(file, "SELECT order_key, address, state FROM order_events ORDER BY id"):
            mine = open_orders[row["address"]]
            mine.discard(row["order_key"])
            if row["state"] in UNSETTLED:
                mine.add(row["order_key"])
            if len(mine) > 1:
                yield f"{row['address']} had {len(mine)} unsettled orders at once"


@judge
def every_order_has_its_decision(story: Story) -> Iterator[str]:
    for file in story.ledgers:
        query = (
            "SELECT o.key FROM orders o LEFT JOIN decisions d ON d.decision_id = o.decision_id "
            "WHERE d.action IS NOT iif(o.kind = 'rental', 'rent', 'order_cycles') OR d.address IS NOT o.address "
            "OR d.energy IS NOT o.energy OR d.cycles IS NOT o.cycles"
        )
        yield from (f"order {row['key'][:12]} has no decision that fits" for row in _rows(file, query))


@judge
def the_file_is_whole(story: Story) -> Iterator[str]:
    for file in story.ledgers:
        found = [tuple(row) for row in _rows(file, "PRAGMA integrity_check")]
        found += [tuple(row) for row in _rows(file, "PRAGMA foreign_key_check")]
        if found != [("ok",)]:
            yield f"{file.name}: {found[:3]}"


@judge
def every_reason_is_known(story: Story) -> Iterator[str]:
    told = {line.fields["reason"] for line in story.lines if line.event == "decision"}
    written = {row["reason"] for file in story.ledgers for row in _rows(file, "SELECT DISTINCT reason FROM decisions")}
    yield from (f"{reason!r} is not in the list" for reason in sorted((told | written) - REASONS))


@judge
def no_belief_was_wrong(story: Story) -> Iterator[str]:
    yield from (f"{line.at:.0f}s {line.host}: {dict(line.fields)}" for line in story.lines if line.event == "fault")
    yield from story.bugs


@judge
def nobody_is_hammered(story: Story) -> Iterator[str]:
    if story.ledger_changed_at or any("reload" in name for name in story.plan.faults):
        return
    charged = {charge.idempotency_key for charge in story.netts.charges}
    asked = [one for one in story.netts.received if one.endpoint in ("order1h", "time/order")]
    for address in sorted({str(one.address) for one in asked}):
        tries = [_seconds(one.at) for one in asked if one.address == address and one.idempotency_key not in charged]
        most = max((sum(at <= other < at + HOUR for other in tries) for at in tries), default=0)
        if most > REFUSED_IN_AN_HOUR:
            yield f"{most} orders in an hour for {address}, none of them charged"


@judge
def alerts_are_raised_once(story: Story) -> Iterator[str]:
    standing: set[tuple[Any, ...]] = set()
    if len(story.plan.hosts) > 1 or {"crash", "full_disk", "ledger_lost", "older_ledger_restored"} & set(
        story.plan.faults
    ):
        return
    for line in story.lines:
        what = (line.fields.get("alert"), line.fields.get("subject"))
        if line.event == "alert.raised":
            if what in standing:
                yield f"{line.at:.0f}s: {what} was raised and stood already"
            standing.add(what)
        elif line.event == "alert.cleared":
            standing.discard(what)


# --- after the storm ------------------------------------------------------------------------------------------------


@judge
def everything_is_settled(story: Story) -> Iterator[str]:
    query = "SELECT key, state FROM orders WHERE state IN ('intended', 'unresolved') OR (state = 'sent')"
    for row in _rows(story.ledgers[-1], query):
        yield f"order {row['key'][:12]} is still {row['state']} at the end"


@judge
def who_may_rent_is_above_the_floor(story: Story) -> Iterator[str]:
    for policy in story.plan.policies:
        for address in policy.addresses if policy.keep == "always" else ():
            # What ends while nobody looks is missing until the next look.
            shown = (_shows(story, address, story.ended_at - ago) for ago in (0.0, 45.0, 90.0))
            there = max(limit - used for limit, used in shown)
            coming = sum(
                one.rental.energy
                for one in bought(story)
                if one.address == address and story.ended_at - 60 < one.at and not one.is_delivered(story.ended_at)
            )
            enough = policy.floor - 300 - policy.target // 100
            missing = max(policy.target - there, SMALLEST_ORDER)
            if there + coming < enough and not (
                _is_held_for_good(story, policy, missing) or _is_waited_for(story, address)
            ):
                last = next(line for line in reversed(story.lines) if line.fields.get("address") == address)
                yield f"{address} has {there} of {policy.floor} after the storm; last: {dict(last.fields)}"


def _is_waited_for(story: Story, address: str) -> bool:
    """An order that never came is believed to be on its way, which ends with its hour."""
    query = f"SELECT key FROM orders WHERE state = 'placed' AND address = '{address}'"
    waited_for = {row["key"] for row in _rows(story.ledgers[-1], query)}
    is_short = story.ended_at - story.healed_at < HOUR
    return is_short and bool(waited_for - {one.key for one in bought(story) if one.is_delivered(story.ended_at)})


def _is_held_for_good(story: Story, policy: PolicyPlan, missing: int) -> bool:
    """The budget is used up, or a hold that was set by a clock that was ahead still stands."""
    if story.ledger_changed_at and story.clock_range > timedelta(minutes=1):
        return True
    for length, limit in ((HOUR, policy.per_hour), (DAY, policy.per_day)):
        since = story.ended_at - length - story.clock_range.total_seconds() - LAST_MINUTES
        spent = sum(
            max(one.charge.cost_sun, one.quote_sun)
            for one in bought(story)
            if one.policy == policy.name and one.at > since
        )
        if limit is not None and spent + missing * 27 > limit * SUN:
            return True
    return False
