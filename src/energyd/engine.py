"""The tick: look at one address, carry its open orders on, decide, write down, act.

The engine owns no rule: whether to buy stands in core/decide.py, the life of an order in orders.py. The engine's own
promise is the order of things: a decision and its intent are one durable commit, the mark of sending is a second, and
only what that mark returns can be sent. A tick that breaks off anywhere is continued by the next one from what is
written; there is no other recovery.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Protocol

from energyd import units
from energyd.calls import Calls
from energyd.core import supply
from energyd.core.activity import Activity, follow
from energyd.core.alerts import is_late
from energyd.core.decide import decide
from energyd.errors import Conflict, LedgerError, NettsUnavailable, NotPossible, OverBudget
from energyd.hosting import Counter, Hosting
from energyd.known import Account, Known
from energyd.ledger.ledger import Ledger
from energyd.model import (
    NEVER_CHARGED,
    OPEN,
    RENTAL_TIME,
    Action,
    ContractCall,
    Decision,
    Estimate,
    Memory,
    Mode,
    NoEstimate,
    NoReading,
    Order,
    OrderKind,
    OrderLimits,
    OrderState,
    Reading,
    Reason,
    Situation,
)
from energyd.orders import INQUIRE_EVERY, Buyer, Orders, Seen
from energyd.policy import Policy
from energyd.recall import Recall
from energyd.telemetry import Log, LogEvent

WATCH_EVERY = timedelta(seconds=3)
"""How often an address is looked at while something is on its way; a block comes every three seconds."""
WITHOUT_FLOOR_EVERY = timedelta(minutes=10)
"""How often an address is looked at for which no floor is kept; calls have it looked at when they need it."""
LEASE_AT_LEAST = timedelta(minutes=1)
_TURN_EVERY = 0.1
"""Seconds; how often a person's order looks whether the tick of its address is over."""
PRICE_FRESH_FOR = timedelta(seconds=15)
"""An order is decided on a price that was read within this time; otherwise it is read again first."""
_MAY_HAVE_BEEN_PLACED = tuple(state for state in OrderState if state not in NEVER_CHARGED)


class Watcher(Protocol):
    """What is asked of the chain."""

    async def reading(self, address: str, *, with_activity: bool = False) -> Reading | NoReading: ...

    async def lent_sun(self, address: str) -> int: ...

    async def estimate(self, call: ContractCall) -> Estimate | NoEstimate: ...


class Vendor(Account, Counter, Protocol):
    """What is read at Netts."""


