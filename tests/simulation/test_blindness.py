"""The judges must catch a daemon that was broken on purpose; each variant meets the story that shows its fault.

`python -m tests.simulation --broken NAME` lets a variant live in drawn universes and counts how many it survives.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from energyd.sandbox.addresses import made_up
from energyd.sandbox.asgi import Answer, Mood
from energyd.sandbox.netts import MOODS
from energyd.sandbox.wire import Fault

from . import judges, universe
from .broken import BROKEN
from .universe import ORDER, Plan, PolicyPlan, Universe

Timeline = Callable[[Universe], Coroutine[Any, Any, None]]
STORIES: dict[str, tuple[Timeline, dict[str, Any]]] = {}
WALLETS = tuple("12345678")


def freeze_alone(world: Universe, process: universe.Process, seconds: float) -> None:
    """Freeze the first that gets there; its fellow stays awake to take over."""
    process.freeze(seconds)
    for host in world.hosts:
        if host.living:
            host.living.strikes.clear()


def reveals(*variants: str, **plan: Any) -> Callable[[Timeline], Timeline]:
    def keep(timeline: Timeline) -> Timeline:
        STORIES.update(dict.fromkeys(variants, (timeline, plan)))
        return timeline

    return keep


@reveals("orders_again_after_a_timeout", "books_an_unclear_order_as_failed", "sends_before_it_marks")
async def charged_and_dropped(world: Universe) -> None:
    world.netts.mood("charge_then_drop", "order1h", times=1)


@reveals("a_new_key_for_each_try", "a_server_error_is_a_refusal", "before_is_what_is_there_now")
async def charged_and_a_server_error(world: Universe) -> None:
    world.netts.terms.delivery_seconds = 130.0, 130.0
    world.netts.mood("charge_then_502", "order1h", times=1)


@reveals("a_repeated_answer_is_a_refusal")
async def an_order_arrives_twice(world: Universe) -> None:
    """And of the two answers the second is heard."""
    world.netts.terms.idempotency = True
    world.wire.disturb(Fault.DUPLICATE, where=ORDER)
    world.netts.moods.set(Mood(wait_after=3.0), "order1h", times=1)
    await asyncio.sleep(10**6)


@reveals("no_cooldown", cooldown=300)
async def energy_is_used_again_at_once(world: Universe) -> None:
    await asyncio.sleep(60)
    world.world.use(made_up("1"), 60_000)


@reveals("nobody_is_paused")
async def a_person_pauses_everything(world: Universe) -> None:
    process, now = world.hosts[0].living, world.loop.now()
    assert process is not None
    await process.ledger.pause(None, None, now + timedelta(minutes=10), "a person paused it", now)
    await asyncio.sleep(60)
    world.world.use(made_up("1"), 60_000)
    await asyncio.sleep(10**6)


@reveals("any_price_is_right", per_hour=20)
async def energy_is_dearer_than_burning(world: Universe) -> None:
    world.netts.prices.set_price(105)
    await asyncio.sleep(10**6)


@reveals("sends_what_it_wanted_before_it_froze")
async def frozen_alone(world: Universe) -> None:
    process = world.hosts[0].living
    assert process is not None
    process.strike_at("intent", 1, partial(process.freeze, 200.0))


@reveals("what_is_unclear_costs_nothing", wallets=3)
async def orders_are_unclear_while_others_are_due(world: Universe) -> None:
    world.netts.moods.set(MOODS["charge_then_hang"], "order1h")
    await asyncio.sleep(60)
    world.netts.moods.clear()


@reveals("cycles_on_their_way_do_not_count", cycles=(5, 9))
async def cycles_are_counted_late(world: Universe) -> None:
    world.netts.terms.count_lag = timedelta(minutes=5)
    await asyncio.sleep(10**6)


@reveals("an_unreadable_count_is_zero", cycles=(2, 9))
async def the_count_cannot_be_read(world: Universe) -> None:
    world.netts.moods.set(Mood(answer=Answer(200, b"{}")), "time/status")
    await asyncio.sleep(10**6)


@reveals("believes_not_placed_at_once")
async def a_request_is_late(world: Universe) -> None:
    world.wire.disturb(Fault.LATE_REQUEST, where=ORDER, count=1, late_seconds=(70.0, 70.0))


@reveals("waits_on_the_wall_clock", hosts=("a", "b"), wallets=1)
async def taken_over_by_a_host_whose_clock_is_ahead(world: Universe) -> None:
    world.wire.disturb(Fault.LATE_REQUEST, where=ORDER, count=1, late_seconds=(92.0, 92.0))
    for host in world.hosts:
        host.clock.skew = timedelta(seconds=-24)
    await asyncio.sleep(6)
    for host in world.hosts:
        if any(line.host == host.name and line.event == "order.sent" for line in world.story.lines):
            host.crash(None)
        else:
            host.clock.skew = timedelta(seconds=24)
    world.clocks_moved()
    await asyncio.sleep(10**6)


@reveals("no_end_to_the_mark_of_sending", hosts=("a", "b"))
async def frozen_between_mark_and_request(world: Universe) -> None:
    for host in world.hosts:
        if host.living:
            host.living.strike_at("mark", 1, partial(freeze_alone, world, host.living, 400.0))


@reveals("buys_on_what_it_saw_before_it_froze", hosts=("a", "b"))
async def frozen_between_look_and_intent(world: Universe) -> None:
    for host in world.hosts:
        if host.living:
            host.living.strike_at("intent", 1, partial(freeze_alone, world, host.living, 300.0))
    await asyncio.sleep(10**6)


@reveals("trusts_any_ledger")
async def an_older_ledger_is_put_in_place(world: Universe) -> None:
    world.wire.partition(where=ORDER)
    await asyncio.sleep(1)
    older = world.copy_ledger("older.db")
    world.wire.repair(where=ORDER)
    await asyncio.sleep(300)
    world.netts.terms.delivers = False
    world.world.use(made_up("1"), 60_000)
    await asyncio.sleep(60)
    world.netts.terms.delivers = True
    world.hosts[0].crash(None)
    await asyncio.sleep(150)
    world.replace_ledger(older)
    world.hosts[0].start()


@reveals("budget_only_before_the_intent", hosts=("a", "b"), wallets=8)
async def everybody_needs_energy_at_once(world: Universe) -> None:
    """After a freeze all addresses are due at the same moment, and each sees what had been spent before that."""
    world.wire.travel_seconds = 0.1, 0.1
    for host in world.hosts:
        assert host.living is not None
        host.living.freeze(20)
        host.disk_seconds = 1.0
    await asyncio.sleep(10**6)


@reveals("no_referee", hosts=("a", "b", "c"), wallets=8, per_hour=100)
async def several_hosts_look_at_once(world: Universe) -> None:
    await everybody_needs_energy_at_once(world)


@reveals("an_interrupted_order_never_left")
async def killed_while_the_request_travels(world: Universe) -> None:
    world.wire.disturb(Fault.LATE_REQUEST, where=ORDER, count=1, late_seconds=(30.0, 30.0))
    await asyncio.sleep(5)
    world.hosts[0].crash(1.0)


@reveals("total_instead_of_rise")
async def an_order_is_lost_where_energy_is_left_of_another(world: Universe) -> None:
    await asyncio.sleep(60)
    world.netts.mood("internal", "order1h", times=1)
    world.world.use(made_up("1"), 60_000)


@reveals("what_is_on_its_way_does_not_count")
async def delivery_is_late(world: Universe) -> None:
    world.netts.terms.delivery_seconds = 300.0, 300.0
    await asyncio.sleep(10**6)


@reveals("an_empty_answer_is_no_energy")
async def empty_answers(world: Universe) -> None:
    await asyncio.sleep(60)
    world.node.mood("empty", "getaccountresource", times=3)


@reveals("tries_at_every_look")
async def every_order_is_refused(world: Universe) -> None:
    await asyncio.sleep(60)
    world.netts.mood("provider_5001", "order1h", times=500)
    world.world.use(made_up("1"), 60_000)
    await asyncio.sleep(10**6)


@reveals("books_the_quote")
async def charged_above_the_quote(world: Universe) -> None:
    world.netts.terms.overcharge_percent = 30
    await asyncio.sleep(10**6)


def live(
    timeline: Timeline,
    *,
    hosts: tuple[str, ...] = ("a",),
    wallets: int = 1,
    per_hour: int = 4,
    cooldown: int = 30,
    cycles: tuple[int, int] | None = None,
) -> list[str]:
    more = {"per_hour": per_hour, "per_day": 2 * per_hour, "cooldown": cooldown}
    policies = (PolicyPlan("pay", WALLETS[:wallets], target=65_000, check_every=20, **more),)
    if cycles is not None:
        policies += (PolicyPlan("host", ("hosted",), floor=0, target=0, keep="never", cycles=cycles),)
    plan = Plan("the blind", hosts=hosts, policies=policies, storm=timedelta(minutes=12), calm=timedelta(minutes=8))
    return universe.run(plan, timeline, judges.verdict)[1]


def test_every_broken_variant_has_a_story() -> None:
    assert set(STORIES) == set(BROKEN)


@pytest.mark.parametrize("variant", sorted(BROKEN))
def test_a_broken_daemon_is_caught(variant: str) -> None:
    timeline, plan = STORIES[variant]
    with BROKEN[variant]():
        assert live(timeline, **plan) != []


@pytest.mark.parametrize(
    "timeline", dict.fromkeys(timeline for timeline, _ in STORIES.values()), ids=lambda t: t.__name__
)
def test_the_daemon_itself_comes_through_the_same_story(timeline: Timeline) -> None:
    plan = next(plan for told, plan in STORIES.values() if told is timeline)
    assert live(timeline, **plan) == []
