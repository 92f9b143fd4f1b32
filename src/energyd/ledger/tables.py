"""The tables, and the indexes and checks that are the money rules.

Moments are whole microseconds since 1970 in UTC and lengths of time whole microseconds: exact, sortable, the same on
every store. Money is whole sun. On SQLite every table is STRICT, so that a column of money cannot hold anything else.

What the store itself refuses, whatever the program does:

* a second unsettled order for one address (`one_unsettled_order`);
* a second order out of one decision, and one Netts order id on two orders;
* a negative cost, and an order that buys nothing;
* (ledger.py) a change of an order that somebody else changed first.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

from energyd.core.order import Event
from energyd.model import UNSETTLED, Action, AlertName, Baseline, Guard, OrderKind, OrderState, Reason

REVISION = "0001"
"""The newest step of `migrations/`. Revisions count upwards, so that a newer ledger is known without reading them."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INTEGER = BigInteger().with_variant(Integer(), "sqlite")


class Moment(TypeDecorator[datetime]):
    """An aware datetime as microseconds since 1970 in UTC."""

    impl = _INTEGER
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - its signature
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - its signature
        return None if value is None else _EPOCH + value * _MICROSECOND


class Span(TypeDecorator[timedelta]):
    """A length of time in microseconds."""

    impl = _INTEGER
    cache_ok = True

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - its signature
        return None if value is None else value // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> timedelta | None:  # noqa: ARG002 - its signature
        return None if value is None else value * _MICROSECOND


class Word(TypeDecorator[StrEnum]):
    """A word of a closed list."""

    impl = Text
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - its signature
        return None if value is None else self.words(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002 - its signature
        return None if value is None else self.words(value)


class BaselineText(TypeDecorator[Baseline]):
    """The baseline of an order as JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:  # noqa: ARG002 - its signature
        return orjson.dumps(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Baseline:  # noqa: ARG002 - its signature
        figures = orjson.loads(value)
        for name in ("taken_at", "funds_read_at"):
            if figures.get(name) is not None:
                figures[name] = datetime.fromisoformat(figures[name]).astimezone(UTC)
        return Baseline(**figures)


class GuardsText(TypeDecorator[tuple[Guard, ...]]):
    """The guards of a decision as JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:  # noqa: ARG002 - its signature
        return orjson.dumps(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[Guard, ...]:  # noqa: ARG002 - its signature
        return tuple(Guard(**(guard | {"reason": Reason(guard["reason"])})) for guard in orjson.loads(value))


metadata = MetaData()


def _number(name: str) -> Column[int]:
    return Column(name, _INTEGER)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


decisions = Table(
    "decisions",
    metadata,
    Column("id", _INTEGER, primary_key=True),
    Column("decision_id", Text, nullable=False, unique=True),
    _text("address"),
    _text("policy"),
    Column("at", Moment, nullable=False),
    Column("action", Word(Action), nullable=False),
    Column("reason", Word(Reason), nullable=False),
    *map(_number, ("demand", "supply", "gap", "available", "in_flight")),
    *map(_number, ("energy", "cycles", "price_sun", "cost_sun")),
    _text("detail"),
    Column("guards", GuardsText, nullable=False),
    Column("repeats", _INTEGER, nullable=False),  # 1: says the same as the one before of this address, and may go
    sqlite_strict=True,
)
Index("decisions_of_address", decisions.c.address, decisions.c.id)
Index("decisions_at", decisions.c.at)
Index("decisions_that_repeat", decisions.c.at, sqlite_where=decisions.c.repeats == 1)

orders = Table(
    "orders",
    metadata,
    Column("key", Text, primary_key=True),
    Column("kind", Word(OrderKind), nullable=False),
    _text("address"),
    _text("policy"),
    Column("decision_id", Text, ForeignKey(decisions.c.decision_id), nullable=False, unique=True),
    Column("state", Word(OrderState), nullable=False),
    Column("cost_max_sun", _INTEGER, nullable=False),
    Column("baseline", BaselineText, nullable=False),
    _text("host"),
    Column("intended_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    _number("energy"),
    _number("cycles"),
    _number("cost_sun"),
    Column("netts_order_id", Text),
    Column("sent_at", Moment),
    Column("delivered_at", Moment),
    _text("outcome"),
    _number("http_status"),
    Column("retry_after", Span),
    Column("version", _INTEGER, nullable=False),
    CheckConstraint("cost_max_sun >= 0", name="cost_max_not_negative"),
    CheckConstraint("cost_sun >= 0", name="cost_not_negative"),
    CheckConstraint("(energy IS NULL) <> (cycles IS NULL)", name="buys_one_thing"),
    CheckConstraint("coalesce(energy, cycles) > 0", name="buys_something"),
    sqlite_strict=True,
)
"""Its columns are the fields of `model.Order`."""

_unsettled = orders.c.state.in_([state.value for state in UNSETTLED])
Index("one_unsettled_order", orders.c.address, unique=True, sqlite_where=_unsettled)
_has_netts_order_id = orders.c.netts_order_id.is_not(None)
Index("one_order_per_netts_order_id", orders.c.netts_order_id, unique=True, sqlite_where=_has_netts_order_id)
Index("orders_by_state", orders.c.state, orders.c.address)
Index("orders_of_policy", orders.c.policy, orders.c.intended_at)
Index("orders_of_address", orders.c.address, orders.c.sent_at)
Index("orders_intended_at", orders.c.intended_at)

order_events = Table(
    "order_events",
    metadata,
    Column("id", _INTEGER, primary_key=True),
    Column("order_key", Text, ForeignKey(orders.c.key), nullable=False),
    _text("address"),
    Column("at", Moment, nullable=False),
    Column("event", Word(Event)),  # null: the order was written down
    Column("state", Word(OrderState), nullable=False),
    _text("host"),
    _number("cost_sun"),
    Column("netts_order_id", Text),
    Column("refused_for", Word(Reason)),
    _text("outcome"),
    _number("http_status"),
    Column("retry_after", Span),
    _text("detail"),
    sqlite_strict=True,
)
"""What happened to each order, in the order in which it was written: rows are added and never changed."""
Index("events_of_order", order_events.c.order_key, order_events.c.id)
Index("events_of_address", order_events.c.address, order_events.c.state, order_events.c.id)
Index("events_by_state", order_events.c.state, order_events.c.id)

leases = Table(
    "leases",
    metadata,
    Column("address", Text, primary_key=True),
    _text("host"),
    Column("until", Moment, nullable=False),
    sqlite_strict=True,
)

pauses = Table(
    "pauses",
    metadata,
    Column("pause_id", _INTEGER, primary_key=True),
    Column("policy", Text),
    Column("address", Text),
    Column("since", Moment, nullable=False),
    Column("until", Moment),
    _text("why"),
    Column("ended_at", Moment),  # lifted by a person, or replaced by a later pause of the same
    sqlite_strict=True,
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", _INTEGER, primary_key=True),
    Column("name", Word(AlertName), nullable=False),
    _text("subject"),
    _text("summary"),
    Column("raised_at", Moment, nullable=False),
    Column("cleared_at", Moment),
    sqlite_strict=True,
)
Index("alert_stands_once", alerts.c.name, alerts.c.subject, unique=True, sqlite_where=alerts.c.cleared_at.is_(None))

meta = Table("meta", metadata, Column("key", Text, primary_key=True), _text("value"), sqlite_strict=True)
