"""Decisions: a row for each situation that a person could ask about, the guards' order, what no situation may do."""

from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from energyd.core import guards
from energyd.core.decide import decide
from energyd.core.guards import GUARDS
from energyd.model import (
    Action,
    Baseline,
    Funds,
    Memory,
    Mode,
    NoReading,
    Order,
    OrderLimits,
    OrderState,
    Pause,
    Prices,
    Reading,
    Reason,
    Refusals,
    Situation,
    Unheard,
)

from .situations import (
    ADDRESS,
    NOW,
    PRICES,
    TRX,
    a_policy,
    a_reading,
    a_situation,
    an_order,
    minutes,
    remembering,
    seconds,
)

PLACED, DELIVERED, EXPIRED = OrderState.PLACED, OrderState.DELIVERED, OrderState.EXPIRED


# --- the worked example of the architecture -------------------------------------------------------------------------


def test_the_worked_example_has_its_figures() -> None:
    decision = decide(a_situation(), "d1")
    assert (decision.action, decision.reason) == (Action.RENT, Reason.BELOW_FLOOR)
    assert (decision.demand, decision.supply, decision.available, decision.in_flight) == (65_000, 60_000, 60_000, 0)
    assert (decision.gap, decision.energy) == (71_000, 71_000)
    assert (decision.price_sun, decision.cost_sun) == (30, 2_130_000)
    assert (decision.decision_id, decision.address, decision.policy, decision.at) == ("d1", ADDRESS, "payouts", NOW)
    assert len(decision.guards) == len(GUARDS)
    assert all(guard.passed for guard in decision.guards)


# --- one row for each situation: what is changed -> what is rented, or why not --------------------------------------


def unread(reason: Reason) -> NoReading:
    return NoReading(ADDRESS, reason, "why", NOW)


def ending_in(left: timedelta, **changes: Any) -> Order:
    return an_order(state=DELIVERED, sent_at=NOW - timedelta(hours=1) + left, **changes)


