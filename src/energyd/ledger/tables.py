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
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter
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
from energyd.model import (
    UNSETTLED,
    Action,
    AlertName,
    Baseline,
    CallOrigin,
    CallState,
    ContractCall,
    Guard,
    HostAct,
    Need,
    OrderKind,
    OrderState,
    Reason,
    Source,
)

REVISION = "0004"
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


class Json(TypeDecorator[Any]):
    """A value of a plain shape, such as a dataclass or a tuple of them, as JSON."""

    impl = Text
    cache_ok = True

    def __init__(self, shape: Any) -> None:
        super().__init__()
        self.shape = shape
        self._adapter = TypeAdapter[Any](shape)

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - its signature
        return None if value is None else self._adapter.dump_json(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002 - its signature
        return None if value is None else self._adapter.validate_json(value)


class Exact(TypeDecorator[Decimal]):
    """A decimal number with its own digits."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - its signature
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - its signature
        return None if value is None else Decimal(value)


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
    Column("guards", Json(tuple[Guard, ...]), nullable=False),
    Column("repeats", _INTEGER, nullable=False),  # 1: says the same as the one before of this address, and may go
    Column("needs", Json(tuple[Need, ...]), nullable=False, server_default="[]"),
    Column("sources", Json(tuple[Source, ...]), nullable=False, server_default="[]"),
    Column("kind", Word(OrderKind), nullable=False, server_default=OrderKind.RENTAL.value),
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
    Column("baseline", Json(Baseline), nullable=False),
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
Index("orders_of_kind", orders.c.address, orders.c.kind, orders.c.intended_at)
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

calls = Table(
    "calls",
    metadata,
    Column("call_id", Text, primary_key=True),
    *map(_text, ("name", "address", "policy")),
    Column("origin", Word(CallOrigin), nullable=False),
    Column("at", Moment, nullable=False),
    Column("needed_by", Moment, nullable=False),
    Column("lead", Span, nullable=False),
    Column("hold", Span, nullable=False),
    Column("state", Word(CallState), nullable=False),
    _number("energy"),
    Column("what", Json(ContractCall)),
    Column("margin", Exact, nullable=False),
    *map(_number, ("fallback", "highest")),
    Column("estimated_at", Moment),
    _text("detail"),
    Column("used", _INTEGER, nullable=False),
    *map(_number, ("seen_used", "seen_limit")),
    Column("added_at", Moment),
    Column("covered_at", Moment),
    Column("version", _INTEGER, nullable=False),
    sqlite_strict=True,
)
"""Its columns are the fields of `model.Call`."""
Index("calls_of_address", calls.c.address, calls.c.state)
Index("calls_at", calls.c.at)

cycle_counts = Table(
    "cycle_counts",
    metadata,
    Column("id", _INTEGER, primary_key=True),
    _text("address"),
    Column("at", Moment, nullable=False),
    Column("remaining", _INTEGER, nullable=False),
    _text("key"),
    sqlite_strict=True,
)
"""The counts of Host Mode cycles, a row where one differs from the one before of its address."""
Index("counts_of_address", cycle_counts.c.address, cycle_counts.c.id)

host_acts = Table(
    "host_acts",
    metadata,
    Column("act_id", _INTEGER, primary_key=True),
    _text("address"),
    Column("act", Word(HostAct), nullable=False),
    Column("at", Moment, nullable=False),
    _text("host"),
    Column("ended_at", Moment),  # null: it was about to be asked for, and nobody wrote down what came of it
    _text("outcome"),
    sqlite_strict=True,
)
"""What a person had done to addresses in Host Mode, written down before it was asked for."""

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
