"""Which moments matter: the windows of the week in which a floor is kept."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta

from energyd.policy import KeepWindow

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
