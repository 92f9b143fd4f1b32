"""What Netts answers to an order, and what comes of it: refused, or unclear until the evidence says."""

import asyncio
from unittest.mock import patch

import pytest

from energyd.model import Funds, OrderState
from energyd.sandbox.netts import MOODS
from energyd.sandbox.wire import Fault

from .stage import ALICE, BOB, CAROL, TRX, Stage, a_policy

ORDER = "order1h"
ORDERS = "https://netts.sandbox/apiv2/order1h"
REFUSED = {
    "provider_5001": "netts_unavailable",
    "provider_5002": "netts_unavailable",
    "unavailable_5003": "netts_unavailable",
    "minimum_5004": "refused",
    "rate_limit": "rate_limited",
    "rate_limit_bare": "rate_limited",
    "unauthorised": "auth_failed",
}
PLACED = {"slow", "wrong_type", "no_code", "too_slow", "charge_then_hang"}
CHARGED = {"charge_then_drop", "charge_then_internal", "charge_then_502", "charge_then_empty", "unreadable"}
UNCHARGED = {"internal", "html_502", "drop", "empty_body", "database"}
"""What an order may have done although it did nothing."""


def test_every_mood_of_the_pretend_netts_is_looked_at_here() -> None:
    assert set(REFUSED) | CHARGED | UNCHARGED | PLACED | {"late", "truncated"} == set(MOODS)


# --- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mood", sorted(REFUSED))
async def test_a_refusal_is_told_as_one_and_stops_the_hammering(stage: Stage, mood: str) -> None:
    built = await stage.prepared(a_policy(check_every="10s"))
    stage.netts.mood(mood, ORDER)
    await stage.watch(built, minutes=12)
    assert stage.netts.charges == []
    assert {line["outcome"] for line in stage.events("order.refused")} == {REFUSED[mood]}
    assert set(stage.names("order.")) == {"order.intended", "order.sent", "order.refused"}
    assert 2 <= len(stage.posts()) <= 8
    assert REFUSED[mood] in stage.reasons()


async def test_an_order_that_is_refused_for_a_while_is_placed_afterwards(stage: Stage) -> None:
    built = await stage.prepared()
    stage.netts.mood("provider_5001", ORDER, times=2)
    await stage.watch(built, minutes=5)
    assert stage.names("order.").count("order.refused") == 2
    assert len(stage.charged()) == 1


async def test_no_money_on_the_account_is_held_and_a_deposit_lets_the_order_through(stage: Stage) -> None:
    stage.netts.books.balance_sun = 1 * TRX
    task = stage.begin(built := stage.build())
    await stage.sleep(300)
    assert stage.posts() == []
    assert stage.reasons() == ["no_funds"]
    assert len(stage.events("alert.raised", alert="netts_balance_low")) == 1
    stage.netts.books.deposit(100 * TRX)
    await stage.sleep(300)
    built.stop()
    await task
    assert len(stage.charged()) == 1
    assert len(stage.events("alert.cleared", alert="netts_balance_low")) == 1


async def test_a_refusal_for_want_of_money_that_the_known_balance_hid_waits_for_a_deposit(stage: Stage) -> None:
    built = await stage.prepared(a_policy(check_every="5s"))
    stage.netts.books.balance_sun = 1 * TRX
    await stage.watch(built, minutes=10)
    assert len(stage.posts()) == 1
    assert stage.events("order.refused")[0]["outcome"] == "no_funds"
    assert stage.reasons()[-1] == "no_funds"


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.UNREACHABLE, Fault.POOL_FULL])
async def test_an_order_that_never_left_is_refused_and_tried_again(stage: Stage, fault: Fault) -> None:
    built = await stage.prepared()
    stage.wire.disturb(fault, where=ORDERS, count=1)
    await stage.watch(built, minutes=3)
    assert stage.names("order.")[:3] == ["order.intended", "order.sent", "order.refused"]
    assert len(stage.charged()) == 1


