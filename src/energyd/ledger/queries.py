"""The SQL behind the reads: ordinary functions that are given a transaction.

What every tick asks is put together once, when this module is loaded: building such a statement costs more than running
it.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    and_,
    bindparam,
    cast,
    func,
    literal_column,
    or_,
    select,
)

from energyd.core.order import Event
from energyd.ledger.tables import (
    Moment,
    alerts,
    calls,
    cycle_counts,
    decisions,
    host_acts,
    leases,
    meta,
    order_events,
    orders,
    pauses,
)
from energyd.model import (
    AHEAD,
    NEVER_CHARGED,
    OPEN,
    RENTAL_TIME,
    UNSETTLED,
    Alert,
    Call,
    CallState,
    Count,
    Decision,
    HostActed,
    Memory,
    Order,
    OrderKind,
    OrderState,
    Pause,
    Reason,
    Refusals,
    Spend,
)

T = TypeVar("T")

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

ACCOUNT_WIDE = (Reason.NO_FUNDS, Reason.AUTH_FAILED, Reason.RATE_LIMITED, Reason.NETTS_UNAVAILABLE)
"""Refusals that any order would meet, whatever its address."""

HOLD_UNTIL = "hold_until"
FORGIVEN = "refusals_forgiven_up_to"
CYCLE_KEYS = "cycle_keys"

_WAS_PLACED = (OrderState.PLACED, OrderState.DELIVERED, OrderState.UNDELIVERED, OrderState.EXPIRED)


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One thing that happened to an order, as it was written then. `event` is None where the order was written down."""

    order_key: str
    at: datetime
    event: Event | None
    state: OrderState
    """The state that it led to."""
    host: str
    cost_sun: int | None = None
    netts_order_id: str | None = None
    refused_for: Reason | None = None
    outcome: str = ""
    http_status: int | None = None
    retry_after: timedelta | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Total:
    """The orders of one policy and kind that are in one state: how many, and their energy and sun in all."""

    policy: str
    kind: OrderKind
    state: OrderState
    orders: int
    energy: int
    sun: int


DECISION = [column for column in decisions.c if column.name not in {"id", "repeats"}]
EVENT = [column for column in order_events.c if column.name not in {"id", "address"}]
_PAUSE = [column for column in pauses.c if column.name != "ended_at"]
_o, _e, _p, _d = orders.c, order_events.c, pauses.c, decisions.c


def fetch(connection: Connection, kind: type[T], wanted: Select[Any], **values: object) -> tuple[T, ...]:
    """Rows whose columns are the fields of `kind`."""
    return tuple(kind(**row) for row in connection.execute(wanted, values).mappings())


def _among(column: ColumnElement[Any], words: Iterable[StrEnum]) -> ColumnElement[bool]:
    """Some fixed words, written into the SQL: SQLAlchemy spreads a list of parameters anew at every run."""
    return column.in_([literal_column(f"'{word}'") for word in words])


# --- meta and leases ------------------------------------------------------------------------------------------------

_META = select(meta.c.value).where(meta.c.key == bindparam("key"))
_LEASE = select(leases.c.host, leases.c.until).where(leases.c.address == bindparam("address"))


def get_meta(connection: Connection, key: str) -> str | None:
    return connection.execute(_META, {"key": key}).scalar()


def hold_key(address: str | None) -> str:
    return HOLD_UNTIL if address is None else f"{HOLD_UNTIL}:{address}"


def hold_until(connection: Connection, address: str) -> datetime | None:
    """The moment before which an address gets no order: the later of its own and that of all."""
    told = (get_meta(connection, hold_key(None)), get_meta(connection, hold_key(address)))
    return max((datetime.fromisoformat(moment) for moment in told if moment), default=None)


def lease(connection: Connection, address: str) -> Row[tuple[str, datetime]] | None:
    return connection.execute(_LEASE, {"address": address}).one_or_none()


# --- orders ---------------------------------------------------------------------------------------------------------

