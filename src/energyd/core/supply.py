"""What an address will still have: expiry, proportional reclaim, recovery, and orders on the way.

The chain shows one limit and one usage; which part of the limit is ours follows from the rentals that the ledger
remembers. Three facts of the chain shape this file (tron-energy A4, A5):

* Usage fades linearly over at most 24 hours. Read without its own window it is taken as the full day: too slow, so
  what is forecast is never more than what will be there.
* When a rental is taken back, the limit falls by its energy and the usage by its share of the limit.
* A rental can be taken back early. Then the limit is below the sum of our rentals; the ones that end first are taken
  as gone, because a rental that is wrongly believed to be still there to expire would be paid for twice.

Rentals are always given in the order in which they were written down. Which of them came before an order is in its
baseline. So a clock that is set back can make an hour seem longer, but never makes the old look new.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from energyd.model import Order, OrderState, Reading, Source

RECOVERY_TIME = timedelta(hours=24)
_MICROSECOND = timedelta(microseconds=1)
RECLAIM_GRACE = timedelta(minutes=2)
"""How long after its hour a rental may still be on chain, at most: Netts' clock starts when it has placed the order."""
NODES_LAG = timedelta(seconds=30)
"""How far the nodes behind one address may stand apart: what one does not show may be gone, or not be there yet."""
ONE_TRX_OF_ENERGY = 20
"""What rounding to whole TRX can take, doubled for a network ratio that moves (tron-energy A3)."""
_DRIFT = 1_000
"""A limit may drift by one part in this many while energy is on its way."""
_DRIFT_IN_AN_HOUR = 100
"""And by one part in this many while a rental lasts."""

_ON_CHAIN = (OrderState.DELIVERED, OrderState.EXPIRED)


@dataclass(frozen=True, slots=True)
class Supply:
    """Energy now (`available`), on its way (`in_flight`), and what will be there at the moment that counts (`then`).

    `then` is below zero where more is used than there will be: that has to be filled up before anything can be spent
    (tron-energy A2). `drift` is by how much `then` may be wrong although nothing was spent; 0 while nothing is rented.
    """

    available: int
    in_flight: int
    then: int
    coming: int = 0
    """What of `then` is still on its way."""
    drift: int = 0


def forecast(reading: Reading, rentals: Sequence[Order], at: datetime) -> Supply:
    """The supply at a moment. `rentals` are the address's own, also those whose hour ended less than an hour ago."""
    there = on_chain(reading, rentals)
    due = {order: (order.energy or 0) - came for order, came in there.items()}
    coming = sum(energy for order, energy in due.items() if order.until_at > at)
    return Supply(
        available=reading.available,
        in_flight=sum(due.values()),
        then=_left(reading, leaving(reading, rentals, at), at) + coming,
        coming=coming,
        drift=slack(reading.energy_limit + coming) if there else 0,
    )


def on_chain(reading: Reading, rentals: Sequence[Order]) -> dict[Order, int]:
    """What is there of each running rental.

    A delivered one is there as a whole. Of those on their way only the newest is taken to have come in part, so that no
    part is counted twice. The newest, because the others should have come before it was ordered: were the rise put down
    to one that never comes, each later order would in its turn seem to be the one that is missing.
    """
    there = {order: order.energy or 0 for order in rentals if order.state is OrderState.DELIVERED}
    placed = [order for order in rentals if order.state is OrderState.PLACED]
    there |= dict.fromkeys(placed, 0)
    if placed:
        there[placed[-1]] = arrived(placed[-1], reading, rentals) or 0
    return there


def sources(reading: Reading, rentals: Sequence[Order], at: datetime) -> tuple[Source, ...]:
    """What the supply at a moment is made of, as far as its parts are known one by one."""
    there = on_chain(reading, rentals)
    due = [(order, (order.energy or 0) - came) for order, came in there.items() if order.until_at > at]
    return (
        Source("on chain", reading.available),
        *(Source("on its way", missing, order.until_at) for order, missing in due if missing),
        *(Source("ends", -energy, until_at) for energy, until_at in _leaving(reading, rentals, at) if energy),
    )


def leaving(reading: Reading, rentals: Sequence[Order], at: datetime) -> list[int]:
    """The amounts that will leave the limit until `at`, the first to end first."""
    return [energy for energy, _ in _leaving(reading, rentals, at)]


def _leaving(reading: Reading, rentals: Sequence[Order], at: datetime) -> list[tuple[int, datetime]]:
    there = on_chain(reading, rentals)
    held = _held(there, reading.energy_limit, _own(rentals))
    return [(there[order], order.until_at) for order in reversed(held) if order.until_at <= at]


def vanished(reading: Reading, rentals: Sequence[Order]) -> int:
    """Energy of rentals that were seen on chain, have some of their hour left, and that the limit does not hold."""
    seen = {
        order: order.energy or 0
        for order in rentals
        if order.state is OrderState.DELIVERED and reading.read_at < order.until_at - NODES_LAG
    }
    held = _held(seen, reading.energy_limit, _own(rentals))
    return sum(seen.values()) - sum(seen[order] for order in held)


