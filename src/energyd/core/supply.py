"""What an address will still have: expiry, proportional reclaim, recovery, and orders on the way.

The chain shows one limit and one usage; which part of the limit is ours follows from the rentals that the ledger
remembers. Three facts of the chain shape this file (tron-energy A4, A5):

* Usage fades linearly over at most 24 hours. Read without its own window it is taken as the full day: too slow, so
  what is forecast is never more than what will be there.
* When a rental is taken back, the limit falls by its energy and the usage by its share of the limit.
* A rental can be taken back early. Then the limit is below the sum of our rentals; the ones that end first are taken
  as gone, because a rental that is wrongly believed to be still there to expire would be paid for twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from energyd.model import Order, OrderState, Reading

RECOVERY_TIME = timedelta(hours=24)
RECLAIM_GRACE = timedelta(minutes=2)
"""How long after its hour a rental may still be on chain, at most: Netts' clock starts when it has placed the order."""
ONE_TRX_OF_ENERGY = 20
"""What rounding to whole TRX can take, doubled for a network ratio that moves (tron-energy A3)."""
_DRIFT = 1_000
"""A limit may drift by one part in this many while energy is on its way."""

_ON_CHAIN = (OrderState.DELIVERED, OrderState.EXPIRED)


@dataclass(frozen=True, slots=True)
class Supply:
    """Energy now (`available`), on its way (`in_flight`), and what will be there at the moment that counts (`then`)."""

    available: int
    in_flight: int
    then: int


def forecast(reading: Reading, rentals: Sequence[Order], at: datetime) -> Supply:
    """The supply at a moment. `rentals` are the address's own, also those whose hour ended less than an hour ago."""
    due = {order: energy for order in rentals if (energy := still_due(order, reading, rentals))}
    return Supply(
        available=reading.available,
        in_flight=sum(due.values()),
        then=_left(reading, leaving(reading, rentals, at), at)
        + sum(energy for order, energy in due.items() if order.until_at > at),
    )


def still_due(order: Order, reading: Reading, rentals: Sequence[Order]) -> int:
    """The part of a placed rental that has not come yet."""
    if order.state is not OrderState.PLACED or order.energy is None:
        return 0
    return order.energy - (arrived(order, reading, rentals) or 0)


def leaving(reading: Reading, rentals: Sequence[Order], at: datetime) -> list[int]:
    """The amounts that will leave the limit until `at`, the first to end first."""
    live = sorted(
        (order for order in rentals if order.state is OrderState.DELIVERED),
        key=lambda order: order.until_at,
        reverse=True,
    )
    present: list[Order] = []
    rest = reading.energy_limit + slack(reading.energy_limit)
    for order in live:
        rest -= order.energy or 0
        if rest < 0:
            break
        present.append(order)
    return [order.energy or 0 for order in reversed(present) if order.until_at <= at]


def _left(reading: Reading, amounts: Iterable[int], at: datetime) -> int:
    limit, used = reading.energy_limit, _recovered(reading.energy_used, at - reading.read_at)
    for amount in amounts:
        share = min(amount, limit)
        if share:
            used -= used * share // limit
            limit -= share
    return max(limit - used, 0)


def _recovered(used: int, passed: timedelta) -> int:
    rest = max(RECOVERY_TIME - max(passed, timedelta(0)), timedelta(0))
    return -(-used * rest // RECOVERY_TIME)


def slack(limit: int) -> int:
    """By how much a limit may differ from the sum of its parts without meaning anything."""
    return ONE_TRX_OF_ENERGY + limit // _DRIFT


def arrived(order: Order, reading: Reading, rentals: Sequence[Order]) -> int | None:
    """How much of a rental has come, from the rise of the limit since its baseline; None when that cannot be told.

    Judged by the rise and never by the total. Other rentals of ours that came after the baseline are subtracted; those
    that were in it and whose hour is well over are added back. Before that grace has passed they are not, because a
    rental still on chain would then look like the new one. Without a baseline (the address could not be read when it
    was ordered) a rental that is known to be paid for is compared with nothing but our own rentals.
    """
    if order.energy is None:
        return None
    before = order.baseline.energy_limit
    if before is None and order.state is not OrderState.PLACED:
        return None
    rise = reading.energy_limit - (before or 0)
    for other in rentals:
        if other.key != order.key and other.state in _ON_CHAIN:
            rise += _explained(other, order if before is not None else None, reading)
    return min(max(rise, 0), order.energy)


def _explained(other: Order, order: Order | None, reading: Reading) -> int:
    """What another rental did to the limit since the baseline of `order`, to be undone."""
    gone_at = other.until_at + RECLAIM_GRACE
    gone = gone_at <= reading.read_at
    was_there = (
        order is not None and other.delivered_at is not None and other.delivered_at <= order.baseline.taken_at < gone_at
    )
    if was_there:
        return (other.energy or 0) if gone else 0
    return 0 if gone else -(other.energy or 0)


def is_whole(order: Order, came: int | None, limit: int) -> bool:
    """Whether a rental has come as a whole, allowing for drift but never for a tenth of it."""
    energy = order.energy or 0
    return came is not None and came >= energy - min(slack(limit), energy // 10)
