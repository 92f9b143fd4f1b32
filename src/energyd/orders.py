"""Orders on their way through their life: sent, answered, watched, inquired about.

What may happen to an order stands in core/order.py, whether an unclear one was placed in core/evidence.py. Here is how
it is found out and written down. An order that breaks off anywhere is continued by the next tick from what is written;
there is no other recovery.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from energyd.core import evidence, order as life, supply
from energyd.core.alerts import is_late
from energyd.core.cycles import were_added
from energyd.core.order import Event
from energyd.errors import Conflict, Impossible, NettsUnavailable
from energyd.known import Account, Known
from energyd.ledger.ledger import Ledger
from energyd.model import (
    Accepted,
    Baseline,
    Cycles,
    Decision,
    Funds,
    NoReading,
    Order,
    OrderCheck,
    OrderKind,
    OrderState,
    Outcome,
    Reading,
    Refused,
    Sent,
    Situation,
    Unclear,
    Verdict,
)
from energyd.telemetry import Log, LogEvent

INQUIRE_EVERY = timedelta(seconds=15)
"""How often an unresolved order is inquired about, and the account is read for it at first."""
_RARER = 10
"""Later the account is read once in this part of the time for which the order has been unresolved: `userinfo` allows
about 1000 calls a day (netts-api 12), and an order that waits for a person may wait for days."""
_STEPS_A_TICK = 4
_BROKEN_OFF = {
    Event.DROPPED: "energyd ended or stood still before it was sent",
    Event.INTERRUPTED: "energyd ended or stood still while it was being sent",
}


class Buyer(Protocol):
    """The one thing that can spend. A daemon that must not spend has none."""

    async def order(self, sent: Sent) -> Outcome: ...

    def late_answer(self, order_key: str) -> Outcome | None: ...


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at an address; `began` is a moment of the event loop's clock."""

    reading: Reading | NoReading
    began: float
    cycles: Cycles | None = None
    """The count of cycles, if one was read after whatever happened last to an order of cycles."""
    cycles_began: float = float("-inf")
    is_hosted: bool = False


