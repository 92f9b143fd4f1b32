"""The tick: look at one address, carry its open orders on, decide, write down, act.

The engine owns no rule. What may happen to an order stands in core/order.py, whether to buy in core/decide.py, whether
an unclear order was placed in core/evidence.py. The engine's own promise is the order of things: a decision and its
intent are one durable commit, the mark of sending is a second, and only what that mark returns can be sent. A tick that
breaks off anywhere is continued by the next one from what is written; there is no other recovery.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Protocol

from energyd.core import evidence, order as life, supply
from energyd.core.activity import Activity, follow
from energyd.core.alerts import is_late
from energyd.core.decide import decide
from energyd.core.order import Event
from energyd.errors import Conflict, Impossible, LedgerError, NettsUnavailable, OverBudget
from energyd.ledger.ledger import Ledger
from energyd.model import (
    NEVER_CHARGED,
    OPEN,
    RENTAL_TIME,
    Accepted,
    Action,
    Baseline,
    Decision,
    Funds,
    Mode,
    NoReading,
    Order,
    OrderCheck,
    OrderKind,
    OrderLimits,
    OrderState,
    Outcome,
    Prices,
    Reading,
    Refused,
    Sent,
    Situation,
    Unclear,
    Verdict,
)
from energyd.policy import Policy
from energyd.recall import Recall
from energyd.telemetry import Log, LogEvent

WATCH_EVERY = timedelta(seconds=3)
"""How often an address is looked at while something is on its way; a block comes every three seconds."""
INQUIRE_EVERY = timedelta(seconds=15)
"""How often the account is read for an unresolved order; `userinfo` allows about 1000 calls a day (netts-api 12)."""
LEASE_AT_LEAST = timedelta(minutes=1)
PRICE_FRESH_FOR = timedelta(seconds=15)
"""An order is decided on a price that was read within this time; otherwise it is read again first."""
_STEPS_A_TICK = 4
_MAY_HAVE_BEEN_PLACED = tuple(state for state in OrderState if state not in NEVER_CHARGED)


class Watcher(Protocol):
    """What the engine asks of the chain."""

    async def reading(self, address: str, *, with_activity: bool = False) -> Reading | NoReading: ...

    async def lent_sun(self, address: str) -> int: ...


class Account(Protocol):
    """What the engine reads at Netts."""

    async def funds(self) -> Funds: ...

    async def prices(self, *, cycles: bool) -> Prices: ...

    async def order_check(self, netts_order_id: str) -> OrderCheck | None: ...


class Buyer(Protocol):
    """The one thing that can spend. A daemon that must not spend has none."""

    async def order(self, sent: Sent) -> Outcome: ...

    def late_answer(self, order_key: str) -> Outcome | None: ...


@dataclass(slots=True)
class Known:
    """What the daemon's own jobs have read last, for every address alike."""

    prices: Prices = field(default_factory=Prices)
    funds: Funds | None = None
    funds_at: float = float("-inf")
    """When the funds were read, on the event loop's clock."""


