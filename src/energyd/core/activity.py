"""When an address was last in use.

The chain keeps one moment, `latest_consume_time_for_energy`, and moves it for two reasons: a contract call, and the end
of a delegation (tron-energy A5: the receiver's usage is settled then). Taken as it is, every rental that ends would
look like use, and `keep: while_active` would rent for ever. So a moment that fits the end of one of our own rentals is
put down to that rental, once for each; what was known before it stays known.
"""

from collections.abc import Iterable
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
    """The activity after a look; `rentals` are those that may have ended at the moment shown.

    A rental that ends early is recognised by the limit, which falls by it.
    """
    shown_at = seen.last_used_at
    if shown_at is None or shown_at == before.shown_at:
        return replace(before, energy_limit=seen.energy_limit)
    fell = (before.energy_limit or 0) - seen.energy_limit
    for rental in rentals:
        in_time = rental.until_at - _EARLY <= shown_at <= rental.until_at + RECLAIM_GRACE
        early = is_whole(rental, fell, before.energy_limit or 0)
        if (in_time or early) and rental.key != before.put_down_to:
            return Activity(shown_at, before.used_at, rental.key, seen.energy_limit)
    return Activity(shown_at, shown_at, before.put_down_to, seen.energy_limit)
