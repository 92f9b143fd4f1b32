"""What can be read from a ledger, by the daemon and, while it runs or not, by the commands."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, and_, func, or_, select

from energyd.core.order import Event
from energyd.errors import LedgerError
from energyd.ledger import store
from energyd.ledger.tables import alerts, decisions, leases, meta, order_events, orders, pauses
from energyd.model import (
    NEVER_CHARGED,
    OPEN,
    RENTAL_TIME,
    UNSETTLED,
    Alert,
    Decision,
    Memory,
    Order,
    OrderKind,
    OrderState,
    Pause,
    Reason,
    Refusals,
)

T = TypeVar("T")

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

ACCOUNT_WIDE = (Reason.NO_FUNDS, Reason.AUTH_FAILED, Reason.RATE_LIMITED, Reason.NETTS_UNAVAILABLE)
"""Refusals that any order would meet, whatever its address."""

HOLD_UNTIL = "hold_until"
FORGIVEN = "refusals_forgiven_up_to"

_WAS_PLACED = (OrderState.PLACED, OrderState.DELIVERED, OrderState.UNDELIVERED, OrderState.EXPIRED)
_ENDS_REFUSALS = (Event.ACCEPTED, Event.SHOWN_PLACED, Event.SETTLED_PLACED)

DECISION = [column for column in decisions.c if column.name not in {"id", "repeats"}]
EVENT = [column for column in order_events.c if column.name not in {"id", "address"}]
_PAUSE = [column for column in pauses.c if column.name != "ended_at"]


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


class Reader:
    """A ledger that is only looked at. Use it as `async with Ledger.open_to_read(path) as ledger:`.

    The SQL is ordinary code that is given a connection; it runs on one thread of the ledger's own, so that the event
    loop never waits for a disk.
    """

    def __init__(self, path: Path, engine: Engine) -> None:
        self.path = path
        self._engine: Engine | None = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends after the work that is under way. Closing twice is fine."""
        if self._engine is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self.cut)
            self._thread.shutdown(wait=False)

    def cut(self) -> None:
        """Drops the connection at once, as the end of the process would; later calls raise LedgerError."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    async def _read(self, work: Callable[[Connection], T]) -> T:
        return await self._on_thread(work, writing=False)

    async def _on_thread(self, work: Callable[[Connection], T], *, writing: bool) -> T:
        self._opened()
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work, writing)

    def _transaction(self, work: Callable[[Connection], T], writing: bool) -> T:  # noqa: FBT001 - an executor passes no names
        engine = self._opened().execution_options(writing=writing)
        with store.explained(self.path), engine.begin() as connection:
            return work(connection)

    def _opened(self) -> Engine:
        if self._engine is None:
            raise LedgerError(f"the ledger {self.path} is closed")
        return self._engine

    # --- for a tick -------------------------------------------------------------------------------------------------

    async def open_orders(self, address: str) -> tuple[Order, ...]:
        """The orders of an address that something may still happen to, oldest first."""
        wanted = select(orders).where(orders.c.address == address, orders.c.state.in_(OPEN))
        return await self._read(lambda c: fetch(c, Order, wanted.order_by(orders.c.intended_at, orders.c.key)))

    async def memory(self, address: str, policy_name: str, now: datetime) -> Memory:
        """What a decision about one address may depend on."""
        return await self._read(lambda c: _memory(c, address, policy_name, now))

    async def spent(self, policy: str, since: datetime) -> int:
        """Sun that a policy has spent after a moment: the charge where it is known, else the most it can be.

        There is no upper end, so that a clock that was set back forgets no spending.
        """
        return await self._read(lambda c: spent(c, policy, since))

    # --- to be shown ------------------------------------------------------------------------------------------------

    async def orders(
        self,
        *,
        address: str | None = None,
        policy: str | None = None,
        since: datetime | None = None,
        states: Collection[OrderState] | None = None,
        limit: int | None = None,
    ) -> tuple[Order, ...]:
        """Orders, newest first; `since` looks at when they were intended."""
        wanted = select(orders).order_by(orders.c.intended_at.desc(), orders.c.key.desc()).limit(limit)
        if address is not None:
            wanted = wanted.where(orders.c.address == address)
        if policy is not None:
            wanted = wanted.where(orders.c.policy == policy)
        if since is not None:
            wanted = wanted.where(orders.c.intended_at >= since)
        if states is not None:
            wanted = wanted.where(orders.c.state.in_(states))
        return await self._read(lambda c: fetch(c, Order, wanted))

    async def order(self, key_prefix: str) -> Order:
        """The one order whose key starts like this. Raises LedgerError when there is none or more than one."""
        starts = func.substr(orders.c.key, 1, len(key_prefix)) == key_prefix
        found = await self._read(
            lambda c: fetch(c, Order, select(orders).where(starts).order_by(orders.c.key).limit(3))
        )
        exact = [order for order in found if order.key == key_prefix]
        if len(exact or found) == 1:
            return (exact or found)[0]
        if not found:
            raise LedgerError(f"no order has a key that starts with {key_prefix!r}")
        some = ", ".join(order.key for order in found)
        raise LedgerError(f"more than one order has a key that starts with {key_prefix!r}: {some}; write more of it")

    async def order_events(self, key: str) -> tuple[OrderEvent, ...]:
        """The life of one order, from its intent on."""
        wanted = select(*EVENT).where(order_events.c.order_key == key).order_by(order_events.c.id)
        return await self._read(lambda c: fetch(c, OrderEvent, wanted))

    async def decisions(
        self,
        *,
        address: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        with_repeats: bool = True,
    ) -> tuple[Decision, ...]:
        """Decisions, newest first; without repeats only those that differ from the one before of their address."""
        wanted = select(*DECISION).order_by(decisions.c.id.desc()).limit(limit)
        if address is not None:
            wanted = wanted.where(decisions.c.address == address)
        if since is not None:
            wanted = wanted.where(decisions.c.at >= since)
        if not with_repeats:
            wanted = wanted.where(decisions.c.repeats == 0)
        return await self._read(lambda c: fetch(c, Decision, wanted))

    async def latest_decisions(self) -> tuple[Decision, ...]:
        """The newest decision of every address that ever had one, by address."""
        return await self._read(_latest_decisions)

    async def pauses(self, now: datetime) -> tuple[Pause, ...]:
        """The pauses that hold now, oldest first."""
        return await self._read(lambda c: _pauses(c, holds(now)))

    async def standing_alerts(self) -> tuple[tuple[Alert, datetime], ...]:
        """The alerts that were raised and not cleared, with the moment they were raised, oldest first."""
        wanted = select(alerts).where(alerts.c.cleared_at.is_(None)).order_by(alerts.c.id)
        return await self._read(
            lambda c: tuple((Alert(row.name, row.subject, row.summary), row.raised_at) for row in c.execute(wanted))
        )

    async def get_meta(self, key: str) -> str | None:
        return await self._read(lambda c: get_meta(c, key))


# --- the SQL that is used in more than one place ---------------------------------------------------------------------


def fetch(connection: Connection, kind: type[T], wanted: Select[Any]) -> tuple[T, ...]:
    """Rows whose columns are the fields of `kind`."""
    return tuple(kind(**row) for row in connection.execute(wanted).mappings())


def get_meta(connection: Connection, key: str) -> str | None:
    return connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar()


def lease(connection: Connection, address: str) -> Row[tuple[str, datetime]] | None:
    wanted = select(leases.c.host, leases.c.until).where(leases.c.address == address)
    return connection.execute(wanted).one_or_none()


def spent(connection: Connection, policy: str, since: datetime) -> int:
    booked = func.sum(func.coalesce(orders.c.cost_sun, orders.c.cost_max_sun))
    counts = and_(orders.c.policy == policy, orders.c.intended_at > since, orders.c.state.not_in(NEVER_CHARGED))
    return int(connection.execute(select(booked).where(counts)).scalar() or 0)


def _memory(connection: Connection, address: str, policy: str, now: datetime) -> Memory:
    hold_until = get_meta(connection, HOLD_UNTIL)
    last_sent = select(func.max(orders.c.sent_at)).where(orders.c.address == address)
    return Memory(
        rentals=_rentals(connection, address, now),
        unsettled=_unsettled(connection, address),
        spent_hour_sun=spent(connection, policy, now - HOUR),
        spent_day_sun=spent(connection, policy, now - DAY),
        last_order_at=connection.execute(last_sent).scalar(),
        pauses=_pauses(connection, holds(now), _concerns(address, policy)),
        refusals=_refusals(connection, address),
        account_refusals=_refusals(connection, None),
        hold_until=datetime.fromisoformat(hold_until) if hold_until else None,
    )


def _rentals(connection: Connection, address: str, now: datetime) -> tuple[Order, ...]:
    """The chain may show a rental a little longer than its hour, so the hour after it belongs to the picture."""
    wanted = select(orders).where(
        orders.c.address == address,
        orders.c.kind == OrderKind.RENTAL,
        orders.c.state.in_(_WAS_PLACED),
        orders.c.sent_at > now - RENTAL_TIME - HOUR,
    )
    return fetch(connection, Order, wanted.order_by(orders.c.sent_at, orders.c.key))


def _unsettled(connection: Connection, address: str) -> Order | None:
    found = fetch(connection, Order, select(orders).where(orders.c.address == address, orders.c.state.in_(UNSETTLED)))
    return found[0] if found else None


def holds(now: datetime) -> ColumnElement[bool]:
    return and_(pauses.c.ended_at.is_(None), or_(pauses.c.until.is_(None), pauses.c.until > now))


def _concerns(address: str, policy: str) -> ColumnElement[bool]:
    everything = and_(pauses.c.policy.is_(None), pauses.c.address.is_(None))
    return or_(pauses.c.policy == policy, pauses.c.address == address, everything)


def _pauses(connection: Connection, *conditions: ColumnElement[bool]) -> tuple[Pause, ...]:
    wanted = select(*_PAUSE).where(*conditions).order_by(pauses.c.pause_id)
    return fetch(connection, Pause, wanted)


def _refusals(connection: Connection, address: str | None) -> Refusals | None:
    """Refusals in a row of one address, or, without one, those that concern the account.

    "In a row" goes by the order of writing and not by clocks: what was written after the last success and after the
    last time that refusals were forgiven.
    """
    e = order_events.c
    whose = e.refused_for.in_(ACCOUNT_WIDE) if address is None else e.refused_for.not_in(ACCOUNT_WIDE)
    mine = [] if address is None else [e.address == address]
    last_success = select(func.max(e.id)).where(e.event.in_(_ENDS_REFUSALS), *mine)
    after = max(connection.execute(last_success).scalar() or 0, int(get_meta(connection, FORGIVEN) or 0))
    in_a_row = [e.event == Event.REFUSED, e.id > after, whose, *mine]
    count, first, last = connection.execute(select(func.count(), func.min(e.id), func.max(e.id)).where(*in_a_row)).one()
    if not count:
        return None
    newest = connection.execute(select(order_events, orders.c.baseline).join(orders).where(e.id == last)).one()
    first_at = connection.execute(select(e.at).where(e.id == first)).scalar_one()
    return Refusals(newest.refused_for, count, first_at, newest.at, newest.retry_after, newest.baseline.balance_sun)


def _latest_decisions(connection: Connection) -> tuple[Decision, ...]:
    """One step in the index for each address, instead of a walk over all decisions."""
    address = select(func.min(decisions.c.address).label("address")).cte("address", recursive=True)
    following = select(func.min(decisions.c.address)).where(decisions.c.address > address.c.address)
    address = address.union_all(
        select(following.correlate(address).scalar_subquery()).where(address.c.address.is_not(None))
    )
    newest = select(func.max(decisions.c.id)).where(decisions.c.address == address.c.address)
    is_newest = decisions.c.id == newest.correlate(address).scalar_subquery()
    wanted = select(*DECISION).join_from(address, decisions, is_newest).order_by(address.c.address)
    return fetch(connection, Decision, wanted)
