"""What was spent, and what came of it: the ledger's orders of a while, summed. Pure.

Money is exact: what Netts said that it charged, and apart from it the most that orders may have cost whose charge is
not known. Both together are what the budgets count. Netts pays nothing back.

Used energy is measured, and from below: it is what readings showed leaving an address while rented energy was there.
What left with the end of a rental is not used; a use that a delivery hid between two readings is not seen.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from energyd import units
from energyd.ledger.history import Fall
from energyd.model import NEVER_CHARGED, RENTAL_TIME, UNSETTLED, Order, OrderKind

LEAVES_WITHIN = timedelta(minutes=2)
"""After its hour a rental is taken back within this time."""
BEFORE = 2 * RENTAL_TIME
"""Orders from so long before a period have to be known: their energy may be used in it."""


class By(StrEnum):
    POLICY = "policy"
    ADDRESS = "address"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Use:
    """Rented energy that was used, and the order that it came from."""

    at: datetime
    order: Order
    energy: int


@dataclass(slots=True)
class Row:
    """The sums of some orders, in energy and sun. None: not known."""

    orders: int = 0
    energy_rented: int = 0
    energy_delivered: int = 0
    energy_used: int | None = 0
    cycles: int = 0
    charged_sun: int = 0
    unconfirmed_sun: int = 0
    """The most that orders may have cost whose charge is not known."""
    rentals_sun: int = 0
    """What of both was for energy."""
    burning_sun: int | None = 0
    """What burning the used energy would have cost."""
    burning_all_sun: int | None = 0
    """What burning all delivered energy would have cost."""

    @property
    def saved_sun(self) -> int | None:
        return None if self.burning_sun is None else self.burning_sun - self.rentals_sun

    @property
    def saved_max_sun(self) -> int | None:
        """Saved, had all delivered energy been used."""
        return None if self.burning_all_sun is None else self.burning_all_sun - self.rentals_sun


@dataclass(frozen=True, slots=True)
class Report:
    since: datetime
    until: datetime
    by: By
    rows: Mapping[str, Row]
    total: Row = field(default_factory=Row)


def moment_of(order: Order) -> datetime:
    """When its money left; as budgets count it."""
    return order.sent_at or order.intended_at


def make(
    orders: Iterable[Order],
    falls: Sequence[Fall] | None,
    burn_prices: Mapping[str, int],
    *,
    since: datetime,
    until: datetime,
    by: By,
) -> Report:
    """The report of a period. `orders` begin `BEFORE` it; `falls` are None where what was used is forgotten."""
    rows: defaultdict[str, Row] = defaultdict(Row)
    total = Row()
    known = [order for order in orders if order.state not in NEVER_CHARGED]
    for order in known:
        if since <= moment_of(order) < until:
            for row in (rows[_key(by, order, moment_of(order))], total):
                _add(row, order, burn_prices.get(order.key))
    for use in uses(known, falls or ()):
        for row in (rows[_key(by, use.order, use.at)], total):
            _add_use(row, use, burn_prices.get(use.order.key))
    if falls is None:
        for row in (*rows.values(), total):
            row.energy_used = row.burning_sun = None
    return Report(since, until, by, dict(sorted(rows.items())), total)


def _key(by: By, order: Order, at: datetime) -> str:
    return {By.POLICY: order.policy, By.ADDRESS: order.address, By.DAY: f"{at:%Y-%m-%d}"}[by]


def _add(row: Row, order: Order, burn_sun: int | None) -> None:
    row.orders += 1
    row.energy_rented += order.energy or 0
    row.cycles += order.cycles or 0
    is_certain = order.cost_sun is not None and order.state not in UNSETTLED
    row.charged_sun += order.booked_sun if is_certain else 0
    row.unconfirmed_sun += 0 if is_certain else order.booked_sun
    row.rentals_sun += order.booked_sun if order.kind is OrderKind.RENTAL else 0
    if order.delivered_at is not None and order.energy is not None:
        row.energy_delivered += order.energy
        row.burning_all_sun = _plus(row.burning_all_sun, order.energy, burn_sun)


def _add_use(row: Row, use: Use, burn_sun: int | None) -> None:
    row.energy_used = (row.energy_used or 0) + use.energy
    row.burning_sun = _plus(row.burning_sun, use.energy, burn_sun)


def _plus(sum_sun: int | None, energy: int, burn_sun: int | None) -> int | None:
    return None if sum_sun is None or burn_sun is None else sum_sun + units.cost_sun(energy, burn_sun)


# --- what was used --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Rented:
    """A delivered rental, and how much of it nobody has used."""

    energy: int
    since: datetime
    order: Order
    unused: int
    gone: bool = False


def uses(orders: Iterable[Order], falls: Iterable[Fall]) -> Iterator[Use]:
    """What of each fall was rented energy that was used. Never more in all than was delivered."""
    rented: defaultdict[str, list[_Rented]] = defaultdict(list)
    for order in sorted(orders, key=lambda order: order.until_at):
        if order.kind is OrderKind.RENTAL and order.delivered_at is not None and order.energy is not None:
            rented[order.address].append(_Rented(order.energy, order.delivered_at, order, order.energy))
    for fall in sorted(falls, key=lambda fall: fall.at):
        there = [each for each in rented[fall.address] if not each.gone and each.since <= fall.at]
        energy = fall.energy - _taken_back(there, fall)
        for each in there:
            if not each.gone and (used := min(each.unused, energy)) > 0:
                each.unused -= used
                energy -= used
                yield Use(fall.at, each.order, used)


def _taken_back(there: Sequence[_Rented], fall: Fall) -> int:
    """What of a fall is the end of rentals: each takes with it its share of what was left (tron-energy A4)."""
    for each in there:
        each.gone = fall.before_at >= each.order.until_at + LEAVES_WITHIN
    limit, taken = sum(each.energy for each in there if not each.gone), 0
    for each in there:
        if not each.gone and each.order.until_at <= fall.at:
            each.gone = True
            taken += min(each.energy * fall.available // limit, each.energy)
    return min(taken, fall.energy)


# --- as rows --------------------------------------------------------------------------------------------------------


def as_row(row: Row) -> dict[str, Any]:
    """The sums as they are printed: energy in units, money in TRX with every digit, null for what is not known."""
    return {
        "orders": row.orders,
        "energy_rented": row.energy_rented,
        "energy_delivered": row.energy_delivered,
        "energy_used": row.energy_used,
        "cycles": row.cycles,
        "charged_trx": units.trx(row.charged_sun),
        "unconfirmed_trx": units.trx(row.unconfirmed_sun),
        "burning_trx": _trx(row.burning_sun),
        "saved_trx": _trx(row.saved_sun),
        "burning_all_trx": _trx(row.burning_all_sun),
        "saved_max_trx": _trx(row.saved_max_sun),
    }


def _trx(sun: int | None) -> Any:
    return None if sun is None else units.trx(sun)
