"""What is use of an address and what is only the end of a rental."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from energyd.core.activity import Activity, follow
from energyd.model import Baseline, Order, OrderKind, OrderState, Reading

ADDRESS = "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE"
START = datetime(2026, 11, 21, tzinfo=UTC)
RENTED = 131_000


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def rental(sent_minutes: float = 0, key: str = "a") -> Order:
    return Order(
        key=key,
        kind=OrderKind.RENTAL,
        address=ADDRESS,
        policy="p",
        decision_id="d",
        state=OrderState.DELIVERED,
        cost_max_sun=1,
        baseline=Baseline(taken_at=at(sent_minutes)),
        host="h",
        intended_at=at(sent_minutes),
        changed_at=at(sent_minutes),
        energy=RENTED,
        sent_at=at(sent_minutes),
        delivered_at=at(sent_minutes),
    )


def seen(shown_minutes: float | None, limit: int = RENTED) -> Reading:
    shown_at = None if shown_minutes is None else at(shown_minutes)
    return Reading(ADDRESS, limit, 0, START, START, "n", shown_at)


USED = follow(Activity(), seen(5), [])


def test_a_call_is_a_use() -> None:
    assert USED.used_at == at(5)
    assert follow(USED, seen(9), [rental()]).used_at == at(9)


def test_an_address_that_never_made_a_call_was_never_used() -> None:
    assert follow(Activity(), seen(None), []).used_at is None


def test_the_end_of_a_rental_is_no_use_and_hides_no_earlier_one() -> None:
    assert follow(USED, seen(60.1, limit=0), [rental()]).used_at == at(5)


def test_a_call_right_after_the_end_of_a_rental_is_a_use() -> None:
    ended = follow(USED, seen(60.1, limit=0), [rental()])
    assert follow(ended, seen(60.6, limit=0), [rental()]).used_at == at(60.6)


def test_two_rentals_that_end_together_are_two_ends() -> None:
    rentals = [rental(key="a"), rental(0.2, key="b")]
    first = follow(USED, seen(60.1), rentals)
    assert follow(first, seen(60.3), rentals).used_at == at(5)


def test_a_rental_taken_back_early_is_no_use_because_the_limit_fell_by_it() -> None:
    assert follow(USED, seen(50, limit=0), [rental()]).used_at == at(5)
    assert follow(USED, seen(50, limit=RENTED), [rental()]).used_at == at(50)


def test_what_is_not_remembered_and_fits_an_end_was_never_a_use() -> None:
    assert follow(Activity(), seen(60.1), [rental()]).used_at is None


def test_a_rental_that_runs_explains_nothing() -> None:
    running = replace(rental(), sent_at=at(30))
    assert follow(USED, seen(40), [running]).used_at == at(40)


def test_an_end_in_time_is_put_down_to_the_rental_that_was_to_end() -> None:
    newer, older = replace(rental(7, key="newer"), energy=71_000), replace(rental(0, key="older"), energy=74_000)
    two = follow(USED, seen(59, limit=145_000), [])
    first = follow(replace(two, shown_at=at(5), used_at=at(5)), seen(60.1, limit=71_000), [newer, older])
    assert (first.used_at, first.put_down_to) == (at(5), "older")
    assert follow(first, seen(67.1, limit=0), [newer, older]).used_at == at(5)
