"""Which moments matter: the windows of the week in which a floor is kept, and the times of planned calls."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from energyd.fields import cron_trigger
from energyd.policy import KeepWindow, PlannedCall

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

_DAY = timedelta(days=1)


def open_until(windows: Sequence[KeepWindow], now: datetime) -> datetime | None:
    """The end of the windows that `now` lies in, as a moment in UTC; None outside all of them.

    Windows that go over into each other are one; it is followed for a day. Times of day are those of the window's own
    time zone, so a window grows or shrinks with a clock change.
    """
    end = now
    while end < now + _DAY and (later := _end_at(windows, end)):
        end = later
    return None if end == now else end


def _end_at(windows: Iterable[KeepWindow], moment: datetime) -> datetime | None:
    spans = (span for window in windows for span in _spans_around(window, moment))
    return max((end for start, end in spans if start <= moment < end), default=None)


def _spans_around(window: KeepWindow, moment: datetime) -> Iterable[tuple[datetime, datetime]]:
    """The window's spans that begin on its day and the day before; the latter may run over midnight."""
    today = moment.astimezone(window.timezone).date()
    for day in (today - _DAY, today):
        if day.weekday() in window.days:
            last_day = day if window.start.minutes < window.end.minutes else day + _DAY
            yield _moment(window, day, window.start.minutes), _moment(window, last_day, window.end.minutes)


def _moment(window: KeepWindow, day: date, minutes: int) -> datetime:
    if minutes == 24 * 60:
        day, minutes = day + _DAY, 0
    return datetime.combine(day, time(minutes // 60, minutes % 60), tzinfo=window.timezone).astimezone(UTC)


# --- planned calls --------------------------------------------------------------------------------------------------


_LARGEST_CHANGE = timedelta(hours=2)
"""Of a clock, at most."""
_NEVER_AGAIN = timedelta(days=9 * 366)
"""A 29 February comes within eight years."""


def call_times(rule: PlannedCall, after: datetime, until: datetime) -> list[datetime]:
    """The moments in UTC at which a planned call is made, later than `after` and not later than `until`.

    When clocks are set forward, a time of day that does not exist is taken as if they had not been: 02:30 is 03:30.
    When they are set back, a time of day that comes twice is the first one. Calls of every hour are made in each hour
    that there is, as somebody who counts hours expects.
    """
    if rule.at is not None:
        return [rule.at.astimezone(UTC)] if after < rule.at <= until else []
    assert rule.cron is not None
    every_hour = rule.cron.split()[1] == "*"
    found = {
        moment
        for local in _local_times(rule.cron, _local(after, rule.timezone), _local(until, rule.timezone))
        for moment in _moments_of(local, rule.timezone, every_hour=every_hour)
    }
    return sorted(moment for moment in found if after < moment <= until)


def next_call_time(rule: PlannedCall, after: datetime) -> datetime | None:
    """The first moment later than `after` at which a planned call is made; None: never again."""
    if rule.at is not None:
        return next(iter(call_times(rule, after, rule.at)), None)
    span = timedelta(hours=1)
    while not (found := call_times(rule, after, after + span)) and span < _NEVER_AGAIN:
        after, span = after + span, 4 * span
    return next(iter(found), None)


def _local_times(cron: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """What a calendar without clock changes says: APScheduler's own leaves out a day after some of them."""
    trigger, moment = _trigger(cron), start - _LARGEST_CHANGE
    while (moment := trigger.get_next_fire_time(None, moment)) and moment <= end + _LARGEST_CHANGE:
        yield moment
        moment += timedelta(seconds=1)


def _local(moment: datetime, timezone: ZoneInfo) -> datetime:
    return moment.astimezone(timezone).replace(tzinfo=UTC)


def _moments_of(local: datetime, timezone: ZoneInfo, *, every_hour: bool) -> Iterator[datetime]:
    first, second = (local.replace(tzinfo=timezone, fold=fold).astimezone(UTC) for fold in (0, 1))
    exists = _local(first, timezone) == local
    if exists or not every_hour:
        yield first
    if exists and every_hour:
        yield second


@cache
def _trigger(cron: str) -> "CronTrigger":
    return cron_trigger(cron, ZoneInfo("UTC"))
