"""The life of a call: when its energy is seen to, when it is covered, when it is missed, and what it has used.

A call is PLANNED until shortly before its energy must be on chain; from then on (DUE) it adds to the demand of its
address. It is COVERED when its energy is on chain and no call before it lays claim to that, MISSED when the moment at
which it must be there passes without, which may still be made good, and OVER when its time has passed.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal

from energyd.core import supply
from energyd.core.order import LATE_AFTER
from energyd.model import (
    AHEAD,
    RUNNING,
    Call,
    CallOrigin,
    CallState,
    ContractCall,
    Estimate,
    NoEstimate,
    Order,
    OrderLimits,
    Reading,
)
from energyd.policy import PlannedCall

ORDERED_AHEAD = LATE_AFTER
"""How long before its energy must be there an order is sent, so that even a slow delivery is in time."""
BETWEEN_ORDERS = timedelta(seconds=40)
"""What each further order takes where one cannot hold all: a delivery and a cool-down."""
ESTIMATED_AHEAD = timedelta(minutes=10)
"""How long before it is due a call is estimated for the first time; once more when it becomes due."""
ESTIMATE_GOOD_FOR = timedelta(minutes=5)


def needed_by(at: datetime, lead: timedelta, now: datetime) -> datetime:
    """When the energy of a call must be on chain: `lead` before it, or, if that is too soon, as soon as can be."""
    return max(at - lead, min(at, now + ORDERED_AHEAD))


def due_at(call: Call, limits: OrderLimits) -> datetime:
    """When its energy begins to be seen to."""
    further_orders = max(-(-call.remaining // limits.energy_max) - 1, 0)
    return call.needed_by - ORDERED_AHEAD - further_orders * BETWEEN_ORDERS


def of_rule(rule: PlannedCall, *, policy: str, address: str, at: datetime, call_id: str, now: datetime) -> Call:
    """One call of a policy at one of its times, before anything is known of it."""
    estimated = rule.energy == "auto"
    each = rule.fallback if estimated else rule.energy
    whole = None if each is None else int(each) * rule.calls
    return Call(
        call_id=call_id,
        name=rule.name,
        address=address,
        policy=policy,
        origin=CallOrigin.POLICY,
        at=at,
        needed_by=needed_by(at, rule.lead, now),
        lead=rule.lead,
        hold=rule.hold,
        energy=None if estimated else whole,
        what=_what(rule, address) if estimated else None,
        margin=rule.margin,
        fallback=whole if estimated else None,
        added_at=now,
    )


def _what(rule: PlannedCall, address: str) -> ContractCall:
    assert rule.contract is not None
    assert rule.function is not None
    return ContractCall(address, rule.contract, rule.function, rule.argument_lists, rule.calls)


def is_to_be_estimated(call: Call, now: datetime, limits: OrderLimits) -> bool:
    """Whether the node is to be asked now: before it is due, once more when it is, and as long as it has no answer."""
    if call.what is None or call.state not in AHEAD or call.covered_at is not None or call.used:
        return False
    if now < due_at(call, limits) - ESTIMATED_AHEAD:
        return False
    return call.estimated_at is None or (
        call.state is CallState.PLANNED and abs(now - call.estimated_at) >= ESTIMATE_GOOD_FOR
    )


def estimated(call: Call, found: Estimate | NoEstimate) -> Call:
    """The call with what the node said; without an answer what it needs is the fallback, or not known."""
    if isinstance(found, Estimate):
        needs = with_margin(found.energy, call.margin)
        return replace(call, energy=needs, highest=found.highest, estimated_at=found.at, detail="")
    if call.energy is not None and call.estimated_at is not None:
        return call  # an older estimate is better than none
    return replace(call, energy=call.fallback, detail=found.detail)


def with_margin(energy: int, margin: Decimal) -> int:
    """The energy and `margin` per cent of it, rounded up, and one TRX worth of stake for rounding (tron-energy C3)."""
    more = (Decimal(energy) * margin / 100).to_integral_value(rounding=ROUND_CEILING)
    return energy + int(more) + supply.ONE_TRX_OF_ENERGY // 2


def progress(
    calls: Sequence[Call], reading: Reading | None, rentals: Sequence[Order], now: datetime, limits: OrderLimits
) -> list[Call]:
    """The calls of an address as they are now, in the order in which they are needed."""
    moved = [_in_time(call, now, limits) for call in calls]
    if reading is not None:
        moved = _with_use(moved, reading)
    claimed, judged = 0, []
    for call in moved:
        claimed += call.remaining if call.state in RUNNING else 0
        is_there = reading is not None and _is_there(call, claimed, reading, rentals, now)
        judged.append(_judged(call, now, is_there=is_there))
    return judged


def missed_at(call: Call) -> datetime:
    """The moment at which a call is missed that is not covered; an application waits until the last one."""
    return call.at if call.origin is CallOrigin.ENSURE else call.needed_by


def _in_time(call: Call, now: datetime, limits: OrderLimits) -> Call:
    if now >= call.until and call.state in AHEAD:
        return replace(call, state=CallState.OVER)
    if call.state is CallState.PLANNED and now >= due_at(call, limits):
        return replace(call, state=CallState.DUE)
    return call


def _judged(call: Call, now: datetime, *, is_there: bool) -> Call:
    if call.state not in (CallState.DUE, CallState.MISSED):
        return call
    if is_there:
        return replace(call, state=CallState.COVERED, covered_at=now)
    return replace(call, state=CallState.MISSED) if now >= missed_at(call) else call


def _is_there(call: Call, claimed: int, reading: Reading, rentals: Sequence[Order], now: datetime) -> bool:
    """Whether its energy is on chain, and still will be when it must be there, beside what earlier calls claim."""
    if call.energy is None:
        return False
    there = supply.forecast(reading, rentals, max(now, call.needed_by))
    return min(reading.available, there.then - there.coming) >= claimed


# --- what calls use -------------------------------------------------------------------------------------------------


def _with_use(calls: Sequence[Call], reading: Reading) -> list[Call]:
    """Puts what the address has used since the last reading down to its calls, the first one first."""
    put_down, counted = 0, []
    for call in calls:
        its = min(max(_used_since(call, reading) - put_down, 0), call.remaining)
        put_down += its
        counted.append(_seen(call, reading, used=call.used + its) if call.state in RUNNING else call)
    return counted


def _seen(call: Call, reading: Reading, used: int) -> Call:
    return replace(call, used=used, seen_used=reading.energy_used, seen_limit=reading.energy_limit)


def _used_since(call: Call, reading: Reading) -> int:
    """Energy used since it was counted last. A rental that is taken back takes its share of the usage along."""
    since = call.covered_at if call.origin is CallOrigin.ENSURE else call.at
    if call.seen_used is None or call.seen_limit is None or since is None or reading.read_at < since:
        return 0
    before = call.seen_used
    if reading.energy_limit < call.seen_limit:
        before = before * reading.energy_limit // call.seen_limit
    return max(reading.energy_used - before, 0)
