"""Crontab lines against a small reading of crontab(5) that shares nothing with the one under test."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

from energyd.fields import cron_trigger, read_timezone

ZONE = ZoneInfo("UTC")
NAMES = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6} | {
    name: number
    for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)  # noqa: SIM905 - a calendar
}


def number(text: str) -> int:
    return NAMES[text.lower()] if text.lower() in NAMES else int(text)


def holds(field: str, value: int, low: int, high: int) -> bool:
    """Whether a field of a crontab line names this value; crontab(5) has no ranges over the end; here days have."""
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, last = (low, high) if span == "*" else (number(span.split("-")[0]), number(span.split("-")[-1]))
        if first > last:
            last += 7
        steps = range(first, last + 1, int(step or 1))
        if value in steps or (high == 7 and (value + 7 in steps)):
            return True
    return False


def matches(expression: str, moment: datetime) -> bool:
    minute, hour, day, month, weekday = expression.split()
    return (
        holds(minute, moment.minute, 0, 59)
        and holds(hour, moment.hour, 0, 23)
        and holds(day, moment.day, 1, 31)
        and holds(month, moment.month, 1, 12)
        and (weekday == "*" or holds(weekday, moment.isoweekday() % 7, 0, 6 if weekday.startswith("*") else 7))
    )


def next_by_hand(expression: str, after: datetime, within: timedelta) -> datetime | None:
    """The first matching minute from `after` on; days that do not match are passed at once."""
    _, _, day, month, weekday = expression.split()
    moment, end = after, after + within
    while moment < end:
        if not matches(f"* * {day} {month} {weekday}", moment):
            moment = (moment + timedelta(days=1)).replace(hour=0, minute=0)
        elif matches(expression, moment):
            return moment
        else:
            moment += timedelta(minutes=1)
    return None


def field(low: int, high: int, names: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    one = st.integers(low, high).map(str)
    span = st.tuples(st.integers(low, high), st.integers(low, high)).map(lambda ends: f"{min(ends)}-{max(ends)}")
    step = st.integers(1, high)
    parts = [one, span, st.builds("{}/{}".format, span, step)]
    if names:
        parts.append(st.sampled_from(names).flatmap(lambda name: st.sampled_from([name, name.upper(), name.title()])))
    listed = st.lists(st.one_of(parts), min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), st.builds("*/{}".format, step), listed)


DAYS, MONTHS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat"), tuple(NAMES)[7:]
day_spans = st.builds("{}-{}".format, st.sampled_from(DAYS), st.sampled_from(DAYS)) | st.sampled_from(
    [
        "5-7",
        "7",
        "0",
        "0-7",
        "6-7",
        "sat-mon",
        "fri-sun",
        "fri-tue/2",
        "1-7/2",
        "MON-FRI",
        "sun-sat",
        "7-2",
        "0,7",
        "6-1",
    ]
)
dates = st.tuples(field(1, 28), field(1, 12, MONTHS), st.just("*"))
weekdays = st.tuples(st.just("*"), field(1, 12, MONTHS), st.one_of(field(0, 6, DAYS), day_spans))
expressions = st.tuples(field(0, 59), field(0, 23), st.one_of(dates, weekdays)).map(
    lambda parts: " ".join((parts[0], parts[1], *parts[2]))
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31)).map(  # noqa: DTZ001 - hypothesis draws naive ones
    lambda moment: moment.replace(second=0, microsecond=0, tzinfo=ZONE)
)


@settings(max_examples=300, deadline=None)
@given(expression=expressions, after=moments)
def test_a_call_falls_due_when_crontab_says_so(expression: str, after: datetime) -> None:
    year = timedelta(days=366)
    by_hand = next_by_hand(expression, after, year)
    fired = cron_trigger(expression, ZONE).get_next_fire_time(None, after)
    assert (fired if fired and fired < after + year else None) == by_hand


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("0 9 * * fri", [27]),
        ("0 9 * * 5", [27]),
        ("0 9 * * 0", [22]),
        ("0 9 * * 7", [22]),
        ("0 9 * * FRI-SUN", [21, 22, 27]),
        ("0 9 * * 5-7", [21, 22, 27]),
        ("0 9 * * sat-mon", [21, 22, 23]),
        ("0 9 * * 1-5", [23, 24, 25, 26, 27]),
        ("0 9 * * */2", [21, 22, 24, 26]),
        ("0 9 * * 0-7", [21, 22, 23, 24, 25, 26, 27]),
        ("0 9 */7 * *", [22]),
    ],
)
def test_the_days_of_one_week(expression: str, days: list[int]) -> None:
    """The week from Saturday, 21 November 2026."""
    trigger = cron_trigger(expression, ZONE)
    week = [datetime(2026, 11, day, 9, tzinfo=UTC) for day in range(21, 28)]
    assert [day.day for day in week if trigger.get_next_fire_time(None, day) == day] == days


REFUSED = """\

@daily
@reboot
0 9 * *
0 9 L * *
0 9 last * *
0 9 15W * *
0 9 ? * *
0 9 * * 5L
0 9 * * fri#2
0 9 * * 5#3
0 9 1st mon * *
H 9 * * *
60 9 * * *
-1 9 * * *
0 24 * * *
0 9 0 * *
0 9 32 * *
0 9 * 0 *
0 9 * 13 *
0 9 * * 8
*/0 9 * * *
*/60 9 * * *
0-70 9 * * *
0, 9 * * *
,0 9 * * *
0-- 9 * * *
0-5- 9 * * *
0/5 9 * * *
1-5/ 9 * * *
*/5/5 9 * * *
*-5 9 * * *
0 9 30 feb *
0 9 31 4,6 *
0 9 13 * fri
٣ 9 * * *
1e1 9 * * *
0x5 9 * * *
50-10 9 * * *
0 9 * dec-jan *
0 9 * * freitag
1 1 1 1 1 1
"""


@pytest.mark.parametrize(
    "expression",
    REFUSED.splitlines(),
)
def test_what_crontab_does_not_know_is_refused_in_words(expression: str) -> None:
    with pytest.raises(ValueError, match=r"five fields|not understood|runs backwards|needs a range|two planned|never"):
        cron_trigger(expression, ZONE)


@given(expression=st.text("0123456789*/-,? LW#@abcdefijlmnoprstuvy", max_size=30))
def test_any_text_is_a_crontab_line_or_refused_in_words(expression: str) -> None:
    try:
        cron_trigger(expression, ZONE)
    except ValueError as error:
        assert "Unrecognized" not in str(error)  # noqa: PT017 - most texts are refused, some are not


@pytest.mark.parametrize(
    "text", ["", "/", ".", "..", "../UTC", "/etc/passwd", "Europe", "europe/berlin\0", "CEST+", "x" * 300, "é"]
)
def test_what_is_no_time_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time zone; "):
        read_timezone(text)