RENTS: dict[str, tuple[dict[str, Any], int]] = {
    "below the floor": ({}, 71_000),
    "no energy at all": ({"reading": a_reading(0)}, 131_000),
    "everything is used, and 62 will be back in 90 s": ({"reading": a_reading(60_000, 60_000)}, 130_938),
    "more is used than there is, and has to be filled up first": ({"reading": a_reading(60_000, 90_000)}, 160_907),
    "a target of its own is not named": ({"policy": a_policy(target=None), "reading": a_reading(0)}, 65_000),
    "a small gap is rounded up": ({"policy": a_policy(target=None)}, 61_000),
    "a gap that is the minimum": ({"policy": a_policy(floor=121_000, target=121_000)}, 61_000),
    "a gap one above the minimum": ({"policy": a_policy(floor=121_001, target=121_001)}, 61_001),
    "a large gap is cut": ({"policy": a_policy(target=9_000_000, budget="unlimited")}, 3_000_000),
    "other limits": ({"limits": OrderLimits(energy_min=80_000)}, 80_000),
    "a rental is about to end": (
        {"reading": a_reading(131_000), "memory": remembering(ending_in(seconds(90), energy=131_000))},
        131_000,
    ),
    "only one of two rentals is about to end": (
        {
            "reading": a_reading(125_000),
            "memory": remembering(
                ending_in(seconds(60)),
                ending_in(minutes(40), energy=60_000, baseline=65_000, before=[ending_in(seconds(60))]),
            ),
        },
        71_000,
    ),
    "a rental ended early": (
        {"reading": a_reading(0), "memory": remembering(ending_in(minutes(20), energy=65_000))},
        131_000,
    ),
    "an order was accepted, never seen, and its hour is over": (
        {"reading": a_reading(0), "memory": remembering(an_order(state=OrderState.UNDELIVERED))},
        131_000,
    ),
    "what is on its way is not enough, and may drift": (
        {"policy": a_policy(target=None, floor=300_000), "reading": a_reading(0), "memory": remembering(an_order())},
        235_085,
    ),
    "what is on its way ends too early": (
        {
            "policy": a_policy(renew_before="90s"),
            "reading": a_reading(0),
            "memory": remembering(an_order(sent_at=NOW - minutes(59))),
        },
        131_000,
    ),
    "in use within the time": (
        {
            "policy": a_policy(keep="while_active", active_within="30m"),
            "reading": a_reading(last_used_at=NOW - minutes(30)),
        },
        71_000,
    ),
    "used in the future: a clock was set back": (
        {"policy": a_policy(keep="while_active"), "reading": a_reading(last_used_at=NOW + minutes(300))},
        71_000,
    ),
    "in the window": ({"policy": a_policy(keep=[{"from": "09:00", "to": "10:00"}])}, 71_000),
    "unknown is taken as empty": (
        {"policy": a_policy(on_unknown="assume_empty"), "reading": unread(Reason.NODE_UNREACHABLE)},
        131_000,
    ),
    "the price is the limit": ({"prices": replace(PRICES, rent_sun=80)}, 71_000),
    "the price is the limit in sun": ({"policy": a_policy(max_price="30 sun")}, 71_000),
    "the price is the burn price": (
        {"policy": a_policy(max_price="100% of burn"), "prices": replace(PRICES, rent_sun=100)},
        71_000,
    ),
    "a limit with a fraction": (
        {"policy": a_policy(max_price="30.5% of burn"), "prices": replace(PRICES, rent_sun=30)},
        71_000,
    ),
    "the burn price is not known and the limit is in sun": (
        {"policy": a_policy(max_price="60 sun"), "prices": replace(PRICES, burn_sun=None)},
        71_000,
    ),
    "the price is as old as it may be": (
        {"prices": replace(PRICES, rent_read_at=NOW - guards.PRICE_GOOD_FOR)},
        71_000,
    ),
    "exactly at the budget of an order": (
        {"policy": a_policy(budget={"per_order": "2.13 TRX", "per_hour": "60 TRX", "per_day": "60 TRX"})},
        71_000,
    ),
    "exactly at the budget of an hour": ({"memory": Memory(spent_hour_sun=60 * TRX - 2_130_000)}, 71_000),
    "exactly at the budget of a day": ({"memory": Memory(spent_day_sun=400 * TRX - 2_130_000)}, 71_000),
    "no budget": (
        {"policy": a_policy(budget="unlimited"), "memory": Memory(spent_hour_sun=10**12, spent_day_sun=10**12)},
        71_000,
    ),
    "the balance is just enough": ({"funds": Funds(2_130_000, NOW)}, 71_000),
    "the balance is not known": ({"funds": None}, 71_000),
    "Host Mode did not fill it up": ({"left_to_host_mode_until": NOW}, 71_000),
    "the cooldown is just over": ({"memory": Memory(last_order_at=NOW - seconds(30))}, 71_000),
    "the last order lies far in the future: a clock was set back": (
        {"memory": Memory(last_order_at=NOW + minutes(30))},
        71_000,
    ),
    "the hold after a lost ledger is over": ({"memory": Memory(hold_until=NOW)}, 71_000),
    "the wait after a refusal is over": (
        {"memory": Memory(refusals=Refusals(Reason.REFUSED, 1, NOW - minutes(1), NOW - minutes(1)))},
        71_000,
    ),
}


@pytest.mark.parametrize("name", RENTS)
def test_it_rents(name: str) -> None:
    changes, energy = RENTS[name]
    decision = decide(a_situation(**changes), "d")
    assert (decision.action, decision.reason, decision.energy) == (Action.RENT, Reason.BELOW_FLOOR, energy)
    assert decision.cost_sun == energy * (decision.price_sun or 0)


