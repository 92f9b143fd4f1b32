"""Files that are edited, broken and mended while rentals go on: what is taken over, when, and what is not touched."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from energyd.model import Mode
from energyd.sandbox.wire import Fault

from ..engine.stage import ALICE, BOB, CAROL, SETTINGS, TRX, Stage, a_policy  # noqa: TID252 - the same stage

ORDERS = "https://netts.sandbox/apiv2/order1h"
ANOTHER_KEY = "fedcba9876543210fedcba9876543210"


def section(name: str, **changed: Any) -> dict[str, Any]:
    """A section of the settings, changed."""
    before = SETTINGS[name]
    assert isinstance(before, dict)
    return {**before, **changed}


def loaded(stage: Stage) -> dict[str, Any]:
    return stage.events("policies.loaded")[-1]


# --- a day of edits -------------------------------------------------------------------------------------------------


async def test_rentals_go_on_while_a_policy_is_edited_broken_and_mended_and_a_key_is_rotated(stage: Stage) -> None:
    task = stage.begin(built := stage.build(a_policy("one", ALICE), a_policy("two", BOB)))
    await asyncio.sleep(60)
    stage.write(a_policy("one", ALICE, target=131_000), a_policy("two", BOB))
    await built.reload()
    broken = stage.folder / "policies" / "two.yaml"
    good = broken.read_text()
    broken.write_text(good.replace("floor", "flor"))
    await built.reload()
    stage.world.use(ALICE, 60_000)
    stage.world.use(BOB, 60_000)
    await asyncio.sleep(60)
    assert (len(stage.charged(ALICE)), len(stage.charged(BOB))) == (2, 2)
    broken.write_text(good)
    stage.wire.disturb(Fault.LATE_REPLY, where=ORDERS, count=1, late_seconds=(25, 25))
    stage.world.use(ALICE, 131_000)
    await asyncio.sleep(20)
    stage.netts.terms.api_key = ANOTHER_KEY
    stage.write(a_policy("one", ALICE), a_policy("two", BOB), netts=section("netts", api_key=ANOTHER_KEY))
    await built.reload()
    await asyncio.sleep(120)
    stage.world.use(BOB, 131_000)
    await asyncio.sleep(120)
    built.stop()
    await task
    assert (len(stage.charged(ALICE)), len(stage.charged(BOB))) == (3, 3)
    assert len(stage.posts()) == 6
    assert {order.state for order in await stage.kept_orders()} == {"delivered"}
    assert stage.names("policies.") == ["policies.loaded", "policies.loaded", "policies.rejected", "policies.loaded"]
    assert stage.events("fault") == []


# --- settings -------------------------------------------------------------------------------------------------------


async def test_an_answer_that_comes_after_the_key_was_rotated_is_still_heard(stage: Stage) -> None:
    stage.netts.terms.delivers = False
    stage.netts.mood("html_502", "userinfo")
    stage.wire.disturb(Fault.LATE_REPLY, where=ORDERS, count=1, late_seconds=(30, 30))
    task = stage.begin(built := stage.build())
    await asyncio.sleep(15)
    assert stage.names("order.")[-1] == "order.unresolved"
    stage.netts.terms.api_key = ANOTHER_KEY
    stage.write(a_policy(), netts=section("netts", api_key=ANOTHER_KEY))
    await built.reload()
    await asyncio.sleep(60)
    built.stop()
    await task
    (resolved,) = stage.events("order.resolved")
    assert (resolved["outcome"], resolved["detail"]) == ("placed", "its answer came late")
    assert len(stage.posts()) == 1


async def test_an_order_under_way_ends_with_the_key_that_it_was_sent_with(stage: Stage) -> None:
    stage.wire.travel_seconds = (2, 2)
    task = stage.begin(built := stage.build())
    while not stage.posts():  # noqa: ASYNC110 - virtual time costs nothing
        await asyncio.sleep(0.1)
    stage.write(a_policy(), netts=section("netts", api_key=ANOTHER_KEY))
    await built.reload()
    await asyncio.sleep(60)
    built.stop()
    await task
    assert len(stage.posts()) == 1
    assert stage.events("order.unresolved", "order.refused") == []
    assert ANOTHER_KEY.encode() not in stage.log.raw


async def test_what_was_exchanged_is_closed_when_nobody_waits_for_it(stage: Stage) -> None:
    task = stage.begin(built := stage.build())
    await asyncio.sleep(10)
    for seconds in range(11, 16):
        stage.write(
            a_policy(), netts=section("netts", timeout=f"{seconds}s"), node=section("node", timeout=f"{seconds}s")
        )
        await built.reload()
        await asyncio.sleep(30)
    assert all(held.is_closed for held in (*built._netts._before, *built._chain._before))
    assert len(built._netts._before) == 1
    built.stop()
    await task


async def test_a_key_that_netts_does_not_know_is_told_and_the_next_one_mends_it(stage: Stage) -> None:
    task = stage.begin(built := stage.build())
    await asyncio.sleep(60)
    stage.write(a_policy(), netts=section("netts", api_key=ANOTHER_KEY))
    await built.reload()
    await asyncio.sleep(60)
    assert len(stage.events("alert.raised", alert="netts_auth_failed")) == 1
    stage.write(a_policy())
    await built.reload()
    await asyncio.sleep(60)
    built.stop()
    await task
    assert len(stage.events("alert.cleared", alert="netts_auth_failed")) == 1


async def test_another_node_is_asked_at_once_and_the_broken_one_no_more(stage: Stage) -> None:
    task = stage.begin(built := stage.build())
    await asyncio.sleep(60)
    stage.write(a_policy(), node={"url": "http://nobody.sandbox", "max_rps": 1000, "timeout": "5s"})
    await built.reload()
    await asyncio.sleep(30)
    assert stage.reasons()[-1] == "node_unreachable"
    stage.write(a_policy())
    await built.reload()
    await asyncio.sleep(30)
    built.stop()
    await task
    assert stage.reasons()[-1] == "enough"


async def test_the_level_of_the_log_is_taken_over(stage: Stage) -> None:
    task = stage.begin(built := stage.build())
    await asyncio.sleep(60)
    stage.write(a_policy(), log={"level": "warning"})
    await built.reload()
    before = len(stage.log.lines)
    await asyncio.sleep(60)
    assert len(stage.log.lines) == before
    stage.write(a_policy())
    await built.reload()
    await asyncio.sleep(60)
    built.stop()
    await task
    assert stage.events("decision")[-1]["reason"] == "enough"


@pytest.mark.parametrize("mode", [Mode.LIVE, Mode.DRY_RUN])
async def test_the_mode_waits_for_a_restart_and_that_is_said_until_then(stage: Stage, mode: Mode) -> None:
    other = {Mode.LIVE: "dry-run", Mode.DRY_RUN: "live"}[mode]
    stage.write(a_policy(), mode=str(mode))
    task = stage.begin(built := stage.build(mode=mode))
    await asyncio.sleep(30)
    for policy in (a_policy(), a_policy("payouts", BOB)):
        stage.write(policy, mode=other, listen="unix:other.sock")
        await built.reload()
        assert "mode, listen act after a restart" in loaded(stage)["detail"]
        assert ("energyd pause" in loaded(stage)["detail"]) is (mode is Mode.LIVE)
    await asyncio.sleep(60)
    built.stop()
    await task
    assert len(stage.charged(BOB)) == (1 if mode is Mode.LIVE else 0)


async def test_a_shorter_deadline_does_not_shorten_the_flight_of_an_order_that_has_left(stage: Stage) -> None:
    stage.netts.mood("drop", "order1h", times=1)
    stage.write(a_policy(), netts=section("netts", timeout="30s"))
    task = stage.begin(built := stage.build())
    await asyncio.sleep(5)
    stage.write(a_policy(), netts=section("netts", timeout="5s"))
    await built.reload()
    await asyncio.sleep(300)
    built.stop()
    await task
    resolved, unresolved = stage.events("order.resolved")[0], stage.events("order.unresolved")[0]
    assert resolved["outcome"] == "not_placed"
    assert stage.seconds(resolved) - stage.seconds(unresolved) >= 30 + 60


async def test_what_cannot_be_taken_over_leaves_everything_as_it_was(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = stage.begin(built := stage.build())
    await asyncio.sleep(30)

    def no_client(_settings: object) -> None:
        raise ValueError("the URL of Netts cannot be used")

    before, chain = built._configuration, built._chain._now
    monkeypatch.setattr(built._netts, "_make", no_client)
    stage.write(a_policy(floor=70_000), netts=section("netts", timeout="11s"), node=section("node", timeout="6s"))
    await built.reload()
    assert (built._configuration, built._chain._now) == (before, chain)
    assert "cannot be used" in stage.events("policies.rejected")[0]["faults"][0]
    built.stop()
    await task


# --- orders and budgets ---------------------------------------------------------------------------------------------


async def test_no_order_is_made_by_rules_that_were_exchanged_while_it_was_decided(stage: Stage) -> None:
    built = await stage.prepared()
    await asyncio.sleep(20)  # so that the price is read again before an order
    stage.wire.travel_seconds = (1, 1)
    look = asyncio.create_task(built.engine.tick(ALICE))
    while not [one for one in stage.netts.received if one.endpoint == "pricing"][1:]:  # noqa: ASYNC110 - virtual time
        await asyncio.sleep(0.1)
    stage.write(a_policy(budget={"per_order": "1 TRX", "per_hour": "1 TRX", "per_day": "1 TRX"}))
    await built.reload()
    await look
    assert stage.posts() == []
    assert await stage.kept_orders() == ()
    await built.engine.tick(ALICE)
    assert stage.reasons()[-1] == "budget_per_order"
    await built._end()


@pytest.mark.parametrize("calls", [(), ({"name": "daily", "cron": "0 1 * * *", "energy": 100_000},)])
async def test_a_removed_policy_ends_its_demands_and_its_orders_are_still_followed(
    stage: Stage, calls: tuple[dict[str, Any], ...]
) -> None:
    stage.netts.terms.delivery_seconds = (90, 90)
    one = a_policy("one", ALICE) | ({"planned_calls": list(calls)} if calls else {})
    task = stage.begin(built := stage.build(one, a_policy("two", BOB)))
    await asyncio.sleep(10)
    stage.write(a_policy("two", BOB))
    await built.reload()
    await asyncio.sleep(2 * 3600)
    built.stop()
    await task
    assert len(stage.charged(ALICE)) == 1
    assert [line["policy"] for line in stage.events("energy.delivered", address=ALICE)] == ["one"]
    assert len(stage.events("rental.expired", address=ALICE)) == 1


async def test_an_address_that_moves_keeps_its_open_order_and_spends_from_the_new_budget(stage: Stage) -> None:
    """Its order stays one of the old policy, blocks the address, and counts in the old policy's budget."""
    stage.netts.mood("charge_then_drop", "order1h", times=1)
    task = stage.begin(built := stage.build(a_policy("one", ALICE, BOB), a_policy("two", CAROL)))
    await asyncio.sleep(3)
    stage.write(a_policy("one", BOB), a_policy("two", CAROL, ALICE))
    await built.reload()
    assert "addresses move from one to two" in loaded(stage)["detail"]
    await asyncio.sleep(3 * 3600)
    built.stop()
    await task
    first, *later = reversed([order for order in await stage.kept_orders() if order.address == ALICE])
    assert (first.policy, {order.policy for order in later}) == ("one", {"two"})
    assert first.until_at <= later[0].intended_at + timedelta(seconds=90)


