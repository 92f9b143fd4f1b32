"""One shortfall, one order, however long the energy is on its way; what is told of it until its hour is over."""

import pytest

from energyd.model import OrderState

from .stage import ALICE, TRX, Stage, a_policy


@pytest.mark.parametrize("delay", [2.0, 8.0, 30.0, 90.0])
async def test_one_order_for_one_shortfall_while_delivery_is_slow(stage: Stage, delay: float) -> None:
    stage.netts.terms.delivery_seconds = (delay, delay)
    built = await stage.prepared()
    await stage.watch(built, minutes=5)
    assert stage.names("order.") == ["order.intended", "order.sent", "order.placed"]
    assert len(stage.charged()) == 1
    (delivered,) = stage.events("energy.delivered")
    look_every = 3 if delay < 60 else 15
    assert delay - 1 <= delivered["seconds"] <= delay + look_every + 3
    assert stage.reasons()[0] == "below_floor"
    assert stage.reasons()[-1] == "enough"
    assert {"in_flight"} == set(stage.reasons()[1:-1]) or delay < 10


async def test_the_events_of_one_order_share_its_key_and_tell_what_was_paid(stage: Stage) -> None:
    built = await stage.prepared()
    await stage.watch(built, minutes=1)
    intended, sent, placed = stage.events("order.intended", "order.sent", "order.placed")
    (delivered,) = stage.events("energy.delivered")
    assert len({line["order_key"] for line in (intended, sent, placed, delivered)}) == 1
    (charge,) = stage.charged()
    assert charge.idempotency_key == placed["order_key"]
    assert round(placed["cost_trx"] * TRX) == charge.cost_sun
    assert placed["netts_order_id"] == charge.order_id
    assert (placed["outcome"], placed["http_status"]) == ("accepted", 200)


async def test_energy_that_never_comes_is_paid_once_and_told_late_once(stage: Stage) -> None:
    stage.netts.terms.delivers = False
    built = stage.build()
    await stage.live(built, minutes=10)
    assert len(stage.charged()) == 1
    (late,) = stage.events("energy.late")
    assert 60 < late["seconds"] <= 70
    assert late["order_key"] == stage.events("order.placed")[0]["order_key"]
    (raised,) = stage.events("alert.raised", alert="delivery_late")
    assert raised["timestamp"] == late["timestamp"]
    assert stage.events("alert.cleared") == []
    assert stage.reasons() == ["below_floor", "in_flight"]


async def test_late_energy_is_told_late_and_then_delivered_and_its_alert_cleared(stage: Stage) -> None:
    stage.netts.terms.delivery_seconds = (90, 90)
    await stage.live(stage.build(), minutes=4)
    told = [line["event"] for line in stage.events("energy.late", "energy.delivered")]
    assert told == ["energy.late", "energy.delivered"]
    alerts = [line["event"] for line in stage.events() if line.get("alert") == "delivery_late"]
    assert alerts == ["alert.raised", "alert.cleared"]


async def test_late_energy_is_not_told_again_after_a_restart(stage: Stage) -> None:
    stage.netts.terms.delivers = False
    await stage.live(stage.build(), minutes=2)
    await stage.live(stage.build(), minutes=2)
    assert len(stage.events("energy.late")) == 1
    assert len(stage.events("alert.raised", alert="delivery_late")) == 1


async def test_an_idle_address_that_is_always_kept_gets_one_order_an_hour_and_is_never_below(stage: Stage) -> None:
    built = await stage.prepared(a_policy(check_every="80s", renew_before="3m"))
    await stage.watch(built, minutes=1)
    levels = []

    async def look() -> None:
        levels.append(stage.world.available(ALICE))

    for _ in range(4 * 12):
        await stage.watch(built, minutes=5)
        await look()
    assert len(stage.charged()) == 5  # 4 h 1 min: one at the start and one before each hour's end
    assert min(levels) >= 65_000
    assert len(stage.events("energy.delivered")) == 5
    assert len(stage.events("rental.expired")) == 4
    assert set(stage.reasons()) <= {"below_floor", "in_flight", "enough"}


