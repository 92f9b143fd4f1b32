"""Named stories, each on its timeline: what goes wrong when, and how many times the vendor charges.

In every story one wallet is short of energy from the start, so the first order leaves within seconds, and the whole
story ends before that rental does: a second charge would be one too many.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from energyd.sandbox.addresses import made_up
from energyd.sandbox.asgi import Mood
from energyd.sandbox.wire import Fault, Leg

from . import judges, universe
from .test_blindness import freeze_alone
from .universe import NETTS, NODE, ORDER, Plan, PolicyPlan, Story, Universe

Timeline = Callable[[Universe], Coroutine[Any, Any, None]]
FOR_EVER = 10**6
ONE = (PolicyPlan("pay", ("one",), target=65_000, check_every=20),)


def live(timeline: Timeline, *, charges: int = 1, hosts: int = 1, **more: Any) -> Story:
    """Live through a story; every judge must be content, and the vendor must have charged so many times."""
    name = getattr(timeline, "__name__", "a story")
    plan = Plan(
        seed=f"the story of {name}",
        hosts=("a", "b", "c")[:hosts],
        policies=more.pop("policies", ONE),
        storm=timedelta(minutes=more.pop("minutes", 12)),
        calm=timedelta(minutes=8),
        **more,
    )
    story, said = universe.run(plan, timeline, judges.verdict)
    assert said == []
    assert len(story.netts.charges) == charges
    return story


def events(story: Story, event: str) -> list[dict[str, Any]]:
    return [dict(line.fields) for line in story.lines if line.event == event]


async def at(second: float) -> None:
    await asyncio.sleep(second - asyncio.get_running_loop().time())


async def to_the_end() -> None:
    await asyncio.sleep(FOR_EVER)


# --- answers that do not come -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mood", ["charge_then_drop", "charge_then_hang", "charge_then_502", "charge_then_internal", "unreadable", "no_code"]
)
def test_an_order_that_was_charged_and_whose_answer_was_lost_is_found_and_not_repeated(mood: str) -> None:
    async def timeline(world: Universe) -> None:
        world.netts.mood(mood, "order1h", times=1)

    story = live(timeline)
    assert [line["outcome"] for line in events(story, "order.resolved")] == ["placed"]
    assert story.settled_by_a_person == 0


@pytest.mark.parametrize("mood", ["drop", "html_502", "internal", "empty_body"])
def test_an_order_that_was_never_charged_is_made_again_after_the_longest_flight(mood: str) -> None:
    async def timeline(world: Universe) -> None:
        world.netts.mood(mood, "order1h", times=1)

    story = live(timeline)
    unresolved, resolved = (next(line.at for line in story.lines if line.event == f"order.{end}") for end in ENDS)
    assert resolved - unresolved >= 90
    assert events(story, "order.resolved")[0]["outcome"] == "not_placed"


ENDS = ("unresolved", "resolved")


def test_an_unclear_answer_that_names_the_order_lets_netts_be_asked_and_the_charge_be_known() -> None:
    async def timeline(world: Universe) -> None:
        world.netts.terms.overcharge_percent = 40
        world.netts.mood("no_code", "order1h", times=1)
        await to_the_end()

    story = live(timeline)
    (resolved,) = events(story, "order.resolved")
    assert resolved["detail"] == "Netts knows the order"
    assert resolved["cost_trx"] * 10**6 == story.netts.charges[0].cost_sun


@pytest.mark.parametrize("late", [5.0, 35.0, 80.0])
def test_a_request_that_arrives_after_the_client_gave_up_is_the_only_one(late: float) -> None:
    async def timeline(world: Universe) -> None:
        world.wire.disturb(Fault.LATE_REQUEST, where=ORDER, count=1, late_seconds=(late, late))

    live(timeline)


def test_an_order_that_the_vendor_works_on_for_long_is_the_only_one() -> None:
    async def timeline(world: Universe) -> None:
        world.netts.moods.set(Mood(wait_before=85.0), "order1h", times=1)

    live(timeline)


def test_what_showed_an_unclear_order_to_be_placed_does_not_hide_the_next_delivery() -> None:
    async def timeline(world: Universe) -> None:
        world.netts.mood("charge_then_502", "order1h", times=1)
        await at(10)
        world.world.use(made_up("one"), 60_000)
        world.netts.terms.delivery_seconds = 40.0, 40.0
        await to_the_end()

    eager = (PolicyPlan("pay", ("one",), target=65_000, check_every=20, cooldown=0),)
    story = live(timeline, policies=eager, charges=2)
    assert len(events(story, "energy.delivered")) == 2


def test_energy_that_is_delivered_late_is_waited_for() -> None:
    async def timeline(world: Universe) -> None:
        world.netts.terms.delivery_seconds = 400.0, 400.0
        await to_the_end()

    story = live(timeline)
    assert events(story, "alert.raised")[0]["alert"] == "delivery_late"


def test_energy_that_is_paid_for_and_never_comes_is_not_bought_a_second_time() -> None:
    async def timeline(world: Universe) -> None:
        world.netts.terms.delivers = False

    plan = Plan("never comes", policies=ONE, storm=timedelta(minutes=12), calm=timedelta(minutes=1))
    story, _ = universe.run(plan, timeline, judges.verdict)
    assert len(story.netts.charges) == 1


def test_what_never_came_is_not_looked_for_in_what_came_later() -> None:
    async def timeline(world: Universe) -> None:
        await at(60)
        world.netts.terms.delivers = False
        world.world.use(made_up("one"), 60_000)
        await at(300)
        world.netts.terms.delivers = True
        world.world.use(made_up("one"), 20_000)
        await to_the_end()

    plan = Plan("one that never came", policies=ONE, storm=timedelta(minutes=12), calm=timedelta(minutes=1))
    story, _ = universe.run(plan, timeline, judges.verdict)
    first, _, third = (charge.idempotency_key for charge in story.netts.charges)
    assert [line["order_key"] for line in events(story, "energy.delivered")] == [first, third]


def test_a_rental_that_is_one_unit_short_is_taken_as_delivered() -> None:
    async def timeline(world: Universe) -> None:
        world.netts.terms.short_by = 1
        await to_the_end()

    assert len(events(live(timeline), "energy.delivered")) == 1


def test_an_order_charged_above_its_quote_is_kept_and_told() -> None:
    async def timeline(world: Universe) -> None:
        world.netts.terms.overcharge_percent = 50
        await to_the_end()

    story = live(timeline)
    assert "charged_above_quote" in [line["alert"] for line in events(story, "alert.raised")]


# --- crashes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transactions", range(1, 25))
def test_a_daemon_killed_between_any_two_steps_goes_on_as_if_nothing_had_been(transactions: int) -> None:
    async def timeline(world: Universe) -> None:
        process = world.hosts[0].living
        assert process is not None
        process.strike_at("any", transactions, partial(world.hosts[0].crash, 3.0))

    live(timeline, minutes=5)


def test_killed_after_the_mark_while_the_request_travels() -> None:
    async def timeline(world: Universe) -> None:
        world.wire.disturb(Fault.LATE_REQUEST, where=ORDER, count=1, late_seconds=(70.0, 70.0))
        await asyncio.sleep(10)
        world.hosts[0].crash(1.0)

    live(timeline)


def test_another_host_takes_over_while_the_first_one_s_request_travels() -> None:
    async def timeline(world: Universe) -> None:
        world.wire.disturb(Fault.LATE_REQUEST, where=ORDER, count=1, late_seconds=(70.0, 70.0))
        await asyncio.sleep(10)
        for host in world.hosts:
            if any(line.host == host.name and line.event == "order.sent" for line in world.story.lines):
                host.crash(None)

    live(timeline, hosts=2)


# --- frozen hosts -----------------------------------------------------------------------------------------------------


def freeze_at(moment: universe.Moment, count: int, seconds: float) -> Timeline:
    async def timeline(world: Universe) -> None:
        for host in world.hosts:
            assert host.living is not None
            host.living.strike_at(moment, count, partial(freeze_alone, world, host.living, seconds))
        await to_the_end()

    return timeline


def test_a_host_frozen_between_mark_and_request_does_not_send_when_it_wakes() -> None:
    story = live(freeze_at("mark", 1, 300.0), hosts=2)
    assert "the order never left" in str(events(story, "order.refused")) or events(story, "order.resolved")


def test_a_host_that_was_frozen_alone_orders_afresh() -> None:
    live(freeze_at("mark", 1, 60.0), minutes=15)


@pytest.mark.parametrize("moment", ["intent", "write"])
def test_a_host_that_was_frozen_alone_does_not_buy_on_what_it_saw_before(moment: universe.Moment) -> None:
    story = live(freeze_at(moment, 1 if moment == "intent" else 4, 200.0), minutes=15)
    assert len(events(story, "order.sent")) == 1


def test_a_host_frozen_before_its_intent_does_not_buy_what_another_has_bought_meanwhile() -> None:
    live(freeze_at("intent", 1, 200.0), hosts=2)


@pytest.mark.parametrize("transactions", range(4, 16))
def test_a_host_frozen_at_any_step_does_not_buy_what_another_has_bought_meanwhile(transactions: int) -> None:
    live(freeze_at("any", transactions, 200.0), hosts=2)


# --- the ledger -------------------------------------------------------------------------------------------------------


async def replace_ledger(world: Universe, *, by: str | None) -> None:
    for host in world.hosts:
        host.crash(None)
    await asyncio.sleep(150)
    world.replace_ledger(world.folder / by if by else None)
    for host in world.hosts:
        host.start()


def test_a_lost_ledger_holds_what_the_chain_shows_to_be_rented() -> None:
    async def timeline(world: Universe) -> None:
        await at(60)
        world.world.use(made_up("one"), 40_000)
        await replace_ledger(world, by=None)

    plan = Plan("lost", policies=ONE, storm=timedelta(minutes=12), calm=timedelta(minutes=8))
    story, _ = universe.run(plan, timeline, judges.verdict)
    assert len(story.netts.charges) == 1
    assert [line["address"] for line in events(story, "ledger.lost")] == [made_up("one")]
    assert events(story, "decision")[-1]["reason"] == "ledger_lost"


def test_the_hold_of_a_lost_ledger_ends_with_the_hour() -> None:
    async def timeline(world: Universe) -> None:
        await at(60)
        world.world.use(made_up("one"), 40_000)
        await replace_ledger(world, by=None)

    plan = Plan("lost for an hour", policies=ONE, storm=timedelta(minutes=5), calm=universe.LONG_CALM)
    story, said = universe.run(plan, timeline, judges.verdict)
    assert said == []
    assert len(story.netts.charges) == 2


def test_an_empty_ledger_where_nothing_is_rented_buys_at_once() -> None:
    async def timeline(world: Universe) -> None:
        await to_the_end()

    story = live(timeline, stake_energy=20_000)
    assert next(line.at for line in story.lines if line.event == "order.sent") < 10


def test_an_older_copy_of_the_ledger_does_not_buy_again_what_it_has_forgotten() -> None:
    async def timeline(world: Universe) -> None:
        world.wire.partition(where=ORDER)
        await at(1)
        world.copy_ledger("older.db")
        world.wire.repair(where=ORDER)
        await at(400)
        await replace_ledger(world, by="older.db")

    live(timeline)


def test_what_cannot_be_written_down_is_not_ordered() -> None:
    async def timeline(world: Universe) -> None:
        world.hosts[0].disk_is_full = True
        await at(300)
        assert world.netts.charges == []
        world.hosts[0].disk_is_full = False

    story = live(timeline)
    assert "ledger_failed" in [line["alert"] for line in events(story, "alert.raised")]


# --- clocks, people, the network --------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [-30, 30])
def test_a_clock_that_jumps_does_not_shorten_the_longest_flight(minutes: int) -> None:
    async def timeline(world: Universe) -> None:
        world.wire.disturb(Fault.LATE_REQUEST, where=ORDER, count=1, late_seconds=(75.0, 75.0))
        await at(40)
        world.hosts[0].clock.jump(timedelta(minutes=minutes))
        world.clocks_moved()
        await at(300)
        world.hosts[0].clock.skew = timedelta(0)

    live(timeline)


def test_a_clock_that_is_set_back_does_not_let_an_older_order_explain_a_later_charge() -> None:
    blind = PolicyPlan("blind", ("two",), target=65_000, check_every=20, on_unknown="assume_empty")

    async def timeline(world: Universe) -> None:
        process = world.hosts[0].living
        assert process is not None
        await process.ledger.pause("blind", None, None, "until the account was read again", world.loop.now())
        await at(30)
        world.hosts[0].clock.skew = timedelta(minutes=-5)
        world.clocks_moved()
        await at(320)
        world.netts.mood("charge_then_hang", "order1h", times=1)
        await process.ledger.resume("blind", None, world.loop.now())
        await to_the_end()

    plan = Plan("set back", policies=(*ONE, blind), storm=timedelta(minutes=15), calm=timedelta(minutes=1))
    story, _ = universe.run(plan, timeline, judges.verdict)
    assert [charge.address for charge in story.netts.charges] == [made_up("one"), made_up("two")]
    assert [line["outcome"] for line in events(story, "order.resolved")] == ["placed"]


def test_a_pause_in_mid_flight_does_not_stop_the_search_for_the_order() -> None:
    async def timeline(world: Universe) -> None:
        world.netts.mood("charge_then_hang", "order1h", times=1)
        await at(10)
        process = world.hosts[0].living
        assert process is not None
        await process.ledger.pause(None, None, None, "in mid-flight", world.loop.now())

    assert events(live(timeline), "order.resolved")[0]["outcome"] == "placed"


def test_one_way_cuts_leave_nothing_paid_for_twice() -> None:
    async def timeline(world: Universe) -> None:
        world.wire.partition(where=NETTS, legs=(Leg.REPLY,))
        await at(120)
        world.wire.repair()
        world.wire.partition(where=NODE, legs=(Leg.REPLY,))
        await at(400)

    live(timeline)


def test_two_hosts_and_a_shared_budget_stay_within_it() -> None:
    policies = (PolicyPlan("pay", ("one", "two", "three", "four"), check_every=20, per_hour=8, per_day=16),)

    async def timeline(world: Universe) -> None:
        for host in world.hosts:
            host.disk_seconds = 2.0
        await to_the_end()

    live(timeline, hosts=2, policies=policies, charges=2)
