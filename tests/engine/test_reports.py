"""A report about a lived day, against what the pretend world knows about it."""

from datetime import timedelta
from itertools import pairwise

from energyd.ledger.ledger import Ledger
from energyd.report import BEFORE, By, Report, make

from .stage import ALICE, BOB, EPOCH, Stage, a_policy


async def _report(stage: Stage, by: By) -> Report:
    since, until = EPOCH, EPOCH + timedelta(days=1)
    async with Ledger.open_to_read(stage.folder / "energyd.db") as ledger:
        orders = await ledger.orders(since=since - BEFORE)
        falls, prices = await ledger.falls(since, until), await ledger.burn_prices(since - BEFORE, until)
    return make(orders, falls, prices, since=since, until=until, by=by)


async def test_a_report_agrees_with_netts_to_the_sun_and_with_the_chain_about_what_was_used(stage: Stage) -> None:
    for number in range(8):
        stage.world.plan_use(EPOCH + timedelta(minutes=5 + 20 * number), ALICE, 64_285)
        stage.world.plan_use(EPOCH + timedelta(minutes=9 + 23 * number), BOB, 31_895)
    stage.netts.mood("charge_then_drop", "order1h", times=1)
    await stage.live(stage.build(a_policy("payouts", ALICE), a_policy("small", BOB, target=66_000)), hours=4)
    total = (await _report(stage, By.POLICY)).total
    assert total.unconfirmed_sun > 0
    assert total.charged_sun + total.unconfirmed_sun == sum(charge.cost_sun for charge in stage.netts.charges)
    really = sum(use.from_stake for use in stage.world.uses)
    assert total.energy_used is not None
    assert 0.9 * really <= total.energy_used <= really
    assert total.energy_delivered >= total.energy_used
    assert total.burning_sun == total.energy_used * stage.world.burn_price_sun()


async def test_a_report_is_the_same_sum_by_policy_address_and_day(stage: Stage) -> None:
    stage.world.plan_use(EPOCH + timedelta(minutes=5), ALICE, 64_285)
    await stage.live(stage.build(a_policy("payouts", ALICE), a_policy("small", BOB)), minutes=90)
    shown = [await _report(stage, by) for by in By]
    assert all(one.total == other.total for one, other in pairwise(shown))
    assert [list(one.rows) for one in shown] == [["payouts", "small"], sorted([ALICE, BOB]), ["2026-01-05"]]
