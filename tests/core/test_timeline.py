"""Hours of one address in a few lines: how many orders does it take, when everything that is slow is slow?

The world here is small on purpose: a limit that is the sum of what stands at a moment, orders that are accepted at once
and delivered in parts, hours that end late or early. Ticks are those of the engine without its errors: look, carry the
orders on, decide.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import given, settings, strategies as st

from energyd.core import supply
from energyd.core.decide import decide
from energyd.core.order import Event, Record, Watch, advance, next_step
from energyd.model import Action, Memory, Order, OrderState, Reading, Situation
from energyd.policy import Policy

from .situations import NOW, PRICES, a_policy, a_reading, a_situation, an_order, minutes, seconds

HOUR, EVERY = timedelta(hours=1), seconds(15)


@dataclass(frozen=True)
class Vendor:
    """How an order is served: the seconds after which each part comes, and how late, after an hour, all of it goes."""

    parts: tuple[float, ...] = (5,)
    late: float = 2
    short: int = 0


@dataclass
class Life:
    """One address under one policy; `serves` says how the n-th order is served."""

    policy: Policy
    serves: Callable[[int], Vendor]
    own: int = 0
    ratio: Callable[[datetime], float] = lambda _: 1.0
    orders: list[Order] = field(default_factory=list)
    decisions: list[tuple[datetime, Action]] = field(default_factory=list)
    hungry: timedelta = timedelta(0)
    """How long less than the floor was there, beyond drift, from the fourth minute on."""

    def limit(self, now: datetime) -> int:
        return self.own + int(sum(map(partial(self.shown, now), range(len(self.orders)))) * self.ratio(now))

    def shown(self, now: datetime, number: int) -> int:
        """What the chain shows of the n-th order."""
        order, vendor = self.orders[number], self.serves(number)
        asked = order.intended_at
        if now >= asked + HOUR + seconds(vendor.late):
            return 0
        come = sum(now >= asked + seconds(part) for part in vendor.parts)
        energy = (order.energy or 0) - vendor.short
        return energy * come // len(vendor.parts)

    def tick(self, now: datetime) -> None:
        reading = a_reading(self.limit(now), at=now)
        for number in range(len(self.orders)):
            self.orders[number] = self.carried(self.orders[number], reading, now)
        decision = decide(self.situation(reading, now), "d")
        self.decisions.append((now, decision.action))
        if decision.action is Action.RENT:
            came = [order for order in self.orders if order.delivered_at]
            plain = an_order(decision.energy, OrderState.PLACED, now, reading.energy_limit, came)
            self.orders.append(replace(plain, key=f"{now:%H%M%S%f}"))

    def carried(self, order: Order, reading: Reading, now: datetime) -> Order:
        match next_step(order, now):
            case Record(event):
                return replace(order, state=advance(order.state, event))
            case Watch():
                came = supply.arrived(order, reading, self.orders)
                if supply.is_whole(order, came, reading.energy_limit):
                    return replace(order, state=advance(order.state, Event.SEEN), delivered_at=now)
        return order

    def situation(self, reading: Reading, now: datetime) -> Situation:
        remembered = tuple(order for order in self.orders if order.intended_at > now - 2 * HOUR)
        return a_situation(
            policy=self.policy,
            now=now,
            reading=reading,
            prices=replace(PRICES, rent_read_at=now, burn_read_at=now),
            memory=Memory(rentals=remembered, last_order_at=self.orders[-1].intended_at if self.orders else None),
        )

    def live(self, length: timedelta, every: timedelta = EVERY) -> "Life":
        assert self.policy.energy is not None
        now = NOW
        while now < NOW + length:
            self.tick(now)
            if self.orders and now > NOW + minutes(3) and self.limit(now) < self.policy.energy.floor * 0.998:
                self.hungry += every
            now += every
        return self

    @property
    def ordered_at(self) -> list[int]:
        """Seconds from the start."""
        return [int((order.intended_at - NOW).total_seconds()) for order in self.orders]


def lived(vendor: Vendor = Vendor(), length: timedelta = 4 * HOUR, own: int = 0, **energy: Any) -> Life:
    policy = a_policy(budget="unlimited", **({"target": None} | energy))
    return Life(policy, lambda _: vendor, own=own).live(length)


EVERY_HOUR = [0, 3510, 7020, 10530, 14040]
"""A new rental 90 s before the end of the one before it."""


# --- stories ---------------------------------------------------------------------------------------------------------


def test_an_idle_address_is_renewed_once_an_hour_and_never_hungry() -> None:
    life = lived()
    assert life.ordered_at == EVERY_HOUR
    assert life.hungry == timedelta(0)


def test_a_delivery_slower_than_the_old_rental_lives_is_still_one_order() -> None:
    life = lived(Vendor(parts=(150,)))
    assert life.ordered_at == EVERY_HOUR
    assert timedelta(0) < life.hungry <= 5 * minutes(1.5)


def test_a_delivery_in_parts_over_minutes_is_one_order() -> None:
    assert lived(Vendor(parts=(5, 30, 80, 200))).ordered_at == EVERY_HOUR


def test_hours_that_end_two_minutes_late_or_some_seconds_early_are_one_order_each() -> None:
    assert lived(Vendor(late=120)).ordered_at == EVERY_HOUR
    assert lived(Vendor(late=-10)).ordered_at == EVERY_HOUR
    assert lived(Vendor(late=-40, parts=(70,))).ordered_at == EVERY_HOUR


def test_a_delivery_one_unit_short_is_one_order() -> None:
    assert lived(Vendor(short=1)).ordered_at == EVERY_HOUR
    assert lived(Vendor(short=60)).ordered_at == EVERY_HOUR


def test_an_order_that_never_comes_is_not_repeated_before_its_hour_ends() -> None:
    assert lived(Vendor(parts=(10_000,))).ordered_at == EVERY_HOUR


def test_a_rental_taken_back_after_half_an_hour_is_replaced_at_once() -> None:
    life = lived(Vendor(late=-1800), length=2 * HOUR)
    assert life.ordered_at == [0, 1800, 3600, 5400]


def test_own_stake_below_the_floor_is_filled_up_to_the_target() -> None:
    life = lived(own=60_000, target=131_000)
    assert life.ordered_at == EVERY_HOUR
    assert {order.energy for order in life.orders} == {71_000}


def test_without_renewing_ahead_each_hour_ends_before_the_next_is_ordered() -> None:
    life = lived(renew_before="0s", length=3 * HOUR)
    assert life.ordered_at == [0, 3615, 7230]


def test_the_last_rental_of_a_window_is_not_renewed() -> None:
    assert lived(keep=[{"from": "09:30", "to": "10:29"}]).ordered_at == [0]
    assert lived(keep=[{"from": "09:30", "to": "10:31"}]).ordered_at == [0, 3510]


# --- whatever the vendor and the network do --------------------------------------------------------------------------

prompt = st.builds(
    Vendor,
    parts=st.lists(st.floats(0, 60), min_size=1, max_size=3).map(sorted).map(tuple),
    late=st.floats(0, 120),
    short=st.integers(-50, 60),
)
slow = st.builds(
    Vendor,
    parts=st.lists(st.floats(0, 200), min_size=1, max_size=3).map(sorted).map(tuple),
    late=st.floats(-30, 120),
    short=st.integers(-50, 60),
)


def life_of(vendors: list[Vendor], own: int, target: int | None, phase: float) -> Life:
    """Four hours in which the n-th order is served by the n-th vendor; `phase` is where a drifting ratio begins."""
    policy = a_policy(budget="unlimited", floor=65_000 + own, target=target)

    def ratio(now: datetime) -> float:
        swing = ((now - NOW) / HOUR + phase) % 2
        return 1 + 0.0004 * (min(swing, 2 - swing) - 0.5)

    return Life(policy, lambda number: vendors[number % len(vendors)], own, ratio).live(4 * HOUR)


@settings(max_examples=15, deadline=None)
@given(st.lists(prompt, min_size=1, max_size=4), st.sampled_from([0, 5_000, 10**6]), st.floats(0, 2))
def test_prompt_deliveries_are_one_order_an_hour_and_no_hunger(vendors: list[Vendor], own: int, phase: float) -> None:
    life = life_of(vendors, own, None, phase)
    assert life.ordered_at == EVERY_HOUR
    assert life.hungry == timedelta(0)


@settings(max_examples=15, deadline=None)
@given(st.lists(slow, min_size=1, max_size=4), st.sampled_from([0, 5_000, 10**6]), st.floats(0, 2))
def test_slow_deliveries_and_odd_ends_are_one_order_an_hour(vendors: list[Vendor], own: int, phase: float) -> None:
    assert life_of(vendors, own, None, phase).ordered_at == EVERY_HOUR


@settings(max_examples=15, deadline=None)
@given(st.lists(slow, min_size=1, max_size=4), st.floats(0, 2))
def test_the_same_with_a_target_above_the_floor(vendors: list[Vendor], phase: float) -> None:
    assert life_of(vendors, 0, 131_000, phase).ordered_at == EVERY_HOUR
