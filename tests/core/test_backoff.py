"""How long orders stop after refusals."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

from energyd.core import backoff
from energyd.core.backoff import again_at
from energyd.core.decide import decide
from energyd.model import Action, Funds, Memory, Reason, Refusals

from .situations import NOW, PRICES, TRX, a_reading, a_situation, minutes, seconds

REFUSING = [
    Reason.REFUSED,
    Reason.NO_FUNDS,
    Reason.AUTH_FAILED,
    Reason.RATE_LIMITED,
    Reason.NETTS_UNAVAILABLE,
]


def refused(reason: Reason = Reason.REFUSED, last_at: datetime = NOW, **changes: Any) -> Refusals:
    return replace(Refusals(reason, 1, NOW, last_at), **changes)


def orders_when_each_is_refused(reason: Reason, hours: int, retry_after: timedelta | None = None) -> list[datetime]:
    """The moments at which an address below its floor orders, looked at every 15 s, when Netts never takes one."""
    orders: list[datetime] = []
    for look in range(hours * 240):
        now = NOW + seconds(15 * look)
        known = refused(reason, orders[-1], count=len(orders), retry_after=retry_after) if orders else None
        situation = a_situation(
            now=now,
            reading=a_reading(at=now),
            prices=replace(PRICES, rent_read_at=now, burn_read_at=now),
            memory=Memory(refusals=known, last_order_at=orders[-1] if orders else None),
        )
        if decide(situation, "d").action is Action.RENT:
            orders.append(now)
    return orders


@pytest.mark.parametrize("reason", REFUSING)
def test_an_address_whose_every_order_is_refused_orders_seldom(reason: Reason) -> None:
    orders = orders_when_each_is_refused(reason, 6)
    first_hour = [order for order in orders if order < NOW + timedelta(hours=1)]
    assert 3 <= len(first_hour) <= 7
    later = [order for order in orders if order >= NOW + timedelta(hours=2)]
    assert all(after - before >= timedelta(hours=1) for before, after in pairwise(later))
    assert len(later) >= 3, "and it never gives up"


def test_what_netts_asks_to_wait_is_waited() -> None:
    orders = orders_when_each_is_refused(Reason.RATE_LIMITED, 3, retry_after=minutes(20))
    assert all(after - before >= minutes(20) for before, after in pairwise(orders))


waits = st.integers(0, 7200).map(seconds)


@given(st.sampled_from(REFUSING), waits, waits, st.none() | waits)
def test_the_wait_grows_up_to_an_hour_or_what_netts_asked_for(
    reason: Reason, passed: timedelta, more: timedelta, asked: timedelta | None
) -> None:
    last_at, later = NOW + passed, NOW + passed + more
    wait = again_at(refused(reason, last_at, retry_after=asked)) - last_at
    longer = again_at(refused(reason, later, retry_after=asked)) - later
    assert (asked or seconds(0)) <= wait <= max(backoff.LONGEST, asked or seconds(0))
    assert wait >= (seconds(30) if asked is None else backoff.SHORTEST)
    assert longer >= wait


@pytest.mark.parametrize("count", [1, 30, 10**6])
def test_many_addresses_refused_in_one_short_outage_wait_no_longer_than_one(count: int) -> None:
    outage = refused(Reason.NETTS_UNAVAILABLE, NOW + seconds(10), count=count)
    assert again_at(outage) == NOW + seconds(10) + seconds(40)


def test_a_clock_set_back_between_two_refusals_leaves_the_first_wait() -> None:
    assert again_at(refused(last_at=NOW - timedelta(days=3))) == NOW - timedelta(days=3) + minutes(1)


# --- what ends the wait early ----------------------------------------------------------------------------------------


def holds(refusals: Refusals, now: datetime = NOW, funds: Funds | None = None, cost_sun: int | None = TRX) -> bool:
    return not backoff.guard(refusals, a_situation(now=now, funds=funds), cost_sun, "the account's").passed


LATER = NOW + seconds(15)
NO_FUNDS = refused(Reason.NO_FUNDS, balance_sun=TRX // 2)


@pytest.mark.parametrize(
    ("funds", "held"),
    [
        (None, True),
        (Funds(100 * TRX, NOW), True),
        (Funds(100 * TRX, NOW + seconds(1)), False),
        (Funds(TRX, NOW + seconds(1)), False),
        (Funds(TRX - 1, NOW + seconds(1)), True),
        (Funds(TRX // 2, NOW + seconds(1)), True),
    ],
    ids=["not read", "read before", "much came", "just enough came", "too little came", "nothing came"],
)
def test_money_that_came_ends_the_wait_for_money(funds: Funds | None, held: bool) -> None:  # noqa: FBT001 - a column of the table
    assert holds(NO_FUNDS, LATER, funds) is held


def test_money_that_was_there_when_it_was_refused_is_no_news() -> None:
    assert holds(replace(NO_FUNDS, balance_sun=50 * TRX), LATER, Funds(50 * TRX, LATER))


@pytest.mark.parametrize("reason", [reason for reason in REFUSING if reason is not Reason.NO_FUNDS])
def test_money_does_not_end_another_wait(reason: Reason) -> None:
    assert holds(refused(reason), LATER, Funds(100 * TRX, LATER))


@pytest.mark.parametrize("back", [minutes(1), timedelta(days=1), timedelta(days=400)])
def test_a_clock_that_was_set_back_does_not_lengthen_a_wait(back: timedelta) -> None:
    assert not holds(refused(first_at=NOW - minutes(50)), NOW - back)


@pytest.mark.parametrize(
    ("passed", "held"), [(seconds(0), True), (seconds(59), True), (seconds(60), False), (timedelta(days=9), False)]
)
def test_the_wait_is_over_when_it_is_over(passed: timedelta, held: bool) -> None:  # noqa: FBT001 - a column of the table
    assert holds(refused(), NOW + passed) is held


@pytest.mark.parametrize(
    ("count", "told"), [(1, "the account's orders were refused once"), (3, "were refused 3 times in a row")]
)
def test_a_person_sees_how_often_and_when_again(count: int, told: str) -> None:
    guard = backoff.guard(refused(count=count), a_situation(), None, "the account's")
    assert told in guard.figure
    assert "last at 2026-11-21 09:30:00 UTC" in guard.figure
    assert f"next try at {again_at(refused(count=count)):%Y-%m-%d %H:%M:%S} UTC" == guard.limit


def test_nothing_refused_is_nothing_to_wait_for() -> None:
    assert backoff.guard(None, a_situation(), None, "").passed
