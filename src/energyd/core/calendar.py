"""Which moments matter: the windows of the week in which a floor is kept."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta

from energyd.policy import KeepWindow

_DAY = timedelta(days=1)


def open_until(windows: Iterable[KeepWindow], now: datetime) -> datetime | None:
    """The end of the window that `now` lies in, the latest one where several do; None outside all of them.

    Times of day are those of the window's own time zone, so a window grows or shrinks with a clock change.
    """
    ends = [end for window in windows for start, end in _spans_around(window, now) if start <= now < end]
    return max(ends, default=None)


def _spans_around(window: KeepWindow, now: datetime) -> Iterable[tuple[datetime, datetime]]:
    """The window's spans that begin yesterday and today; yesterday's may run over midnight."""
    today = now.astimezone(window.timezone).date()
    for day in (today - _DAY, today):
        if day.weekday() in window.days:
            last_day = day if window.start.minutes < window.end.minutes else day + _DAY
            yield _moment(window, day, window.start.minutes), _moment(window, last_day, window.end.minutes)


def _moment(window: KeepWindow, day: date, minutes: int) -> datetime:
    if minutes == 24 * 60:
        day, minutes = day + _DAY, 0
    return datetime.combine(day, time(minutes // 60, minutes % 60), tzinfo=window.timezone)