HOLDS: dict[str, tuple[dict[str, Any], Reason]] = {
    "exactly the floor": ({"reading": a_reading(65_000)}, Reason.ENOUGH),
    "more than the target": ({"reading": a_reading(500_000, 100_000)}, Reason.ENOUGH),
    "a floor of nothing": ({"policy": a_policy(floor=0), "reading": a_reading(0, 500)}, Reason.ENOUGH),
    "no floor is kept": ({"policy": a_policy(keep="never")}, Reason.ENOUGH),
    "an order is on its way": ({"memory": remembering(an_order(baseline=60_000))}, Reason.IN_FLIGHT),
    "half of an order is there": (
        {"reading": a_reading(90_000, 40_000), "memory": remembering(an_order(baseline=60_000))},
        Reason.IN_FLIGHT,
    ),
    "an order is on its way and was not needed": (
        {"reading": a_reading(65_000), "memory": remembering(an_order(baseline=65_000))},
        Reason.ENOUGH,
    ),
    "a rental ends a second after what counts": (
        {"reading": a_reading(131_000), "memory": remembering(ending_in(seconds(91), energy=131_000))},
        Reason.ENOUGH,
    ),
    "a rental ends after the window": (
        {
            "policy": a_policy(keep=[{"from": "09:00", "to": "09:31"}]),
            "reading": a_reading(131_000),
            "memory": remembering(ending_in(seconds(80), energy=131_000)),
        },
        Reason.ENOUGH,
    ),
    "outside the windows": ({"policy": a_policy(keep=[{"from": "10:00", "to": "11:00"}])}, Reason.OUTSIDE_WINDOW),
    "not in use": (
        {
            "policy": a_policy(keep="while_active", active_within="30m"),
            "reading": a_reading(last_used_at=NOW - seconds(1801)),
        },
        Reason.INACTIVE,
    ),
    "never in use": ({"policy": a_policy(keep="while_active")}, Reason.INACTIVE),
    "whether it is in use cannot be read": (
        {
            "policy": a_policy(keep="while_active", on_unknown="assume_empty"),
            "reading": unread(Reason.NODE_UNREACHABLE),
        },
        Reason.INACTIVE,
    ),
    "the node is away": ({"reading": unread(Reason.NODE_UNREACHABLE)}, Reason.NODE_UNREACHABLE),
    "the node is behind": ({"reading": unread(Reason.READING_STALE)}, Reason.READING_STALE),
    "not activated": ({"reading": unread(Reason.NOT_ACTIVATED)}, Reason.NOT_ACTIVATED),
    "not activated is known, not unknown": (
        {"policy": a_policy(on_unknown="assume_empty"), "reading": unread(Reason.NOT_ACTIVATED)},
        Reason.NOT_ACTIVATED,
    ),
    "taken as empty, and an order is on its way": (
        {
            "policy": a_policy(on_unknown="assume_empty"),
            "reading": unread(Reason.NODE_UNREACHABLE),
            "memory": remembering(an_order(131_000, baseline=None)),
        },
        Reason.IN_FLIGHT,
    ),
    "the price was never read": ({"prices": Prices()}, Reason.PRICE_UNKNOWN),
    "the price was read too long ago": (
        {"prices": replace(PRICES, rent_read_at=NOW - guards.PRICE_GOOD_FOR - seconds(1))},
        Reason.PRICE_UNKNOWN,
    ),
    "the price was read in a future that a clock has left": (
        {"prices": replace(PRICES, rent_read_at=NOW + guards.PRICE_GOOD_FOR + seconds(1))},
        Reason.PRICE_UNKNOWN,
    ),
    "the burn price was never read and the limit hangs on it": (
        {"prices": replace(PRICES, burn_sun=None)},
        Reason.PRICE_UNKNOWN,
    ),
    "the burn price was read too long ago": (
        {"prices": replace(PRICES, burn_read_at=NOW - guards.BURN_PRICE_GOOD_FOR - seconds(1))},
        Reason.PRICE_UNKNOWN,
    ),
    "one sun above a share of burn": ({"prices": replace(PRICES, rent_sun=81)}, Reason.PRICE_TOO_HIGH),
    "above a share that is no whole sun": (
        {"policy": a_policy(max_price="30.5% of burn"), "prices": replace(PRICES, rent_sun=31)},
        Reason.PRICE_TOO_HIGH,
    ),
    "one sun above a limit in sun": ({"policy": a_policy(max_price="29 sun")}, Reason.PRICE_TOO_HIGH),
    "one sun above burning": (
        {"policy": a_policy(max_price="200 sun"), "prices": replace(PRICES, rent_sun=101)},
        Reason.DEARER_THAN_BURNING,
    ),
    "one sun above the budget of an order": (
        {"policy": a_policy(budget={"per_order": "2129999 sun", "per_hour": "60 TRX", "per_day": "60 TRX"})},
        Reason.BUDGET_PER_ORDER,
    ),
    "one sun above the budget of an hour": (
        {"memory": Memory(spent_hour_sun=60 * TRX - 2_129_999)},
        Reason.BUDGET_PER_HOUR,
    ),
    "one sun above the budget of a day": (
        {"memory": Memory(spent_day_sun=400 * TRX - 2_129_999)},
        Reason.BUDGET_PER_DAY,
    ),
    "one sun short": ({"funds": Funds(2_129_999, NOW)}, Reason.NO_FUNDS),
    "Host Mode may still fill it up": ({"left_to_host_mode_until": NOW + seconds(1)}, Reason.LEFT_TO_HOST_MODE),
    "a second before the cooldown is over": ({"memory": Memory(last_order_at=NOW - seconds(29))}, Reason.COOLDOWN),
    "an order may have been placed": (
        {"memory": Memory(unsettled=an_order(state=OrderState.UNRESOLVED))},
        Reason.UNRESOLVED_ORDER,
    ),
    "the ledger was lost": ({"memory": Memory(hold_until=NOW + seconds(1))}, Reason.LEDGER_LOST),
    "paused": ({"memory": Memory(pauses=(Pause(1, None, None, NOW, None, "holiday"),))}, Reason.PAUSED),
    "dry run": ({"mode": Mode.DRY_RUN}, Reason.DRY_RUN),
    "observe": ({"policy": a_policy(mode="observe")}, Reason.OBSERVE),
    "observe in a dry run": ({"policy": a_policy(mode="observe"), "mode": Mode.DRY_RUN}, Reason.OBSERVE),
    **{
        f"refused: {reason}": ({"memory": Memory(account_refusals=Refusals(reason, 1, NOW, NOW))}, reason)
        for reason in (Reason.AUTH_FAILED, Reason.NO_FUNDS, Reason.RATE_LIMITED, Reason.NETTS_UNAVAILABLE)
    },
    "refused for this address": ({"memory": Memory(refusals=Refusals(Reason.REFUSED, 1, NOW, NOW))}, Reason.REFUSED),
}


