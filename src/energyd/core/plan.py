"""What a live run would do from now on: the same decisions, rolled forward over assumed readings.

Assumed is that prices stay as they are, that rented energy comes at once and goes after its hour, that each call is
made at its time and uses what it needs, and that nobody else uses anything. Nothing is spent or written down.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from energyd.core import calendar, calls as life, supply
from energyd.core.decide import decide
from energyd.core.demand import RENEW_BEFORE
from energyd.model import (
    AHEAD,
    RENTAL_TIME,
    Action,
    Baseline,
    Call,
    CallState,
    Decision,
    Mode,
    NoReading,
    Order,
    OrderKind,
    OrderState,
    Prices,
    Reading,
    Situation,
)
from energyd.policy import Policy

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HELD_EVERY = timedelta(minutes=1)
"""How often a purchase that is held back is asked for again, and a floor that is kept at times only."""
AFTER_AN_ORDER = timedelta(seconds=5)

Spent = dict[str, list[tuple[datetime, int]]]
"""When each policy has spent how many sun."""


def roll(now_as_it_is: Iterable[Situation], spent: Spent, until: datetime) -> list[Decision]:
    """The decisions until then, the first of each address, and then those that rent or change why nothing is rented."""
    addresses = [_Address(situation) for situation in now_as_it_is]
    spent = {policy: list(amounts) for policy, amounts in spent.items()}
    due = [(address.start.now, number) for number, address in enumerate(addresses)]
    heapq.heapify(due)
    told: list[Decision] = []
    while due:
        now, number = heapq.heappop(due)
        address = addresses[number]
        decision = address.decide_at(now, spent, f"plan-{len(told)}")
        if address.is_news(decision):
            told.append(decision)
        if not isinstance(address.start.reading, NoReading):
            following = address.next_moment(now, decision)
            if following < until:
                heapq.heappush(due, (following, number))
    return told


def calls_until(policy: Policy, address: str, written: Sequence[Call], *, now: datetime, until: datetime) -> list[Call]:
    """The calls of an address until then: those that are written down and not over, and those of its policy to come."""
    known = {(call.name, call.at) for call in written}
    coming = [
        life.of_rule(rule, policy=policy.name, address=address, at=at, call_id=f"{rule.name} {at}", now=now)
        for rule in policy.planned_calls
        for at in calendar.call_times(rule, now - rule.hold, until)
        if (rule.name, at) not in known
    ]
    ahead = [call for call in written if call.state in AHEAD]
    return sorted((*ahead, *coming), key=lambda call: call.needed_by)


@dataclass(slots=True)
class _Address:
    """One address on its way through the day."""

    start: Situation
    calls: list[Call] = field(init=False)
    rentals: list[Order] = field(init=False)
    reading: Reading = field(init=False)
    last_order_at: datetime | None = field(init=False)
    last_told: tuple[Action, object] | None = None

    def __post_init__(self) -> None:
        memory, reading = self.start.memory, self.start.reading
        self.calls, self.rentals, self.last_order_at = list(memory.calls), list(memory.rentals), memory.last_order_at
        if isinstance(reading, Reading):
            self.reading = reading
            self._arrive_all()

    def _arrive_all(self) -> None:
        there = supply.on_chain(self.reading, self.rentals)
        missing = sum((order.energy or 0) - came for order, came in there.items())
        self.reading = replace(self.reading, energy_limit=self.reading.energy_limit + missing)
        self.rentals = [
            replace(order, state=OrderState.DELIVERED, delivered_at=self.start.now) if order in there else order
            for order in self.rentals
        ]

    def is_news(self, decision: Decision) -> bool:
        """Whether to tell it: a purchase always, a purchase that is held back once for each reason."""
        says = (decision.action, decision.reason)
        first = self.last_told is None
        changed = says != self.last_told
        self.last_told = says
        return first or decision.action is Action.RENT or (changed and decision.energy is not None)

    def decide_at(self, now: datetime, spent: Spent, decision_id: str) -> Decision:
        s = self.start
        if isinstance(s.reading, NoReading):
            return decide(replace(s, mode=Mode.LIVE), decision_id)
        self._pass_time(now)
        self._use_for_calls(now)
        self.calls = [
            call for call in life.progress(self.calls, self.reading, self.rentals, now, s.limits) if call.state in AHEAD
        ]
        situation = self._situation(now, spent)
        decision = decide(situation, decision_id)
        if decision.action is Action.RENT:
            self._rent(decision, spent)
        return decision

    def _situation(self, now: datetime, spent: Spent) -> Situation:
        s, amounts = self.start, spent.get(self.start.policy.name, ())
        memory = replace(
            s.memory,
            rentals=tuple(self.rentals),
            calls=tuple(self.calls),
            last_order_at=self.last_order_at,
            spent_hour_sun=sum(sun for at, sun in amounts if at > now - HOUR),
            spent_day_sun=sum(sun for at, sun in amounts if at > now - DAY),
            pauses=tuple(pause for pause in s.memory.pauses if pause.until is None or pause.until > now),
        )
        funds = s.funds
        if funds is not None:
            later = sum(sun for of in spent.values() for at, sun in of if at >= s.now)
            funds = replace(funds, balance_sun=funds.balance_sun - later)
        prices = _fresh(s.prices, now)
        return replace(s, mode=Mode.LIVE, now=now, reading=self.reading, prices=prices, funds=funds, memory=memory)

    def _pass_time(self, now: datetime) -> None:
        """Rentals end, each with its share of the usage, and usage recovers."""
        for order in sorted(self.rentals, key=lambda order: order.until_at):
            if order.state is OrderState.DELIVERED and order.until_at <= now:
                self._recover(max(order.until_at, self.reading.read_at))
                self._take_back(order)
        self.rentals = [order for order in self.rentals if order.until_at + HOUR > now]
        self._recover(now)

    def _recover(self, now: datetime) -> None:
        r = self.reading
        used = supply.recovered(r.energy_used, now - r.read_at)
        self.reading = replace(r, energy_used=used, read_at=now, block_at=now)

    def _take_back(self, order: Order) -> None:
        r = self.reading
        share = min(order.energy or 0, r.energy_limit)
        used = r.energy_used - (r.energy_used * share // r.energy_limit if share else 0)
        self.reading = replace(r, energy_limit=r.energy_limit - share, energy_used=used)
        self.rentals = [replace(o, state=OrderState.EXPIRED) if o.key == order.key else o for o in self.rentals]

    def _use_for_calls(self, now: datetime) -> None:
        for call in self.calls:
            if call.at <= now and call.seen_used is not None and call.state is CallState.COVERED and not call.used:
                used = self.reading.energy_used + min(call.remaining, self.reading.available)
                self.reading = replace(self.reading, energy_used=used, last_used_at=now)

    def _rent(self, decision: Decision, spent: Spent) -> None:
        assert decision.energy is not None
        assert decision.cost_sun is not None
        now = decision.at
        self.rentals.append(
            Order(
                key=f"{decision.address} {decision.decision_id}",
                kind=OrderKind.RENTAL,
                address=decision.address,
                policy=decision.policy,
                decision_id=decision.decision_id,
                state=OrderState.DELIVERED,
                energy=decision.energy,
                cost_max_sun=decision.cost_sun,
                baseline=Baseline(now, self.reading.energy_limit, tuple(rental.key for rental in self.rentals)),
                host="plan",
                intended_at=now,
                changed_at=now,
                sent_at=now,
                delivered_at=now,
            )
        )
        self.reading = replace(self.reading, energy_limit=self.reading.energy_limit + decision.energy)
        self.last_order_at = now
        spent.setdefault(decision.policy, []).append((now, decision.cost_sun))

    def next_moment(self, now: datetime, decision: Decision) -> datetime:
        """When something may be decided differently than now."""
        rule = self.start.policy.energy
        if decision.action is Action.RENT:
            return now + max(AFTER_AN_ORDER, rule.cooldown if rule else AFTER_AN_ORDER)
        moments = sorted(moment for moment in self._events() if moment > now)
        if decision.energy is not None or (rule is not None and rule.keep not in ("always", "never")):
            moments.insert(0, now + HELD_EVERY)
        return min(moments, default=now + RENTAL_TIME)

    def _events(self) -> Iterator[datetime]:
        rule = self.start.policy.energy
        renew_before = RENEW_BEFORE if rule is None else rule.renew_before
        for order in self.rentals:
            yield order.until_at - renew_before
            yield order.until_at
        for call in self.calls:
            yield from (life.due_at(call, self.start.limits), call.needed_by, call.at, call.until)


def _fresh(prices: Prices, now: datetime) -> Prices:
    """Prices stay as they are; what is not known stays unknown."""
    rent_read_at = None if prices.rent_read_at is None else now
    return replace(prices, rent_read_at=rent_read_at, burn_read_at=None if prices.burn_read_at is None else now)
