"""Host Mode cycles kept topped up: counted, ordered once for one shortfall, never on a count that is not certain."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from energyd.errors import NotPossible
from energyd.model import HostAct, Mode, OrderKind, OrderState
from energyd.sandbox.asgi import Mood, json_answer
from energyd.sandbox.netts_terms import API_KEY
from energyd.sandbox.wire import Fault

from .stage import ALICE, BOB, BUDGET, CAROL, EPOCH, SETTINGS, TRX, Stage, a_policy

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
    assert "has 1 cycle left where 2 are wanted" in alert["summary"]


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


# --- a count that is not certain ------------------------------------------------------------------------------------


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
    await stage.live(stage.build(a_fleet()), hours=4)
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


# --- Host Mode and a floor ------------------------------------------------------------------------------------------


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


# --- by hand --------------------------------------------------------------------------------------------------------


async def test_an_order_by_hand_is_durable_counted_and_asks_no_policy(stage: Stage) -> None:
    host(stage, cycles=5)
    task = stage.begin(built := stage.build(a_fleet(budget=BUDGET, max_cycle_price="1 TRX")))
    await stage.sleep(30)
    placed = await built.engine.order_cycles(ALICE, 7)
    assert placed.state is OrderState.PLACED
    await stage.sleep(120)
    built.stop()
    await task
    assert (stage.netts.host_mode.hosted[ALICE].cycles, len(stage.charged())) == (12, 1)
    assert [line["reason"] for line in stage.events("decision", action="order_cycles")] == ["by_hand"]
    assert (await stage.kept_orders())[0].state is OrderState.ADDED


@pytest.mark.parametrize(
    ("cycles", "why"),
    [(101, "one order may have 100 cycles"), (50, "a balance of 100 TRX against a cost of 149.45 TRX")],
)
async def test_an_order_by_hand_that_cannot_be_is_refused_here(stage: Stage, cycles: int, why: str) -> None:
    host(stage, cycles=5)
    stage.netts.books.balance_sun = 100 * TRX
    built = await stage.prepared(a_fleet())
    with pytest.raises(NotPossible, match=why):
        await built.engine.order_cycles(ALICE, cycles)
    assert stage.posts() == []


async def test_nothing_is_ordered_by_hand_while_an_order_is_unclear_or_the_daemon_does_not_spend(stage: Stage) -> None:
    host(stage)
    stage.netts.mood("charge_then_drop", ORDER, times=1)
    built = await stage.prepared(a_fleet())
    await built.engine.tick(ALICE)
    assert len(stage.events("order.unresolved")) == 1
    with pytest.raises(NotPossible, match="unresolved_order"):
        await built.engine.order_cycles(ALICE, 3)
    with pytest.raises(NotPossible, match="no policy watches"):
        await built.engine.order_cycles(BOB, 3)
    stage.crash()
    dry = await stage.prepared(a_fleet(), mode=Mode.DRY_RUN)
    with pytest.raises(NotPossible, match="does not spend"):
        await dry.engine.order_cycles(ALICE, 3)
    with pytest.raises(NotPossible, match="does not act"):
        await dry.engine.hosting.act(HostAct.STOP, ALICE)


@pytest.mark.parametrize("dialect", ["header", "english", "body", "both"])
async def test_what_a_person_does_is_done_in_every_dialect_and_stands_in_the_ledger(
    stage: Stage, dialect: Literal["header", "english", "body", "both"]
) -> None:
    stage.netts.terms.time_dialect = dialect
    built = await stage.prepared(a_fleet())
    acts = built.engine.hosting.act
    assert (await acts(HostAct.ADD, ALICE, energy=65_000)).outcome == "done"
    assert (await acts(HostAct.INFINITY, ALICE, energy=131_000)).outcome == "done"
    assert stage.netts.host_mode.hosted[ALICE].infinite
    assert (await acts(HostAct.STOP, ALICE)).outcome == "done"
    assert not stage.netts.host_mode.hosted[ALICE].running
    assert (await acts(HostAct.REMOVE, ALICE)).outcome == "done"
    assert stage.netts.host_mode.hosted == {}
    with pytest.raises(NotPossible, match="Netts refused it: Address not found in Host Mode"):
        await acts(HostAct.STOP, ALICE)
    kept = await built._ledger.host_acts()
    assert [acted.act for acted in kept] == [HostAct.STOP, HostAct.REMOVE, HostAct.STOP, HostAct.INFINITY, HostAct.ADD]
    assert [line["act"] for line in stage.events("host.act")] == ["add", "infinity", "stop", "remove", "stop"]


async def test_an_act_whose_answer_is_lost_is_told_as_unclear(stage: Stage) -> None:
    built = await stage.prepared(a_fleet())
    stage.netts.mood("charge_then_drop", "time/add", times=1)
    acted = await built.engine.hosting.act(HostAct.ADD, ALICE)
    assert acted.outcome.startswith("unclear: ")
    assert ALICE in stage.netts.host_mode.hosted


async def test_only_a_key_that_was_found_can_be_confirmed(stage: Stage) -> None:
    host(stage, cycles=5)
    built = await stage.prepared(a_fleet())
    with pytest.raises(NotPossible, match="found were: cycles_remaining"):
        await built.engine.hosting.confirm_key("cycle_set")


# --- dialects and limits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", ["body", "headers", "both"])
@pytest.mark.parametrize("dialect", ["header", "body", "both"])
async def test_every_dialect_is_topped_up_with_a_key_where_it_looks_for_it(
    stage: Stage, dialect: Literal["header", "body", "both"], auth: str
) -> None:
    stage.netts.terms.time_dialect = dialect
    host(stage, cycles=1)
    stage.write(a_fleet(), netts=SETTINGS["netts"] | {"auth": auth})
    await stage.live(stage.build(), minutes=5)
    fits = auth == "both" or dialect == "both" or dialect.startswith(auth.removesuffix("s"))
    assert [charge.amount for charge in stage.charged()] == ([9] if fits else [])
    assert API_KEY not in stage.log.raw.decode()
    assert len(stage.events("alert.raised", alert="netts_auth_failed")) == (0 if fits else 1)


async def test_a_limit_of_six_calls_a_minute_is_kept(stage: Stage) -> None:
    host(stage)
    stage.netts.host_mode.hosted[ALICE].running = False
    stage.netts.mood("drop", ORDER, times=1)
    await stage.live(stage.build(a_fleet(check_every="10s")), minutes=10)
    times = [one.at for one in stage.netts.received if one.endpoint.startswith("time/")]
    assert all(later - earlier >= timedelta(seconds=59) for earlier, later in zip(times, times[6:], strict=False))
    assert [charge.amount for charge in stage.charged()] == [10]


async def test_a_restart_in_the_middle_of_an_order_finds_it_in_the_count(stage: Stage) -> None:
    host(stage)
    stage.netts.mood("charge_then_hang", ORDER, times=1)
    task = stage.begin(stage.build(a_fleet()))
    while not stage.posts():
        await stage.sleep(1)
    stage.crash()
    task.cancel()
    await stage.sleep(1)
    stage.running.clear()
    await stage.live(stage.build(a_fleet()), minutes=5)
    assert [charge.amount for charge in stage.charged()] == [10]
    assert [order.state for order in await stage.kept_orders()] == [OrderState.ADDED]


async def test_min_left_keeps_cycles_by_how_long_they_last(stage: Stage) -> None:
    stage.netts.host_mode.host(ALICE, cycles=40)
    for minute in range(5, 10 * 60, 30):
        stage.world.plan_use(stage.loop.now() + timedelta(minutes=minute), ALICE, 64_285)
    rule = {"min_cycles": None, "min_left": "6h", "top_up_to": 40, "check_every": "5m"}
    await stage.live(stage.build(a_fleet(budget="unlimited", **rule)), hours=10)
    lasting = [line for line in stage.events("decision") if "present rate" in line.get("detail", "")]
    assert lasting
    assert 4 <= lasting[-1]["demand"] <= 12


async def test_an_address_that_a_person_hosts_is_topped_up_at_once(stage: Stage) -> None:
    task = stage.begin(built := stage.build(a_fleet(check_every="1h")))
    await stage.sleep(60)
    assert stage.reasons() == ["not_in_host_mode"]
    await built.engine.hosting.act(HostAct.ADD, ALICE)
    await stage.sleep(30)
    built.stop()
    await task
    assert [charge.amount for charge in stage.charged()] == [10]