@pytest.mark.parametrize("name", HOLDS)
def test_it_holds(name: str) -> None:
    changes, reason = HOLDS[name]
    decision = decide(a_situation(**changes), "d")
    assert (decision.action, decision.reason) == (Action.HOLD, reason)


def test_a_policy_without_an_energy_part_asks_for_nothing() -> None:
    policy = a_policy().model_copy(update={"energy": None})
    assert decide(a_situation(policy=policy), "d").reason is Reason.ENOUGH


OF_CYCLES = {reason for reason in Reason if "cycles" in reason} | {Reason.NOT_IN_HOST_MODE, Reason.BY_HAND}
OF_PLANNED_CALLS = {Reason.PLANNED_CALL, Reason.ENSURE, Reason.NO_ESTIMATE}


def test_the_tables_hold_every_reason_that_a_decision_about_energy_can_have() -> None:
    shown = {reason for _, reason in HOLDS.values()} | {Reason.BELOW_FLOOR}
    assert shown == set(Reason) - OF_CYCLES - OF_PLANNED_CALLS


# --- what a person sees beside the reason ---------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"mode": Mode.DRY_RUN}, {"policy": a_policy(mode="observe")}])
def test_a_purchase_that_is_only_shown_has_the_figures_of_a_real_one(changes: dict[str, Any]) -> None:
    shown, real = decide(a_situation(**changes), "d"), decide(a_situation(), "d")
    assert shown.detail == "would rent: below_floor"
    assert (shown.gap, shown.energy, shown.price_sun, shown.cost_sun) == (
        real.gap,
        real.energy,
        real.price_sun,
        real.cost_sun,
    )