class Orders:
    """Carries orders. One address is carried by one tick at a time."""

    def __init__(
        self,
        *,
        account: Account,
        buyer: Buyer | None,
        known: Known,
        ledger: Ledger,
        log: Log,
        now: Callable[[], datetime],
        request_deadline: timedelta,
    ) -> None:
        self._account, self._buyer, self._known = account, buyer, known
        self._ledger, self._log, self._now = ledger, log, now
        self._longest_flight = life.longest_flight(request_deadline)
        self._unresolved_since: dict[str, float] = {}
        self._shown: dict[str, tuple[datetime, datetime]] = {}

    def allow(self, request_deadline: timedelta) -> None:
        """An order may be on its way for that long from now on; it never gets less, since one that left may need it."""
        self._longest_flight = max(self._longest_flight, life.longest_flight(request_deadline))

    def flight_left(self, order: Order) -> timedelta:
        """For how long its request may still arrive at Netts."""
        return life.flight_left(order, self._longest_flight, self._now())

    # --- act ----------------------------------------------------------------------------------------------------------

    def intent(self, decision: Decision, situation: Situation, key: str) -> Order:
        """The order that a decision asks for, with the world as it is before it."""
        assert decision.cost_sun is not None
        return Order(
            key=key,
            kind=decision.kind,
            address=decision.address,
            policy=decision.policy,
            decision_id=decision.decision_id,
            state=OrderState.INTENDED,
            energy=decision.energy,
            cycles=decision.cycles,
            cost_max_sun=decision.cost_sun,
            baseline=self._baseline(situation),
            host=self._ledger.host,
            intended_at=situation.now,
            changed_at=situation.now,
        )

    def _baseline(self, situation: Situation) -> Baseline:
        reading, funds, cycles = situation.reading, situation.funds, situation.cycles
        came = (rental.key for rental in situation.memory.rentals if rental.delivered_at or rental.key in self._shown)
        return Baseline(
            taken_at=situation.now,
            energy_limit=reading.energy_limit if isinstance(reading, Reading) else None,
            rentals=tuple(came),
            cycles=cycles.remaining if cycles else None,
            cycles_key=cycles.key if cycles else "",
            balance_sun=funds.balance_sun if funds else None,
            spent_total_sun=funds.spent_total_sun if funds else None,
            asked_mark=funds.asked_mark if funds else None,
            heard_mark=funds.heard_mark if funds else None,
        )

    async def send(self, order: Order, buyer: Buyer) -> Order:
        now = self._now()
        good_until = asyncio.get_running_loop().time() + life.SEND_WITHIN.total_seconds()
        try:
            if now - order.intended_at > life.INTENT_GOOD_FOR:
                return await self._record_passing(order, Event.DROPPED)
            sent = await self._ledger.mark_sending(order, now, good_until, now + life.SEND_WITHIN)
        except Conflict:
            return await self._ledger.order(order.key)
        self._log.order(LogEvent.ORDER_SENT, sent.order)
        return await self._take(sent.order, await buyer.order(sent))

    async def _take(self, order: Order, outcome: Outcome) -> Order:
        """Write down what came back. The log is told first: a ledger that fails here must not hide a payment."""
        self._tell(order, outcome)
        try:
            return await self._record(order, outcome)
        except Conflict:
            # Another host thought that we were dead and took the order over; what we heard is evidence all the same.
            newest = await self._ledger.order(order.key)
            if newest.state is not OrderState.UNRESOLVED or isinstance(outcome, Unclear):
                return newest
            return await self._record(newest, outcome)

    def _tell(self, order: Order, outcome: Outcome) -> None:
        heard = replace(order, http_status=outcome.http_status)
        match outcome:
            case Accepted(netts_order_id=netts_order_id, cost_sun=cost_sun):
                placed = replace(heard, netts_order_id=netts_order_id, cost_sun=cost_sun)
                self._log.order(LogEvent.ORDER_PLACED, placed, outcome="accepted")
            case Refused(reason=reason, text=text):
                self._log.order(LogEvent.ORDER_REFUSED, heard, outcome=str(reason), detail=text)
            case Unclear(why=why, netts_order_id=netts_order_id):
                self._log.order(LogEvent.ORDER_UNRESOLVED, replace(heard, netts_order_id=netts_order_id), outcome=why)

    async def _record(self, order: Order, outcome: Outcome) -> Order:
        now = self._now()
        match outcome:
            case Accepted():
                return await self._ledger.record(
                    order,
                    Event.ACCEPTED,
                    now,
                    outcome="accepted",
                    netts_order_id=outcome.netts_order_id,
                    cost_sun=outcome.cost_sun,
                    http_status=outcome.http_status,
                )
            case Refused():
                return await self._ledger.record(
                    order,
                    Event.REFUSED,
                    now,
                    outcome=outcome.text,
                    reason=outcome.reason,
                    http_status=outcome.http_status,
                    retry_after=outcome.retry_after,
                )
            case Unclear():
                return await self._ledger.record(
                    order,
                    Event.UNCLEAR,
                    now,
                    outcome=outcome.why,
                    http_status=outcome.http_status,
                    netts_order_id=outcome.netts_order_id,
                )

    # --- carry on -----------------------------------------------------------------------------------------------------

    async def carry_on(self, address: str, seen: Seen) -> list[Order]:
        """Bring every open order as far as it can come now, the newest first (see supply.on_chain).

        An order that cannot be carried on is left as it is.
        """
        carried = []
        for order in reversed(await self._ledger.open_orders(address)):
            try:
                carried.append(await self._carry(order, seen))
            except Conflict:
                carried.append(order)  # another host was faster; the next tick reads what it wrote
            except Impossible as error:
                self._log.emit(LogEvent.FAULT, address=address, order_key=order.key, error=str(error))
                carried.append(order)
        return carried

    async def _carry(self, order: Order, seen: Seen) -> Order:
        for _ in range(_STEPS_A_TICK):
            match life.next_step(order, self._now()):
                case life.Record(event):
                    order = await self._record_passing(order, event)
                case life.Inquire():
                    order = await self._inquire(order, seen)
                    if order.state is OrderState.UNRESOLVED:
                        break
                case life.Watch():
                    return await self._watch(order, seen)
                case life.Rest():
                    break
        return order

    async def _record_passing(self, order: Order, event: Event) -> Order:
        outcome = _BROKEN_OFF.get(event, "")
        after = await self._ledger.record(order, event, self._now(), outcome=outcome)
        self._shown.pop(order.key, None)
        if event is Event.NEVER_COUNTED:
            self._log.order(LogEvent.CYCLES_MISSING, after, detail="no count could be read for a day")
        if event is Event.INTERRUPTED:
            self._log.order(LogEvent.ORDER_UNRESOLVED, after)
        elif event is Event.DROPPED:
            self._log.order(LogEvent.ORDER_RESOLVED, after, outcome="dropped")
        elif order.kind is OrderKind.RENTAL:
            self._log.rental(LogEvent.RENTAL_EXPIRED, after)
        return after

    async def _watch(self, order: Order, seen: Seen) -> Order:
        if order.kind is OrderKind.CYCLES:
            return order if seen.cycles is None else await self._watch_count(order, seen, seen.cycles)
        if not isinstance(seen.reading, Reading):
            return order
        rentals = (await self._ledger.memory(order.address, order.policy, self._now())).rentals
        newer = rentals[[rental.key for rental in rentals].index(order.key) + 1 :]
        if any(other.key in self._shown for other in newer):
            return order  # what has risen is about to be put down to a newer one
        came = supply.arrived(order, seen.reading, rentals)
        if not supply.is_whole(order, came, seen.reading.energy_limit):
            self._shown.pop(order.key, None)
            return order
        shown_at = self._confirmed(order, seen.reading)
        if shown_at is None:
            return order
        detail = f"the limit rose by {came}"
        after = await self._ledger.record(order, Event.SEEN, self._now(), delivered_at=shown_at, detail=detail)
        self._log.rental(LogEvent.ENERGY_DELIVERED, after, at=shown_at)
        return after

    async def _watch_count(self, order: Order, seen: Seen, cycles: Cycles) -> Order:
        """Look whether the count has grown; where it has not, nothing more is bought on its word.

        The doubt is written before the order is closed, so that a crash in between buys nothing.
        """
        reading, now = seen.reading if isinstance(seen.reading, Reading) else None, self._now()
        rentals = (await self._ledger.memory(order.address, order.policy, now)).rentals
        added = were_added(order, cycles, reading, rentals, now)
        if added is None:
            return order
        said = f"{order.baseline.cycles} cycles before, {order.cycles} ordered, {cycles.remaining} now ({cycles.key})"
        if added:
            after = await self._ledger.record(order, Event.COUNTED, now, detail=said)
            self._log.order(LogEvent.CYCLES_ADDED, after, detail=said)
            return after
        if await self._ledger.judge_cycle_key(cycles.key, f"an order for {order.address} is not in the count: {said}"):
            self._log.emit(LogEvent.CYCLES_DOUBTED, address=order.address, key=cycles.key, detail=said)
        after = await self._ledger.record(order, Event.NEVER_COUNTED, now, detail=said)
        self._log.order(LogEvent.CYCLES_MISSING, after, detail=said)
        return after

    def _confirmed(self, order: Order, reading: Reading) -> datetime | None:
        """When the energy first showed, once it is still there one block later.

        A node shows what waits in its pool as if it were done, and may lose it again (tron-energy A9). What is late is
        believed at once, so that a daemon that looks only once now and then sees deliveries, too.
        """
        block_at, shown_at = self._shown.setdefault(order.key, (reading.block_at, reading.read_at))
        if reading.block_at <= block_at and not is_late(order, reading.read_at):
            return None
        del self._shown[order.key]
        return shown_at

    async def _inquire(self, order: Order, seen: Seen) -> Order:
        late = self._buyer.late_answer(order.key) if self._buyer else None
        if isinstance(late, Accepted | Refused):
            self._unresolved_since.pop(order.key, None)
            after = await self._take(order, late)
            self._log.order(LogEvent.ORDER_RESOLVED, after, outcome=str(after.state), detail="its answer came late")
            return after
        found = await self._found_at_netts(order)
        if found is not None:
            return await self._resolve(order, Verdict.PLACED, "Netts knows the order", cost_sun=found.cost_sun)
        verdict, said = await self._judge(order, seen)
        return await self._resolve(order, verdict, said)

    async def _found_at_netts(self, order: Order) -> OrderCheck | None:
        """Netts' own word about an order whose id came with its unclear answer. That it knows none proves nothing."""
        if order.netts_order_id is None:
            return None
        with contextlib.suppress(NettsUnavailable):
            found = await self._account.order_check(order.netts_order_id)
            if found is not None and found.address in (None, order.address):
                return found
        return None

    async def _resolve(self, order: Order, verdict: Verdict, said: str, *, cost_sun: int | None = None) -> Order:
        event = {Verdict.PLACED: Event.SHOWN_PLACED, Verdict.NOT_PLACED: Event.SHOWN_NOT_PLACED}.get(verdict)
        if event is None:
            return order
        after = await self._ledger.record(order, event, self._now(), detail=said, cost_sun=cost_sun)
        self._unresolved_since.pop(order.key, None)
        self._log.order(LogEvent.ORDER_RESOLVED, after, outcome=str(verdict), detail=said)
        return after

    async def _judge(self, order: Order, seen: Seen) -> tuple[Verdict, str]:
        # Not since the look began: it may have been long ago, and the order have been sent by another host meanwhile.
        since = self._unresolved_since.setdefault(order.key, asyncio.get_running_loop().time())
        over_at = since + self._longest_flight.total_seconds()
        funds = await self._funds_after(since, over_at)
        mark = order.baseline.asked_mark
        spends = () if mark is None else await self._ledger.spends(mark)
        memory = await self._ledger.memory(order.address, order.policy, self._now())
        after = evidence.After(
            flight_over=seen.began >= over_at,
            reading=seen.reading if isinstance(seen.reading, Reading) else None,
            cycles=None if seen.cycles_began < over_at <= seen.began else seen.cycles,
            funds=funds,
            is_hosted=seen.is_hosted,
        )
        return evidence.judge(order, after, memory.rentals, spends)

    async def _funds_after(self, since: float, over_at: float) -> Funds | None:
        """The account as read since the order was known to be unclear, and once the longest flight is over, since then.

        Both are moments of the event loop's clock. The longer an order is unclear, the rarer the account is asked.
        """
        clock, asked_at = asyncio.get_running_loop().time(), self._known.asked_at
        pause = max(INQUIRE_EVERY.total_seconds(), (clock - since) / _RARER)
        if clock - asked_at >= pause or asked_at < over_at <= clock:
            with contextlib.suppress(NettsUnavailable):
                await self._known.read_funds()
        needed_at = over_at if over_at <= clock else since
        return self._known.funds if self._known.funds_at >= needed_at else None
