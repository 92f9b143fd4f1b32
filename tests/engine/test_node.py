"""A node that cannot be believed: nothing is ordered, it is told once, and work goes on when it is well again."""

import pytest

from energyd.sandbox.node import MOODS
from energyd.sandbox.wire import Fault

from .stage import Stage, a_policy

BROKEN = sorted(set(MOODS) - {"wrong_type"})
"""Every mood but the one whose answers are right and only look odd."""


@pytest.mark.parametrize("mood", BROKEN)
async def test_nothing_is_ordered_on_a_broken_answer_and_the_failure_is_told_once(stage: Stage, mood: str) -> None:
    built = await stage.prepared()
    stage.node.mood(mood)
    await stage.watch(built, minutes=3)
    assert stage.posts() == []
    assert stage.reasons()[-1] == "node_unreachable"
    assert {line["action"] for line in stage.events("decision")} == {"hold"}
    (failed,) = stage.events("node.failed")
    assert failed["url"] == "http://node.sandbox"
    assert failed["error"]
    stage.node.moods.clear()
    await stage.watch(built, minutes=2)
    assert stage.names("node.") == ["node.failed", "node.recovered"]
    assert len(stage.charged()) == 1


@pytest.mark.parametrize("mood", ["empty", "error", "truncated", "lite", "too_many"])
async def test_nothing_is_ordered_when_only_the_reading_of_the_account_is_broken(stage: Stage, mood: str) -> None:
    built = await stage.prepared()
    stage.node.mood(mood, "getaccountresource")
    await stage.watch(built, minutes=2)
    assert stage.posts() == []
    # An empty answer is how a node says that there is no such account.
    assert stage.reasons() == (["not_activated"] if mood == "empty" else ["node_unreachable"])


async def test_a_stale_node_is_not_believed(stage: Stage) -> None:
    built = await stage.prepared(a_policy(check_every="30s"))
    await stage.watch(built, minutes=1)
    stage.node.stale = True
    await stage.watch(built, minutes=80)
    assert len(stage.charged()) == 1
    assert stage.reasons()[-1] == "reading_stale"
    assert stage.events("decision", reason="reading_stale")[0]["action"] == "hold"
    stage.node.stale = False
    await stage.watch(built, minutes=3)
    assert stage.names("node.") == ["node.failed", "node.recovered"]


async def test_a_long_outage_raises_one_alert_after_half_a_minute_and_clears_it_once(stage: Stage) -> None:
    task = stage.begin(built := stage.build())
    await stage.sleep(30)
    stage.wire.disturb(Fault.UNREACHABLE, where="http://node.sandbox", for_seconds=600)
    began = stage.loop.time()
    await stage.sleep(900)
    built.stop()
    await task
    assert stage.names("node.") == ["node.failed", "node.recovered"]
    raised, cleared = [line for line in stage.events() if line.get("alert") == "node_unavailable"]
    assert (raised["event"], cleared["event"]) == ("alert.raised", "alert.cleared")
    assert 30 <= stage.seconds(raised) - began <= 60
    assert stage.seconds(cleared) - began <= 600 + 120


async def test_a_short_outage_raises_no_alert(stage: Stage) -> None:
    task = stage.begin(built := stage.build())
    await stage.sleep(30)
    stage.wire.disturb(Fault.UNREACHABLE, where="http://node.sandbox", for_seconds=15)
    await stage.sleep(300)
    built.stop()
    await task
    assert stage.events("alert.raised") == []


async def test_on_unknown_assume_empty_orders_once_without_a_reading(stage: Stage) -> None:
    built = await stage.prepared(a_policy(on_unknown="assume_empty"))
    stage.node.mood("error")
    await stage.watch(built, minutes=10)
    assert len(stage.charged()) == 1
    assert stage.events("decision", action="rent")[0].get("available") is None
    stage.node.moods.clear()
    await stage.watch(built, minutes=5)
    assert len(stage.charged()) == 1
    assert len(stage.events("energy.delivered")) == 1


async def test_an_address_that_the_chain_does_not_know_is_held(stage: Stage) -> None:
    from energyd.sandbox import addresses  # noqa: PLC0415 - used here only

    nobody = addresses.made_up("nobody")
    built = await stage.prepared(a_policy("payouts", nobody))
    await stage.watch(built, nobody, minutes=2)
    assert stage.reasons(nobody) == ["not_activated"]
    assert stage.posts() == []