def test_a_held_purchase_says_what_was_compared() -> None:
    dear = decide(a_situation(prices=replace(PRICES, rent_sun=90)), "d")
    assert dear.detail == "below_floor, but price_too_high: 90 sun against 80 sun (80% of burn)"
    poor = decide(a_situation(memory=Memory(spent_hour_sun=59 * TRX)), "d")
    assert poor.detail == "below_floor, but budget_per_hour: 61.13 TRX against 60 TRX"


def test_what_cannot_be_read_has_no_figures() -> None:
    decision = decide(a_situation(reading=unread(Reason.NODE_UNREACHABLE)), "d")
    assert (decision.available, decision.supply, decision.gap, decision.demand) == (None, None, None, None)


def test_what_is_taken_as_empty_is_still_not_known() -> None:
    changes = {"policy": a_policy(on_unknown="assume_empty"), "reading": unread(Reason.NODE_UNREACHABLE)}
    assert decide(a_situation(**changes), "d").available is None


def test_a_purchase_at_an_unknown_price_has_no_cost() -> None:
    decision = decide(a_situation(prices=Prices()), "d")
    assert (decision.energy, decision.price_sun, decision.cost_sun) == (71_000, None, None)


# --- the order of the guards ----------------------------------------------------------------------------------------

Spoil = dict[str, dict[str, Any]]

SPOILED: tuple[tuple[str, Reason, Spoil], ...] = (
    (
        "_no_unresolved_order",
        Reason.UNRESOLVED_ORDER,
        {"memory": {"unsettled": an_order(state=OrderState.UNRESOLVED)}},
    ),
    ("_ledger_is_whole", Reason.LEDGER_LOST, {"memory": {"hold_until": NOW + minutes(1)}}),
    (
        "_all_is_heard",
        Reason.NETTS_UNAVAILABLE,
        {"situation": {"unheard": Unheard(Reason.NETTS_UNAVAILABLE, "the account was not read")}},
    ),
    ("_not_paused", Reason.PAUSED, {"memory": {"pauses": (Pause(1, None, ADDRESS, NOW, None, ""),)}}),
    (
        "_account_accepts",
        Reason.AUTH_FAILED,
        {"memory": {"account_refusals": Refusals(Reason.AUTH_FAILED, 1, NOW, NOW)}},
    ),
    ("_address_accepts", Reason.REFUSED, {"memory": {"refusals": Refusals(Reason.REFUSED, 1, NOW, NOW)}}),
    ("_cooled_down", Reason.COOLDOWN, {"memory": {"last_order_at": NOW}}),
    ("_left_to_host_mode", Reason.LEFT_TO_HOST_MODE, {"situation": {"left_to_host_mode_until": NOW + minutes(1)}}),
    ("_price_is_known", Reason.PRICE_UNKNOWN, {"prices": {"rent_sun": None}}),
    ("_price_is_allowed", Reason.PRICE_TOO_HIGH, {"energy": {"max_price": "10 sun"}}),
    (
        "_cheaper_than_burning",
        Reason.DEARER_THAN_BURNING,
        {"prices": {"burn_sun": 20}, "energy": {"max_price": "200 sun"}},
    ),
    ("_within_order_budget", Reason.BUDGET_PER_ORDER, {"budget": {"per_order": "1 TRX"}}),
    ("_within_hour_budget", Reason.BUDGET_PER_HOUR, {"memory": {"spent_hour_sun": 60 * TRX}}),
    ("_within_day_budget", Reason.BUDGET_PER_DAY, {"memory": {"spent_day_sun": 400 * TRX}}),
    ("_balance_suffices", Reason.NO_FUNDS, {"funds": {"balance_sun": 1}}),
    ("_policy_spends", Reason.OBSERVE, {"policy": {"mode": "observe"}}),
    ("_daemon_spends", Reason.DRY_RUN, {"situation": {"mode": Mode.DRY_RUN}}),
)


