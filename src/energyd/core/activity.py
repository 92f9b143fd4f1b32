"""When an address was last in use.

The chain keeps one moment, `latest_consume_time_for_energy`, and moves it for two reasons: a contract call, and the end
of a delegation (tron-energy A5: the receiver's usage is settled then). Taken as it is, every rental that ends would
look like use, and `keep: while_active` would rent for ever. So a moment that fits the end of one of our own rentals is
put down to that rental, once for each; what was known before it stays known.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from energyd.core.supply import RECLAIM_GRACE
from energyd.model import Order

_EARLY = timedelta(seconds=10)
"""By how much the vendor's hour may end before ours: clocks differ."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What is known of one address: the newest moment shown by the chain, and the newest that was really a use."""

    shown_at: datetime | None = None
    used_at: datetime | None = None
    put_down_to: str = ""
    """The rental whose end explained the moment shown, by its order's key."""


def follow(before: Activity, shown_at: datetime | None, rentals: Iterable[Order]) -> Activity:
    """The activity after the chain has shown a moment; `rentals` are those whose hour may have ended at that time."""
    if shown_at is None or shown_at == before.shown_at:
        return before
    for rental in rentals:
        fits = rental.until_at - _EARLY <= shown_at <= rental.until_at + RECLAIM_GRACE
        if fits and rental.key != before.put_down_to:
            return Activity(shown_at, before.used_at, rental.key)
    return Activity(shown_at, shown_at, before.put_down_to)