_SPENT = select(func.sum(func.coalesce(_o.cost_sun, _o.cost_max_sun))).where(
    _o.policy == bindparam("policy"),
    # A host that froze in between may send long after it has decided, and what counts is when the money left. The bound
    # on the decision is for the index only.
    _o.intended_at > bindparam("decided_since"),
    func.coalesce(_o.sent_at, _o.intended_at) > bindparam("since", type_=Moment),
    ~_among(_o.state, NEVER_CHARGED),
)
_OF_THIS = select(orders).where(_o.address == bindparam("address"))
_INTENDED = select(func.min(_e.id)).where(_e.order_key == _o.key).scalar_subquery()
"""Orders stand as they were written down, and not by moments, which a clock that was set back repeats."""
_OPEN = select(orders).where(_among(_o.state, OPEN)).order_by(_INTENDED)
_OPEN_OF_THIS = _OPEN.where(_o.address == bindparam("address"))
_UNSETTLED = _OF_THIS.where(_among(_o.state, UNSETTLED))
_RENTALS = _OF_THIS.where(
    _o.sent_at > bindparam("since"), _o.kind == OrderKind.RENTAL, _among(_o.state, _WAS_PLACED)
).order_by(_INTENDED)
_CYCLE_ORDERS = _OF_THIS.where(_o.kind == OrderKind.CYCLES, _o.state == OrderState.PLACED).order_by(_INTENDED)
_LAST_SENT = select(func.max(_o.sent_at)).where(_o.address == bindparam("address"))


def spent(connection: Connection, policy: str, since: datetime) -> int:
    bounds = {"since": since, "decided_since": since - DAY}
    return int(connection.execute(_SPENT, {"policy": policy} | bounds).scalar() or 0)


def open_orders(connection: Connection, address: str | None) -> tuple[Order, ...]:
    return fetch(connection, Order, _OPEN if address is None else _OPEN_OF_THIS, address=address)


_TOTALS = select(
    _o.policy,
    _o.kind,
    _o.state,
    func.count().label("orders"),
    func.coalesce(func.sum(_o.energy), 0).label("energy"),
    func.sum(func.coalesce(_o.cost_sun, _o.cost_max_sun)).label("sun"),
).group_by(_o.policy, _o.kind, _o.state)


def totals(connection: Connection) -> tuple[Total, ...]:
    return fetch(connection, Total, _TOTALS.order_by(_o.policy, _o.kind, _o.state))


_ORDER = [column.name for column in orders.c]
_MARK_GIVEN = bindparam("mark", type_=Integer)
_sending = order_events.alias("sending")
_SETTLED = (
    select(func.min(_e.id))
    .where(_e.order_key == _o.key, ~_among(_e.state, UNSETTLED))
    .correlate(orders)
    .scalar_subquery()
)
_SPENDS = (
    select(orders, _sending.c.id.label("sent"), _SETTLED.label("settled"))
    .join(_sending, and_(_sending.c.order_key == _o.key, _sending.c.event == Event.SENDING))
    .where(
        or_(_SETTLED.is_(None), _SETTLED > _MARK_GIVEN),
        # For the index: what was not settled by the mark has changed since, or is not settled yet.
        or_(_o.key.in_(select(_e.order_key).where(_e.id > _MARK_GIVEN)), _among(_o.state, UNSETTLED)),
    )
    .order_by(_sending.c.id)
)


def spends(connection: Connection, mark: int) -> tuple[Spend, ...]:
    found = connection.execute(_SPENDS, {"mark": mark}).mappings()
    return tuple(Spend(Order(**{name: row[name] for name in _ORDER}), row["sent"], row["settled"]) for row in found)


def listed_orders(
    *,
    address: str | None,
    policy: str | None,
    since: datetime | None,
    states: Collection[OrderState] | None,
    limit: int | None,
) -> Select[Any]:
    wanted = select(orders).order_by(_o.intended_at.desc(), _o.key.desc()).limit(limit)
    if address is not None:
        wanted = wanted.where(_o.address == address)
    if policy is not None:
        wanted = wanted.where(_o.policy == policy)
    if since is not None:
        wanted = wanted.where(_o.intended_at >= since)
    if states is not None:
        wanted = wanted.where(_o.state.in_(states))
    return wanted


