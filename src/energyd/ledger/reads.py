"""What can be read from a ledger, by the daemon and, while it runs or not, by the commands."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine

from energyd.errors import LedgerError
from energyd.ledger import account, history, queries, store
from energyd.ledger.history import Bought, Fall, Looks
from energyd.ledger.queries import OrderEvent, Total
from energyd.model import (
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
    Refusals,
    Spend,
)

T = TypeVar("T")


class Reader:
    """A ledger that is only looked at. Use it as `async with Ledger.open_to_read(path) as ledger:`.

    The SQL is ordinary code that is given a connection; it runs on one thread of the ledger's own, so that the event
    loop never waits for a disk.
    """

    def __init__(self, path: Path, engine: Engine) -> None:
        self.path = path
        self._engine = engine
        self._connection: Connection | None = engine.connect()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends after the work that is under way. Closing twice is fine."""
        if self._connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self.cut)
            self._thread.shutdown(wait=False)

    def cut(self) -> None:
        """Drops the connection at once, as the end of the process would; later calls raise LedgerError."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def _read(self, work: Callable[[Connection], T]) -> T:
        return await self._on_thread(work, writing=False)

    async def _on_thread(self, work: Callable[[Connection], T], *, writing: bool) -> T:
        self._opened()
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work, writing)

    def _transaction(self, work: Callable[[Connection], T], writing: bool) -> T:  # noqa: FBT001 - an executor passes no names
        connection = self._opened()
        with store.explained(self.path), store.transaction(connection, writing=writing):
            return work(connection)

    def _opened(self) -> Connection:
        if self._connection is None:
            raise LedgerError(f"the ledger {self.path} is closed")
        return self._connection

    # --- for a tick -------------------------------------------------------------------------------------------------

    async def open_orders(self, address: str | None = None) -> tuple[Order, ...]:
        """The orders, of an address or all, that something may still happen to, oldest first."""
        return await self._read(lambda c: queries.open_orders(c, address))

    async def memory(self, address: str, policy_name: str, now: datetime, kind: OrderKind = OrderKind.RENTAL) -> Memory:
        """What a decision about one address may depend on that is about this kind of purchase."""
        return await self._read(lambda c: queries.memory(c, address, policy_name, now, kind))

    async def account_refusals(self) -> Refusals | None:
        """Refusals in a row that concern the account at Netts, whatever the address."""
        return await self._read(queries.account_refusals)

    async def spent(self, policy: str, since: datetime) -> int:
        """Sun that a policy has spent after a moment: the charge where it is known, else the most it can be.

        There is no upper end, so that a clock that was set back forgets no spending.
        """
        return await self._read(lambda c: queries.spent(c, policy, since))

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
        wanted = queries.listed_orders(address=address, policy=policy, since=since, states=states, limit=limit)
        return await self._read(lambda c: queries.fetch(c, Order, wanted))

    async def order(self, key_prefix: str) -> Order:
        """The one order whose key starts like this. Raises LedgerError when there is none or more than one."""
        found = await self._read(lambda c: queries.orders_starting(c, key_prefix))
        if not found:
            raise LedgerError(f"no order has a key that starts with {key_prefix!r}")
        if len(found) > 1:
            some = ", ".join(order.key for order in found)
            raise LedgerError(f"several orders have a key that starts with {key_prefix!r}, such as {some}")
        return found[0]

    async def calls(
        self,
        *,
        address: str | None = None,
        states: Collection[CallState] | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> tuple[Call, ...]:
        """Calls, the first to be needed first; `since` looks at when they are made."""
        wanted = queries.listed_calls(address=address, states=states, since=since, limit=limit)
        return await self._read(lambda c: queries.fetch(c, Call, wanted))

    async def call(self, id_prefix: str) -> Call | None:
        """The one call whose id starts like this. Raises LedgerError when there is more than one."""
        found = await self._read(lambda c: queries.calls_starting(c, id_prefix))
        if len(found) > 1:
            raise LedgerError(f"several calls have an id that starts with {id_prefix!r}, such as {found[0].call_id}")
        return found[0] if found else None

    async def totals(self) -> tuple[Total, ...]:
        """All orders, summed by policy, kind and state."""
        return await self._read(queries.totals)

    async def spends(self, mark: int) -> tuple[Spend, ...]:
        """Every order that was sent and not yet settled at a mark, or was sent since, in the order of sending."""
        return await self._read(lambda c: queries.spends(c, mark))

    async def order_events(self, key: str) -> tuple[OrderEvent, ...]:
        """The life of one order, from its intent on."""
        return await self._read(lambda c: queries.events(c, key))

    async def decisions(
        self,
        *,
        address: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        with_repeats: bool = True,
        kind: OrderKind | None = None,
    ) -> tuple[Decision, ...]:
        """Decisions, newest first; without repeats only those that differ from the one before of their address."""
        wanted = queries.listed_decisions(
            address=address, since=since, limit=limit, with_repeats=with_repeats, kind=kind
        )
        return await self._read(lambda c: queries.fetch(c, Decision, wanted))

    async def latest_decisions(self, kind: OrderKind = OrderKind.RENTAL) -> tuple[Decision, ...]:
        """The newest decision of this kind about every address that ever had one, by address."""
        return await self._read(lambda c: queries.latest_decisions(c, kind))

    async def mark(self) -> int:
        """The newest event of any order."""
        return await self._read(queries.mark)

    async def cycles_mark(self, address: str) -> int:
        """The newest event of an address's orders of cycles."""
        return await self._read(lambda c: queries.cycles_mark(c, address))

    async def cycle_keys(self) -> dict[str, str]:
        """The keys under which counts of cycles were found, each with why it is doubted; empty: it is trusted."""
        return await self._read(queries.cycle_keys)

    async def last_count(self, address: str) -> Count | None:
        """The cycles of an address as they were counted last, with the moment since when they are so many."""
        found = await self._read(lambda c: queries.fetch(c, Count, queries.LAST_COUNT, address=address))
        return found[0] if found else None

    async def host_acts(self, address: str | None = None) -> tuple[HostActed, ...]:
        """What people had done to addresses in Host Mode, newest first."""
        return await self._read(lambda c: queries.host_acts_of(c, address))

    async def pauses(self, now: datetime) -> tuple[Pause, ...]:
        """The pauses that hold now, oldest first."""
        return await self._read(lambda c: queries.pauses_now(c, now))

    async def standing_alerts(self) -> tuple[tuple[Alert, datetime], ...]:
        """The alerts that were raised and not cleared, each with the moment it was raised, oldest first."""
        return await self._read(queries.standing_alerts)

    async def falls(self, since: datetime, until: datetime) -> tuple[Fall, ...]:
        """Where decisions saw the energy of an address become less, oldest first."""
        return await self._read(lambda c: history.falls(c, since, until))

    async def burn_prices(self, since: datetime, until: datetime) -> dict[str, int]:
        """Sun for burning a unit of energy when an order was decided, by the order's key, where it was known."""
        return await self._read(lambda c: history.burn_prices(c, since, until))

    async def newest_decision(self, before: datetime | None = None) -> int:
        """The row of the newest decision, of all or of those before a moment, for `looks` and `changes`."""
        return await self._read(lambda c: history.newest_before(c, before) if before else history.newest(c))

    async def looks(
        self, address: str, kind: OrderKind, floor: int, *, after: int, until: int, length: timedelta
    ) -> tuple[Looks, ...]:
        """What the decisions of a kind after one row and up to another saw of an address, by stretches of a length."""
        return await self._read(
            lambda c: history.looks(c, address, kind, floor, after=after, until=until, length=length)
        )

    async def changes(self, *, after: int, until: int, limit: int) -> tuple[Decision, ...]:
        """The newest decisions after one row and up to another that do not repeat the one before, newest first."""
        return await self._read(lambda c: history.changes(c, after=after, until=until, limit=limit))

    async def bought(self, since: datetime) -> Bought:
        """What all orders since a moment bought, refused ones left out."""
        return await self._read(lambda c: history.bought(c, since))

    async def is_new(self) -> bool:
        """Whether neither an order nor the account was ever written down."""
        return await self._read(account.is_new)

    async def quiet_mark(self) -> int | None:
        """The newest event of an order; None while one is unsettled, because it may be charged at any moment."""
        return await self._read(account.quiet_mark)

    async def unexplained_sun(self, spent_total_sun: int) -> int | None:
        """Sun that the account has spent since it was remembered and that no order explains; None: never remembered."""
        return await self._read(lambda c: account.unexplained(c, spent_total_sun))

    async def get_meta(self, key: str) -> str | None:
        return await self._read(lambda c: queries.get_meta(c, key))
