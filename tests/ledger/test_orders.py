"""Orders: what is written, what the store refuses, and what is never lost."""

import asyncio
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from energyd.core.order import TABLE, Event
from energyd.errors import Conflict, Impossible, LedgerError, OverBudget
from energyd.ledger import Ledger
from energyd.ledger.tables import Json, Moment, Span, orders
from energyd.model import Baseline, Order, OrderKind, OrderState
from energyd.policy import Budget

ALICE = "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE"
BOB = "TGiPJbaP5at8cigWcRHmCDkyKjUGb71fGd"
TRX = 1_000_000
LATER = timedelta(seconds=10)


def budget(**limits: str) -> Budget:
    return Budget.model_validate({"per_order": "9 TRX", "per_hour": "9 TRX", "per_day": "9 TRX"} | limits)


async def test_an_order_reads_back_as_it_was_written(story: Any) -> None:
    order = await story.intend(baseline=Baseline(story.now, 5, ("a", "b"), 6, "key", 7, 8, 9, 10), retry_after=LATER)
    assert await story.ledger.order(order.key) == order
    assert await story.ledger.open_orders(ALICE) == (order,)
    (decision,) = await story.ledger.decisions()
    assert decision.decision_id == order.decision_id


async def test_a_whole_life_is_kept_step_by_step(story: Any) -> None:
    order = await story.send()
    story.now += timedelta(seconds=3)
    order = await story.ledger.record(
        order, Event.ACCEPTED, story.now, cost_sun=2_130_000, netts_order_id="1H1", http_status=200, outcome="accepted"
    )
    order = await story.ledger.record(order, Event.SEEN, story.now, delivered_at=story.now, detail="the limit rose")
    order = await story.ledger.record(order, Event.HOUR_OVER, story.now + timedelta(hours=1))
    assert await story.ledger.order(order.key) == order
    assert (order.state, order.version, order.cost_sun) == (OrderState.EXPIRED, 5, 2_130_000)
    assert (order.outcome, order.http_status, order.delivered_at) == ("accepted", 200, story.now)
    life = await story.ledger.order_events(order.key)
    assert [one.event for one in life] == [None, Event.SENDING, Event.ACCEPTED, Event.SEEN, Event.HOUR_OVER]
    assert [one.detail for one in life] == ["", "", "", "the limit rose", ""]
    assert {one.host for one in life} == {"north"}


async def test_the_permission_to_send_comes_with_the_mark(story: Any) -> None:
    order = await story.intend()
    good_until = story.now + LATER
    sent = await story.ledger.mark_sending(order, story.now, 17.5, good_until)
    assert (sent.good_until, sent.wall_good_until) == (17.5, good_until)
    assert sent.order == await story.ledger.order(order.key)
    assert (sent.order.state, sent.order.sent_at) == (OrderState.SENT, story.now)


async def test_only_one_of_two_marks_gives_permission(story: Any) -> None:
    order = await story.intend()
    await story.ledger.mark_sending(order, story.now, 1.0, story.now)
    with pytest.raises(Conflict):
        await story.ledger.mark_sending(order, story.now, 1.0, story.now)


async def test_nothing_but_the_mark_makes_an_order_sent(story: Any) -> None:
    order = await story.intend()
    with pytest.raises(Impossible):
        await story.ledger.record(order, Event.SENDING, story.now)
    assert await story.ledger.order(order.key) == order


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("event", Event)
async def test_a_step_outside_the_table_changes_nothing(story: Any, state: OrderState, event: Event) -> None:
    if (state, event) in TABLE:
        return
    order = await story.intend(state=state)
    with pytest.raises(Impossible):
        await story.ledger.record(order, event, story.now)
    assert await story.ledger.order(order.key) == order
    assert len(await story.ledger.order_events(order.key)) == 1