# --- unclear --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mood", sorted(CHARGED))
async def test_an_order_that_was_charged_without_a_word_is_unresolved_until_its_energy_shows(
    stage: Stage, mood: str
) -> None:
    built = stage.build()
    stage.netts.mood(mood, ORDER, times=1)
    await stage.live(built, minutes=5)
    assert stage.names("order.") == ["order.intended", "order.sent", "order.unresolved", "order.resolved"]
    assert stage.events("order.resolved")[0]["outcome"] == "placed"
    assert len(stage.charged()) == 1
    assert len(stage.events("energy.delivered")) == 1
    assert set(stage.reasons()) <= {"below_floor", "unresolved_order", "in_flight", "enough"}


@pytest.mark.parametrize("mood", sorted(UNCHARGED))
async def test_an_order_that_did_nothing_is_believed_so_after_the_longest_flight_and_made_again(
    stage: Stage, mood: str
) -> None:
    built = stage.build()
    stage.netts.mood(mood, ORDER, times=1)
    await stage.live(built, minutes=6)
    assert stage.names("order.")[:4] == ["order.intended", "order.sent", "order.unresolved", "order.resolved"]
    unresolved, resolved = stage.events("order.unresolved")[0], stage.events("order.resolved")[0]
    assert resolved["outcome"] == "not_placed"
    assert stage.seconds(resolved) - stage.seconds(unresolved) >= 10 + 10 + 60
    assert len(stage.charged()) == 1
    assert "unresolved_order" in stage.reasons()


async def test_an_unresolved_order_raises_one_alert_that_is_cleared_when_it_is_resolved(stage: Stage) -> None:
    built = stage.build()
    stage.netts.mood("drop", ORDER, times=1)
    await stage.live(built, minutes=6)
    (key,) = {line["order_key"] for line in stage.events("order.unresolved")}
    raised, cleared = [line for line in stage.events() if line.get("alert") == "order_unresolved"]
    assert (raised["event"], cleared["event"]) == ("alert.raised", "alert.cleared")
    assert raised["subject"] == cleared["subject"] == key


@pytest.mark.parametrize("mood", sorted(PLACED))
async def test_an_answer_that_is_late_or_odd_still_counts_once(stage: Stage, mood: str) -> None:
    built = stage.build()
    stage.netts.mood(mood, ORDER, times=1)
    await stage.live(built, minutes=5)
    assert len(stage.charged()) == 1
    assert len(stage.events("energy.delivered")) == 1
    assert len(stage.posts()) == 1


async def test_an_order_that_arrives_long_after_the_deadline_is_not_made_twice(stage: Stage) -> None:
    built = stage.build()
    stage.netts.mood("late", ORDER, times=1)
    await stage.live(built, minutes=8)
    assert len(stage.charged()) == 1
    assert stage.events("order.resolved")[0]["outcome"] == "placed"


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.RESET, Fault.WRITE_STALLED])
async def test_a_lost_reply_is_not_paid_twice(stage: Stage, fault: Fault) -> None:
    built = stage.build()
    stage.wire.disturb(fault, where=ORDERS, count=1)
    await stage.live(built, minutes=5)
    assert len(stage.charged()) == 1
    assert stage.names("order.")[2:] == ["order.unresolved", "order.resolved"]


async def test_while_an_order_is_unresolved_and_the_account_cannot_be_read_nothing_is_believed(stage: Stage) -> None:
    built = stage.build()
    stage.netts.mood("drop", ORDER, times=1)
    task = stage.begin(built)
    await stage.sleep(5)
    stage.netts.mood("html_502", "userinfo")
    await stage.sleep(300)
    assert len(stage.posts()) == 1
    assert stage.events("order.resolved") == []
    stage.netts.moods.clear("userinfo")
    await stage.sleep(300)
    built.stop()
    await task
    assert stage.events("order.resolved")[0]["outcome"] == "not_placed"
    assert len(stage.charged()) == 1


