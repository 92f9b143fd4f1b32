"""What may be spent: nothing in a dry run, no more than the budget, not too often, and only while it is asked for."""

from itertools import pairwise

import pytest

from energyd.model import Mode

from .stage import ALICE, TRX, Stage, a_policy

FIGURES = ("demand", "supply", "gap", "energy", "price_sun", "cost_trx")


# --- deciding without spending --------------------------------------------------------------------------------------


async def test_a_dry_run_tells_what_it_would_do_and_nothing_leaves(stage: Stage) -> None:
    built = stage.build(mode=Mode.DRY_RUN)
    assert built.engine._buyer is None
    await stage.live(built, minutes=4)
    assert stage.posts() == []
    assert stage.reasons() == ["dry_run"]
    assert stage.names("order.") == []
    decision = stage.events("decision")[0]
    assert (decision["action"], decision["gap"], decision["energy"]) == ("hold", 65_000, 65_000)
    assert round(decision["cost_trx"] * TRX) == 65_000 * decision["price_sun"]
    assert stage.events("daemon.started")[0]["mode"] == "dry-run"
    assert await stage.kept_orders() == ()


async def test_a_policy_that_observes_spends_nothing_while_another_one_does(stage: Stage) -> None:
    from .stage import BOB  # noqa: PLC0415 - used here only

    built = stage.build(a_policy("watched", ALICE, mode="observe"), a_policy("kept", BOB))
    await stage.live(built, minutes=3)
    assert stage.reasons(ALICE) == ["observe"]
    assert set(FIGURES) <= stage.events("decision", address=ALICE)[0].keys()
    assert {post.address for post in stage.posts()} == {BOB}


# --- budgets and pace -----------------------------------------------------------------------------------------------


async def _empty_again_and_again(stage: Stage, built: object, times: int, seconds: float) -> None:
    for _ in range(times):
        await stage.watch(built, seconds=seconds)  # type: ignore[arg-type] # a daemon
        stage.world.use(ALICE, stage.world.available(ALICE))


@pytest.mark.parametrize(
    ("window", "reason", "most"),
    [
        ({"per_order": "1 TRX", "per_hour": "60 TRX", "per_day": "400 TRX"}, "budget_per_order", 0),
        ({"per_order": "3 TRX", "per_hour": "5 TRX", "per_day": "400 TRX"}, "budget_per_hour", 5),
        ({"per_order": "3 TRX", "per_hour": "7 TRX", "per_day": "7 TRX"}, "budget_per_hour", 7),
    ],
)
async def test_a_budget_is_never_exceeded(stage: Stage, window: dict[str, str], reason: str, most: int) -> None:
    built = await stage.prepared(a_policy(budget=window))
    await _empty_again_and_again(stage, built, times=8, seconds=60)
    assert sum(charge.cost_sun for charge in stage.charged()) <= most * TRX
    assert stage.reasons()[-1] == reason
    assert (most == 0) == (stage.charged() == [])


async def test_a_budget_of_an_hour_is_free_again_when_the_hour_has_passed_and_its_alert_is_cleared(
    stage: Stage,
) -> None:
    stage.netts.prices.set_price(30)
    built = stage.build(
        a_policy(check_every="60s", budget={"per_order": "3 TRX", "per_hour": "3 TRX", "per_day": "9 TRX"})
    )
    task = stage.begin(built)
    await stage.sleep(60)
    stage.world.use(ALICE, stage.world.available(ALICE))
    await stage.sleep(70)
    assert len(stage.charged()) == 1
    assert stage.reasons()[-1] == "budget_per_hour"
    await stage.sleep(3600)
    built.stop()
    await task
    assert len(stage.charged()) == 2
    alerts = [line["event"] for line in stage.events() if line.get("alert") == "budget_exhausted"]
    assert alerts == ["alert.raised", "alert.cleared"]


async def test_two_addresses_of_one_policy_share_its_budget(stage: Stage) -> None:
    from .stage import BOB, CAROL  # noqa: PLC0415 - used here only

    stage.netts.prices.set_price(30)
    window = {"per_order": "3 TRX", "per_hour": "3 TRX", "per_day": "3 TRX"}
    await stage.live(stage.build(a_policy("payouts", ALICE, BOB, CAROL, budget=window)), minutes=3)
    assert len(stage.netts.charges) == 1


async def test_between_two_orders_for_one_address_the_cooldown_passes(stage: Stage) -> None:
    built = await stage.prepared(a_policy(check_every="2s", cooldown="60s"))
    await _empty_again_and_again(stage, built, times=20, seconds=15)
    moments = [charge.at for charge in stage.charged()]
    assert len(moments) >= 5
    assert min((later - earlier).total_seconds() for earlier, later in pairwise(moments)) >= 59
    assert "cooldown" in stage.reasons()


# --- while it is asked for ------------------------------------------------------------------------------------------

SWEEPER = {"keep": "while_active", "active_within": "20m", "check_every": "90s"}


async def test_after_the_last_use_of_an_active_address_the_rentals_stop(stage: Stage) -> None:
    built = await stage.prepared(a_policy(**SWEEPER))
    await stage.watch(built, minutes=2)
    assert stage.posts() == []
    stage.world.use(ALICE, 1)
    await stage.watch(built, minutes=200)
    assert len(stage.charged()) == 1
    assert stage.reasons()[-1] == "inactive"


async def test_the_end_of_a_rental_is_no_use_after_a_restart_either(stage: Stage) -> None:
    built = await stage.prepared(a_policy(**SWEEPER))
    stage.world.use(ALICE, 1)
    await stage.watch(built, minutes=50)
    stage.crash()
    await stage.sleep(900)
    built = await stage.prepared()
    await stage.watch(built, minutes=150)
    assert len(stage.charged()) == 1
    assert stage.reasons()[-1] == "inactive"


async def test_use_that_goes_on_keeps_an_active_address_supplied(stage: Stage) -> None:
    built = await stage.prepared(a_policy(**SWEEPER))
    for _ in range(24):
        stage.world.use(ALICE, 1)
        await stage.watch(built, minutes=10)
    assert 4 <= len(stage.charged()) <= 5
    assert stage.world.available(ALICE) >= 64_000


async def test_outside_its_windows_nothing_is_kept(stage: Stage) -> None:
    window = {"days": "mon-fri", "from": "01:00", "to": "02:00"}
    built = await stage.prepared(a_policy(keep=[window], check_every="120s"))
    await stage.watch(built, minutes=59)
    assert stage.posts() == []
    assert stage.reasons() == ["outside_window"]
    await stage.watch(built, minutes=240)
    assert len(stage.charged()) in (1, 2)
    assert stage.reasons()[-1] == "outside_window"


async def test_a_pause_stops_spending_and_watching_goes_on(stage: Stage) -> None:
    built = await stage.prepared()
    ledger = stage.ledgers[-1]
    await ledger.pause(None, ALICE, None, "moving funds", stage.loop.now())
    await stage.watch(built, minutes=2)
    assert stage.reasons() == ["paused"]
    assert stage.posts() == []
    await ledger.resume(None, ALICE, stage.loop.now())
    await stage.watch(built, minutes=2)
    assert len(stage.charged()) == 1


async def test_a_price_that_rose_since_it_was_read_is_seen_before_the_order_and_not_after(stage: Stage) -> None:
    built = await stage.prepared(a_policy(max_price="80 sun"))
    await stage.sleep(40)
    stage.netts.prices.set_price(90)
    await stage.watch(built, minutes=1)
    assert stage.charged() == []
    assert set(stage.reasons()) == {"price_too_high"}
