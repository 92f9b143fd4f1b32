"""The SQL behind reports and the page to look at: what the decisions of a while have seen."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, Integer, Over, and_, case, func, select, type_coerce

from energyd import units
from energyd.ledger.queries import DAY, DECISION, HOUR, fetch
from energyd.ledger.tables import Moment, decisions, orders
from energyd.model import NEVER_CHARGED, Decision, Guard, OrderKind, Reason

NOISE = 100
"""Energy: a limit drifts by a few units between two readings (tron-energy A3), and no call uses so little."""

_d, _o = decisions.c, orders.c


@dataclass(frozen=True, slots=True)
class Fall:
    """The energy of an address that could be spent became less between two readings."""

    address: str
    before_at: datetime
    at: datetime
    available: int
    """Before it."""
    energy: int
    """By how much."""


def falls(connection: Connection, since: datetime, until: datetime) -> tuple[Fall, ...]:
    """Those of all addresses, oldest first."""
    seen = (_d.kind == OrderKind.RENTAL, _d.available.is_not(None), _d.at >= since - HOUR, _d.at < until)
    row = select(
        _d.address,
        type_coerce(_before(_d.at), Moment).label("before_at"),
        _d.at,
        type_coerce(_before(_d.available), Integer).label("available"),
        (_before(_d.available) - _d.available).label("energy"),
    ).where(*seen)
    rows = row.subquery().c
    wanted = select(rows.address, rows.before_at, rows.at, rows.available, rows.energy).where(
        rows.energy > NOISE, rows.at >= since
    )
    return tuple(Fall(**found) for found in connection.execute(wanted.order_by(rows.at)).mappings())


def _before(column: Column[Any]) -> Over[Any]:
    """A column of the decision before, about the same address."""
    return func.lag(column).over(partition_by=_d.address, order_by=_d.id)


def burn_prices(connection: Connection, since: datetime, until: datetime) -> dict[str, int]:
    """Sun that a unit of energy cost to burn when an order was decided, by the order's key, where it was known."""
    wanted = select(orders.c.key, _d.guards).join(decisions, orders.c.decision_id == _d.decision_id)
    found = connection.execute(wanted.where(orders.c.intended_at >= since, orders.c.intended_at < until))
    known = ((key, _burn_sun(guards)) for key, guards in found)
    return {key: burn_sun for key, burn_sun in known if burn_sun is not None}


def _burn_sun(guards: tuple[Guard, ...]) -> int | None:
    limit = next((guard.limit for guard in guards if guard.reason is Reason.DEARER_THAN_BURNING), "")
    return units.read_money(limit) if limit else None


# --- what the page shows --------------------------------------------------------------------------------------------
# It asks every few seconds, and a day of decisions is long; so each of these goes on where the one before has ended.


@dataclass(frozen=True, slots=True)
class Looks:
    """What the decisions of one stretch of time saw of an address."""

    stretch: int
    """Its number: since 1970 so many stretches of the same length had passed when it began."""
    lowest: int | None
    """The least energy that could be spent, or cycles; None where no decision knew it."""
    unread: int
    """Decisions that did not know it."""
    below: int
    """Decisions that saw less than the floor, where so much had to be there."""


@dataclass(frozen=True, slots=True)
class Bought:
    """All orders of a while that may have been charged: their energy, and their sun as budgets count it."""

    energy: int
    rentals_sun: int
    sun: int


def newest_before(connection: Connection, moment: datetime) -> int:
    """The row of the newest decision that is older than a moment, as decisions are written one after another."""
    first = connection.execute(select(_d.id).where(_d.at >= moment).order_by(_d.at, _d.id).limit(1)).scalar()
    return newest(connection) if first is None else int(first) - 1


def newest(connection: Connection) -> int:
    return int(connection.execute(select(func.max(_d.id))).scalar() or 0)


def looks(
    connection: Connection, address: str, kind: OrderKind, floor: int, *, after: int, until: int, length: timedelta
) -> tuple[Looks, ...]:
    """What the decisions of a kind after one row and up to another saw of an address, by stretches of a length."""
    is_below = and_(_d.available < _d.demand, _d.available < floor)
    stretch = (type_coerce(_d.at, Integer) // (length // timedelta(microseconds=1))).label("stretch")
    wanted = select(
        stretch,
        func.min(_d.available).label("lowest"),
        (func.count() - func.count(_d.available)).label("unread"),
        func.sum(case((is_below, 1), else_=0)).label("below"),
    ).where(_d.address == address, _d.id > after, _d.id <= until, _d.kind == kind)
    return fetch(connection, Looks, wanted.group_by(stretch))


def changes(connection: Connection, *, after: int, until: int, limit: int) -> tuple[Decision, ...]:
    """The newest decisions after one row and up to another that do not repeat the one before, newest first."""
    wanted = select(*DECISION).where(_d.id > after, _d.id <= until, _d.repeats == 0)
    return fetch(connection, Decision, wanted.order_by(_d.id.desc()).limit(limit))


def bought(connection: Connection, since: datetime) -> Bought:
    sun = func.coalesce(_o.cost_sun, _o.cost_max_sun)
    for_energy = case((_o.kind == OrderKind.RENTAL, sun), else_=0)
    wanted = select(
        *(func.coalesce(func.sum(each), 0) for each in (_o.energy, for_energy, sun)),
    ).where(
        _o.intended_at > since - DAY,
        func.coalesce(_o.sent_at, _o.intended_at) > type_coerce(since, Moment),
        _o.state.not_in(NEVER_CHARGED),
    )
    return Bought(*connection.execute(wanted).one())