async def test_an_order_that_somebody_else_moved_is_left_alone(story: Any) -> None:
    order = await story.send()
    moved = await story.ledger.record(order, Event.INTERRUPTED, story.now)
    with pytest.raises(Conflict):
        await story.ledger.record(order, Event.REFUSED, story.now)
    assert await story.ledger.order(order.key) == moved
    assert len(await story.ledger.order_events(order.key)) == 3


# --- one unsettled order ----------------------------------------------------------------------------------------------


async def test_a_second_order_waits_until_the_first_is_settled(story: Any) -> None:
    order = await story.send()
    with pytest.raises(Conflict, match=ALICE):
        await story.intend()
    order = await story.ledger.record(order, Event.UNCLEAR, story.now)
    with pytest.raises(Conflict):
        await story.intend()
    await story.intend(BOB)
    await story.ledger.record(order, Event.SHOWN_NOT_PLACED, story.now)
    await story.intend()


async def test_a_refused_wish_leaves_no_decision_behind(story: Any) -> None:
    await story.intend()
    with pytest.raises(Conflict):
        await story.intend()
    assert len(await story.ledger.decisions()) == 1


def break_a_rule(ledger: Ledger, statement: Any) -> None:
    with ledger._engine.begin() as connection:  # type: ignore[union-attr] # a test that goes around the ledger
        connection.execute(statement)


async def test_the_file_itself_keeps_the_money_rules(story: Any) -> None:
    order, other = await story.intend(), await story.place(BOB)
    row = {column.name: getattr(order, column.name) for column in orders.c} | {"key": "x", "address": "T"}
    await story.ledger.note([story.decision(address="T")])
    spare = (await story.ledger.latest_decisions())[0].decision_id
    for broken in (
        row,
        row | {"decision_id": "nobody"},
        row | {"decision_id": spare, "address": ALICE},
        row | {"decision_id": spare, "cost_max_sun": -1},
        row | {"decision_id": spare, "cost_sun": -1},
        row | {"decision_id": spare, "energy": None},
        row | {"decision_id": spare, "energy": 0},
        row | {"decision_id": spare, "cycles": 3},
        row | {"decision_id": spare, "cost_max_sun": 2.5},
    ):
        with pytest.raises(IntegrityError):
            break_a_rule(story.ledger, insert(orders).values(broken))
    for change in ({"state": OrderState.SENT, "address": ALICE}, {"cost_sun": -1}):
        with pytest.raises(IntegrityError):
            break_a_rule(story.ledger, update(orders).where(orders.c.key == other.key).values(change))
    break_a_rule(story.ledger, insert(orders).values(row | {"decision_id": spare}))


@pytest.mark.parametrize("round_", range(5))
async def test_of_writers_that_race_for_one_address_one_intends(
    open_ledger: Callable[..., Ledger], tell: Any, round_: int
) -> None:
    ledgers = [open_ledger(f"host{number}", exclusive=False) for number in range(4)]
    done = await asyncio.gather(*(tell(ledger).intend() for ledger in ledgers), return_exceptions=True)
    won = [one for one in done if not isinstance(one, BaseException)]
    assert len(won) == 1
    assert all(isinstance(one, Conflict) for one in done if one not in won)
    assert await ledgers[0].open_orders(ALICE) == tuple(won)


async def test_of_writers_that_race_for_the_last_of_a_budget_one_intends(
    open_ledger: Callable[..., Ledger], tell: Any
) -> None:
    tellers = [tell(open_ledger(f"host{number}", exclusive=False)) for number in range(4)]
    wishes = [one.intend(f"address{number}", 5 * TRX, budget=budget()) for number, one in enumerate(tellers)]
    done = await asyncio.gather(*wishes, return_exceptions=True)
    assert sorted(isinstance(one, OverBudget) for one in done) == [False, True, True, True]