async def test_a_rental_that_came_expires_and_one_that_never_came_is_closed_as_undelivered(stage: Stage) -> None:
    built = await stage.prepared(a_policy(renew_before="0s"))
    stage.netts.terms.delivers = False
    for delivers in (False, True, True):
        stage.netts.terms.delivers = delivers
        await stage.watch(built, minutes=1)
        await stage.sleep(3570)
    orders = await stage.ledgers[-1].orders()
    assert [order.state for order in reversed(orders)][:2] == [OrderState.UNDELIVERED, OrderState.EXPIRED]
    assert len(stage.events("rental.expired")) == 2


async def test_energy_that_was_there_before_is_not_taken_for_the_delivery(stage: Stage) -> None:
    stage.world.add_account(ALICE, stake_energy=60_000)
    stage.netts.terms.delivery_seconds = (40, 40)
    built = await stage.prepared(a_policy(target=131_000))
    await stage.watch(built, minutes=3)
    (delivered,) = stage.events("energy.delivered")
    assert delivered["seconds"] >= 39
    assert delivered["energy"] == stage.charged()[0].amount


async def test_use_while_the_energy_is_on_its_way_does_not_hide_its_arrival(stage: Stage) -> None:
    stage.world.add_account(ALICE, stake_energy=60_000)
    stage.netts.terms.delivery_seconds = (20, 20)
    built = await stage.prepared()
    await stage.watch(built, seconds=10)
    stage.world.use(ALICE, 50_000)
    await stage.watch(built, minutes=1)
    assert len(stage.events("energy.delivered")) == 1


async def test_a_delivery_that_is_a_tenth_short_is_not_called_delivered(stage: Stage) -> None:
    stage.netts.terms.short_by = 7_000
    built = await stage.prepared()
    await stage.watch(built, minutes=2)
    assert stage.events("energy.delivered") == []
    assert len(stage.charged()) == 1


async def test_a_delivery_that_is_one_unit_short_is_called_delivered_and_nothing_is_bought_for_the_unit(
    stage: Stage,
) -> None:
    stage.netts.terms.short_by = 1
    built = await stage.prepared()
    await stage.watch(built, minutes=10)
    assert len(stage.events("energy.delivered")) == 1
    assert len(stage.charged()) == 1


async def test_two_addresses_are_each_supplied_for_themselves(stage: Stage) -> None:
    from .stage import BOB  # noqa: PLC0415 - used here only

    built = await stage.prepared(a_policy("payouts", ALICE, BOB))
    await stage.watch(built, ALICE, minutes=1)
    await stage.watch(built, BOB, minutes=1)
    assert (len(stage.charged(ALICE)), len(stage.charged(BOB))) == (1, 1)


async def test_what_a_lagging_node_does_not_show_any_more_is_not_rented_again(stage: Stage) -> None:
    stage.begin(stage.build(a_policy(target=65_000, check_every="5s", cooldown="0s")))
    await stage.sleep(15)
    assert len(stage.events("energy.delivered")) == 1
    stage.node.lags = (8,)
    await stage.sleep(10)
    assert stage.reasons()[-1] == "reading_stale"
    stage.node.lags = (0,)
    await stage.sleep(600)
    assert stage.reasons()[-1] == "enough"
    assert len(stage.charged()) == 1


async def test_a_rental_that_was_taken_back_early_is_replaced_once_that_is_sure(stage: Stage) -> None:
    stage.begin(stage.build())
    await stage.sleep(300)
    (order,) = stage.netts.books.orders.values()
    stage.world.take_back(order.rental.rental_id)
    await stage.sleep(25)
    assert len(stage.charged()) == 1
    assert "reading_stale" in stage.reasons()
    await stage.sleep(60)
    assert len(stage.charged()) == 2
    assert stage.world.available(ALICE) >= 65_000