async def test_an_order_that_only_the_balance_shows_is_placed_and_its_money_booked(stage: Stage) -> None:
    stage.netts.terms.delivers = False
    built = stage.build()
    stage.netts.mood("charge_then_drop", ORDER, times=1)
    await stage.live(built, minutes=3)
    assert stage.events("order.resolved")[0]["outcome"] == "placed"
    (order,) = await stage.kept_orders()
    assert order.state is OrderState.PLACED
    assert order.booked_sun == stage.charged()[0].cost_sun


async def test_two_addresses_whose_orders_did_nothing_at_once_do_not_wait_for_each_other_for_ever(
    stage: Stage,
) -> None:
    built = stage.build(a_policy("payouts", ALICE, BOB))
    stage.netts.mood("html_502", ORDER, times=2)
    await stage.live(built, minutes=10)
    assert [line["outcome"] for line in stage.events("order.resolved")] == ["not_placed", "not_placed"]
    assert (len(stage.charged(ALICE)), len(stage.charged(BOB))) == (1, 1)


async def test_of_two_unclear_orders_the_one_that_was_placed_is_found(stage: Stage) -> None:
    built = stage.build(a_policy("payouts", ALICE, BOB))
    stage.netts.mood("charge_then_502", ORDER, times=1)
    stage.netts.mood("html_502", ORDER, times=1)
    await stage.live(built, minutes=10)
    assert sorted(line["outcome"] for line in stage.events("order.resolved")) == ["not_placed", "placed"]
    assert (len(stage.charged(ALICE)), len(stage.charged(BOB))) == (1, 1)


# --- prices, charges, the account -----------------------------------------------------------------------------------


async def test_a_charge_above_the_quote_is_booked_as_charged_and_told(stage: Stage) -> None:
    stage.netts.terms.overcharge_percent = 20
    built = stage.build()
    await stage.live(built, minutes=2)
    (order,) = await stage.kept_orders()
    (charge,) = stage.charged()
    assert order.cost_sun == order.booked_sun == charge.cost_sun > order.cost_max_sun
    assert len(stage.events("alert.raised", alert="charged_above_quote")) == 1
    assert round(stage.events("order.placed")[0]["cost_trx"] * TRX) == charge.cost_sun


@pytest.mark.parametrize("mood", ["html_502", "drop", "empty_body", "unauthorised"])
async def test_without_a_price_nothing_is_ordered_and_it_is_told_once(stage: Stage, mood: str) -> None:
    stage.netts.mood(mood)
    task = stage.begin(built := stage.build())
    await stage.sleep(200)
    assert stage.posts() == []
    assert stage.reasons() == ["price_unknown"]
    name = "netts_auth_failed" if mood == "unauthorised" else "netts_unavailable"
    assert len(stage.events("alert.raised", alert=name)) == 1
    stage.netts.moods.clear()
    await stage.sleep(400)
    built.stop()
    await task
    assert stage.names("netts.") == ["netts.failed", "netts.recovered"]
    assert len(stage.events("alert.cleared", alert=name)) == 1
    assert len(stage.charged()) == 1


async def test_a_price_that_is_learned_after_the_first_look_is_acted_upon_at_once(stage: Stage) -> None:
    stage.netts.mood("html_502", "pricing", times=1)
    stage.netts.mood("html_502", "prices", times=1)
    await stage.live(stage.build(a_policy(check_every="1h")), minutes=3)
    assert len(stage.charged()) == 1


async def test_a_price_above_the_limit_is_held_and_taken_when_it_falls(stage: Stage) -> None:
    stage.netts.prices.set_price(90)
    built = await stage.prepared(a_policy(max_price="80% of burn"))
    await stage.watch(built, minutes=3)
    assert stage.reasons() == ["price_too_high"]
    assert stage.posts() == []
    stage.netts.prices.set_price(40)
    await stage.watch(built, minutes=4)
    assert len(stage.charged()) == 1