# --- money ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"per_order": "4 TRX"}, "per_order"),
        ({"per_order": "6 TRX", "per_hour": "6 TRX"}, "per_hour is 6 TRX, spent are 3 TRX"),
        ({"per_order": "8 TRX", "per_hour": "8 TRX", "per_day": "8 TRX"}, "per_day is 8 TRX, spent are 4 TRX"),
    ],
)
async def test_a_budget_is_checked_against_what_is_written(story: Any, limits: dict[str, str], says: str) -> None:
    story.now -= timedelta(hours=2)
    await story.place(BOB, 1 * TRX)
    story.now += timedelta(hours=2)
    await story.place(BOB, 3 * TRX)
    with pytest.raises(OverBudget, match=says):
        await story.intend(ALICE, 5 * TRX, budget=budget(**limits))
    assert await story.ledger.open_orders(ALICE) == ()
    await story.intend(ALICE, 5 * TRX, budget=budget())


async def test_a_budget_may_be_spent_to_the_last_sun(story: Any) -> None:
    await story.place(BOB, 4 * TRX)
    await story.intend(ALICE, 5 * TRX, budget=budget())


async def test_a_charge_above_the_quote_is_kept_and_counted(story: Any) -> None:
    order = await story.send(ALICE, 2 * TRX)
    order = await story.ledger.record(order, Event.ACCEPTED, story.now, cost_sun=3 * TRX)
    assert (order.cost_sun, order.cost_max_sun) == (3 * TRX, 2 * TRX)
    assert await story.ledger.spent("payouts", story.now - LATER) == 3 * TRX


async def test_a_charge_that_cannot_be_is_refused_and_changes_nothing(story: Any) -> None:
    order = await story.send()
    with pytest.raises(LedgerError, match="cost_not_negative"):
        await story.ledger.record(order, Event.ACCEPTED, story.now, cost_sun=-1)
    assert await story.ledger.order(order.key) == order


async def test_a_netts_order_id_given_twice_hides_no_payment(story: Any) -> None:
    first = await story.ledger.record(await story.send(), Event.ACCEPTED, story.now, netts_order_id="1H1")
    second = await story.ledger.record(
        await story.send(BOB), Event.ACCEPTED, story.now, netts_order_id="1H1", cost_sun=5, detail="said twice"
    )
    assert (second.state, second.cost_sun, second.netts_order_id) == (OrderState.PLACED, 5, None)
    last = (await story.ledger.order_events(second.key))[-1]
    assert last.netts_order_id == "1H1"
    assert last.detail == f"said twice; order {first.key} has the Netts order id 1H1 already"
    assert (await story.ledger.order(first.key)).netts_order_id == "1H1"


async def test_an_order_may_hear_its_own_netts_order_id_again(story: Any) -> None:
    order = await story.ledger.record(await story.send(), Event.UNCLEAR, story.now, netts_order_id="1H1")
    order = await story.ledger.record(order, Event.ACCEPTED, story.now, netts_order_id="1H1")
    assert order.netts_order_id == "1H1"
    assert (await story.ledger.order_events(order.key))[-1].detail == ""


# --- finding them -----------------------------------------------------------------------------------------------------


async def test_orders_are_found_by_what_is_asked(story: Any) -> None:
    first = await story.place(ALICE)
    story.now += LATER
    second = await story.place(BOB, policy="others")
    third = await story.place(ALICE, kind=OrderKind.CYCLES, energy=None, cycles=5)
    find = story.ledger.orders
    assert await find() == (third, second, first)
    assert await find(limit=1) == (third,)
    assert await find(address=ALICE) == (third, first)
    assert await find(policy="others") == (second,)
    assert await find(since=story.now) == (third, second)
    assert await find(states=[OrderState.SENT]) == ()
    assert await find(states=[OrderState.PLACED, OrderState.SENT], address=BOB) == (second,)


async def test_a_key_may_be_shortened_while_one_order_is_meant(story: Any) -> None:
    for number, key in enumerate(("ab", "abc1", "abd", "A_c")):
        await story.intend(f"address{number}", key=key)
    find = story.ledger.order
    assert [(await find(prefix)).key for prefix in ("abc", "abd", "ab", "A")] == ["abc1", "abd", "ab", "A_c"]
    with pytest.raises(LedgerError, match=r"several orders .* such as ab, abc1, abd"):
        await find("a")
    for unknown in ("x", "A%", "abc11"):
        with pytest.raises(LedgerError, match="no order"):
            await find(unknown)


