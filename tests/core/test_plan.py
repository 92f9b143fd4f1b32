"""The plan is the same decisions rolled forward: what it says is what a daemon would do if nothing else happened."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from energyd.core.plan import calls_until, roll
from energyd.model import Action, CallState, Decision, Memory, NoReading, Pause, Reason
from energyd.policy import Policy

from .situations import ADDRESS, NOW, TRX, a_policy, a_reading, a_situation, minutes, seconds

DAY = timedelta(days=1)
PAYROLL = {
    "name": "payroll",
    "cron": "0 12 * * *",
    "lead": "3m",
    "hold": "20m",
    "energy": 65_000,
    "count": 4,
}


def rented(decisions: list[Decision]) -> list[Decision]:
    return [decision for decision in decisions if decision.action is Action.RENT]


def payroll_policy(**call: object) -> Policy:
    return Policy.model_validate(
        {"policy": "payouts", "addresses": [ADDRESS], "planned_calls": [PAYROLL | call], "budget": "unlimited"}
    )


def test_a_floor_that_is_always_kept_is_renewed_before_each_hour_ends() -> None:
    plan = rented(roll([a_situation(reading=a_reading(0))], {}, NOW + DAY))
    assert plan[0].at == NOW
    gaps = {later.at - earlier.at for earlier, later in pairwise(plan)}
    assert gaps == {timedelta(hours=1) - seconds(90)}
    assert {decision.energy for decision in plan[1:]} <= set(range(131_000, 131_200))
    assert sum(decision.cost_sun or 0 for decision in plan) == sum((d.energy or 0) * 30 for d in plan)


def test_a_budget_stops_the_plan_as_it_would_stop_the_daemon() -> None:
    policy = a_policy(budget={"per_order": "4 TRX", "per_hour": "4 TRX", "per_day": "12 TRX"})
    plan = roll([a_situation(policy=policy, reading=a_reading(0))], {}, NOW + DAY)
    assert len(rented(plan)) == 3
    assert plan[-1].reason is Reason.BUDGET_PER_DAY
    assert sum(decision.cost_sun or 0 for decision in rented(plan)) <= 12 * TRX


def test_what_was_spent_before_counts_until_its_day_is_over() -> None:
    policy = a_policy(budget={"per_order": "5 TRX", "per_hour": "5 TRX", "per_day": "5 TRX"})
    spent = {"payouts": [(NOW - timedelta(hours=23), 5 * TRX)]}
    plan = roll([a_situation(policy=policy, reading=a_reading(0))], spent, NOW + DAY)
    assert plan[0].reason is Reason.BUDGET_PER_HOUR or plan[0].reason is Reason.BUDGET_PER_DAY
    first = rented(plan)[0]
    assert minutes(60) <= first.at - NOW <= minutes(62)


def test_two_addresses_of_a_policy_share_its_budget() -> None:
    policy = a_policy(budget={"per_order": "4 TRX", "per_hour": "4 TRX", "per_day": "4 TRX"})
    one = a_situation(policy=policy, reading=a_reading(0))
    other = replace(one, address="TGiPJbaP5at8cigWcRHmCDkyKjUGb71fGd")
    plan = rented(roll([one, other], {}, NOW + DAY))
    assert len(plan) == 1


def test_a_planned_call_is_rented_for_shortly_before_it_and_once() -> None:
    policy = payroll_policy()
    calls = calls_until(policy, ADDRESS, (), now=NOW, until=NOW + DAY)
    assert [call.at.hour for call in calls] == [12]
    plan = rented(
        roll([a_situation(policy=policy, reading=a_reading(0), memory=Memory(calls=tuple(calls)))], {}, NOW + DAY)
    )
    assert [decision.energy for decision in plan] == [260_000]
    noon = NOW.replace(hour=12, minute=0)
    assert noon - minutes(6) <= plan[0].at <= noon - minutes(3)
    assert plan[0].reason is Reason.PLANNED_CALL


def test_energy_that_must_be_there_longer_than_a_rental_is_rented_again_before_it_ends() -> None:
    policy = payroll_policy(lead="90m")
    calls = calls_until(policy, ADDRESS, (), now=NOW, until=NOW + DAY)
    plan = rented(
        roll([a_situation(policy=policy, reading=a_reading(0), memory=Memory(calls=tuple(calls)))], {}, NOW + DAY)
    )
    assert len(plan) == 2
    assert plan[1].at - plan[0].at == timedelta(hours=1) - seconds(90)


def test_a_call_that_is_written_down_is_not_planned_twice() -> None:
    policy = payroll_policy()
    (call,) = calls_until(policy, ADDRESS, (), now=NOW, until=NOW + DAY)
    assert calls_until(policy, ADDRESS, (call,), now=NOW, until=NOW + DAY) == [call]
    cancelled = replace(call, state=CallState.CANCELLED)
    assert calls_until(policy, ADDRESS, (cancelled,), now=NOW, until=NOW + DAY) == []


def test_an_address_that_cannot_be_read_has_one_decision_that_says_so() -> None:
    nothing = NoReading(ADDRESS, Reason.NODE_UNREACHABLE, "no node answers", NOW)
    (decision,) = roll([a_situation(reading=nothing)], {}, NOW + DAY)
    assert decision.reason is Reason.NODE_UNREACHABLE


def test_a_pause_holds_until_it_ends() -> None:
    pause = Pause(1, None, None, NOW, NOW + minutes(30), "maintenance")
    plan = roll([a_situation(reading=a_reading(0), memory=Memory(pauses=(pause,)))], {}, NOW + DAY)
    assert plan[0].reason is Reason.PAUSED
    assert minutes(30) <= rented(plan)[0].at - NOW <= minutes(31)


def test_a_dry_run_plans_what_a_live_run_would_do() -> None:
    start = a_situation(reading=a_reading(0))
    assert roll([start], {}, NOW + DAY) == roll([replace(start, mode=type(start.mode).DRY_RUN)], {}, NOW + DAY)