async def test_a_netts_that_loses_every_order_is_asked_less_and_less(stage: Stage) -> None:
    stage.netts.mood("drop", "order1h")
    await stage.live(stage.build(), hours=3)
    assert stage.charged() == []
    assert 4 <= len(stage.posts()) <= 10
    assert {"unresolved_order"} <= set(stage.reasons())


async def test_an_order_that_nothing_can_explain_does_not_use_up_the_calls_that_the_account_allows(
    stage: Stage,
) -> None:
    stage.world.add_account(CAROL, stake_sun=10**12)
    stage.netts.mood("drop", ORDER, times=1)
    task = stage.begin(built := stage.build())
    await stage.sleep(5)
    stage.world.delegate(CAROL, ALICE, 2_000 * TRX)  # a part of what was ordered, from somebody else
    await stage.sleep(3 * 3600)
    built.stop()
    await task
    assert stage.names("order.")[:3] == ["order.intended", "order.sent", "order.unresolved"]
    assert stage.events("order.resolved") == []
    assert len([one for one in stage.netts.received if one.endpoint == "userinfo"]) < 1000 / 8 + 40


@pytest.mark.parametrize("mood", ["html_502", "rate_limit"])
async def test_an_account_that_cannot_be_read_is_asked_no_oftener_for_many_unclear_orders(
    stage: Stage, mood: str
) -> None:
    stage.netts.mood("drop", ORDER, times=3)
    task = stage.begin(built := stage.build(a_policy("payouts", ALICE, BOB, CAROL)))
    await stage.sleep(5)
    stage.netts.mood(mood, "userinfo")
    before = len([one for one in stage.netts.received if one.endpoint == "userinfo"])
    await stage.sleep(600)
    built.stop()
    await task
    assert len([one for one in stage.netts.received if one.endpoint == "userinfo"]) - before < 60


async def test_of_two_questions_about_the_account_the_one_that_was_asked_later_counts(stage: Stage) -> None:
    known, answers = (await stage.prepared()).engine.known, iter([(5, 1 * TRX), (1, 2 * TRX)])

    async def funds() -> Funds:
        seconds, balance_sun = next(answers)
        await stage.sleep(seconds)
        return Funds(balance_sun, stage.loop.now())

    with patch.object(known._account, "funds", funds):
        earlier = asyncio.create_task(known.read_funds())
        await stage.sleep(1)
        await known.read_funds()
        await earlier
    assert known.funds is not None
    assert known.funds.balance_sun == 2 * TRX


# --- the account after a restart --------------------------------------------------------------------------------------


async def restarted_without_userinfo(stage: Stage, seconds: float) -> None:
    """A daemon that rented once, and its successor, which is short of energy and cannot read the account at first."""
    await stage.live(stage.build(), minutes=3)
    stage.crash()
    stage.world.use(ALICE, 60_000)
    stage.netts.mood("html_502", "userinfo")
    task = stage.begin(built := stage.build())
    await stage.sleep(seconds)
    stage.netts.moods.clear("userinfo")
    await stage.sleep(100)
    built.stop()
    await task


async def test_a_restarted_daemon_orders_soon_after_a_short_silence_of_the_account(stage: Stage) -> None:
    await restarted_without_userinfo(stage, 12)
    assert len(stage.charged()) == 2
    held = stage.events("decision", reason="netts_unavailable")
    assert "the account has not been read since the start" in held[0]["detail"]
    assert stage.seconds(stage.events("order.intended")[1]) - stage.seconds(held[0]) < 20


async def test_a_restarted_daemon_does_not_wait_for_the_account_longer_than_a_forgotten_rental_could_run(
    stage: Stage,
) -> None:
    await restarted_without_userinfo(stage, 66 * 60)
    waited = stage.seconds(stage.events("order.intended")[1]) - stage.seconds(stage.events("daemon.started")[1])
    assert 60 * 60 < waited < 66 * 60