class Engine:
    """Takes ticks. One address is in one tick at a time; different addresses may be ticked at once."""

    def __init__(
        self,
        *,
        chain: Watcher,
        account: Account,
        buyer: Buyer | None,
        ledger: Ledger,
        log: Log,
        now: Callable[[], datetime],
        rng: Random,
        host: str,
        limits: OrderLimits,
        request_deadline: timedelta,
    ) -> None:
        self._chain, self._account, self._buyer = chain, account, buyer
        self._ledger, self._log, self._now, self._rng, self._host = ledger, log, now, rng, host
        self._limits = limits
        self._recall = Recall(chain=chain, ledger=ledger, log=log, now=now, addresses=lambda: self.policies)
        self._longest_flight = life.longest_flight(request_deadline).total_seconds()
        self._ticking: set[str] = set()
        self._unresolved_since: dict[str, float] = {}
        self._shown: dict[str, tuple[datetime, datetime]] = {}
        self._activities: dict[str, Activity] = {}
        self.policies: Mapping[str, Policy] = {}
        self.known = Known()
        self.latest: dict[str, Decision] = {}
        self._unwritten: list[Decision] = []

    def adopt(self, policies: Iterable[Policy]) -> None:
        """Take over a set of policies, between ticks. A policy that is gone ends its demands, not its open orders."""
        enabled = [policy for policy in policies if policy.enabled]
        self.policies = {address: policy for policy in enabled for address in policy.watched()}
        self.latest = {address: decision for address, decision in self.latest.items() if address in self.policies}

    async def tick(self, address: str) -> timedelta | None:
        """One look at one address; returns when to look again, None when nothing asks for it any more.

        Raises LedgerError when something could not be written down; nothing was ordered then that is not in the ledger.
        """
        if address in self._ticking:
            return WATCH_EVERY
        self._ticking.add(address)
        try:
            return await self._tick(address, self.policies.get(address))
        finally:
            self._ticking.discard(address)

    async def _tick(self, address: str, policy: Policy | None) -> timedelta | None:
        pace = policy.energy.check_every if policy and policy.energy else INQUIRE_EVERY
        now = self._now()
        if not await self._ledger.lease(address, self._host, now, now + max(4 * pace, LEASE_AT_LEAST)):
            return pace
        seen = await self._look(address, policy)
        orders = await self._carry_on(address, seen)
        if policy is not None and policy.energy is not None:
            orders += await self._decide_and_act(policy, address, seen.reading)
        is_open = any(order.state in OPEN for order in orders)
        return _again_in(orders, pace, self._now()) if is_open or policy is not None else None

    # --- look ---------------------------------------------------------------------------------------------------------

    async def _look(self, address: str, policy: Policy | None) -> "Seen":
        """The address as it is now, and when, on the loop's clock, the look began."""
        began = asyncio.get_running_loop().time()
        with_activity = policy is not None and policy.energy is not None and policy.energy.keep == "while_active"
        reading = await self._chain.reading(address, with_activity=with_activity)
        if with_activity and isinstance(reading, Reading):
            reading = replace(reading, last_used_at=await self._last_use(reading))
        return Seen(reading, began)

    async def _last_use(self, reading: Reading) -> datetime | None:
        """When the address was really used last; what is not remembered here is worked out again from the ledger."""
        before, shown_at = self._activities.get(reading.address, Activity()), reading.last_used_at
        ended_then: tuple[Order, ...] = ()
        if shown_at is not None and shown_at != before.shown_at:
            ended_then = await self._ledger.orders(
                address=reading.address, since=shown_at - 2 * RENTAL_TIME, states=_MAY_HAVE_BEEN_PLACED
            )
        after = self._activities[reading.address] = follow(before, reading, ended_then)
        return after.used_at

    async def _situation(self, policy: Policy, address: str, reading: Reading | NoReading) -> Situation:
        is_blind = isinstance(reading, NoReading)
        is_recalled = self._buyer is None or await self._recall.look_at(address, is_blind=is_blind)
        now = self._now()
        memory = await self._ledger.memory(address, policy.name, now)
        return Situation(
            policy=policy,
            address=address,
            mode=Mode.DRY_RUN if self._buyer is None else Mode.LIVE,
            now=now,
            reading=reading,
            prices=self.known.prices,
            funds=self.known.funds,
            memory=memory if is_recalled else replace(memory, hold_until=now + INQUIRE_EVERY),
            limits=self._limits,
        )

    # --- decide -------------------------------------------------------------------------------------------------------

    async def _decide_and_act(self, policy: Policy, address: str, reading: Reading | NoReading) -> list[Order]:
        """Decide, and send what was decided; returns the order as it is then, if there is one."""
        try:
            decision, order = await self._commit(policy, address, reading)
        except (Conflict, OverBudget):
            return []
        self.latest[address] = decision
        self._log.decision(decision)
        if order is None or self._buyer is None:
            return []
        self._log.order(LogEvent.ORDER_INTENDED, order)
        return [await self._send(order, self._buyer)]

    async def _commit(
        self, policy: Policy, address: str, reading: Reading | NoReading
    ) -> tuple[Decision, Order | None]:
        """Decide, and write the decision down with its intent; a decision to hold may wait for `write_down`.

        Raises Conflict or OverBudget when somebody else keeps being faster: the next tick asks again.
        """
        situation = await self._situation(policy, address, reading)
        decision, order = self._decide(situation)
        if order is not None and self._price_is_old(situation):
            with contextlib.suppress(NettsUnavailable):
                await self.read_prices()
            situation = await self._situation(policy, address, reading)
            decision, order = self._decide(situation)
        if order is None:
            self._unwritten.append(decision)
            return decision, None
        await self.write_down()  # so that decisions stand in the ledger in the order in which they were taken
        try:
            await self._ledger.commit(decision, order, policy.limits, situation.now)
        except (Conflict, OverBudget):
            # What the other one wrote is in the ledger now, so the same question should have another answer.
            situation = await self._situation(policy, address, reading)
            decision, order = self._decide(situation)
            if order is not None:
                raise
            self._unwritten.append(decision)
        return decision, order

    def _price_is_old(self, situation: Situation) -> bool:
        """Whether the price may have changed since: what is charged is the price of the moment, whatever was quoted."""
        read_at = situation.prices.rent_read_at
        return read_at is not None and situation.now - read_at > PRICE_FRESH_FOR

    async def write_down(self) -> bool:
        """Write the decisions to hold that were taken since the last call, in one commit; False: there were none.

        Raises LedgerError; they are kept for the next call then.
        """
        decisions, self._unwritten = self._unwritten, []
        try:
            await self._ledger.note(decisions)
        except LedgerError:
            self._unwritten = decisions + self._unwritten
            raise
        return bool(decisions)

    def _decide(self, situation: Situation) -> tuple[Decision, Order | None]:
        decision = decide(situation, f"{self._rng.getrandbits(64):016x}")
        if decision.action is not Action.RENT:
            return decision, None
        return decision, self._intend(decision, situation)

    def _intend(self, decision: Decision, situation: Situation) -> Order:
        assert decision.cost_sun is not None
        return Order(
            key=f"{self._rng.getrandbits(256):064x}",
            kind=OrderKind.RENTAL,
            address=decision.address,
            policy=decision.policy,
            decision_id=decision.decision_id,
            state=OrderState.INTENDED,
            energy=decision.energy,
            cost_max_sun=decision.cost_sun,
            baseline=_baseline(situation),
            host=self._host,
            intended_at=situation.now,
            changed_at=situation.now,
        )

    # --- act ----------------------------------------------------------------------------------------------------------

    async def _send(self, order: Order, buyer: Buyer) -> Order:
        now = self._now()
        good_until = asyncio.get_running_loop().time() + life.SEND_WITHIN.total_seconds()
        try:
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

    async def _carry_on(self, address: str, seen: "Seen") -> list[Order]:
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

    async def _carry(self, order: Order, seen: "Seen") -> Order:
        for _ in range(_STEPS_A_TICK):
            match life.next_step(order, self._now()):
                case life.Record(event):
                    order = await self._record_passing(order, event)
                case life.Inquire():
                    return await self._inquire(order, seen)
                case life.Watch():
                    return await self._watch(order, seen)
                case life.Rest():
                    break
        return order

    async def _record_passing(self, order: Order, event: Event) -> Order:
        outcome = "" if event is Event.HOUR_OVER else "a tick broke off"
        after = await self._ledger.record(order, event, self._now(), outcome=outcome)
        self._shown.pop(order.key, None)
        if event is Event.INTERRUPTED:
            self._log.order(LogEvent.ORDER_UNRESOLVED, after)
        elif event is Event.DROPPED:
            self._log.order(LogEvent.ORDER_RESOLVED, after, outcome="dropped")
        elif order.kind is OrderKind.RENTAL:
            self._log.rental(LogEvent.RENTAL_EXPIRED, after)
        return after

    async def _watch(self, order: Order, seen: "Seen") -> Order:
        if not isinstance(seen.reading, Reading):
            return order
        rentals = (await self._ledger.memory(order.address, order.policy, self._now())).rentals
        if any(other.key in self._shown and other.intended_at > order.intended_at for other in rentals):
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

    async def _inquire(self, order: Order, seen: "Seen") -> Order:
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

    async def _judge(self, order: Order, seen: "Seen") -> tuple[Verdict, str]:
        since = self._unresolved_since.setdefault(order.key, seen.began)
        over_at = since + self._longest_flight
        funds = await self._funds_after(order, over_at)
        spends = await self._other_spends(order)
        memory = await self._ledger.memory(order.address, order.policy, self._now())
        after = evidence.After(
            flight_over=seen.began >= over_at,
            reading=seen.reading if isinstance(seen.reading, Reading) else None,
            funds=funds,
        )
        was_open = await self._ledger.was_open(order.baseline.funds_read_at or order.baseline.taken_at)
        return evidence.judge(order, after, memory.rentals, spends, was_open=was_open)

    async def _other_spends(self, order: Order) -> list[Order]:
        """Every other order of the account that was sent since the account was read for the baseline."""
        since = order.baseline.funds_read_at or order.baseline.taken_at
        found = await self._ledger.orders(since=since - life.SEND_WITHIN)
        return [other for other in found if other.key != order.key and other.sent_at and other.sent_at >= since]

    async def _funds_after(self, order: Order, over_at: float) -> Funds | None:
        """The account as read since the order was sent, and once the longest flight is over, since then."""
        clock = asyncio.get_running_loop().time()
        old = clock - self.known.funds_at >= INQUIRE_EVERY.total_seconds()
        if old or self.known.funds_at < over_at <= clock:
            with contextlib.suppress(NettsUnavailable):
                await self.read_funds()
        known, sent_at = self.known, order.sent_at or order.intended_at
        if known.funds is None or known.funds.read_at < sent_at:
            return None
        return None if over_at <= clock and known.funds_at < over_at else known.funds

    async def read_funds(self) -> None:
        """Read the account at Netts. Raises NettsUnavailable; what was known before stays known, with its age."""
        at = asyncio.get_running_loop().time()
        mark = await self._ledger.quiet_mark()
        self.known.funds = await self._account.funds()
        self.known.funds_at = at
        await self._recall.compare(self.known.funds, mark)

    async def read_prices(self) -> None:
        """Read what Netts asks now. Raises NettsUnavailable; what was known before stays known, with its age."""
        buys_cycles = any(policy.host_mode is not None for policy in self.policies.values())
        read = await self._account.prices(cycles=buys_cycles)
        self.known.prices = replace(
            self.known.prices, rent_sun=read.rent_sun, cycle_sun=read.cycle_sun, rent_read_at=read.rent_read_at
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at an address; `began` is a moment of the event loop's clock."""

    reading: Reading | NoReading
    began: float


def _again_in(orders: Iterable[Order], pace: timedelta, now: datetime) -> timedelta:
    """How soon to look again: soon while something is on its way, and in between while something is unclear or late."""
    waited_for = [order for order in orders if order.state in (OrderState.PLACED, OrderState.UNRESOLVED)]
    if not waited_for:
        return pace
    soon = any(order.state is OrderState.PLACED and not is_late(order, now) for order in waited_for)
    return min(WATCH_EVERY if soon else INQUIRE_EVERY, pace)


def _baseline(situation: Situation) -> Baseline:
    reading, funds = situation.reading, situation.funds
    return Baseline(
        taken_at=situation.now,
        energy_limit=reading.energy_limit if isinstance(reading, Reading) else None,
        balance_sun=funds.balance_sun if funds else None,
        spent_total_sun=funds.spent_total_sun if funds else None,
        funds_read_at=funds.read_at if funds else None,
    )
