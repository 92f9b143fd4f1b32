"""Windows in which a floor is kept: over midnight, to the end of the day, and on the days when clocks change."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from energyd.core import demand
from energyd.core.calendar import open_until
from energyd.model import Need
from energyd.policy import KeepWindow

from .situations import NOW, a_policy, a_reading, a_situation, minutes, seconds

BERLIN = ZoneInfo("Europe/Berlin")


def window(start: str, end: str, days: str = "mon-sun", timezone: str = "UTC") -> KeepWindow:
    return KeepWindow.model_validate({"from": start, "to": end, "days": days, "timezone": timezone})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


# 2026-11-21 is a Saturday. In Berlin clocks go forward on 2026-03-29 at 02:00 and back on 2026-10-25 at 03:00.
@pytest.mark.parametrize(
    ("windows", "now", "end"),
    [
        # a plain day; the start belongs to the window, the end does not
        ([window("08:00", "20:00")], "2026-11-21T07:59:59Z", None),
        ([window("08:00", "20:00")], "2026-11-21T08:00:00Z", "2026-11-21T20:00:00Z"),
        ([window("08:00", "20:00")], "2026-11-21T19:59:59Z", "2026-11-21T20:00:00Z"),
        ([window("08:00", "20:00")], "2026-11-21T20:00:00Z", None),
        # its days
        ([window("08:00", "20:00", "mon-fri")], "2026-11-21T12:00:00Z", None),
        ([window("08:00", "20:00", "sat")], "2026-11-21T12:00:00Z", "2026-11-21T20:00:00Z"),
        # over midnight: the day is the one on which it starts
        ([window("22:00", "06:00", "fri")], "2026-11-21T05:59:00Z", "2026-11-21T06:00:00Z"),
        ([window("22:00", "06:00", "fri")], "2026-11-20T22:00:00Z", "2026-11-21T06:00:00Z"),
        ([window("22:00", "06:00", "fri")], "2026-11-21T22:30:00Z", None),
        ([window("22:00", "06:00", "sun")], "2026-11-23T01:00:00Z", "2026-11-23T06:00:00Z"),
        # to the end of the day, written in both ways
        ([window("20:00", "24:00", "sat")], "2026-11-21T23:59:59Z", "2026-11-22T00:00:00Z"),
        ([window("20:00", "24:00", "sat")], "2026-11-22T00:00:00Z", None),
        ([window("20:00", "00:00", "sat")], "2026-11-21T23:59:59Z", "2026-11-22T00:00:00Z"),
        # where one window goes over into another, both are one
        ([window("08:00", "12:00"), window("12:00", "20:00")], "2026-11-21T11:59:00Z", "2026-11-21T20:00:00Z"),
        ([window("08:00", "13:00"), window("12:00", "20:00")], "2026-11-21T09:00:00Z", "2026-11-21T20:00:00Z"),
        ([window("00:00", "24:00", "sat,sun")], "2026-11-21T23:59:00Z", "2026-11-23T00:00:00Z"),
        ([window("08:00", "20:00"), window("20:01", "21:00")], "2026-11-21T19:00:00Z", "2026-11-21T20:00:00Z"),
        # the window's own time zone decides which day it is
        ([window("00:00", "24:00", "sun", "Europe/Berlin")], "2026-11-21T23:00:00Z", "2026-11-22T23:00:00Z"),
        ([window("00:00", "24:00", "sat", "Asia/Tokyo")], "2026-11-20T15:00:00Z", "2026-11-21T15:00:00Z"),
        ([window("00:00", "24:00", "fri", "Pacific/Honolulu")], "2026-11-21T09:59:00Z", "2026-11-21T10:00:00Z"),
        # clocks go forward: the night is an hour shorter
        ([window("22:00", "06:00", "sat", "Europe/Berlin")], "2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z"),
        ([window("00:00", "24:00", "sun", "Europe/Berlin")], "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        ([window("08:00", "20:00", "sun", "Europe/Berlin")], "2026-03-29T05:59:59Z", None),
        ([window("08:00", "20:00", "sun", "Europe/Berlin")], "2026-03-29T06:00:00Z", "2026-03-29T18:00:00Z"),
        # and a time of day that this day has not is the moment an hour after the one before
        ([window("02:30", "08:00", "sun", "Europe/Berlin")], "2026-03-29T01:30:00Z", "2026-03-29T06:00:00Z"),
        ([window("02:30", "08:00", "sun", "Europe/Berlin")], "2026-03-29T01:29:59Z", None),
        # clocks go back: the night is an hour longer, and a time of day that comes twice is its first
        ([window("22:00", "06:00", "sat", "Europe/Berlin")], "2026-10-24T20:00:00Z", "2026-10-25T05:00:00Z"),
        ([window("22:00", "02:30", "sat", "Europe/Berlin")], "2026-10-25T00:29:00Z", "2026-10-25T00:30:00Z"),
        ([window("22:00", "02:30", "sat", "Europe/Berlin")], "2026-10-25T01:29:00Z", None),
    ],
)
def test_a_window_is_open_until(windows: list[KeepWindow], now: str, end: str | None) -> None:
    assert open_until(windows, at(now)) == (at(end) if end else None)


def test_windows_without_a_gap_are_seen_far_enough_ahead() -> None:
    end = open_until([window("00:00", "24:00")], NOW)
    assert end is not None
    assert end >= NOW + timedelta(days=1)


minutes_of_a_day = st.integers(0, 24 * 60 - 1)


@given(minutes_of_a_day, minutes_of_a_day, st.integers(0, 365 * 24 * 60))
def test_within_a_day_a_window_is_open_exactly_between_its_times_of_day(start: int, end: int, later: int) -> None:
    def clock(minute: int) -> str:
        return f"{minute // 60:02d}:{minute % 60:02d}"

    if start == end:
        return
    now = datetime(2026, 1, 1, tzinfo=UTC) + minutes(later)
    local = now.astimezone(BERLIN)
    minute = local.hour * 60 + local.minute
    opened = start <= minute < end if start < end else minute >= start or minute < end
    if local.utcoffset() == (local - timedelta(days=1)).utcoffset() == (local + timedelta(days=1)).utcoffset():
        assert (open_until([window(clock(start), clock(end), timezone="Europe/Berlin")], now) is not None) == opened


# --- what a floor needs, and until when


def need_until(now: datetime = NOW, **energy: Any) -> datetime:
    situation = a_situation(policy=a_policy(**energy), now=now, reading=a_reading(last_used_at=now))
    need = demand.floor_need(situation)
    assert isinstance(need, Need)
    assert (need.energy, need.from_at) == (65_000, now)
    return demand.counts_at(need, situation)


def test_a_floor_is_kept_until_energy_that_ends_soon_has_ended() -> None:
    assert need_until() == NOW + seconds(90)
    assert need_until(renew_before="5m") == NOW + minutes(5)
    assert need_until(keep="while_active") == NOW + seconds(90)


def test_a_floor_is_kept_no_longer_than_its_window() -> None:
    keep = [{"from": "09:00", "to": "09:31"}]
    assert need_until(keep=keep) == NOW + seconds(60)
    assert need_until(keep=[*keep, {"from": "09:31", "to": "10:00"}]) == NOW + seconds(90)


@pytest.mark.parametrize(
    "keep", [[{"from": "00:00", "to": "24:00"}], [{"from": "12:00", "to": "11:00"}, {"from": "11:00", "to": "12:00"}]]
)
def test_a_window_around_the_clock_is_the_same_as_always(keep: object) -> None:
    for now in (NOW + minutes(step) for step in range(0, 24 * 60, 7)):
        assert need_until(now, keep=keep) == need_until(now, keep="always")
