"""The daemon's life on virtual time: it begins, reads its files again, takes one look, stops."""

import asyncio

import pytest

from energyd.model import Mode
from energyd.sandbox.wire import Fault

from ..engine.stage import ALICE, BOB, CAROL, Stage, a_policy  # noqa: TID252 - the same stage


async def test_a_life_is_told_from_its_start_to_its_end(stage: Stage) -> None:
    await stage.live(stage.build(), minutes=1)
    assert stage.names("daemon.") == ["daemon.started", "daemon.ready", "daemon.stopping", "daemon.stopped"]
    assert [line["event"] for line in stage.events()][:3] == ["daemon.started", "policies.loaded", "daemon.ready"]
    assert stage.events()[-1]["event"] == "daemon.stopped"
    for line in stage.events("daemon.started", "daemon.ready", "daemon.stopping", "daemon.stopped"):
        assert (line["mode"], line["addresses"], line["policies"]) == ("live", 1, 1)


async def test_it_becomes_ready_although_node_and_netts_are_down(stage: Stage) -> None:
    stage.wire.disturb(Fault.UNREACHABLE)
    await stage.live(stage.build(), minutes=1)
    assert "daemon.ready" in stage.names("daemon.")
    assert stage.posts() == []


async def test_the_first_look_comes_at_once_and_the_first_order_with_it(stage: Stage) -> None:
    await stage.live(stage.build(), seconds=5)
    assert len(stage.charged()) == 1


async def test_stopping_lets_the_order_under_way_end(stage: Stage) -> None:
    stage.wire.travel_seconds = (0.4, 0.4)
    task = stage.begin(built := stage.build())
    while not stage.posts():  # noqa: ASYNC110 - virtual time costs nothing
        await asyncio.sleep(0.05)
    built.stop()
    await task
    assert stage.names("order.")[-1] == "order.placed"


async def test_stopping_takes_less_than_five_seconds_even_while_an_order_hangs(stage: Stage) -> None:
    stage.netts.mood("too_slow", "order1h")
    task = stage.begin(built := stage.build())
    await asyncio.sleep(5)
    began = stage.loop.time()
    built.stop()
    await task
    assert stage.loop.time() - began < 5


@pytest.mark.parametrize("fault", [Fault.UNREACHABLE, Fault.LOST_REPLY])
@pytest.mark.parametrize("once", [False, True])
async def test_stopping_takes_less_than_five_seconds_while_nothing_answers(
    stage: Stage, fault: Fault, *, once: bool
) -> None:
    stage.wire.disturb(fault)
    built = stage.build()
    task = asyncio.create_task(built.run(once=once))
    await asyncio.sleep(1)
    began = stage.loop.time()
    built.stop()
    await task
    assert stage.loop.time() - began < 5
    assert stage.names("daemon.")[-2:] == ["daemon.stopping", "daemon.stopped"]


async def test_once_takes_one_decision_for_every_address_and_ends(stage: Stage) -> None:
    await stage.build(a_policy("payouts", ALICE, BOB), a_policy("other", CAROL)).run(once=True)
    assert sorted(line["address"] for line in stage.events("decision")) == sorted([ALICE, BOB, CAROL])
    assert len(stage.netts.charges) == 3
    assert stage.names("daemon.")[-1] == "daemon.stopped"


async def test_once_again_and_again_goes_on_where_it_left_off(stage: Stage) -> None:
    for _ in range(3):
        await stage.build().run(once=True)
        await asyncio.sleep(70)
    assert len(stage.charged()) == 1
    assert len(stage.events("energy.delivered")) == 1
    assert stage.events("alert.raised", "energy.late") == []


async def test_a_dry_run_has_nothing_that_could_buy(stage: Stage) -> None:
    built = stage.build(mode=Mode.DRY_RUN)
    assert built.engine._buyer is None
    await built.run(once=True)
    assert stage.reasons() == ["dry_run"]
    assert stage.posts() == []


async def test_a_dry_run_goes_on_watching_the_orders_that_a_live_run_left(stage: Stage) -> None:
    await stage.build().run(once=True)
    await stage.live(stage.build(mode=Mode.DRY_RUN), minutes=1)
    assert len(stage.events("energy.delivered")) == 1
    assert len(stage.charged()) == 1


