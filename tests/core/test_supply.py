"""What will still be there: against histories computed with java-tron's own code, and the rules one by one."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from energyd.core import supply
from energyd.core.supply import RECLAIM_GRACE, arrived, forecast, is_whole, slack
from energyd.model import Order, OrderState, Reading

from .situations import ADDRESS, NOW, a_reading, an_order, minutes, seconds

PLACED, DELIVERED, EXPIRED = OrderState.PLACED, OrderState.DELIVERED, OrderState.EXPIRED
HOUR = timedelta(hours=1)
VECTORS = json.loads((Path(__file__).parents[1] / "recordings" / "tron-energy-vectors.json").read_text())
SLOT = seconds(3)


# --- histories of the chain ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stretch:
    """Two neighbouring answers of a node between which nothing was spent and nothing was given."""

    before: Reading
    after: Reading
    taken_back: int
    """Energy at the ratio of the answer before."""
    window: timedelta
    """The time in which the usage of the answer before fades."""


def view(step: dict[str, Any]) -> Reading:
    shown, at = step["receiver_view"], datetime.fromtimestamp(step["head_slot"] * 3, UTC)
    return Reading(ADDRESS, shown["EnergyLimit"], shown["EnergyUsed"], at, at, "vectors")


def stretches() -> Iterator[Stretch]:
    for scenario in VECTORS["scenarios"]:
        for before, after in zip(scenario["steps"], scenario["steps"][1:], strict=False):
            if after["op"] in ("read", "undelegate"):
                taken_back = after.get("balance", 0) * scenario["total_energy_limit"]
                window = before["receiver_view"]["getaccount_energy_window_size"] * SLOT / 1000
                taken_back //= before["total_energy_weight"] * 1_000_000
                yield Stretch(view(before), view(after), taken_back, window)


STRETCHES = list(stretches())


def foreseen(stretch: Stretch) -> int:
    """The forecast for the second answer, made from the first."""
    ends_at = stretch.after.read_at
    rentals = [an_order(stretch.taken_back, DELIVERED, ends_at - HOUR)] if stretch.taken_back else []
    return max(forecast(stretch.before, rentals, ends_at).then, 0)


def drift(stretch: Stretch) -> int:
    """What a moving network ratio alone did to the limit."""
    return abs(stretch.before.energy_limit - stretch.taken_back - stretch.after.energy_limit)


def test_the_histories_hold_reads_and_reclaims() -> None:
    assert len(STRETCHES) >= 100
    assert sum(bool(stretch.taken_back) for stretch in STRETCHES) >= 40


def test_no_forecast_is_above_what_the_node_shows_then() -> None:
    for stretch in STRETCHES:
        assert foreseen(stretch) <= stretch.after.available + slack(stretch.before.energy_limit) + drift(stretch)


def test_a_forecast_is_close_where_usage_fades_in_a_full_day() -> None:
    full = [stretch for stretch in STRETCHES if stretch.window == supply.RECOVERY_TIME]
    assert len(full) >= 10
    for stretch in full:
        allowed = slack(stretch.before.energy_limit) + drift(stretch)
        assert abs(foreseen(stretch) - stretch.after.available) <= allowed


def test_a_forecast_is_close_where_nothing_is_used() -> None:
    unused = [stretch for stretch in STRETCHES if not stretch.before.energy_used]
    assert len(unused) >= 10
    for stretch in unused:
        assert abs(foreseen(stretch) - stretch.after.available) <= slack(stretch.before.energy_limit) + drift(stretch)


# --- recovery and reclaim --------------------------------------------------------------------------------------------


def then(reading: Reading, at: datetime, *rentals: Order) -> int:
    return forecast(reading, rentals, at).then


@pytest.mark.parametrize(
    ("passed", "left"),
    [
        (seconds(0), 40_000),
        (timedelta(hours=6), 55_000),
        (timedelta(hours=24), 100_000),
        (timedelta(days=9), 100_000),
        (-minutes(5), 40_000),
    ],
)
def test_usage_fades_over_a_day_and_never_grows(passed: timedelta, left: int) -> None:
    assert then(a_reading(100_000, 60_000), NOW + passed) == left


@pytest.mark.parametrize("used", [10**9, 180 * 10**9, 10**15])
def test_usage_of_any_size_can_be_forecast(used: int) -> None:
    assert then(a_reading(2 * used, used), NOW + timedelta(hours=12)) == 2 * used - used // 2


def ending(left: timedelta, energy: int = 65_000, state: OrderState = DELIVERED, **changes: Any) -> Order:
    return an_order(energy, state, NOW - HOUR + left, **changes)


def test_a_rental_takes_its_share_of_the_usage_with_it() -> None:
    at = NOW + minutes(1)
    assert then(a_reading(130_000, 0), at, ending(minutes(1))) == 65_000
    assert then(a_reading(130_000, 60_000, NOW + minutes(1)), at, ending(minutes(1))) == 65_000 - 30_000
    assert then(a_reading(65_000, 65_000, NOW + minutes(1)), at, ending(minutes(1))) == 0
    assert then(a_reading(0, 5_000, NOW + minutes(1)), at) == -5_000


def test_a_rental_ends_at_its_end_and_not_before() -> None:
    assert then(a_reading(65_000), NOW + seconds(59), ending(minutes(1))) == 65_000
    assert then(a_reading(65_000), NOW + seconds(60), ending(minutes(1))) == 0


@pytest.mark.parametrize("short", [0, 20, 200, 600])
def test_a_rental_that_reads_short_by_drift_still_ends(short: int) -> None:
    assert then(a_reading(65_000 - short), NOW + minutes(1), ending(minutes(1))) == 0


def test_of_two_rentals_and_room_for_one_the_one_that_ends_first_is_gone() -> None:
    soon, later = ending(minutes(1)), ending(minutes(30), 64_000)
    assert then(a_reading(64_000), NOW + minutes(1), soon, later) == 64_000
    assert then(a_reading(129_000), NOW + minutes(1), soon, later) == 64_000
    assert then(a_reading(64_000), NOW + minutes(30), soon, later) == 0


def test_what_came_of_a_rental_in_part_ends_with_it() -> None:
    part = ending(minutes(1), state=PLACED, baseline=10_000)
    assert then(a_reading(50_000), NOW + seconds(59), part) == 75_000
    assert then(a_reading(50_000), NOW + seconds(60), part) == 10_000


# --- what has arrived ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "came"),
    [(0, 0), (10_000, 0), (10_001, 1), (50_000, 40_000), (75_000, 65_000), (75_050, 65_000), (10**9, 65_000)],
)
def test_what_came_is_the_rise_since_the_order(limit: int, came: int) -> None:
    assert arrived(an_order(baseline=10_000), a_reading(limit), ()) == came


def test_what_came_cannot_be_told_without_a_limit_before_it_or_an_energy() -> None:
    assert arrived(an_order(None), a_reading(), ()) is None
    assert arrived(an_order(state=OrderState.UNRESOLVED, baseline=None), a_reading(), ()) is None
    assert not is_whole(an_order(), None, 10**6)


def test_a_paid_order_without_a_limit_before_it_is_compared_with_our_own_rentals() -> None:
    other = an_order(30_000, DELIVERED, NOW - minutes(5))
    assert arrived(an_order(baseline=None), a_reading(65_000), ()) == 65_000
    assert arrived(an_order(baseline=None), a_reading(65_000), (other,)) == 35_000


OLD = an_order(60_000, DELIVERED, NOW - HOUR + seconds(90))
"""A rental that ends 90 s after `NOW`, when the new one was ordered."""
NEW = an_order(65_000, PLACED, NOW, baseline=60_000, before=[OLD])
OLD_EXPIRED = an_order(60_000, EXPIRED, NOW - HOUR + seconds(90))


@pytest.mark.parametrize(
    ("old", "limit", "after", "came"),
    [
        (OLD, 125_000, seconds(10), 65_000),
        (OLD, 60_000, seconds(10), 0),
        # taken back on time or a little early, and the new one is not there
        (OLD_EXPIRED, 0, seconds(95), 0),
        (OLD, 0, seconds(85), 0),
        # taken back, and the new one is there: seen for certain when the old one has certainly gone
        (OLD_EXPIRED, 65_000, seconds(95), 5_000),
        (OLD_EXPIRED, 65_000, seconds(90) + RECLAIM_GRACE, 65_000),
        (OLD_EXPIRED, 65_000, minutes(30), 65_000),
        # taken back late: the old one does not look like the new one
        (OLD_EXPIRED, 60_000, seconds(200), 0),
    ],
)
def test_a_rental_that_ends_meanwhile_does_not_hide_the_new_one_or_pass_for_it(
    old: Order, limit: int, after: timedelta, came: int
) -> None:
    assert arrived(NEW, a_reading(limit, at=NOW + after), (old, NEW)) == came


def test_a_rental_that_had_gone_early_before_the_order_is_not_added_back() -> None:
    new = an_order(65_000, PLACED, NOW, baseline=0, before=[OLD_EXPIRED])
    assert arrived(new, a_reading(0, at=NOW + minutes(30)), (OLD_EXPIRED, new)) == 0
    assert arrived(new, a_reading(65_000, at=NOW + minutes(30)), (OLD_EXPIRED, new)) == 65_000


def test_a_rental_that_came_meanwhile_does_not_pass_for_the_new_one() -> None:
    other = an_order(60_000, DELIVERED, NOW + seconds(30))
    assert arrived(NEW, a_reading(120_000, at=NOW + minutes(1)), (other, NEW)) == 0
    assert arrived(NEW, a_reading(185_000, at=NOW + minutes(1)), (other, NEW)) == 65_000


energies = st.integers(0, 10**8)


@given(energies, energies, st.integers(1, 10**7))
def test_no_rental_is_whole_that_lacks_a_tenth(limit: int, came: int, energy: int) -> None:
    if is_whole(an_order(energy), came, limit):
        assert came >= energy * 9 // 10
        assert came >= energy - energy // 100 - slack(limit)


@given(energies, st.integers(1, 10**7))
def test_a_rental_is_whole_when_all_of_it_came(limit: int, energy: int) -> None:
    assert is_whole(an_order(energy), energy, limit)


@given(energies, energies, st.lists(st.integers(1, 10**6), max_size=4), st.integers(0, 7200))
def test_what_is_there_and_what_is_due_make_up_what_was_ordered(
    limit: int, used: int, ordered: list[int], later: int
) -> None:
    rentals = [an_order(energy, PLACED, NOW - seconds(at), baseline=0) for at, energy in enumerate(ordered)]
    reading = a_reading(limit, used)
    there = supply.on_chain(reading, rentals)
    seen = forecast(reading, rentals, NOW + seconds(later))
    assert seen.in_flight + sum(there.values()) == sum(ordered)
    assert sum(there.values()) <= limit
    assert seen.available == max(limit - used, 0)


@pytest.mark.parametrize(("limit", "came"), [(131_000, 0), (192_000, 61_000)])
def test_own_stake_does_not_make_the_end_of_a_rental_look_like_an_arrival(limit: int, came: int) -> None:
    """70,000 of its own; the first rental has ended two seconds before the order, and its grace is over now."""
    ended = an_order(
        61_000, OrderState.DELIVERED, sent_at=NOW - minutes(60) - seconds(2), baseline=70_000, key="a" * 64
    )
    running = an_order(61_000, OrderState.DELIVERED, sent_at=NOW - minutes(10), baseline=131_000, key="b" * 64)
    order = an_order(61_000, sent_at=NOW, baseline=131_000, before=[ended, running], key="c" * 64)
    reading = a_reading(limit, at=NOW + minutes(3))
    assert arrived(order, reading, [ended, running]) == came
