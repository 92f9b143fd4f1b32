"""The last day, as the page shows it: read from the ledger once, and from then on only what is new.

A page that is open asks every few seconds, and a day of decisions is long: the ledger's one thread is for ticks.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from energyd.ledger.history import Looks
from energyd.ledger.reads import Reader
from energyd.model import Decision, OrderKind

DAY = timedelta(days=1)
STRETCH = timedelta(minutes=6)
STRETCHES = DAY // STRETCH
CHANGES_SHOWN = 30
SEARCHED = 50_000
"""Decisions at most among which the first changes are looked for: a search through millions would hold ticks up."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the time line of an address shows, of which floor, and how often that is looked at."""

    kind: OrderKind
    floor: int | None
    pace: timedelta


@dataclass(slots=True)
class Series:
    """What was seen of one address, by the number of the stretch; `up_to` is the decision that was taken in last."""

    up_to: int
    lowest: dict[int, int] = field(default_factory=dict)
    unread: set[int] = field(default_factory=set)
    below: set[int] = field(default_factory=set)

    def take_in(self, seen: Iterable[Looks], up_to: int) -> None:
        for looks in seen:
            stretch = looks.stretch
            if looks.lowest is not None:
                self.lowest[stretch] = min(looks.lowest, self.lowest.get(stretch, looks.lowest))
            if looks.unread:
                self.unread.add(stretch)
            if looks.below:
                self.below.add(stretch)
        self.up_to = max(self.up_to, up_to)

    def forget(self, before: int) -> None:
        self.lowest = {stretch: least for stretch, least in self.lowest.items() if stretch >= before}
        self.unread = {stretch for stretch in self.unread if stretch >= before}
        self.below = {stretch for stretch in self.below if stretch >= before}


@dataclass(frozen=True, slots=True)
class Levels:
    """The energy of an address, or its cycles, over the last day; a place is that of a stretch."""

    lowest: list[int | None]
    """The least in each stretch; None where nothing is known of it."""
    unread: list[int]
    """The places at which a reading failed."""
    below: list[int]
    """The places at which there was less than the floor, where so much had to be there."""


class Past:
    """What was read already; only of the addresses that somebody looks at."""

    def __init__(self, ledger: Reader) -> None:
        self._ledger = ledger
        self._series: dict[tuple[str, OrderKind], Series] = {}
        self._changes: deque[Decision] = deque(maxlen=CHANGES_SHOWN)
        self._changes_up_to: int | None = None

    @staticmethod
    def first_stretch(now: datetime) -> int:
        return (now - _EPOCH) // STRETCH - STRETCHES + 1

    @staticmethod
    def begins_at(stretch: int) -> datetime:
        return _EPOCH + stretch * STRETCH

    async def levels(self, address: str, drawn: Drawn, now: datetime, until: int) -> Levels:
        """The last day of one address, up to the decision in this row."""
        first = self.first_stretch(now)
        known = self._series.get((address, drawn.kind))
        if known is None:
            known = Series(await self._ledger.newest_decision(before=self.begins_at(first)))
        seen = await self._ledger.looks(
            address, drawn.kind, drawn.floor or 0, after=known.up_to, until=until, length=STRETCH
        )
        known.take_in(seen, until)
        known.forget(first)
        self._series[address, drawn.kind] = known
        return _levels(known, first, carried_for=drawn.pace // STRETCH + 1)

    async def changes(self, now: datetime, until: int) -> list[Decision]:
        """The newest decisions up to a row that differ from the one before of their address, newest first."""
        after = self._changes_up_to
        if after is None:
            after = max(await self._ledger.newest_decision(before=now - DAY), until - SEARCHED)
        found = await self._ledger.changes(after=after, until=until, limit=CHANGES_SHOWN)
        if after == (self._changes_up_to or after):  # nobody else has taken them in meanwhile
            self._changes.extendleft(reversed(found))
            self._changes_up_to = until
        return list(self._changes)

    def forget_others(self, addresses: Iterable[str]) -> None:
        """Of addresses that no policy watches any more nothing is kept."""
        watched = set(addresses)
        self._series = {about: series for about, series in self._series.items() if about[0] in watched}


def _levels(series: Series, first: int, *, carried_for: int) -> Levels:
    """A stretch without a look is as the one before, as long as no look was due."""
    lowest: list[int | None] = []
    below = []
    last = first
    for stretch in range(first, first + STRETCHES):
        if stretch in series.lowest or stretch in series.unread:
            last = stretch
        is_known = last in series.lowest and stretch - last <= carried_for
        lowest.append(series.lowest[last] if is_known else None)
        if is_known and last in series.below:
            below.append(stretch - first)
    return Levels(lowest, sorted(stretch - first for stretch in series.unread), below)
