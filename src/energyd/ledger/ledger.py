"""What the daemon writes down, in its own words. What a method has written is durable when it returns.

The promise about money: an order is intended here before it can be sent, is marked here as being sent before a client
gets the `Sent` without which it cannot send, and changes only for the one who knows its newest version.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from random import Random, SystemRandom
from typing import TypeVar

from sqlalchemy import Connection, Engine

from energyd.core.order import Event, advance
from energyd.errors import Impossible, LedgerError
from energyd.ledger import account, queries, store, writes
from energyd.ledger.queries import OrderEvent
from energyd.ledger.reads import Reader
from energyd.ledger.tables import REVISION
from energyd.model import Alert, AlertName, Call, Count, Decision, HostAct, Order, Pause, Reason, Sent
from energyd.policy import Budget

T = TypeVar("T")

KEEP_REPEATS = timedelta(days=7)


class Ledger(Reader):
    """The ledger of a running daemon."""

    def __init__(self, path: Path, engine: Engine, host: str, held: int | None) -> None:
        super().__init__(path, engine)
        self.host = host
        self._held = held

    @classmethod
    def open(
        cls, path: Path, *, now: datetime, host: str, rng: Random | None = None, exclusive: bool = True
    ) -> "Ledger":
        """Makes the file where there is none, brings its tables up to date, and keeps other daemons out.

        `host` is written into every event; `rng` gives a new ledger its id. Without `exclusive` other processes may
        open it too, and leases say who works. Raises LedgerBusy, SchemaTooNew, or LedgerError for an unusable file.
        """
        path = path.resolve()
        with ExitStack() as undo, store.explained(path):
            store.create_folder(path)
            held = store.hold(path) if exclusive else None
            if held is not None:
                undo.callback(os.close, held)
            store.create(path)
            engine = store.connect(path, to_write=True)
            with engine.connect() as connection, store.transaction(connection, writing=True):
                store.check_whole(connection, path)
                if store.revision(connection, path) != REVISION:
                    store.migrate(connection)
                writes.introduce(connection, now, rng or SystemRandom())
                if held is not None:
                    writes.end_leases(connection)
            opened = cls(path, engine, host, held)
            undo.pop_all()
        return opened

    @classmethod
    def open_to_read(cls, path: Path) -> Reader:
        """Looks into a ledger, whether its daemon runs or not. Raises LedgerError when there is none to look into."""
        path = path.resolve()
        with store.explained(path):
            if not path.exists():
                raise LedgerError(f"there is no ledger at {path} yet; `energyd run` makes it")
            engine = store.connect(path, to_write=False)
            with engine.connect() as connection:
                found = store.revision(connection, path)
            if found != REVISION:
                raise LedgerError(
                    f"the ledger {path} is at revision {found or 'none'} and this energyd reads {REVISION}; "
                    "start the daemon once, it brings the ledger up to date"
                )
            return Reader(path, engine)

    def cut(self) -> None:
        super().cut()
        held, self._held = self._held, None
        if held is not None:
            os.close(held)

    async def _write(self, work: Callable[[Connection], T]) -> T:
        return await self._on_thread(work, writing=True)

    # --- who works --------------------------------------------------------------------------------------------------

    async def lease(self, address: str, host: str, now: datetime, until: datetime) -> bool:
        """Whether `host` may work on an address: it was free, expired, or its own. False: another host holds it.

        A lease of one's own of which more than two thirds are left is not written again, which spares the disk at most
        checks; so it is good for at least two thirds of the time that was asked for.
        """
        return await self._write(lambda c: writes.lease(c, address, host, now, until))

    # --- decisions and intents --------------------------------------------------------------------------------------

    async def commit(self, decision: Decision, order: Order | None, budget: Budget | None, now: datetime) -> None:
        """Writes a decision and, with it, the intent to buy.

        The budget (None: unlimited) is checked against everything that is written at this moment. Raises OverBudget, or
        Conflict when the address has an unsettled order; then nothing is written.
        """
        if order is None:
            await self.note([decision])
        else:
            await self._write(lambda c: writes.intend(c, decision, order, budget, now))

    async def note(self, noted: Sequence[Decision]) -> None:
        """Writes decisions that order nothing; one that says the same as the one before is marked as a repeat."""
        if noted:
            await self._write(lambda c: writes.note(c, noted))

    async def forget(self, now: datetime, repeats_after: timedelta = KEEP_REPEATS) -> int:
        """Deletes old repeats and says how many. The newest decision of an address stays, however old it is."""
        forgotten = 0
        while batch := await self._write(lambda c: writes.forget(c, now - repeats_after)):
            forgotten += batch
        return forgotten

    # --- the life of an order ---------------------------------------------------------------------------------------

    async def mark_sending(self, order: Order, now: datetime, good_until: float, wall_good_until: datetime) -> Sent:
        """The mark that an order may leave the house, and with it the permission to send it once.

        Raises Conflict when somebody else changed the order first.
        """
        marked = OrderEvent(order.key, now, Event.SENDING, advance(order.state, Event.SENDING), self.host)
        sent = await self._write(lambda c: writes.change(c, order, marked, sent_at=now))
        return Sent(sent, good_until, wall_good_until)

    async def record(
        self,
        order: Order,
        event: Event,
        now: datetime,
        *,
        cost_sun: int | None = None,
        netts_order_id: str | None = None,
        outcome: str = "",
        http_status: int | None = None,
        retry_after: timedelta | None = None,
        reason: Reason | None = None,
        delivered_at: datetime | None = None,
        detail: str = "",
    ) -> Order:
        """Writes what happened to an order and returns the order as it is now. What is not given stays as it was.

        A charge is stored as charged, also above `cost_max_sun`. A Netts order id that another order has already stays
        in the event only, so that recording a payment never fails for it. `reason` says what a refusal was about.
        Raises Impossible for a step that is not in the table, Conflict when somebody else changed the order first.
        """
        if event is Event.SENDING:
            raise Impossible("only mark_sending marks an order as being sent")
        happened = OrderEvent(
            order.key,
            now,
            event,
            advance(order.state, event),
            self.host,
            cost_sun,
            netts_order_id,
            reason,
            outcome,
            http_status,
            retry_after,
            detail,
        )
        return await self._write(lambda c: writes.change(c, order, happened, delivered_at=delivered_at))

    async def forgive_refusals(self) -> None:
        """Refusals up to now count no more: something may have changed, such as the API key."""
        await self._write(writes.forgive_refusals)

    # --- calls ------------------------------------------------------------------------------------------------------

    async def add_call(self, call: Call) -> Call:
        """Writes a call down and returns it as it stands: one whose id is known already is left as it is."""
        return await self._write(lambda c: writes.add_call(c, call))

    async def change_call(self, call: Call, **changes: object) -> Call:
        """Changes some fields of a call. Raises Conflict when somebody else changed it first."""
        return await self._write(lambda c: writes.change_call(c, call, changes))

    # --- cycles -----------------------------------------------------------------------------------------------------

    async def note_count(self, count: Count) -> None:
        """Writes a count of cycles down; one that says the same as the one before is left out."""
        await self._write(lambda c: writes.note_count(c, count))

    async def judge_cycle_key(self, key: str, doubt: str) -> bool:
        """Notes why the key of a count is doubted; with an empty doubt, that it is trusted. False: that was known."""
        return await self._write(lambda c: writes.judge_cycle_key(c, key, doubt))

    async def begin_host_act(self, address: str, act: HostAct, now: datetime) -> int:
        """Writes down what Netts is about to be asked to do to an address, and returns its number."""
        return await self._write(lambda c: writes.begin_host_act(c, address, act, self.host, now))

    async def end_host_act(self, act_id: int, outcome: str, now: datetime) -> None:
        """Writes down what came of it."""
        await self._write(lambda c: writes.end_host_act(c, act_id, outcome, now))

    # --- pauses, alerts, meta ---------------------------------------------------------------------------------------

    async def pause(
        self, policy: str | None, address: str | None, until: datetime | None, why: str, now: datetime
    ) -> Pause:
        """Stops spending of a policy, of an address, or, with neither, of everything; replaces a pause of the same."""
        return await self._write(lambda c: writes.pause(c, policy, address, until=until, why=why, now=now))

    async def resume(self, policy: str | None, address: str | None, now: datetime) -> bool:
        """Lifts the pause of exactly this policy, address, or everything. False: there was none."""
        return await self._write(lambda c: writes.resume(c, policy, address, now))

    async def raise_alert(self, alert: Alert, now: datetime) -> bool:
        """False: it stood already, and stays as it was raised."""
        return await self._write(lambda c: writes.raise_alert(c, alert, now))

    async def clear_alert(self, name: AlertName, subject: str, now: datetime) -> bool:
        """False: no such alert stood."""
        return await self._write(lambda c: writes.clear_alert(c, name, subject, now))

    async def set_meta(self, key: str, value: str) -> None:
        await self._write(lambda c: writes.set_meta(c, key, value))

    async def set_hold_until(self, until: datetime | None, address: str | None = None) -> None:
        """No order before this moment, for one address or for any; None lifts it."""
        await self.set_meta(queries.hold_key(address), until.isoformat() if until else "")

    async def remember_spent(self, spent_total_sun: int, mark: int) -> None:
        """What the account has spent in all, as it was read after `quiet_mark` had given this mark."""
        await self._write(lambda c: account.remember(c, spent_total_sun, mark))