def orders_starting(connection: Connection, key_prefix: str) -> tuple[Order, ...]:
    """Up to three orders; only the exact one where the whole key was given."""
    starts = func.substr(_o.key, 1, len(key_prefix)) == key_prefix
    found = fetch(connection, Order, select(orders).where(starts).order_by(_o.key).limit(3))
    return found[:1] if found and found[0].key == key_prefix else found


def events(connection: Connection, key: str) -> tuple[OrderEvent, ...]:
    return fetch(connection, OrderEvent, select(*EVENT).where(_e.order_key == key).order_by(_e.id))


# --- pauses and alerts ----------------------------------------------------------------------------------------------

holds = and_(_p.ended_at.is_(None), or_(_p.until.is_(None), _p.until > bindparam("now", type_=Moment)))
_PAUSES = select(*_PAUSE).where(holds).order_by(_p.pause_id)
_CONCERNS_EVERYTHING = and_(_p.policy.is_(None), _p.address.is_(None))
_PAUSES_OF_THIS = _PAUSES.where(
    or_(_p.policy == bindparam("policy"), _p.address == bindparam("address"), _CONCERNS_EVERYTHING)
)


def pauses_now(connection: Connection, now: datetime) -> tuple[Pause, ...]:
    return fetch(connection, Pause, _PAUSES, now=now)


def standing_alerts(connection: Connection) -> tuple[tuple[Alert, datetime], ...]:
    wanted = select(alerts).where(alerts.c.cleared_at.is_(None)).order_by(alerts.c.id)
    return tuple((Alert(row.name, row.subject, row.summary), row.raised_at) for row in connection.execute(wanted))


# --- calls ----------------------------------------------------------------------------------------------------------

_c = calls.c
_FIRST_NEEDED = (_c.needed_by, _c.added_at, _c.call_id)
_CALLS_AHEAD = select(calls).where(_c.address == bindparam("address"), _among(_c.state, AHEAD)).order_by(*_FIRST_NEEDED)


def calls_ahead(connection: Connection, address: str) -> tuple[Call, ...]:
    return fetch(connection, Call, _CALLS_AHEAD, address=address)


def listed_calls(
    *, address: str | None, states: Collection[CallState] | None, since: datetime | None, limit: int | None
) -> Select[Any]:
    wanted = select(calls).order_by(*_FIRST_NEEDED).limit(limit)
    if address is not None:
        wanted = wanted.where(_c.address == address)
    if states is not None:
        wanted = wanted.where(_c.state.in_(states))
    return wanted if since is None else wanted.where(_c.at >= since)


def calls_starting(connection: Connection, id_prefix: str) -> tuple[Call, ...]:
    """Up to three calls; only the exact one where the whole id was given."""
    starts = func.substr(_c.call_id, 1, len(id_prefix)) == id_prefix
    found = fetch(connection, Call, select(calls).where(starts).order_by(_c.call_id).limit(3))
    exact = [call for call in found if call.call_id == id_prefix]
    return tuple(exact) or found


# --- cycles ---------------------------------------------------------------------------------------------------------

COUNTS_FOR = timedelta(days=3)
"""How far back the counts go from which it is worked out how long cycles last."""

_n = cycle_counts.c
COUNT = [column for column in _n if column.name != "id"]
_COUNTS = select(*COUNT).where(_n.address == bindparam("address")).order_by(_n.id)
LAST_COUNT = select(*COUNT).where(_n.address == bindparam("address")).order_by(_n.id.desc()).limit(1)
_BEFORE = select(func.max(_n.id)).where(_n.address == bindparam("address"), _n.at <= bindparam("since", type_=Moment))
_COUNTS_SINCE = _COUNTS.where(_n.id >= func.coalesce(_BEFORE.scalar_subquery(), 0))
_NEWEST = 50
"""Orders of an address by their moments: more than are ordered in any time by which a clock is set back."""
_NEWEST_CYCLE_ORDERS = (
    select(_o.key)
    .where(_o.address == bindparam("address"), _o.kind == OrderKind.CYCLES)
    .order_by(_o.intended_at.desc())
    .limit(_NEWEST)
)
_CYCLES_MARK = select(func.max(_e.id)).where(_e.order_key.in_(_NEWEST_CYCLE_ORDERS))
_MARK = select(func.max(_e.id))