def spoiled(*spoils: Spoil) -> Situation:
    """A situation in which several guards fail; where two want different figures, the first one named gets its."""
    merged: Spoil = {}
    for spoil in reversed(spoils):
        for part, changes in spoil.items():
            merged[part] = merged.get(part, {}) | changes
    budget = {"per_order": "15 TRX", "per_hour": "60 TRX", "per_day": "400 TRX"} | merged.get("budget", {})
    return a_situation(
        policy=a_policy(budget=budget, **merged.get("policy", {}), **merged.get("energy", {})),
        prices=replace(PRICES, **merged.get("prices", {})),
        funds=replace(Funds(500 * TRX, NOW), **merged.get("funds", {})),
        memory=Memory(**merged.get("memory", {})),
        **merged.get("situation", {}),
    )


def test_every_guard_has_its_failing_situation_here() -> None:
    assert tuple(name for name, _, _ in SPOILED) == tuple(guard.__name__ for guard in GUARDS)


@pytest.mark.parametrize(("name", "reason", "spoil"), SPOILED)
def test_a_guard_that_fails_alone_gives_the_reason(name: str, reason: Reason, spoil: Spoil) -> None:
    decision = decide(spoiled(spoil), "d")
    failed = [guard.__name__ for guard, said in zip(GUARDS, decision.guards, strict=True) if not said.passed]
    assert (decision.action, decision.reason, failed) == (Action.HOLD, reason, [name])


@pytest.mark.parametrize(("earlier", "later"), list(combinations(SPOILED, 2)))
def test_of_two_guards_that_fail_the_earlier_one_gives_the_reason(
    earlier: tuple[str, Reason, Spoil], later: tuple[str, Reason, Spoil]
) -> None:
    decision = decide(spoiled(earlier[2], later[2]), "d")
    assert (decision.action, decision.reason) == (Action.HOLD, earlier[1])


# --- what is true of every situation --------------------------------------------------------------------------------

energies = st.integers(0, 400_000) | st.sampled_from([0, 1, 60_999, 61_000, 65_000, 131_000, 10**11])
moments = st.integers(-7200, 7200).map(lambda offset: NOW + seconds(offset))
maybe_sun = st.none() | st.integers(0, 10**9)
states = st.sampled_from(sorted(OrderState))
KEYS = [f"{number:064x}" for number in range(8)]


@st.composite
def orders(draw: st.DrawFn, state: st.SearchStrategy[OrderState] = states) -> Order:
    sent_at = draw(moments)
    order = an_order(draw(st.none() | energies), draw(state), sent_at, draw(st.none() | energies))
    return replace(
        order,
        key=draw(st.sampled_from(KEYS)),
        sent_at=draw(st.none() | st.just(sent_at)),
        delivered_at=draw(st.none() | moments),
        baseline=Baseline(draw(moments), order.baseline.energy_limit, draw(st.sets(st.sampled_from(KEYS)).map(tuple))),
        cost_max_sun=draw(st.integers(0, 10**9)),
        cost_sun=draw(maybe_sun),
    )


refusals = st.builds(
    Refusals,
    st.sampled_from([Reason.REFUSED, Reason.NO_FUNDS, Reason.AUTH_FAILED, Reason.RATE_LIMITED]),
    st.integers(1, 10**6),
    moments,
    moments,
    st.none() | st.integers(0, 10**9).map(seconds),
    maybe_sun,
)
memories = st.builds(
    Memory,
    rentals=st.lists(orders(), max_size=4, unique_by=lambda order: order.key).map(tuple),
    unsettled=st.none() | orders(),
    spent_hour_sun=st.integers(0, 10**9),
    spent_day_sun=st.integers(0, 10**9),
    last_order_at=st.none() | moments,
    pauses=st.just(()) | st.just((Pause(1, None, None, NOW, None, ""),)),
    refusals=st.none() | refusals,
    account_refusals=st.none() | refusals,
    hold_until=st.none() | moments,
)
quiet_memories = st.builds(Memory, rentals=st.lists(orders(), max_size=4, unique_by=lambda order: order.key).map(tuple))
policies = st.builds(
    a_policy,
    budget=st.sampled_from(["unlimited", None]),
    mode=st.sampled_from([None, "observe"]),
    floor=st.sampled_from([0, 1, 65_000, 131_000]),
    target=st.sampled_from([None, 131_000, 10**9]),
    keep=st.sampled_from(
        [
            "always",
            "never",
            "while_active",
            [{"from": "22:00", "to": "10:00", "timezone": "Europe/Berlin"}, {"from": "09:00", "to": "24:00"}],
        ]
    ),
    renew_before=st.sampled_from(["0s", "90s", "30m"]),
    max_price=st.sampled_from(["80% of burn", "60 sun", "0 sun", "0% of burn"]),
    on_unknown=st.sampled_from(["hold", "assume_empty"]),
)
readings = st.builds(a_reading, energies, energies, moments, st.none() | moments)
prices = st.builds(Prices, maybe_sun, maybe_sun, maybe_sun, st.none() | moments, st.none() | moments)
situations = st.builds(
    a_situation,
    policy=policies,
    mode=st.sampled_from(Mode),
    now=moments,
    reading=readings | st.builds(unread, st.sampled_from([Reason.NODE_UNREACHABLE, Reason.NOT_ACTIVATED])),
    prices=prices | st.just(PRICES),
    funds=st.none() | st.builds(Funds, st.integers(0, 10**9), moments),
    memory=memories | quiet_memories,
)


