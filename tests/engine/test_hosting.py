"""Host Mode cycles kept topped up: counted, ordered once for one shortfall, never on a count that is not certain."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from energyd.model import Mode, OrderKind, OrderState
from energyd.sandbox.asgi import Mood, json_answer
from energyd.sandbox.wire import Fault

from .stage import ALICE, BOB, BUDGET, CAROL, EPOCH, SETTINGS, Stage, a_policy

CYCLE_SUN = 2_989_000
ORDER, STATUS = "time/order", "time/status"
RECORDINGS = Path(__file__).parent.parent / "recordings" / "netts-wire"
STATUSES = "https://netts.sandbox/apiv2/time/status"
RULE = {"min_cycles": 2, "top_up_to": 10, "check_every": "60s", "max_cycle_price": "4 TRX"}
RICH = {"per_order": "40 TRX", "per_hour": "120 TRX", "per_day": "400 TRX"}


def a_fleet(*watched: str, budget: object = None, mode: str | None = None, **rule: Any) -> dict[str, Any]:
    """A policy that tops cycles up; keywords change its `host_mode` part."""
    hosted = {name: value for name, value in (RULE | rule).items() if value is not None}
    own = {"policy": "fleet", "addresses": list(watched or (ALICE,)), "host_mode": hosted, "budget": budget or RICH}
    return own | ({"mode": mode} if mode else {})


def host(stage: Stage, address: str = ALICE, cycles: int = 0) -> None:
    """Put an address into Host Mode that never runs so low that a cycle is used."""
    hosted = stage.netts.host_mode.host(address)
    hosted.threshold, hosted.cycles = 0, cycles


def count(stage: Stage, address: str = ALICE) -> int:
    return stage.netts.host_mode.hosted[address].cycles


async def test_a_shortfall_is_ordered_once_and_seen_in_the_count(stage: Stage) -> None:
    host(stage, cycles=1)
    await stage.live(stage.build(a_fleet()), minutes=10)
    assert [(charge.kind, charge.amount) for charge in stage.charged()] == [("cycles", 9)]
    assert stage.names("order.") == ["order.intended", "order.sent", "order.placed"]
    assert len(stage.events("cycles.added")) == 1
    (order,) = await stage.kept_orders()
    assert (order.kind, order.state, order.cycles) == (OrderKind.CYCLES, OrderState.ADDED, 9)
    assert order.cost_sun == 9 * CYCLE_SUN


async def test_enough_cycles_are_left_alone_and_looked_at_at_the_pace_of_the_policy(stage: Stage) -> None:
    host(stage, cycles=2)
    await stage.live(stage.build(a_fleet(check_every="10m")), minutes=45)
    assert stage.reasons() == ["cycles_enough"]
    assert len(stage.events("decision")) == 5
    assert len([one for one in stage.netts.received if one.endpoint == STATUS]) == 5


async def test_one_reading_serves_all_addresses_and_an_order_still_finds_room(stage: Stage) -> None:
    for address, cycles in ((ALICE, 5), (BOB, 1), (CAROL, 0)):
        host(stage, address, cycles)
    await stage.live(stage.build(a_fleet(ALICE, BOB, CAROL)), minutes=3)
    assert [len(stage.charged(address)) for address in (ALICE, BOB, CAROL)] == [0, 1, 1]
    readings = [one for one in stage.netts.received if one.endpoint == STATUS]
    assert len(readings) <= 8


async def test_cycles_that_the_chain_uses_up_are_topped_up_again(stage: Stage) -> None:
    stage.netts.host_mode.host(ALICE, cycles=3)
    for minute in range(5, 600, 12):
        stage.world.plan_use(stage.loop.now() + timedelta(minutes=minute), ALICE, 64_285)
    await stage.live(stage.build(a_fleet(budget="unlimited")), hours=10)
    used = stage.netts.host_mode.hosted[ALICE].cycles_used
    assert used > 5
    bought = sum(charge.amount for charge in stage.charged())
    assert count(stage) == 3 + bought - used >= 2
    assert {order.state for order in await stage.kept_orders()} == {OrderState.ADDED}
    assert stage.events("cycles.doubted") == []


async def test_a_top_up_larger_than_an_order_takes_several(stage: Stage) -> None:
    host(stage)
    stage.write(a_fleet(top_up_to=10), netts=SETTINGS["netts"] | {"cycles_per_order": {"max": 4}})
    await stage.live(stage.build(), minutes=15)
    assert [charge.amount for charge in stage.charged()] == [4]
    assert count(stage) == 4


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"max_cycle_price": "2.9 TRX"}, "price_too_high"),
        ({"budget": BUDGET}, "budget_per_order"),
        ({"mode": "observe"}, "observe"),
    ],
)
async def test_what_holds_an_order_back_raises_the_alarm_that_cycles_are_low(
    stage: Stage, change: dict[str, Any], reason: str
) -> None:
    host(stage, cycles=1)
    await stage.live(stage.build(a_fleet(**change)), minutes=5)
    assert stage.posts() == []
    assert stage.reasons() == [reason]
    (alert,) = stage.events("alert.raised", alert="cycles_low")
    assert "has 1 cycles left where 2 are wanted" in alert["summary"]


async def test_a_dry_run_shows_the_order_and_sends_none(stage: Stage) -> None:
    host(stage, cycles=1)
    await stage.live(stage.build(a_fleet(), mode=Mode.DRY_RUN), minutes=5)
    assert stage.posts() == []
    shown = stage.events("decision")[0]
    assert (shown["reason"], shown["cycles"], str(shown["cost_trx"])) == ("dry_run", 9, "26.901")


async def test_one_round_takes_a_decision_about_cycles_too(stage: Stage) -> None:
    host(stage, cycles=1)
    await stage.build(a_fleet()).run(once=True)
    assert [charge.amount for charge in stage.charged()] == [9]


# --- what Netts answers ---------------------------------------------------------------------------------------------

REFUSALS = {
    "time-order-auth-401": "auth_failed",
    "time-order-no-funds-402": "no_funds",
    "time-order-no-funds-header-dialect-400": "no_funds",
    "time-order-bad-cycles-400": "refused",
    "time-order-bad-cycles-header-dialect-400": "refused",
    "time-order-bad-address-400": "refused",
    "time-order-not-in-host-mode-404": "not_in_host_mode",
    "time-order-conflict-409": "infinite_cycles",
    "time-order-rate-limit-429": "rate_limited",
}


def recorded(name: str) -> Mood:
    answer = json.loads((RECORDINGS / f"{name}.json").read_text())
    return Mood(answer=json_answer(answer["body"], answer["http_status"], list(answer["headers"].items())))


@pytest.mark.parametrize("name", sorted(REFUSALS))
async def test_a_documented_refusal_is_told_as_one_costs_nothing_and_stops_the_hammering(
    stage: Stage, name: str
) -> None:
    host(stage)
    stage.netts.moods.set(recorded(name), ORDER)
    await stage.live(stage.build(a_fleet()), minutes=30)
    assert stage.charged() == []
    assert {line["outcome"] for line in stage.events("order.refused")} == {REFUSALS[name]}
    assert 2 <= len(stage.posts()) <= 9
    assert len(stage.events("alert.raised", alert="cycles_low")) == 1


async def test_a_refusal_of_cycles_stops_no_rental_of_the_same_address(stage: Stage) -> None:
    host(stage)
    stage.netts.host_mode.hosted[ALICE].running = False
    stage.netts.moods.set(recorded("time-order-rate-limit-429"), ORDER)
    both = a_policy(check_every="15s", budget=RICH) | {"host_mode": RULE}
    await stage.live(stage.build(both), minutes=10)
    assert len(stage.events("order.refused", outcome="rate_limited")) >= 2
    assert [charge.kind for charge in stage.charged()] == ["order1h"]


async def test_a_refusal_of_rentals_stops_no_order_of_cycles(stage: Stage) -> None:
    host(stage)
    stage.netts.mood("minimum_5004", "order1h")
    both = a_policy(check_every="15s", budget=RICH) | {"host_mode": RULE}
    await stage.live(stage.build(both), minutes=10)
    assert [charge.kind for charge in stage.charged()] == ["cycles"]


@pytest.mark.parametrize("mood", ["charge_then_drop", "charge_then_502", "charge_then_empty", "unreadable", "no_code"])
async def test_an_order_that_was_charged_without_a_word_is_found_in_the_count_and_not_repeated(
    stage: Stage, mood: str
) -> None:
    host(stage)
    stage.netts.mood(mood, ORDER, times=1)
    await stage.live(stage.build(a_fleet()), minutes=10)
    assert stage.names("order.") == ["order.intended", "order.sent", "order.unresolved", "order.resolved"]
    assert [charge.amount for charge in stage.charged()] == [10]
    assert len(stage.events("cycles.added")) == 1


@pytest.mark.parametrize("name", ["drop", "internal", "html_502", "empty_body", "database"])
async def test_an_order_that_did_nothing_is_believed_so_after_the_longest_flight_and_made_again(
    stage: Stage, name: str
) -> None:
    host(stage)
    stage.netts.mood(name, ORDER, times=1)
    await stage.live(stage.build(a_fleet()), minutes=10)
    assert stage.events("order.resolved")[0]["outcome"] == "not_placed"
    first, second = stage.posts()
    assert (second.at - first.at).total_seconds() >= 80
    assert [charge.amount for charge in stage.charged()] == [10]


@pytest.mark.parametrize("name", ["charge_then_hang", "too_slow", "late"])
async def test_an_answer_that_comes_too_late_is_one_charge_all_the_same(stage: Stage, name: str) -> None:
    host(stage)
    stage.netts.mood(name, ORDER, times=1)
    await stage.live(stage.build(a_fleet()), minutes=20)
    assert [charge.amount for charge in stage.charged()] == [10]


async def test_an_unclear_order_of_cycles_holds_rentals_of_its_address_back_meanwhile(stage: Stage) -> None:
    host(stage)
    stage.netts.host_mode.hosted[ALICE].running = False
    stage.netts.mood("drop", ORDER, times=1)
    both = a_policy(budget=RICH) | {"host_mode": RULE}
    stage.netts.mood("provider_5001", "order1h", times=1)
    await stage.live(stage.build(both), minutes=15)
    assert "unresolved_order" in stage.reasons()
    assert sorted(charge.kind for charge in stage.charged()) == ["cycles", "order1h"]


# --- a count that is not certain --------------------------------------------------------------------------------------


async def test_an_unknown_count_buys_nothing_and_raises_an_alarm(stage: Stage) -> None:
    host(stage)
    stage.netts.terms.count_key = "none"
    await stage.live(stage.build(a_fleet()), minutes=40)
    assert stage.posts() == []
    assert stage.reasons() == ["cycles_unknown"]
    assert len(stage.events("alert.raised", alert="cycles_low")) == 1


async def test_a_status_that_cannot_be_read_buys_nothing_and_says_so(stage: Stage) -> None:
    host(stage)
    stage.wire.disturb(Fault.UNREACHABLE, where=STATUSES, for_seconds=300)
    await stage.live(stage.build(a_fleet()), minutes=8)
    assert stage.reasons()[0] == "cycles_unknown"
    assert stage.posts()[0].at >= EPOCH + timedelta(seconds=300)
    assert len(stage.charged()) == 1


async def test_an_address_that_is_not_in_host_mode_gets_nothing_and_an_alarm(stage: Stage) -> None:
    await stage.live(stage.build(a_fleet()), minutes=5)
    assert stage.posts() == []
    assert stage.reasons() == ["not_in_host_mode"]
    assert len(stage.events("alert.raised", alert="cycles_low")) == 1


async def test_cycles_without_end_are_left_alone(stage: Stage) -> None:
    host(stage)
    stage.netts.host_mode.hosted[ALICE].infinite = True
    await stage.live(stage.build(a_fleet()), minutes=5)
    assert (stage.posts(), stage.reasons()) == ([], ["infinite_cycles"])


async def test_a_key_that_changes_between_two_reads_is_not_believed_until_a_person_confirms_it(stage: Stage) -> None:
    host(stage, cycles=5)
    task = stage.begin(built := stage.build(a_fleet()))
    await stage.sleep(90)
    stage.netts.terms.count_key = "cycle_set"
    stage.netts.host_mode.hosted[ALICE].cycles = 0
    await stage.sleep(600)
    assert (stage.posts(), stage.reasons()) == ([], ["cycles_enough", "cycles_unknown"])
    assert len(stage.events("cycles.doubted", key="cycle_set")) == 1
    assert len(stage.events("alert.raised", alert="cycles_doubted")) == 1
    await built.engine.hosting.confirm_key("cycle_set")
    await stage.sleep(300)
    built.stop()
    await task
    assert [charge.amount for charge in stage.charged()] == [10]
    assert len(stage.events("alert.cleared", alert="cycles_doubted")) == 1


async def test_a_count_that_does_not_grow_with_an_order_is_doubted_once_and_buys_no_more(stage: Stage) -> None:
    host(stage, cycles=1)
    stage.netts.terms.count_lag = timedelta(days=1000)
    await stage.live(stage.build(a_fleet()), hours=30)
    assert [charge.amount for charge in stage.charged()] == [9]
    assert len(stage.events("cycles.doubted")) == 1
    assert len(stage.events("cycles.missing")) == 1
    (order,) = await stage.kept_orders()
    assert order.state is OrderState.UNDELIVERED


async def test_a_count_that_shows_an_order_late_is_waited_for(stage: Stage) -> None:
    host(stage, cycles=1)
    stage.netts.terms.count_lag = timedelta(minutes=5)
    await stage.live(stage.build(a_fleet(check_every="20s")), hours=1)
    assert [charge.amount for charge in stage.charged()] == [9]
    assert stage.events("cycles.doubted") == []
    assert "in_flight" in stage.reasons()


# --- Host Mode and a floor --------------------------------------------------------------------------------------------


async def test_an_address_that_host_mode_fills_up_is_not_rented_for(stage: Stage) -> None:
    stage.netts.host_mode.host(ALICE, cycles=0)
    stage.netts.host_mode.hosted[ALICE].cycles = 5
    stage.world.plan_use(EPOCH + timedelta(seconds=30), ALICE, 1)
    await stage.live(stage.build(a_policy(budget=RICH) | {"host_mode": RULE}), minutes=10)
    assert stage.charged() == []
    assert "left_to_host_mode" in stage.reasons()


async def test_an_address_that_host_mode_leaves_empty_is_rented_for_after_a_moment(stage: Stage) -> None:
    host(stage, cycles=5)
    await stage.live(stage.build(a_policy(budget=RICH) | {"host_mode": RULE}), minutes=10)
    (rental,) = stage.charged()
    assert rental.kind == "order1h"
    assert timedelta(minutes=2) <= rental.at - EPOCH <= timedelta(minutes=3)


async def test_energy_of_a_cycle_is_no_proof_that_a_lost_rental_was_placed(stage: Stage) -> None:
    host(stage)
    stage.netts.mood("drop", "order1h", times=1)
    task = stage.begin(
        built := stage.build(a_policy(budget=RICH) | {"host_mode": RULE | {"min_cycles": 1, "top_up_to": 1}})
    )
    while not stage.events("order.unresolved"):
        await stage.sleep(1)
    stage.netts.books.delegate(ALICE, 131_000, timedelta(hours=24), stage.netts.terms)
    await stage.sleep(300)
    built.stop()
    await task
    resolved = stage.events("order.resolved")
    assert [line["outcome"] for line in resolved] == ["not_placed"]