def cycle_keys(connection: Connection) -> dict[str, str]:
    """The keys under which counts were found, each with why it is doubted; empty text: it is trusted."""
    return dict(json.loads(get_meta(connection, CYCLE_KEYS) or "{}"))


def counts(connection: Connection, address: str, since: datetime) -> tuple[Count, ...]:
    """The counts of an address since a moment, and the one that stood then, oldest first."""
    return fetch(connection, Count, _COUNTS_SINCE, address=address, since=since)


def mark(connection: Connection) -> int:
    """The newest event of any order."""
    return int(connection.execute(_MARK).scalar() or 0)


def cycles_mark(connection: Connection, address: str) -> int:
    """The newest event of an address's orders of cycles: a count from before it may not be decided on."""
    return int(connection.execute(_CYCLES_MARK, {"address": address}).scalar() or 0)


def host_acts_of(connection: Connection, address: str | None) -> tuple[HostActed, ...]:
    wanted = select(host_acts).order_by(host_acts.c.act_id.desc())
    return fetch(connection, HostActed, wanted if address is None else wanted.where(host_acts.c.address == address))


# --- refusals in a row ----------------------------------------------------------------------------------------------
# "In a row" goes by the order of writing and not by clocks: what was written after the last success and after the last
# time that refusals were forgiven. Rentals and cycles are refused for themselves: time/order has limits, preconditions
# and, for some users, a balance of its own. Only what is said about the key concerns both. An order that was unclear
# and never placed counts for its address, too, so that a Netts that loses every order is not asked again and again.

_placed = order_events.alias("placed").c
_ok = orders.alias("ok").c
_LAST_PLACED = select(func.max(_placed.id)).where(_placed.state == OrderState.PLACED)
_newest_placed = (
    select(_ok.key)
    .where(
        _ok.address == bindparam("address"),
        _ok.kind == bindparam("kind"),
        ~_among(_ok.state, (*UNSETTLED, *NEVER_CHARGED)),
    )
    .order_by(_ok.intended_at.desc())
    .limit(_NEWEST)
    .subquery()
)
_PLACED_THEN = select(func.min(_placed.id)).where(
    _placed.order_key == _newest_placed.c.key, ~_among(_placed.state, UNSETTLED)
)
_LAST_PLACED_OF_ADDRESS = select(func.max(_PLACED_THEN.correlate(_newest_placed).scalar_subquery()))
_FORGIVEN = select(cast(meta.c.value, Integer)).where(meta.c.key == FORGIVEN)


def _refused(last_placed: Select[Any]) -> Select[Any]:
    after = (_e.id > func.coalesce(one.scalar_subquery(), 0) for one in (last_placed, _FORGIVEN))
    failed = _among(_e.state, (OrderState.REFUSED, OrderState.NOT_PLACED))
    return select(func.count(), func.min(_e.id), func.max(_e.id)).where(failed, *after)


_IS_OF_KIND = select(_ok.key).where(_ok.key == _e.order_key, _ok.kind == bindparam("kind")).exists()
_OF_ADDRESS = _refused(_LAST_PLACED_OF_ADDRESS).where(
    _e.address == bindparam("address"),
    or_(_e.refused_for.is_(None), ~_among(_e.refused_for, ACCOUNT_WIDE)),
    _IS_OF_KIND,
)
_OF_ACCOUNT = _refused(_LAST_PLACED).where(_among(_e.refused_for, ACCOUNT_WIDE))
_OF_ACCOUNT_AND_KIND = _OF_ACCOUNT.where(or_(_e.refused_for == Reason.AUTH_FAILED, _IS_OF_KIND))
_REFUSAL = select(order_events, _o.baseline).join(orders).where(_e.id == bindparam("id"))


