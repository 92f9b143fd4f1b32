"""When planned calls are made, around clock changes too, as somebody who pays wages would expect."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from energyd.core.calendar import call_times, next_call_time
from energyd.policy import PlannedCall

BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)


def planned(**when: object) -> PlannedCall:
    return PlannedCall.model_validate({"name": "payroll", "energy": 65_000} | when)


def berlin(cron: str, day: datetime, days: int = 1) -> list[str]:
    """The times of a cron on some days in Berlin, in UTC."""
    start = day.replace(tzinfo=BERLIN) - timedelta(microseconds=1)
    end = (day + days * DAY).replace(tzinfo=BERLIN) - timedelta(microseconds=1)
    found = call_times(planned(cron=cron, timezone="Europe/Berlin"), start, end)
    return [f"{at:%d %H:%M}" for at in found]


SPRING, AUTUMN = datetime(2027, 3, 28), datetime(2026, 10, 25)  # noqa: DTZ001 - days, whatever the zone


@pytest.mark.parametrize(
    ("cron", "day", "days", "expected"),
    [
        ("0 9 * * fri", datetime(2026, 11, 21), 14, ["27 08:00", "04 08:00"]),  # noqa: DTZ001 - a day
        ("0 9 * * *", SPRING - DAY, 2, ["27 08:00", "28 07:00"]),
        ("0 9 * * *", AUTUMN - DAY, 2, ["24 07:00", "25 08:00"]),
        ("30 2 * * *", SPRING, 1, ["28 01:30"]),
        ("30 2 * * *", AUTUMN, 1, ["25 00:30"]),
        ("0 1-3 * * *", AUTUMN, 1, ["24 23:00", "25 00:00", "25 02:00"]),
        ("0 1-3 * * *", SPRING, 1, ["28 00:00", "28 01:00"]),
    ],
)
def test_the_times_of_a_cron(cron: str, day: datetime, days: int, expected: list[str]) -> None:
    assert berlin(cron, day, days) == expected


@pytest.mark.parametrize(("day", "hours"), [(SPRING, 23), (AUTUMN, 25)])
def test_calls_of_every_hour_are_made_in_every_hour(day: datetime, hours: int) -> None:
    assert len(berlin("0 * * * *", day)) == hours
    assert len(berlin("*/15 * * * *", day)) == 4 * hours


@pytest.mark.parametrize("day", [SPRING, AUTUMN])
@given(st.integers(0, 23), st.integers(0, 59))
def test_a_daily_call_is_made_once_on_a_day_of_a_clock_change(day: datetime, hour: int, minute: int) -> None:
    found = call_times(
        planned(cron=f"{minute} {hour} * * *", timezone="Europe/Berlin"),
        (day - DAY).replace(hour=12, tzinfo=BERLIN),
        (day + DAY).replace(hour=12, tzinfo=BERLIN),
    )
    assert len(found) == 2


@given(st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds
def test_the_next_time_is_the_first_of_those_to_come(now: datetime) -> None:
    rule = planned(cron="7 */5 * * *", timezone="Europe/Berlin")
    after = next_call_time(rule, now)
    assert after is not None
    assert after > now
    assert call_times(rule, now, after) == [after]


def test_a_call_at_one_moment_is_made_once() -> None:
    rule = planned(at="2026-12-24T09:00:00+01:00")
    at = datetime(2026, 12, 24, 8, tzinfo=UTC)
    assert call_times(rule, at - DAY, at + DAY) == [at]
    assert call_times(rule, at, at + DAY) == []
    assert next_call_time(rule, at) is None