@given(situations)
def test_no_situation_makes_it_raise_and_the_same_one_has_the_same_answer(situation: Situation) -> None:
    assert decide(situation, "d") == decide(situation, "d")


@given(situations)
def test_it_never_rents_when_a_guard_fails_or_a_figure_is_missing(situation: Situation) -> None:
    decision = decide(situation, "d")
    assert decision.action in (Action.RENT, Action.HOLD)
    if decision.action is Action.RENT:
        assert decision.guards
        assert all(guard.passed for guard in decision.guards)
        assert decision.cost_sun is not None
        assert decision.reason is Reason.BELOW_FLOOR
        assert situation.mode is Mode.LIVE
    else:
        assert decision.reason is not Reason.BELOW_FLOOR


@given(situations)
def test_what_would_be_rented_is_within_the_limits_and_covers_the_gap_if_it_can(situation: Situation) -> None:
    decision, limits = decide(situation, "d"), situation.limits
    if decision.energy is not None:
        assert limits.energy_min <= decision.energy <= limits.energy_max
        assert decision.gap is not None
        assert decision.gap > 0
        assert decision.energy >= min(decision.gap, limits.energy_max)


@given(situations, st.integers(1, 200_000))
def test_less_usage_never_makes_it_rent_more(situation: Situation, less: int) -> None:
    reading = situation.reading
    if isinstance(reading, Reading):
        fresher = replace(situation, reading=replace(reading, energy_used=max(reading.energy_used - less, 0)))
        assert (decide(fresher, "d").energy or 0) <= (decide(situation, "d").energy or 0)


@given(situations, st.integers(1, 200_000))
def test_more_stake_never_makes_it_rent_more(situation: Situation, more: int) -> None:
    reading, memory = situation.reading, replace(situation.memory, rentals=())
    if isinstance(reading, Reading):
        situation = replace(situation, memory=memory)
        richer = replace(situation, reading=replace(reading, energy_limit=reading.energy_limit + more))
        assert (decide(richer, "d").energy or 0) <= (decide(situation, "d").energy or 0)


# --- one order for one shortfall ------------------------------------------------------------------------------------


def after_renting(situation: Situation) -> tuple[Situation, Order]:
    """The situation in the next moment: its order was accepted and nothing has come yet."""
    decision = decide(situation, "d")
    reading = situation.reading
    limit = reading.energy_limit if isinstance(reading, Reading) else None
    order = an_order(decision.energy, PLACED, situation.now, limit)
    memory = replace(situation.memory, rentals=(*situation.memory.rentals, order))
    return replace(situation, memory=memory), order


def rents_all_that_is_missing(situation: Situation) -> bool:
    decision = decide(situation, "d")
    return decision.action is Action.RENT and (decision.gap or 0) <= situation.limits.energy_max