async def test_open_orders_are_those_that_something_may_still_happen_to(story: Any) -> None:
    placed = await story.place()
    story.now += LATER
    delivered = await story.ledger.record(await story.place(), Event.SEEN, story.now)
    gone = await story.ledger.record(await story.place(), Event.HOUR_OVER, story.now)
    story.now += LATER
    sent = await story.send()
    assert await story.ledger.open_orders(ALICE) == (placed, delivered, sent)
    assert gone not in await story.ledger.open_orders(ALICE)


# --- columns ----------------------------------------------------------------------------------------------------------

moments = st.datetimes(timezones=st.just(UTC))
sun = st.none() | st.integers(0, 10**17)


@given(moments)
def test_a_moment_is_stored_exactly(moment: datetime) -> None:
    column, dialect = Moment(), None
    stored = column.process_bind_param(moment, dialect)  # type: ignore[arg-type] # it does not look
    assert column.process_result_value(stored, dialect) == moment  # type: ignore[arg-type] # the same


@given(st.timedeltas())
def test_a_length_of_time_is_stored_exactly(span: timedelta) -> None:
    column, dialect = Span(), None
    stored = column.process_bind_param(span, dialect)  # type: ignore[arg-type] # it does not look
    assert column.process_result_value(stored, dialect) == span  # type: ignore[arg-type] # the same


@given(st.builds(Baseline, moments, sun, st.lists(st.text()).map(tuple), sun, st.text(), sun, sun, sun, sun))
@settings(max_examples=200)
def test_a_baseline_is_stored_exactly(baseline: Baseline) -> None:
    column, dialect = Json(Baseline), None
    stored = column.process_bind_param(baseline, dialect)  # type: ignore[arg-type] # it does not look
    assert column.process_result_value(stored, dialect) == baseline  # type: ignore[arg-type] # the same


async def test_a_moment_without_a_time_zone_is_refused(story: Any) -> None:
    with pytest.raises(Exception, match="offset-naive"):
        await story.intend(intended_at=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


def test_the_columns_of_orders_are_the_fields_of_an_order() -> None:
    assert {column.name for column in orders.c} == {each.name for each in fields(Order)}


# --- before and since, by what is written and not by clocks ---------------------------------------------------------


async def test_orders_stand_as_they_were_written_down_although_the_clock_was_set_back(story: Any) -> None:
    first = await story.place()
    story.now -= timedelta(minutes=5)
    second = await story.place()
    memory = await story.ledger.memory(ALICE, "payouts", story.now)
    assert memory.rentals == (first, second) == await story.ledger.open_orders(ALICE)


async def test_the_spends_since_a_mark_are_those_sent_later_and_those_whose_fate_was_open_then(story: Any) -> None:
    await story.place()
    unclear = await story.send(BOB)
    mark = await story.ledger.mark()
    story.now -= timedelta(minutes=5)
    later = await story.place()
    await story.intend("TNever")
    found = {spend.order.key: spend for spend in await story.ledger.spends(mark)}
    assert list(found) == [unclear.key, later.key]
    assert (found[unclear.key].sent, found[unclear.key].settled) == (mark, None)
    assert mark < found[later.key].sent < (found[later.key].settled or 0)


async def test_what_was_settled_by_a_mark_is_no_spend_since_whatever_happens_to_it_later(story: Any) -> None:
    order = await story.place()
    mark = await story.ledger.mark()
    await story.ledger.record(order, Event.SEEN, story.now)
    assert await story.ledger.spends(mark) == ()
    (found,) = await story.ledger.spends(mark - 1)
    assert (found.order.state, found.settled) == (OrderState.DELIVERED, mark)
