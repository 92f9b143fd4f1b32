"""The life of an order, as a table.

An order is a wish that may have cost money. Five questions decide what may happen to it, and the table answers all of
them: was it written down (intended), may it have left the house (sent), do we know what came of it (placed, refused,
or unresolved when we do not), was the energy seen (delivered) or were the cycles (added), is its hour over (the closed
states). Cycles have no hour: an order of them is closed once the count shows them, or when it certainly does not.

Four rules keep money from being spent twice; the first two are in the table, the others in the engine and in
core/evidence.py, and `tests/simulation/test_blindness.py` shows what happens without each:

1. An intent is good for one tick. It is never sent later: a stale wish is dropped and decided again from fresh facts.
2. A mark of sending is good for a few seconds (`SEND_WITHIN`), so a host that froze in between does not send on waking.
3. "It never happened" is believed only after the longest flight that a request can have, on the asking host's own
   clock, counted from when that host first saw the order unresolved. "It was placed" is believed at once.
4. The order's key travels as idempotency key, and nothing depends on it.

Any step that is not in the table raises `Impossible` and leaves the order as it is.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from energyd.errors import Impossible
from energyd.model import Order, OrderKind, OrderState

INTENT_GOOD_FOR = timedelta(seconds=30)
"""How old the facts of a decision may be when its order is marked as being sent: a host that stood still drops it."""
SEND_WITHIN = timedelta(seconds=10)
"""How long a mark of sending is good."""
FLIGHT_MARGIN = timedelta(seconds=60)
"""What a request may still travel after our own deadline; netts-api 13.3 asks for at least a minute."""
LATE_AFTER = timedelta(seconds=60)
"""Energy is normally on chain within 10 s (netts-api 13.1); after a minute it is late."""
COUNTED_WITHIN = timedelta(minutes=10)
"""Cycles are added in the transaction that takes the order (netts-api 6.1), so by then every count shows them."""
WATCHED_FOR = timedelta(days=1)
"""How long the count of cycles is waited for; later it tells nothing about one order any more."""


class Event(StrEnum):
    """What can happen to an order."""

    SENDING = "sending"
    DROPPED = "dropped"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNCLEAR = "unclear"
    INTERRUPTED = "interrupted"
    SHOWN_PLACED = "shown_placed"
    SHOWN_NOT_PLACED = "shown_not_placed"
    SETTLED_PLACED = "settled_placed"
    SETTLED_NOT_PLACED = "settled_not_placed"
    SEEN = "seen"
    HOUR_OVER = "hour_over"
    COUNTED = "counted"
    NEVER_COUNTED = "never_counted"


_S, _E = OrderState, Event

TABLE: dict[tuple[OrderState, Event], OrderState] = {
    (_S.INTENDED, _E.SENDING): _S.SENT,
    (_S.INTENDED, _E.DROPPED): _S.DROPPED,
    (_S.SENT, _E.ACCEPTED): _S.PLACED,
    (_S.SENT, _E.REFUSED): _S.REFUSED,
    (_S.SENT, _E.UNCLEAR): _S.UNRESOLVED,
    (_S.SENT, _E.INTERRUPTED): _S.UNRESOLVED,
    (_S.UNRESOLVED, _E.ACCEPTED): _S.PLACED,
    (_S.UNRESOLVED, _E.REFUSED): _S.REFUSED,
    (_S.UNRESOLVED, _E.SHOWN_PLACED): _S.PLACED,
    (_S.UNRESOLVED, _E.SHOWN_NOT_PLACED): _S.NOT_PLACED,
    (_S.UNRESOLVED, _E.SETTLED_PLACED): _S.PLACED,
    (_S.UNRESOLVED, _E.SETTLED_NOT_PLACED): _S.NOT_PLACED,
    (_S.PLACED, _E.SEEN): _S.DELIVERED,
    (_S.PLACED, _E.HOUR_OVER): _S.UNDELIVERED,
    (_S.PLACED, _E.COUNTED): _S.ADDED,
    (_S.PLACED, _E.NEVER_COUNTED): _S.UNDELIVERED,
    (_S.DELIVERED, _E.HOUR_OVER): _S.EXPIRED,
}


def advance(state: OrderState, event: Event) -> OrderState:
    """The state after an event. Raises Impossible for a step that is not in the table."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise Impossible(f"an order that is {state} cannot be {event}") from None


@dataclass(frozen=True, slots=True)
class Record:
    """Write down what the passing of time, or a broken-off tick, has made true."""

    event: Event


@dataclass(frozen=True, slots=True)
class Inquire:
    """Gather evidence whether the order was placed."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Look whether the energy has arrived on chain, or the cycles in the count."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do before its hour is over."""


Step = Record | Inquire | Watch | Rest


def next_step(order: Order, now: datetime) -> Step:
    """What a tick does with an order that it finds.

    An order found as intended or sent was left behind by a tick that did not come to its end.
    """
    match order.state:
        case OrderState.INTENDED:
            return Record(Event.DROPPED)
        case OrderState.SENT:
            return Record(Event.INTERRUPTED)
        case OrderState.UNRESOLVED:
            return Inquire()
        case OrderState.PLACED:
            is_over, event = _watched_in_vain(order, now)
            return Record(event) if is_over else Watch()
        case OrderState.DELIVERED if now >= order.until_at:
            return Record(Event.HOUR_OVER)
    return Rest()


def _watched_in_vain(order: Order, now: datetime) -> tuple[bool, Event]:
    if order.kind is OrderKind.RENTAL:
        return now >= order.until_at, Event.HOUR_OVER
    return now >= (order.sent_at or order.intended_at) + WATCHED_FOR, Event.NEVER_COUNTED


def flight_left(order: Order, longest: timedelta, now: datetime) -> timedelta:
    """For how long its request may still arrive, by the wall clock; one that was set back keeps nobody waiting."""
    passed = now - (order.sent_at or order.intended_at)
    return max(longest - passed, timedelta(0)) if passed >= timedelta(0) else timedelta(0)


def longest_flight(request_deadline: timedelta) -> timedelta:
    """How long after the mark of sending a request may still arrive at the vendor, at most."""
    return SEND_WITHIN + request_deadline + FLIGHT_MARGIN
