"""The SQL behind reports: what the decisions of a while have seen."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Integer, Over, func, select, type_coerce

from energyd import units
from energyd.ledger.queries import HOUR
from energyd.ledger.tables import Moment, decisions, orders
from energyd.model import Guard, OrderKind, Reason

NOISE = 100
"""Energy: a limit drifts by a few units between two readings (tron-energy A3), and no call uses so little."""

_d = decisions.c


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