def _held(amounts: Mapping[Order, int], limit: int, own: int = 0) -> list[Order]:
    """The rentals that a limit still holds, the last to end first: a limit below their sum has lost the first ones."""
    held: list[Order] = []
    rest = limit + ONE_TRX_OF_ENERGY + limit // _DRIFT_IN_AN_HOUR - own
    for order in sorted(amounts, key=lambda order: order.until_at, reverse=True):
        rest -= amounts[order]
        if rest < 0:
            break
        held.append(order)
    return held


def _held_before(order: Order, rentals: Sequence[Order]) -> list[Order]:
    """The rentals that the baseline of an order holds.

    Whether it still holds one that had just ended shows only in its size. Were that one wrongly taken to be in it, its
    end would later look like the arrival of the order.
    """
    limit, running = order.baseline.energy_limit or 0, _running_before(order, rentals)
    taken_at, certain = order.baseline.taken_at, _held(running, limit)
    ended = {
        other: other.energy or 0
        for other in rentals
        if other.state in _ON_CHAIN and other.until_at <= taken_at and not _gone(other, taken_at)
    }
    rest = limit - sum(running[other] for other in certain)
    return certain + (_held(ended, rest, _own_at_most(rentals)) if ended else [])


def _running_before(order: Order, rentals: Iterable[Order]) -> dict[Order, int]:
    """The rentals that had come and had not ended when the baseline of an order was taken."""
    taken_at = order.baseline.taken_at
    return {
        other: other.energy or 0
        for other in rentals
        if other.state in _ON_CHAIN and other.key in order.baseline.rentals and taken_at < other.until_at
    }


def _own_at_most(rentals: Sequence[Order]) -> int:
    """What of the limit was not rented, at most: the least that any baseline leaves beside what ran then."""
    lefts = [
        order.baseline.energy_limit - sum(_running_before(order, rentals).values())
        for order in rentals
        if order.baseline.energy_limit is not None
    ]
    return max(min(lefts, default=0), 0)


def _own(rentals: Sequence[Order]) -> int:
    """What of the limit was not rented before the newest order: own stake must not hide that a rental has gone."""
    measured = [order for order in rentals if order.baseline.energy_limit is not None]
    if not measured:
        return 0
    rented = sum(order.energy or 0 for order in _held_before(measured[-1], rentals))
    return max((measured[-1].baseline.energy_limit or 0) - rented, 0)


def _left(reading: Reading, amounts: Iterable[int], at: datetime) -> int:
    limit, used = reading.energy_limit, recovered(reading.energy_used, at - reading.read_at)
    for amount in amounts:
        share = min(amount, limit)
        if share:
            used -= used * share // limit
            limit -= share
    return limit - used


def recovered(used: int, passed: timedelta) -> int:
    left = max(RECOVERY_TIME - max(passed, timedelta(0)), timedelta(0))
    return -(-used * (left // _MICROSECOND) // (RECOVERY_TIME // _MICROSECOND))


def slack(limit: int) -> int:
    """By how much a limit may differ from the sum of its parts without meaning anything."""
    return ONE_TRX_OF_ENERGY + limit // _DRIFT


def arrived(order: Order, reading: Reading, rentals: Sequence[Order]) -> int | None:
    """How much of a rental has come, from the rise of the limit since its baseline; None when that cannot be told."""
    rise = risen(order, reading, rentals)
    return None if rise is None else min(max(rise, 0), order.energy or 0)


def risen(order: Order, reading: Reading, rentals: Sequence[Order]) -> int | None:
    """By how much the limit has risen since the baseline of a rental, but for other rentals of ours; may be below zero.

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
    held = [] if before is None else _held_before(order, rentals)
    rise = reading.energy_limit - (before or 0)
    rise += sum(other.energy or 0 for other in held if _gone(other, reading.read_at))
    rise -= sum(
        other.energy or 0 for other in rentals if _came_since(other, order) and not _gone(other, reading.read_at)
    )
    return rise


def _came_since(other: Order, order: Order) -> bool:
    """Whether another rental came after the baseline of an order; without one, all have."""
    if other.key == order.key or other.state not in _ON_CHAIN:
        return False
    return order.baseline.energy_limit is None or other.key not in order.baseline.rentals


def _gone(order: Order, moment: datetime) -> bool:
    """Whether a rental has certainly been taken back."""
    return order.until_at + RECLAIM_GRACE <= moment


def is_whole(order: Order, came: int | None, limit: int) -> bool:
    """Whether a rental has come as a whole: for a hundredth of it and drift one does not wait, for a tenth one does."""
    energy = order.energy or 0
    return came is not None and came >= energy - min(energy // 100 + slack(limit), energy // 10)