class Engine:
    """Takes ticks. One address is in one tick at a time; different addresses may be ticked at once."""

    def __init__(
        self,
        *,
        chain: Watcher,
        account: Vendor,
        buyer: Buyer | None,
        ledger: Ledger,
        log: Log,
        now: Callable[[], datetime],
        rng: Random,
        host: str,
        limits: OrderLimits,
        request_deadline: timedelta,
    ) -> None:
        self._chain, self._buyer = chain, buyer
        self._ledger, self._log, self._now, self._rng, self._host = ledger, log, now, rng, host
        self._limits = limits
        self._recall = Recall(chain=chain, ledger=ledger, log=log, now=now, addresses=lambda: self.policies)
        self.known = Known(account, ledger, self._recall)
        self._orders = Orders(
            account=account,
            buyer=buyer,
            known=self.known,
            ledger=ledger,
            log=log,
            now=now,
            request_deadline=request_deadline,
        )
        self.calls = Calls(
            estimator=chain,
            ledger=ledger,
            log=log,
            now=now,
            rng=rng,
            limits=limits,
            policies=lambda: self.policies,
            prices=lambda: self.known.prices,
        )
        self.hosting = Hosting(
            counter=account,
            buyer=buyer,
            known=self.known,
            orders=self._orders,
            ledger=ledger,
            log=log,
            now=now,
            rng=rng,
            host=host,
            policies=lambda: self.policies,
            situation=self._situation,
            note=self._note,
            write_down=self.write_down,
            is_still_wanted=self._is_still_wanted,
        )
        self._ticking: set[str] = set()
        self._vanished_at: dict[str, float] = {}
        self._activities: dict[str, Activity] = {}
        self.policies: Mapping[str, Policy] = {}
        self.latest: dict[str, Decision] = {}
        self.readings: dict[str, Reading] = {}
        """The newest believable one of each address."""
        self._unwritten: list[Decision] = []

    def adopt(self, policies: Iterable[Policy]) -> None:
        """Take over a set of policies, between ticks. A policy that is gone ends its demands, not its open orders."""
        enabled = [policy for policy in policies if policy.enabled]
        self.policies = {address: policy for policy in enabled for address in policy.watched()}
        self.latest = {address: decision for address, decision in self.latest.items() if address in self.policies}
        self.readings = {address: reading for address, reading in self.readings.items() if address in self.policies}
        self.hosting.adopt()

    def allow(self, limits: OrderLimits, request_deadline: timedelta) -> None:
        """From now on an order may have this much, and Netts this long to answer one."""
        self._limits = limits
        self.calls.adopt(limits)
        self._orders.allow(request_deadline)

    def flight_left(self, order: Order) -> timedelta:
        """For how long the request of an order may still arrive at Netts; zero when it cannot any more."""
        return self._orders.flight_left(order)

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
        pace = _pace(policy)
        now = self._now()
        if not await self._ledger.lease(address, self._host, now, now + max(4 * pace, LEASE_AT_LEAST)):
            return pace
        seen = await self.hosting.count(policy, address, await self._look(address, policy))
        orders = await self._orders.carry_on(address, seen)
        reading = seen.reading if isinstance(seen.reading, Reading) else None
        calls = await self.calls.attend(policy, address, reading, self.latest.get(address))
        if policy is not None and (policy.energy is not None or policy.planned_calls or calls):
            orders += await self._decide_and_act(policy, address, seen.reading)
        if policy is not None:
            orders += await self.hosting.decide_and_act(policy, address, seen)
        is_open = any(order.state in OPEN for order in orders)
        if policy is None and not is_open:
            return None
        again_in, call_at = _again_in(orders, pace, self._now()), self.calls.next_look(policy, calls)
        count_in = self.hosting.next_look(policy, address, orders)
        again_in = again_in if count_in is None else min(again_in, count_in)
        return again_in if call_at is None else min(again_in, call_at - self._now())

    async def order_cycles(self, address: str, cycles: int) -> Order:
        """Order Host Mode cycles because a person says so, between two ticks of the address.

        Raises NotPossible when it may not be, LedgerError when it could not be written down.
        """
        policy = self.policies.get(address)
        if policy is None:
            raise NotPossible(f"no policy watches {address}; add it to the addresses of one")
        if address not in self.hosting.counted():
            await self.hosting.read()
        while address in self._ticking:  # noqa: ASYNC110 - a tick takes seconds; an event for each would be kept for this
            await asyncio.sleep(_TURN_EVERY)
        self._ticking.add(address)
        try:
            now = self._now()
            if not await self._ledger.lease(address, self._host, now, now + LEASE_AT_LEAST):
                raise NotPossible(f"another host works on {address}; ask that one")
            seen = await self.hosting.count(policy, address, await self._look(address, policy))
            return await self.hosting.order_by_hand(policy, address, cycles, seen)
        finally:
            self._ticking.discard(address)

    # --- look ---------------------------------------------------------------------------------------------------------

    async def _look(self, address: str, policy: Policy | None) -> Seen:
        """The address as it is now, and when, on the loop's clock, the look began."""
        began = asyncio.get_running_loop().time()
        with_activity = policy is not None and policy.energy is not None and policy.energy.keep == "while_active"
        reading = await self._chain.reading(address, with_activity=with_activity)
        if with_activity and isinstance(reading, Reading):
            reading = replace(reading, last_used_at=await self._last_use(reading))
        if policy is not None and isinstance(reading, Reading):
            self.readings[address] = reading
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

    async def _situation(
        self, policy: Policy, address: str, reading: Reading | NoReading, kind: OrderKind = OrderKind.RENTAL
    ) -> Situation:
        is_blind = isinstance(reading, NoReading) or kind is OrderKind.CYCLES
        unheard = None if self._buyer is None else await self._recall.look_at(address, is_blind=is_blind)
        now = self._now()
        memory = await self._ledger.memory(address, policy.name, now, kind)
        return Situation(
            policy=policy,
            address=address,
            mode=Mode.DRY_RUN if self._buyer is None else Mode.LIVE,
            now=now,
            reading=self._believed(reading, memory),
            prices=self.known.prices,
            funds=self.known.funds,
            memory=memory,
            unheard=unheard,
            limits=self._limits,
            left_to_host_mode_until=self.hosting.has_until(policy, address),
        )

    def _believed(self, reading: Reading | NoReading, memory: Memory) -> Reading | NoReading:
        """The reading, once it is sure that a rental which it does not show has not only not reached its node yet."""
        if isinstance(reading, NoReading):
            return reading
        gone, clock = supply.vanished(reading, memory.rentals), asyncio.get_running_loop().time()
        if not gone:
            self._vanished_at.pop(reading.address, None)
            return reading
        if clock - self._vanished_at.setdefault(reading.address, clock) >= supply.NODES_LAG.total_seconds():
            return reading
        wait = units.duration_text(supply.NODES_LAG)
        detail = f"{gone} energy that was delivered is not shown; it counts as taken back when that lasts for {wait}"
        return NoReading(reading.address, Reason.READING_STALE, detail, reading.read_at, is_doubted=True)

    # --- decide -------------------------------------------------------------------------------------------------------

    async def _decide_and_act(self, policy: Policy, address: str, reading: Reading | NoReading) -> list[Order]:
        """Decide, and send what was decided; returns the order as it is then, if there is one."""
        try:
            decision, order = await self._commit(policy, address, reading)
        except (Conflict, OverBudget):
            return []
        if address in self.policies:
            self.latest[address] = decision
        self._log.decision(decision)
        self.hosting.hear(decision)
        await self.calls.decided(decision)
        if order is None or self._buyer is None:
            return []
        self._log.order(LogEvent.ORDER_INTENDED, order)
        return [await self._orders.send(order, self._buyer)]

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
        self._is_still_wanted(policy, address)
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

    def _is_still_wanted(self, policy: Policy, address: str) -> None:
        """Raises Conflict when the policies were exchanged since the look began: no order by rules that are gone."""
        if self.policies.get(address) != policy:
            raise Conflict(f"the policy {policy.name} was changed meanwhile")

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

    def _note(self, decision: Decision) -> None:
        self._unwritten.append(decision)

    def _decide(self, situation: Situation) -> tuple[Decision, Order | None]:
        decision = decide(situation, f"{self._rng.getrandbits(64):016x}")
        if decision.action is not Action.RENT:
            return decision, None
        return decision, self._orders.intent(decision, situation, f"{self._rng.getrandbits(256):064x}")

    async def read_prices(self) -> None:
        """Read what Netts asks now. Raises NettsUnavailable."""
        await self.known.read_prices(cycles=any(policy.host_mode for policy in self.policies.values()))


def _pace(policy: Policy | None) -> timedelta:
    """How often an address is looked at while nothing is on its way."""
    if policy is None:
        return INQUIRE_EVERY
    return policy.energy.check_every if policy.energy is not None else WITHOUT_FLOOR_EVERY


def _again_in(orders: Iterable[Order], pace: timedelta, now: datetime) -> timedelta:
    """How soon to look again: soon while something is on its way, and in between while something is unclear or late."""
    waited_for = [order for order in orders if order.state in (OrderState.PLACED, OrderState.UNRESOLVED)]
    waited_for = [
        order for order in waited_for if order.kind is OrderKind.RENTAL or order.state is OrderState.UNRESOLVED
    ]
    if not waited_for:
        return pace
    soon = any(order.state is OrderState.PLACED and not is_late(order, now) for order in waited_for)
    return min(WATCH_EVERY if soon else INQUIRE_EVERY, pace)
