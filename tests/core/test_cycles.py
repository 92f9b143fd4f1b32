"""Cycles: what is ordered, what holds an order back, how long they last, and when ordered ones count as seen."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from energyd.core.cycles import decide_by_hand, decide_cycles, time_of_a_cycle, wanted, were_added
from energyd.core.guards import CYCLE_GUARDS
from energyd.model import (
    Action,
    Baseline,
    Count,
    Cycles,
    CyclesKnown,
    Decision,
    Funds,
    Memory,
    Mode,
    Order,
    OrderKind,
    OrderState,
    Pause,
    Prices,
    Reason,
    Refusals,
    Situation,
    Unheard,
)
from energyd.policy import HostModeRule, Policy

from .situations import ADDRESS, NOW, TRX, a_reading, a_situation, an_order, minutes, seconds

RULE = {"min_cycles": 2, "top_up_to": 10, "max_cycle_price": "4 TRX"}
BUDGET = {"per_order": "40 TRX", "per_hour": "60 TRX", "per_day": "400 TRX"}
PRICES = Prices(rent_sun=30, cycle_sun=3 * TRX, burn_sun=100, rent_read_at=NOW, burn_read_at=NOW)
KEY = "cycles_remaining"


def hosted(budget: object = None, mode: str | None = None, **rule: Any) -> Policy:
    host_mode = {name: value for name, value in (RULE | rule).items() if value is not None}
    parts = {"policy": "fleet", "addresses": [ADDRESS], "mode": mode, "host_mode": host_mode}
    return Policy.model_validate(parts | {"budget": budget or BUDGET})


def counted(remaining: int | None, known: CyclesKnown = CyclesKnown.COUNTED, **changes: Any) -> Cycles:
    return replace(Cycles(ADDRESS, known, remaining, NOW, KEY), **changes)


HALF_A_MINUTE = seconds(30)


def some(sent_ago: timedelta = HALF_A_MINUTE, cycles: int = 9, before: int | None = 1, **changes: Any) -> Order:
    """Cycles that Netts took an order for; the count stood at `before`, the energy limit at 60,000."""
    baseline = Baseline(taken_at=NOW - sent_ago, energy_limit=60_000, cycles=before, cycles_key=KEY)
    plain = an_order(energy=None, sent_at=NOW - sent_ago)
    return replace(plain, kind=OrderKind.CYCLES, cycles=cycles, baseline=baseline, **changes)


def situation(remaining: int | None = 1, **changes: Any) -> Situation:
    return a_situation(**{"policy": hosted(), "prices": PRICES, "cycles": counted(remaining)} | changes)


def decided(remaining: int | None = 1, **changes: Any) -> Decision:
    return decide_cycles(situation(remaining, **changes), "d")


# --- what is ordered ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("remaining", "changes", "cycles"),
    [
        (1, {}, 9),
        (0, {}, 10),
        (0, {"policy": hosted(min_cycles=1, top_up_to=1)}, 1),
        (0, {"limits": replace(a_situation().limits, cycles_max=4)}, 4),
        (0, {"memory": Memory(cycle_orders=(some(cycles=1),))}, 9),
        (1, {"prices": replace(PRICES, cycle_sun=4 * TRX)}, 9),
    ],
)
def test_a_shortfall_is_ordered_up_to_the_mark(remaining: int, changes: dict[str, Any], cycles: int) -> None:
    decision = decided(remaining, **changes)
    assert (decision.kind, decision.action, decision.reason) == (
        OrderKind.CYCLES,
        Action.ORDER_CYCLES,
        Reason.CYCLES_LOW,
    )
    assert decision.cycles == cycles
    assert decision.cost_sun == cycles * (decision.price_sun or 0)


UNCOUNTED = counted(None, CyclesKnown.UNKNOWN, detail="why")


@pytest.mark.parametrize(
    ("cycles", "reason"),
    [
        (counted(2), Reason.CYCLES_ENOUGH),
        (counted(10**9), Reason.CYCLES_ENOUGH),
        (UNCOUNTED, Reason.CYCLES_UNKNOWN),
        (None, Reason.CYCLES_UNKNOWN),
        (counted(None), Reason.CYCLES_UNKNOWN),
        (counted(0, read_at=NOW - minutes(6)), Reason.CYCLES_UNKNOWN),
        (counted(0, read_at=NOW + minutes(6)), Reason.CYCLES_UNKNOWN),
        (counted(None, CyclesKnown.INFINITE), Reason.INFINITE_CYCLES),
        (counted(None, CyclesKnown.NOT_IN_HOST_MODE), Reason.NOT_IN_HOST_MODE),
    ],
)
def test_what_is_enough_or_not_counted_orders_nothing(cycles: Cycles | None, reason: Reason) -> None:
    decision = decided(cycles=cycles)
    assert (decision.action, decision.reason, decision.cycles) == (Action.HOLD, reason, None)


def test_cycles_on_their_way_are_not_ordered_again() -> None:
    decision = decided(memory=Memory(cycle_orders=(some(cycles=9),)))
    assert (decision.reason, decision.available, decision.in_flight, decision.gap) == (Reason.IN_FLIGHT, 1, 9, 0)


HELD = {
    Reason.UNRESOLVED_ORDER: {"memory": Memory(unsettled=an_order(state=OrderState.UNRESOLVED))},
    Reason.LEDGER_LOST: {"memory": Memory(hold_until=NOW + minutes(1))},
    Reason.NETTS_UNAVAILABLE: {"unheard": Unheard(Reason.NETTS_UNAVAILABLE, "the account was not read")},
    Reason.PAUSED: {"memory": Memory(pauses=(Pause(1, None, ADDRESS, NOW, None, ""),))},
    Reason.AUTH_FAILED: {"memory": Memory(account_refusals=Refusals(Reason.AUTH_FAILED, 1, NOW, NOW))},
    Reason.INFINITE_CYCLES: {"memory": Memory(refusals=Refusals(Reason.INFINITE_CYCLES, 1, NOW, NOW))},
    Reason.PRICE_UNKNOWN: {"prices": replace(PRICES, cycle_sun=None)},
    Reason.PRICE_TOO_HIGH: {"prices": replace(PRICES, cycle_sun=4 * TRX + 1)},
    Reason.BUDGET_PER_ORDER: {"policy": hosted({"per_order": "26 TRX", "per_hour": "60 TRX", "per_day": "60 TRX"})},
    Reason.BUDGET_PER_HOUR: {"memory": Memory(spent_hour_sun=34 * TRX)},
    Reason.BUDGET_PER_DAY: {"memory": Memory(spent_day_sun=374 * TRX)},
    Reason.NO_FUNDS: {"funds": Funds(26 * TRX, NOW)},
    Reason.OBSERVE: {"policy": hosted(mode="observe")},
    Reason.DRY_RUN: {"mode": Mode.DRY_RUN},
}


def test_every_guard_of_cycles_has_its_failing_situation_here() -> None:
    assert len(HELD) == len(CYCLE_GUARDS)


@pytest.mark.parametrize("reason", HELD)
def test_a_guard_holds_an_order_of_cycles_back_with_all_its_figures(reason: Reason) -> None:
    changes: Any = HELD[reason]
    decision = decided(**changes)
    assert (decision.action, decision.reason, decision.cycles, decision.gap) == (Action.HOLD, reason, 9, 1)
    assert [guard.reason for guard in decision.guards if not guard.passed] == [reason]


@pytest.mark.parametrize(
    "reason", [Reason.UNRESOLVED_ORDER, Reason.PRICE_UNKNOWN, Reason.NO_FUNDS, Reason.DRY_RUN], ids=str
)
def test_what_protects_money_holds_a_persons_order_back_too(reason: Reason) -> None:
    changes: Any = HELD[reason]
    assert decide_by_hand(situation(**changes), 9, "d").reason is reason


@pytest.mark.parametrize(
    "reason", [Reason.PAUSED, Reason.PRICE_TOO_HIGH, Reason.BUDGET_PER_DAY, Reason.OBSERVE], ids=str
)
def test_what_the_policy_says_does_not(reason: Reason) -> None:
    changes: Any = HELD[reason]
    decision = decide_by_hand(situation(5, **changes), 9, "d")
    assert (decision.action, decision.reason, decision.cycles) == (Action.ORDER_CYCLES, Reason.BY_HAND, 9)


orders = st.builds(lambda cycles: some(cycles=cycles, before=None), st.integers(1, 200))


@given(
    st.integers(0, 50),
    st.integers(1, 50),
    st.integers(0, 50),
    st.lists(orders, max_size=3),
    st.sampled_from([*CyclesKnown, None]),
)
def test_no_order_tops_up_beyond_the_mark_nor_on_a_count_that_is_not_known(
    remaining: int, low: int, room: int, on_their_way: Sequence[Order], known: CyclesKnown | None
) -> None:
    policy = hosted("unlimited", min_cycles=low, top_up_to=low + room)
    cycles = None if known is None else counted(remaining if known is CyclesKnown.COUNTED else None, known)
    decision = decided(policy=policy, cycles=cycles, memory=Memory(cycle_orders=tuple(on_their_way)))
    there = remaining + sum(order.cycles or 0 for order in on_their_way)
    is_low = known is CyclesKnown.COUNTED and there < low
    assert (decision.action is Action.ORDER_CYCLES) == is_low
    if is_low:
        assert there + (decision.cycles or 0) == low + room


# --- how long they last ---------------------------------------------------------------------------------------------


def counts(*steps: tuple[float, int], key: str = KEY) -> tuple[Count, ...]:
    """Counts so many hours ago."""
    return tuple(Count(ADDRESS, NOW - timedelta(hours=ago), remaining, key) for ago, remaining in steps)


@pytest.mark.parametrize(
    ("seen", "hours"),
    [
        ((), None),
        (counts((10, 5)), None),
        (counts((10, 5), (5, 4)), 10),
        (counts((10, 5), (8, 3), (5, 1)), 2.5),
        (counts((10, 5), (8, 1), (7, 10), (2, 9)), 2),
        (counts((0.5, 5), (0.2, 1)), None),
        (counts((100, 90), (24, 86)), 72 / 4),
        ((*counts((10, 5)), *counts((5, 1), key="cycle_set")), None),
    ],
)
def test_a_cycle_lasts_as_long_as_the_counts_say(seen: Sequence[Count], hours: float | None) -> None:
    lasts = time_of_a_cycle(seen, NOW)
    assert (None if lasts is None else pytest.approx(lasts / timedelta(hours=1))) == hours


@pytest.mark.parametrize(
    ("seen", "low"),
    [
        ((), 20),  # a cycle may last an hour only, and no more than the mark is kept
        (counts((48, 30), (24, 28)), 2),  # a day each
        (counts((48, 30), (1, 6)), 20),
        (counts((40, 30), (1, 20)), 12),
    ],
)
def test_a_time_that_cycles_shall_last_is_a_number_of_them(seen: Sequence[Count], low: int) -> None:
    rule = HostModeRule.model_validate({"min_left": "2d", "top_up_to": 20, "max_cycle_price": "4 TRX"})
    assert wanted(rule, seen, NOW) == low


# --- when ordered ones are seen -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "now", "limit", "seen"),
    [
        (some(), counted(10), 60_000, True),
        (some(), counted(11), 60_000, True),
        (some(), counted(1), 60_000, None),
        (some(), counted(9), 191_000, None),  # the first minute: energy may come for a cycle that was used before
        (some(minutes(2)), counted(9), 191_000, True),
        (some(minutes(2)), counted(8), 191_000, None),
        (some(minutes(2)), counted(9), 60_000, None),
        (some(minutes(10)), counted(9), 60_000, False),
        (some(minutes(10)), counted(1), 60_000, False),
        (some(minutes(10)), UNCOUNTED, 60_000, None),
        (some(minutes(10)), counted(None, CyclesKnown.INFINITE), 60_000, None),
        (some(before=None), counted(9), 60_000, True),
        (some(minutes(60), before=None), counted(8), 60_000, None),
    ],
)
def test_cycles_are_seen_when_the_count_has_grown_but_for_what_was_used(
    order: Order,
    now: Cycles,
    limit: int,
    seen: bool | None,  # noqa: FBT001 - a column of the table
) -> None:
    assert were_added(order, now, a_reading(limit), (), NOW) is seen


def test_energy_that_was_rented_is_no_cycle_that_was_used() -> None:
    rental = an_order(131_000, OrderState.DELIVERED, delivered_at=NOW - minutes(1))
    assert were_added(some(minutes(2)), counted(9), a_reading(191_000), (rental,), NOW) is None
    assert were_added(some(minutes(2)), counted(9), None, (), NOW) is None


@pytest.mark.parametrize(("remaining", "in_flight"), [(1, 9), (0, 9), (5, 5), (10, 0), (12, 0)])
def test_what_the_count_shows_of_an_order_is_not_on_its_way_any_more(remaining: int, in_flight: int) -> None:
    assert decided(remaining, memory=Memory(cycle_orders=(some(),))).in_flight == in_flight
