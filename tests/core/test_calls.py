"""The life of a call: due, covered or missed, over; what it has used; and how much is rented for several."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from energyd.core import calls as life
from energyd.core.decide import decide
from energyd.model import (
    Action,
    Call,
    CallOrigin,
    CallState,
    ContractCall,
    Estimate,
    Memory,
    NoEstimate,
    OrderLimits,
    OrderState,
    Reason,
)

from .situations import ADDRESS, NOW, a_policy, a_reading, a_situation, an_order, minutes, seconds

LIMITS = OrderLimits()
WHAT = ContractCall(ADDRESS, "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", "transfer(address,uint256)")


def a_call(energy: int | None = 100_000, at: datetime = NOW, **parts: Any) -> Call:
    """A call that is made now and was due long ago."""
    plain = Call(
        call_id="c", name="payroll", address=ADDRESS, policy="payouts", origin=CallOrigin.POLICY,
        at=at, needed_by=at - minutes(3), lead=minutes(3), hold=minutes(20), state=CallState.DUE, energy=energy,
        added_at=NOW - minutes(60),
    )  # fmt: skip
    return replace(plain, **parts)


def stepped(*calls: Call, limit: int = 0, used: int = 0, now: datetime = NOW, rentals: Any = ()) -> list[Call]:
    return life.progress(calls, a_reading(limit, used, at=now), rentals, now, LIMITS)


# --- steps ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before_needed", "expected"),
    [(seconds(61), CallState.PLANNED), (seconds(60), CallState.DUE), (seconds(0), CallState.MISSED)],
)
def test_a_call_is_due_a_minute_before_its_energy_must_be_there_and_missed_then(
    before_needed: timedelta, expected: CallState
) -> None:
    call = a_call(at=NOW + minutes(3) + before_needed, state=CallState.PLANNED)
    assert [each.state for each in stepped(call)] == [expected]


def test_a_call_that_no_order_can_hold_is_due_earlier() -> None:
    call = a_call(9_000_000, at=NOW + minutes(6), state=CallState.PLANNED)
    assert life.due_at(call, LIMITS) == call.needed_by - seconds(60) - 2 * seconds(40)


def test_a_call_heard_of_late_is_given_a_minute_but_no_longer_than_it_has() -> None:
    assert life.needed_by(NOW + minutes(10), minutes(3), NOW) == NOW + minutes(7)
    assert life.needed_by(NOW + minutes(2), minutes(3), NOW) == NOW + seconds(60)
    assert life.needed_by(NOW + seconds(5), minutes(3), NOW) == NOW + seconds(5)


def test_a_call_is_covered_when_its_energy_is_on_chain() -> None:
    assert [call.state for call in stepped(a_call(), limit=100_000)] == [CallState.COVERED]
    assert [call.state for call in stepped(a_call(), limit=99_999)] == [CallState.MISSED]


def test_a_missed_call_can_still_be_covered() -> None:
    (call,) = stepped(a_call(state=CallState.MISSED), limit=100_000)
    assert (call.state, call.covered_at) == (CallState.COVERED, NOW)


def test_energy_that_ends_before_it_is_needed_covers_nothing() -> None:
    rental = an_order(state=OrderState.DELIVERED, sent_at=NOW - minutes(59.5), energy=100_000, baseline=0)
    call = a_call(at=NOW + minutes(4))
    assert [each.state for each in stepped(call, limit=100_000, rentals=[rental])] == [CallState.DUE]


def test_energy_is_claimed_by_one_call_only() -> None:
    both = [a_call(65_000, call_id="a"), a_call(65_000, call_id="b", needed_by=NOW + seconds(1))]
    states = [call.state for call in stepped(*both, limit=129_999)]
    assert states == [CallState.COVERED, CallState.DUE]
    assert [call.state for call in stepped(*both, limit=130_000)] == [CallState.COVERED] * 2


def test_what_cannot_be_read_covers_nothing_and_is_missed_all_the_same() -> None:
    (call,) = life.progress([a_call()], None, (), NOW, LIMITS)
    assert call.state is CallState.MISSED


@pytest.mark.parametrize("state", [CallState.PLANNED, CallState.DUE, CallState.COVERED, CallState.MISSED])
def test_every_call_is_over_in_the_end(state: CallState) -> None:
    call = a_call(state=state)
    assert [each.state for each in stepped(call, now=call.until)] == [CallState.OVER]


def test_an_application_waits_until_its_last_moment() -> None:
    call = a_call(origin=CallOrigin.ENSURE, at=NOW + minutes(2), needed_by=NOW - seconds(1))
    assert [each.state for each in stepped(call)] == [CallState.DUE]
    assert [each.state for each in stepped(call, now=NOW + minutes(2))] == [CallState.MISSED]


# --- what it uses ---------------------------------------------------------------------------------------------------


def test_use_is_counted_from_the_call_on() -> None:
    before = a_call(state=CallState.COVERED, covered_at=NOW, at=NOW + seconds(30))
    (seen,) = stepped(before, limit=200_000, used=10_000)
    (used,) = stepped(seen, limit=200_000, used=70_000, now=NOW + seconds(60))
    assert (seen.used, used.used, used.remaining) == (0, 60_000, 40_000)


def test_use_is_put_down_to_the_first_call_first() -> None:
    parts = {"state": CallState.COVERED, "covered_at": NOW, "seen_used": 0, "seen_limit": 300_000}
    first, second = stepped(a_call(call_id="a", **parts), a_call(call_id="b", **parts), limit=300_000, used=150_000)
    assert (first.remaining, second.remaining) == (0, 50_000)


def test_what_a_reclaim_takes_of_the_usage_hides_no_use() -> None:
    call = a_call(state=CallState.COVERED, covered_at=NOW, seen_used=80_000, seen_limit=200_000)
    (after,) = stepped(call, limit=100_000, used=60_000)
    assert after.used == 20_000


@given(st.lists(st.integers(0, 50_000), max_size=20), st.integers(1, 3))
def test_no_use_is_counted_twice(uses: list[int], count: int) -> None:
    parts = {"state": CallState.COVERED, "covered_at": NOW, "seen_used": 0, "seen_limit": 10**7}
    calls = [a_call(call_id=str(number), **parts) for number in range(count)]
    used = 0
    for use in uses:
        used += use
        calls = stepped(*calls, limit=10**7, used=used)
    assert sum(call.used for call in calls) == min(used, count * 100_000)


# --- estimates ------------------------------------------------------------------------------------------------------


def test_an_estimate_has_the_margin_and_one_trx_of_energy_on_top() -> None:
    call = life.estimated(a_call(None, what=WHAT, margin=Decimal(5)), Estimate(64_285, 64_285, 1, NOW))
    assert (call.energy, call.highest) == (67_500 + 10, 64_285)


def test_without_an_estimate_only_a_fallback_is_a_figure() -> None:
    no = NoEstimate(Reason.NODE_UNREACHABLE, "down", NOW)
    assert life.estimated(a_call(None, what=WHAT), no).energy is None
    assert life.estimated(a_call(None, what=WHAT, fallback=131_000), no).energy == 131_000


def test_an_older_estimate_is_better_than_none() -> None:
    call = life.estimated(a_call(None, what=WHAT), Estimate(64_285, 64_285, 1, NOW))
    assert life.estimated(call, NoEstimate(Reason.NODE_UNREACHABLE, "down", NOW)) == call


def test_a_call_is_estimated_when_it_comes_near_and_again_until_it_is_due() -> None:
    call = a_call(None, at=NOW + minutes(30), state=CallState.PLANNED, what=WHAT)
    due = life.due_at(call, LIMITS)
    assert not life.is_to_be_estimated(call, due - minutes(10) - seconds(1), LIMITS)
    assert life.is_to_be_estimated(call, due - minutes(10), LIMITS)
    known = replace(call, energy=1, estimated_at=due - minutes(10))
    assert not life.is_to_be_estimated(known, due - minutes(6), LIMITS)
    assert life.is_to_be_estimated(known, due - minutes(5), LIMITS)
    assert life.is_to_be_estimated(replace(call, state=CallState.DUE), due, LIMITS)
    assert not life.is_to_be_estimated(replace(known, state=CallState.DUE), due, LIMITS)


# --- what is rented for them ----------------------------------------------------------------------------------------


def decided(*calls: Call, limit: int = 0, used: int = 0, **changes: Any) -> Any:
    memory = Memory(calls=calls) if "memory" not in changes else changes.pop("memory")
    return decide(a_situation(reading=a_reading(limit, used), memory=memory, **changes), "d")


WITHOUT_FLOOR = {"policy": a_policy().model_copy(update={"energy": None})}


def test_a_due_call_is_rented_for_and_the_decision_says_so() -> None:
    decision = decided(a_call(), **WITHOUT_FLOOR)
    assert (decision.action, decision.reason, decision.energy) == (Action.RENT, Reason.PLANNED_CALL, 100_000)
    assert decision.detail == "call payroll"
    ensure = decided(a_call(origin=CallOrigin.ENSURE, name="ensure"), **WITHOUT_FLOOR)
    assert ensure.reason is Reason.ENSURE


def test_calls_add_up_on_top_of_the_floor() -> None:
    decision = decided(a_call(call_id="a"), a_call(call_id="b", name="refunds"), limit=65_000)
    assert (decision.demand, decision.gap, decision.energy) == (265_000, 200_000, 200_000)
    assert [need.call for need in decision.needs] == ["", "payroll", "refunds"]


def test_the_target_is_rented_only_when_the_floor_is_not_met_by_itself() -> None:
    assert decided(a_call(), limit=65_000).energy == 100_000
    assert decided(a_call(), limit=64_999).energy == 100_000 + 131_000 - 64_999


def test_what_is_not_due_yet_is_not_rented() -> None:
    assert decided(a_call(state=CallState.PLANNED), limit=65_000).reason is Reason.ENOUGH


def test_a_call_that_nobody_can_estimate_is_said() -> None:
    decision = decided(a_call(None, detail="it reverts"), limit=65_000)
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.NO_ESTIMATE)
    assert decision.detail == "call payroll: it reverts"


def test_a_call_whose_energy_was_never_there_tolerates_no_drift() -> None:
    rental = an_order(state=OrderState.DELIVERED, energy=100_000, baseline=0)
    memory = Memory(calls=(a_call(),), rentals=(rental,))
    assert decided(limit=99_999, memory=memory, **WITHOUT_FLOOR).action is Action.RENT
    covered = replace(memory, calls=(a_call(state=CallState.COVERED, covered_at=NOW),))
    assert decided(limit=99_999, memory=covered, **WITHOUT_FLOOR).action is Action.HOLD


def test_the_sources_add_up_to_the_supply() -> None:
    ending = an_order(key="1" * 64, state=OrderState.DELIVERED, sent_at=NOW - minutes(59), energy=65_000, baseline=0)
    coming = an_order(key="2" * 64, state=OrderState.PLACED, energy=70_000, baseline=65_000, before=[ending])
    decision = decided(limit=65_000, memory=Memory(rentals=(ending, coming)))
    assert sum(source.energy for source in decision.sources) == decision.supply
    assert [source.what for source in decision.sources] == ["on chain", "on its way", "ends"]


@given(st.lists(st.integers(1, 500_000), min_size=1, max_size=5), st.integers(0, 1_000_000), st.booleans())
def test_what_is_there_after_an_order_is_never_less_than_all_calls_and_the_floor(
    energies: list[int],
    limit: int,
    keeps_floor: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    calls = [a_call(energy, call_id=str(number)) for number, energy in enumerate(energies)]
    wide = {} if keeps_floor else WITHOUT_FLOOR
    decision = decided(*calls, limit=limit, **wide)
    needed = sum(energies) + (65_000 if keeps_floor else 0)
    assert decision.demand == needed
    if decision.energy is None:
        assert limit >= needed
    else:
        assert limit + decision.energy >= min(needed, limit + LIMITS.energy_max)