def refusals(connection: Connection, address: str | None, kind: OrderKind) -> Refusals | None:
    """Those of one address, or, without one, those that concern the account, as far as they stop this kind of order."""
    wanted = _OF_ACCOUNT_AND_KIND if address is None else _OF_ADDRESS
    return _in_a_row(connection, wanted, {"address": address, "kind": kind})


def account_refusals(connection: Connection) -> Refusals | None:
    """Those that concern the account, whatever was ordered."""
    return _in_a_row(connection, _OF_ACCOUNT, {})


def _in_a_row(connection: Connection, wanted: Select[Any], values: dict[str, object]) -> Refusals | None:
    count, first_id, last_id = connection.execute(wanted, values).one()
    if not count:
        return None
    first, last = (connection.execute(_REFUSAL, {"id": each}).one() for each in (first_id, last_id))
    reason = last.refused_for or Reason.UNRESOLVED_ORDER
    return Refusals(reason, count, first.at, last.at, last.retry_after, last.baseline.balance_sun)


# --- what a decision may depend on ----------------------------------------------------------------------------------


def memory(connection: Connection, address: str, policy: str, now: datetime, kind: OrderKind) -> Memory:
    is_about_cycles = kind is OrderKind.CYCLES
    unsettled = fetch(connection, Order, _UNSETTLED, address=address)
    # The chain may show a rental a little longer than its hour, so the hour after it belongs to the picture.
    rentals = fetch(connection, Order, _RENTALS, address=address, since=now - RENTAL_TIME - HOUR)
    return Memory(
        rentals=rentals,
        unsettled=unsettled[0] if unsettled else None,
        spent_hour_sun=spent(connection, policy, now - HOUR),
        spent_day_sun=spent(connection, policy, now - DAY),
        last_order_at=connection.execute(_LAST_SENT, {"address": address}).scalar(),
        pauses=fetch(connection, Pause, _PAUSES_OF_THIS, address=address, policy=policy, now=now),
        refusals=refusals(connection, address, kind),
        account_refusals=refusals(connection, None, kind),
        hold_until=hold_until(connection, address),
        calls=calls_ahead(connection, address),
        cycle_orders=fetch(connection, Order, _CYCLE_ORDERS, address=address) if is_about_cycles else (),
        counts=counts(connection, address, now - COUNTS_FOR) if is_about_cycles else (),
    )


# --- decisions ------------------------------------------------------------------------------------------------------


def listed_decisions(
    *, address: str | None, since: datetime | None, limit: int | None, with_repeats: bool, kind: OrderKind | None
) -> Select[Any]:
    wanted = select(*DECISION).order_by(_d.id.desc()).limit(limit)
    if kind is not None:
        wanted = wanted.where(_d.kind == kind)
    if address is not None:
        wanted = wanted.where(_d.address == address)
    if since is not None:
        wanted = wanted.where(_d.at >= since)
    return wanted if with_repeats else wanted.where(_d.repeats == 0)


def latest_decisions(connection: Connection, kind: OrderKind) -> tuple[Decision, ...]:
    """One step in the index for each address, instead of a walk over all decisions."""
    address = select(func.min(_d.address).label("address")).cte("address", recursive=True)
    following = select(func.min(_d.address)).where(_d.address > address.c.address)
    address = address.union_all(
        select(following.correlate(address).scalar_subquery()).where(address.c.address.is_not(None))
    )
    newest = select(func.max(_d.id)).where(_d.address == address.c.address, _d.kind == kind)
    is_newest = _d.id == newest.correlate(address).scalar_subquery()
    wanted = select(*DECISION).join_from(address, decisions, is_newest).order_by(address.c.address)
    return fetch(connection, Decision, wanted)
