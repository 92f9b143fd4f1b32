"""When an address was last in use.

The chain keeps one moment, `latest_consume_time_for_energy`, and moves it for two reasons: a contract call, and the end
of a delegation (tron-energy A5: the receiver's usage is settled then). Taken as it is, every rental that ends would
look like use, and `keep: while_active` would rent for ever. So a moment that fits the end of one of our own rentals is
put down to that rental, once for each; what was known before it stays known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from energyd.core.supply import RECLAIM_GRACE, is_whole
from energyd.model import Order, Reading

_EARLY = timedelta(seconds=10)
"""By how much the vendor's hour may end before ours: clocks differ."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What is known of one address: the newest moment shown by the chain, and the newest that was really a use."""

    shown_at: datetime | None = None
    used_at: datetime | None = None
    put_down_to: str = ""
    """The rental whose end explained the moment shown, by its order's key."""
    energy_limit: int | None = None
    """The limit at the last look."""


def follow(before: Activity, seen: Reading, rentals: Iterable[Order]) -> Activity:
    """The activity after a look; `rentals` are those that may have ended at the moment shown."""
    shown_at = seen.last_used_at
    if shown_at is None or shown_at == before.shown_at:
        return replace(before, energy_limit=seen.energy_limit)
    ended = _ended(
        before, shown_at, seen.energy_limit, [rental for rental in rentals if rental.key != before.put_down_to]
    )
    if ended is None:
        return Activity(shown_at, shown_at, before.put_down_to, seen.energy_limit)
    return Activity(shown_at, before.used_at, ended.key, seen.energy_limit)


def _ended(before: Activity, shown_at: datetime, limit: int, rentals: Sequence[Order]) -> Order | None:
    """The rental whose end the moment shown is: one that was to end then, else one by which the limit fell."""
    for rental in rentals:
        if rental.until_at - _EARLY <= shown_at <= rental.until_at + RECLAIM_GRACE:
            return rental
    fell = (before.energy_limit or 0) - limit
    return next((rental for rental in rentals if is_whole(rental, fell, before.energy_limit or 0)), None)