async def test_a_renamed_policy_begins_with_a_budget_of_its_own_and_that_is_said(stage: Stage) -> None:
    little = {"per_order": "3 TRX", "per_hour": "3 TRX", "per_day": "3 TRX"}
    task = stage.begin(built := stage.build(a_policy("old", ALICE, budget=little)))
    await asyncio.sleep(60)
    stage.world.use(ALICE, 60_000)
    await asyncio.sleep(60)
    stage.world.use(ALICE, 60_000)
    await asyncio.sleep(60)
    spent = sum(charge.cost_sun for charge in stage.charged())
    assert stage.reasons()[-1].startswith("budget_per")
    stage.write(a_policy("new", ALICE, budget=little))
    await built.reload()
    assert "addresses move from old to new" in loaded(stage)["detail"]
    await asyncio.sleep(60)
    built.stop()
    await task
    assert spent <= 3 * TRX < sum(charge.cost_sun for charge in stage.charged()) <= 6 * TRX


async def test_a_removed_policy_of_host_mode_orders_no_more_cycles_and_its_order_is_followed(stage: Stage) -> None:
    hosted = stage.netts.host_mode.host(ALICE)
    hosted.threshold, hosted.cycles = 0, 1
    rich = {"per_order": "40 TRX", "per_hour": "120 TRX", "per_day": "400 TRX"}
    rule = {"min_cycles": 2, "top_up_to": 10, "check_every": "60s", "max_cycle_price": "4 TRX"}
    fleet = {"policy": "fleet", "addresses": [ALICE], "host_mode": rule, "budget": rich}
    task = stage.begin(built := stage.build(fleet, a_policy("two", BOB)))
    while not stage.charged():  # noqa: ASYNC110 - virtual time costs nothing
        await asyncio.sleep(0.1)
    stage.write(a_policy("two", BOB))
    await built.reload()
    await asyncio.sleep(120)
    hosted.cycles = 0
    await asyncio.sleep(1800)
    built.stop()
    await task
    assert [charge.amount for charge in stage.charged()] == [9]
    assert len(stage.events("cycles.added", address=ALICE)) == 1
    assert built.engine.hosting.latest == {}
