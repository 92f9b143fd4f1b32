"""Planned calls and `ensure`: their energy is there before them, stays until after them, and is rented once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from energyd.daemon import Daemon
from energyd.errors import NotPossible
from energyd.model import Call, CallState, ContractCall, Mode
from energyd.sandbox import addresses
from energyd.sandbox.contracts import USDT

from .stage import ALICE, BOB, BUDGET, EPOCH, Stage, a_policy


def moment(seconds: float) -> str:
    return (EPOCH + timedelta(seconds=seconds)).isoformat()


def a_call(at: float, name: str = "payroll", **parts: Any) -> dict[str, Any]:
    return {"name": name, "at": moment(at), "energy": 100_000, "lead": "3m", "hold": "20m"} | parts


def calling(*calls: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """A policy that keeps no floor; its addresses get energy for these calls only."""
    return {"policy": "payouts", "addresses": [ALICE], "planned_calls": list(calls), "budget": BUDGET} | parts


async def asked(built: Daemon, energy: int | None = 65_000, address: str = ALICE, **parts: Any) -> Call:
    """An application that waits for its energy."""
    wishes = {"within": timedelta(minutes=2), "keep": timedelta(minutes=10)} | parts
    call = await built.engine.calls.ensure(address, energy=energy, **wishes)
    return await built.engine.calls.ended(call.call_id)


# --- planned calls


async def test_the_energy_of_a_planned_call_is_there_lead_before_it_and_stays_until_hold_after_it(stage: Stage) -> None:
    built = stage.build(calling(a_call(3600)))
    stage.begin(built)
    await stage.sleep(3600 - 180)
    assert stage.world.available(ALICE) >= 100_000
    (due,), (covered,) = stage.events("call.due"), stage.events("call.covered")
    assert (due["call"], due["energy"]) == ("payroll", 100_000)
    assert stage.seconds(due) == pytest.approx(3600 - 180 - 60, abs=1)
    assert stage.seconds(covered) < 3600 - 180
    for _ in range(23):
        await stage.sleep(60)
        assert stage.world.available(ALICE) >= 100_000
    assert len(stage.charged()) == 1
    assert [line["reason"] for line in stage.events("decision", action="rent")] == ["planned_call"]


async def test_a_policy_without_a_floor_asks_the_node_only_now_and_then(stage: Stage) -> None:
    await stage.live(stage.build(calling(a_call(30 * 86400))), hours=2)
    assert 12 <= len(stage.events("decision")) <= 14
    assert stage.charged() == []


async def test_a_call_that_is_nearer_than_its_lead_gets_its_energy_as_soon_as_can_be(stage: Stage) -> None:
    await stage.live(stage.build(calling(a_call(40))), minutes=5)
    (covered,) = stage.events("call.covered")
    assert stage.seconds(covered) < 40
    assert stage.events("call.missed") == []


async def test_calls_of_one_address_add_up_on_top_of_the_floor(stage: Stage) -> None:
    policy = a_policy() | {"planned_calls": [a_call(1800), a_call(1860, "refunds", energy=200_000)]}
    stage.begin(stage.build(policy))
    await stage.sleep(1800)
    assert stage.world.available(ALICE) >= 65_000 + 100_000 + 200_000
    assert {line["call"] for line in stage.events("call.covered")} == {"payroll", "refunds"}


async def test_what_a_call_has_used_is_not_rented_again(stage: Stage) -> None:
    stage.begin(stage.build(calling(a_call(1800))))
    await stage.sleep(1800)
    stage.world.plan_use(EPOCH + timedelta(seconds=1830), ALICE, 60_000)
    stage.world.plan_use(EPOCH + timedelta(seconds=1890), ALICE, 40_000)
    await stage.sleep(25 * 60)
    assert len(stage.charged()) == 1
    assert stage.reasons()[-1] == "enough"


async def test_a_call_that_lasts_longer_than_a_rental_is_covered_across_its_end(stage: Stage) -> None:
    stage.begin(stage.build(calling(a_call(1800, hold="2h"))))
    await stage.sleep(1800 - 180)
    for _ in range(2 * 60 + 3):
        assert stage.world.available(ALICE) >= 100_000
        await stage.sleep(60)
    assert len(stage.charged()) == 3


async def test_a_call_that_is_missed_is_told_in_time_and_made_good_when_netts_is_back(stage: Stage) -> None:
    built = stage.build(calling(a_call(1800)))
    stage.begin(built)
    await stage.sleep(60)
    stage.netts.mood("html_502")
    await stage.sleep(1800 - 60)
    (missed,) = stage.events("call.missed")
    assert stage.seconds(missed) == pytest.approx(1800 - 180, abs=16)
    assert missed["detail"]
    (raised,) = stage.events("alert.raised", alert="call_missed")
    assert "payroll" in raised["summary"]
    stage.netts.moods.clear()
    await stage.sleep(15 * 60)
    assert len(stage.events("call.covered")) == 1
    assert len(stage.events("alert.cleared", alert="call_missed")) == 1


async def test_a_large_call_is_rented_in_several_orders_and_still_in_time(stage: Stage) -> None:
    unlimited = {"budget": "unlimited"}
    stage.netts.books.balance_sun = 10**12
    stage.begin(stage.build(calling(a_call(1800, energy=200_000, count=40), **unlimited)))
    await stage.sleep(1800 - 180)
    assert stage.world.available(ALICE) >= 8_000_000
    assert len(stage.charged()) == 3


async def test_calls_survive_a_restart_and_are_rented_once(stage: Stage) -> None:
    await stage.live(stage.build(calling(a_call(1800))), seconds=1800 - 180 - 30)
    assert len(stage.charged()) == 1
    stage.begin(stage.build())
    await stage.sleep(15 * 60)
    assert len(stage.charged()) == 1
    assert len(stage.events("call.covered")) == 1


async def test_a_reload_that_removes_a_call_ends_it(stage: Stage) -> None:
    built = stage.build(calling(a_call(1800)))
    stage.begin(built)
    await stage.sleep(60)
    stage.write(calling())
    await built.reload()
    await stage.sleep(1800)
    assert stage.charged() == []
    async with built._ledger.open_to_read(stage.folder / "energyd.db") as ledger:
        assert [call.state for call in await ledger.calls()] == [CallState.CANCELLED]


async def test_a_cancelled_call_of_a_policy_stays_cancelled(stage: Stage) -> None:
    built = stage.build(calling(a_call(1800)))
    stage.begin(built)
    await stage.sleep(60)
    (call,) = await built._ledger.calls()
    await built.engine.calls.cancel(call.call_id[:8])
    await stage.sleep(1800)
    assert stage.charged() == []


async def test_a_call_added_at_run_time_is_covered_like_any_other(stage: Stage) -> None:
    built = stage.build(calling())
    stage.begin(built)
    await stage.sleep(10)
    times = {"lead": timedelta(minutes=3), "hold": timedelta(minutes=20)}
    await built.engine.calls.add(ALICE, at=EPOCH + timedelta(minutes=20), energy=80_000, **times)
    await stage.sleep(17 * 60)
    assert stage.world.available(ALICE) >= 80_000


async def test_every_call_of_a_cron_is_covered(stage: Stage) -> None:
    hourly = {"name": "sweep", "cron": "30 * * * *", "energy": 70_000, "lead": "2m", "hold": "5m"}
    await stage.live(stage.build(calling(hourly)), hours=4)
    assert len(stage.events("call.covered")) == 4
    assert len(stage.charged()) == 4


# --- ensure


async def test_ensure_is_covered_when_its_energy_is_on_chain(stage: Stage) -> None:
    built = stage.build(calling())
    stage.begin(built)
    await stage.sleep(10)
    call = await asked(built)
    assert call.state is CallState.COVERED
    assert stage.world.available(ALICE) >= 65_000
    assert stage.loop.time() < 40


async def test_two_at_once_each_get_theirs(stage: Stage) -> None:
    built = stage.build(calling())
    stage.begin(built)
    await stage.sleep(10)
    both = await asyncio.gather(asked(built), asked(built))
    assert [call.state for call in both] == [CallState.COVERED] * 2
    assert stage.world.available(ALICE) >= 130_000


async def test_one_that_comes_while_another_waits_gets_its_own(stage: Stage) -> None:
    built = stage.build(calling())
    stage.begin(built)
    await stage.sleep(10)

    async def later() -> Call:
        await stage.sleep(4)
        return await asked(built)

    both = await asyncio.gather(asked(built), later())
    assert [call.state for call in both] == [CallState.COVERED] * 2
    assert stage.world.available(ALICE) >= 130_000


async def test_the_same_key_is_the_same_request(stage: Stage) -> None:
    built = stage.build(calling())
    stage.begin(built)
    await stage.sleep(10)
    both = await asyncio.gather(asked(built, key="invoice 7"), asked(built, key="invoice 7"))
    again = await asked(built, key="invoice 7")
    assert len({call.call_id for call in (*both, again)}) == 1
    assert len(stage.charged()) == 1
    with pytest.raises(NotPossible, match="another request"):
        await asked(built, 70_000, key="invoice 7")


async def test_one_that_waited_in_vain_buys_nothing_later(stage: Stage) -> None:
    built = stage.build(calling())
    stage.begin(built)
    await stage.sleep(10)
    stage.netts.mood("html_502")
    call = await asked(built, within=timedelta(seconds=30))
    assert (call.state, call.covered_at) == (CallState.OVER, None)
    assert call.detail
    stage.netts.moods.clear()
    await stage.sleep(600)
    assert stage.charged() == []
    again = await asked(built, within=timedelta(minutes=10))
    assert again.state is CallState.COVERED


@pytest.mark.parametrize(
    ("parts", "mode", "why"),
    [
        ({}, Mode.DRY_RUN, "dry_run"),
        ({"mode": "observe"}, Mode.LIVE, "observe"),
        ({"budget": {"per_order": "0.5 TRX", "per_hour": "1 TRX", "per_day": "2 TRX"}}, Mode.LIVE, "budget_per_order"),
    ],
)
async def test_what_will_not_come_is_said_at_once(stage: Stage, parts: dict[str, Any], mode: Mode, why: str) -> None:
    built = stage.build(calling(**parts), mode=mode)
    stage.begin(built)
    await stage.sleep(10)
    call = await asked(built)
    assert call.state is CallState.OVER
    assert why in call.detail
    assert stage.loop.time() < 20


async def test_by_a_moment_is_rented_shortly_before_it(stage: Stage) -> None:
    built = stage.build(calling())
    stage.begin(built)
    await stage.sleep(10)
    call = await asked(built, by=EPOCH + timedelta(minutes=30))
    assert call.state is CallState.COVERED
    assert 29 * 60 - 1 <= stage.loop.time() <= 30 * 60


async def test_only_watched_addresses_can_be_asked_for(stage: Stage) -> None:
    built = stage.build(calling())
    stage.begin(built)
    await stage.sleep(10)
    with pytest.raises(NotPossible, match="no policy watches"):
        await asked(built, address=BOB)


# --- estimates


TRANSFER = "transfer(address,uint256)"
DAVE = addresses.made_up("dave")
"""Holds no USDT, as all others do."""


def paying(*receivers: str, at: float = 1800, **parts: Any) -> dict[str, Any]:
    """A planned call that the node is asked about; everybody gets one USDT."""
    what = {"contract": USDT, "function": TRANSFER, "arguments": [[each, 1_000_000] for each in receivers]}
    return {"name": "payroll", "at": moment(at), "lead": "3m", "hold": "20m"} | what | parts


async def test_a_transfer_to_somebody_who_holds_none_is_estimated_at_twice_as_much(stage: Stage) -> None:
    stage.world.usdt.balances |= {ALICE: 10**9}
    stage.begin(stage.build(calling(paying(BOB, DAVE))))
    await stage.sleep(1800 - 180)
    (covered,) = stage.events("call.covered")
    assert covered["energy"] == pytest.approx(64_285 + 130_285, abs=20)
    assert stage.world.available(ALICE) >= 64_285 + 130_285
    (due,) = stage.events("call.due")
    assert due["fee_limit_trx"] == pytest.approx(13.0285)


async def test_a_call_that_would_revert_orders_nothing_and_is_missed_with_the_reason(stage: Stage) -> None:
    stage.world.usdt.balances[ALICE] = 0
    stage.begin(stage.build(calling(paying(BOB))))
    await stage.sleep(1800)
    assert stage.charged() == []
    (missed,) = stage.events("call.missed")
    assert stage.seconds(missed) == pytest.approx(1800 - 180, abs=4)
    assert "REVERT" in missed["detail"]
    assert "no_estimate" in stage.reasons()


async def test_a_call_that_would_revert_is_covered_when_its_sender_has_the_tokens_after_all(stage: Stage) -> None:
    stage.world.usdt.balances[ALICE] = 0
    stage.begin(stage.build(calling(paying(BOB))))
    await stage.sleep(1700)
    stage.world.usdt.balances |= {ALICE: 10**9, BOB: 1}
    await stage.sleep(100)
    assert stage.world.available(ALICE) >= 64_285


async def test_only_a_fallback_is_rented_for_on_a_guess(stage: Stage) -> None:
    stage.world.usdt.balances[ALICE] = 0
    stage.begin(stage.build(calling(paying(BOB, DAVE, fallback=131_000))))
    await stage.sleep(1800)
    assert stage.world.available(ALICE) >= 262_000
    assert len(stage.charged()) == 1


async def test_an_application_whose_call_would_revert_is_told_at_once(stage: Stage) -> None:
    built = stage.build(calling())
    stage.begin(built)
    await stage.sleep(10)
    what = ContractCall(ALICE, USDT, TRANSFER, ((BOB, 10**15),))
    call = await asked(built, None, what=what)
    assert call.state is CallState.OVER
    assert "REVERT" in call.detail
    assert stage.loop.time() < 20
    assert stage.charged() == []
    stage.world.usdt.balances |= {ALICE: 10**16}
    assert (await asked(built, None, what=what)).state is CallState.COVERED


async def test_a_call_that_its_policy_has_again_is_taken_up_again(stage: Stage) -> None:
    built = stage.build(calling(a_call(1800)))
    stage.begin(built)
    await stage.sleep(60)
    for parts in ((), (a_call(1800),)):
        stage.write(calling(*parts))
        await built.reload()
        await stage.sleep(60)
    await stage.sleep(1800 - 180 - 180)
    assert stage.world.available(ALICE) >= 100_000
