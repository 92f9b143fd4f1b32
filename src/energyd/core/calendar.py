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


def call_times(rule: PlannedCall, after: datetime, until: datetime) -> Iterator[datetime]:
    """The moments in UTC at which a planned call is made, later than `after` and not later than `until`.

    When clocks are set forward, a time of day that does not exist is taken as if they had not been: 02:30 is 03:30.
    When they are set back, a time of day that comes twice is the first one, except for calls of every hour: these are
    made in both.
    """
    if rule.at is not None:
        if after < rule.at <= until:
            yield rule.at.astimezone(UTC)
        return
    assert rule.cron is not None
    trigger, every_hour = _trigger(rule.cron, rule.timezone), rule.cron.split()[1] == "*"
    moment = _next(trigger, after)
    while moment is not None and moment <= until:
        if every_hour or not moment.fold:
            yield moment.astimezone(UTC)
        moment = _next(trigger, moment)


def next_call_time(rule: PlannedCall, after: datetime) -> datetime | None:
    """The first moment later than `after` at which a planned call is made; None: never again."""
    return next(call_times(rule, after, after + 3 * timedelta(days=366)), None)


def _next(trigger: "CronTrigger", after: datetime) -> datetime | None:
    found: datetime | None = trigger.get_next_fire_time(None, after + timedelta(microseconds=1))
    return found


@cache
def _trigger(cron: str, timezone: ZoneInfo) -> "CronTrigger":
    return cron_trigger(cron, timezone)