# --- reload ---------------------------------------------------------------------------------------------------------


async def test_a_reload_takes_over_what_was_added_changed_and_removed(stage: Stage) -> None:
    task = stage.begin(built := stage.build(a_policy("one", ALICE), a_policy("two", BOB)))
    await asyncio.sleep(60)
    stage.write(a_policy("one", ALICE, target=131_000), a_policy("three", CAROL))
    await built.reload()
    loaded = stage.events("policies.loaded")[-1]
    assert (loaded["added"], loaded["removed"], loaded["changed"]) == (["three"], ["two"], ["one"])
    assert loaded["digest"] != stage.events("policies.loaded")[0]["digest"]
    await asyncio.sleep(60)
    built.stop()
    await task
    assert len(stage.charged(CAROL)) == 1
    later = [line for line in stage.events("decision", address=BOB) if line["timestamp"] > loaded["timestamp"]]
    assert later == []


async def test_a_reload_of_broken_files_changes_nothing_and_says_every_fault(stage: Stage) -> None:
    task = stage.begin(built := stage.build())
    await asyncio.sleep(60)
    policy = stage.folder / "policies" / "payouts.yaml"
    good = policy.read_text()
    policy.write_text(good.replace('"floor"', '"flor"').replace('"cooldown": "10s"', '"cooldown": "soon"'))
    await built.reload()
    (rejected,) = stage.events("policies.rejected")
    assert len(rejected["faults"]) >= 2
    assert all("payouts.yaml:1:" in fault for fault in rejected["faults"])
    await asyncio.sleep(30)
    assert len(stage.events("alert.raised", alert="policies_rejected")) == 1
    assert stage.events("decision")[-1]["reason"] == "enough"
    policy.write_text(good)
    await built.reload()
    await asyncio.sleep(30)
    built.stop()
    await task
    assert len(stage.events("alert.cleared", alert="policies_rejected")) == 1


async def test_a_reload_forgives_refusals(stage: Stage) -> None:
    stage.netts.mood("unauthorised", "order1h", times=1)
    task = stage.begin(built := stage.build())
    await asyncio.sleep(60)
    assert stage.reasons()[-1] == "auth_failed"
    await built.reload()
    await asyncio.sleep(60)
    built.stop()
    await task
    assert len(stage.charged()) == 1


async def test_two_reloads_at_once_follow_each_other(stage: Stage) -> None:
    task = stage.begin(built := stage.build())
    await asyncio.sleep(10)
    await asyncio.gather(built.reload(), built.reload())
    built.stop()
    await task
    assert len(stage.events("policies.loaded")) == 3
    assert stage.events("fault") == []


async def test_a_reload_while_the_ledger_is_lost_is_no_crash(stage: Stage) -> None:
    task = stage.begin(built := stage.build())
    await asyncio.sleep(10)
    stage.crash()
    await built.reload()
    await asyncio.sleep(10)
    built.stop()
    await task
    assert stage.names("daemon.")[-1] == "daemon.stopped"


async def test_an_address_that_left_and_came_back_is_looked_at_again(stage: Stage) -> None:
    task = stage.begin(built := stage.build(a_policy("one", ALICE, keep="never"), a_policy("two", BOB)))
    await asyncio.sleep(20)
    stage.write(a_policy("two", BOB))
    await built.reload()
    await asyncio.sleep(60)
    stage.write(a_policy("one", ALICE, keep="never"), a_policy("two", BOB))
    await built.reload()
    came_back = stage.events("policies.loaded")[-1]["timestamp"]
    await asyncio.sleep(60)
    built.stop()
    await task
    assert [line for line in stage.events("decision", address=ALICE) if line["timestamp"] > came_back]


async def test_the_prices_learned_while_the_node_is_asked_are_kept(stage: Stage) -> None:
    """Both are read at once, and the node may be the slower one."""
    stage.wire.disturb(Fault.LATE_REPLY, where="http://node.sandbox/wallet/getchain", count=1, late_seconds=(3, 3))
    stage.write(a_policy(check_every="1h"), node={"url": "http://node.sandbox", "timeout": "30s", "max_rps": 1000})
    await stage.live(stage.build(), minutes=2)
    assert stage.reasons()[0] != "price_unknown"
    assert len(stage.charged()) == 1