buying = st.builds(
    a_situation,
    policy=st.builds(
        a_policy,
        budget=st.just("unlimited"),
        floor=st.integers(1, 1_000_000),
        target=st.none() | st.integers(1_000_000, 3_000_000),
        on_unknown=st.just("assume_empty"),
        renew_before=st.sampled_from(["0s", "90s", "30m"]),
    ),
    reading=st.builds(a_reading, energies, energies) | st.just(unread(Reason.NODE_UNREACHABLE)),
    memory=st.builds(
        Memory,
        rentals=st.lists(
            orders(st.sampled_from([DELIVERED, EXPIRED])), max_size=3, unique_by=lambda order: order.key
        ).map(tuple),
    ),
)


@given(buying)
def test_while_an_order_is_on_its_way_nothing_more_is_rented(situation: Situation) -> None:
    if rents_all_that_is_missing(situation):
        waiting, _ = after_renting(situation)
        assert decide(waiting, "d").reason in (Reason.IN_FLIGHT, Reason.ENOUGH)


@given(buying, st.lists(st.integers(1, 99), max_size=4, unique=True).map(sorted))
def test_parts_of_a_delivery_do_not_make_it_rent_more(situation: Situation, hundredths: list[int]) -> None:
    situation = replace(situation, memory=Memory())
    if not rents_all_that_is_missing(situation) or not isinstance(situation.reading, Reading):
        return
    waiting, order = after_renting(situation)
    for part in (*hundredths, 100):
        limit = situation.reading.energy_limit + (order.energy or 0) * part // 100
        seen = replace(situation.reading, energy_limit=limit, read_at=waiting.now)
        assert decide(replace(waiting, reading=seen), "d").reason in (Reason.IN_FLIGHT, Reason.ENOUGH)


def test_two_orders_on_their_way_do_not_both_count_the_same_part_as_theirs() -> None:
    first = an_order(100_000, sent_at=NOW - seconds(60))
    second = an_order(100_000, sent_at=NOW - seconds(30))
    decision = decide(a_situation(reading=a_reading(50_000), memory=remembering(first, second)), "d")
    assert (decision.available, decision.in_flight, decision.supply) == (50_000, 150_000, 200_000)


@pytest.mark.parametrize("short", [1, 20, 60])
def test_a_rental_that_reads_a_few_units_short_is_not_rented_again(short: int) -> None:
    situation = a_situation(
        policy=a_policy(target=None),
        reading=a_reading(65_000 - short),
        memory=remembering(an_order(65_000, DELIVERED, NOW - minutes(1))),
    )
    assert decide(situation, "d").reason is Reason.ENOUGH


def test_the_floor_gives_way_only_to_drift() -> None:
    rented = remembering(an_order(65_000, DELIVERED, NOW - minutes(1)))
    low = a_situation(policy=a_policy(target=None), reading=a_reading(64_800), memory=rented)
    assert decide(low, "d").action is Action.RENT, "more than drift is missing"
    own = a_situation(policy=a_policy(target=None), reading=a_reading(64_990))
    assert decide(own, "d").action is Action.RENT, "nothing is rented, so nothing drifted"
    high_target = a_situation(reading=a_reading(64_990), memory=rented)
    assert decide(high_target, "d").action is Action.RENT, "the target is far above the floor"


def test_while_nothing_can_be_read_one_order_is_the_last_until_its_hour_is_over() -> None:
    policy = a_policy(on_unknown="assume_empty", target=None)
    memory, bought = Memory(), 0
    for second in range(0, 3540, 15):
        now = NOW + seconds(second)
        situation = a_situation(
            policy=policy,
            now=now,
            reading=unread(Reason.NODE_UNREACHABLE),
            memory=memory,
            prices=replace(PRICES, rent_read_at=now),
        )
        decision = decide(situation, "d")
        if decision.action is Action.RENT:
            bought += 1
            memory = remembering(an_order(decision.energy, PLACED, now, baseline=None), last_order_at=now)
    assert bought == 2, "one, and its renewal 90 s before its end"


@settings(max_examples=30)
@given(st.lists(st.sampled_from(SPOILED), max_size=4))
def test_holding_and_a_failed_guard_are_the_same_thing(rows: list[tuple[str, Reason, Spoil]]) -> None:
    decision = decide(spoiled(*(row[2] for row in rows)), "d")
    assert (decision.action is Action.HOLD) == any(not guard.passed for guard in decision.guards)
