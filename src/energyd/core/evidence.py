"""Was an order placed whose answer never came? From the world before and after, one verdict.

Netts cannot be asked by our own key (netts-api 18), so three witnesses are heard. Each says placed, not placed, or
nothing:

* the chain: the energy limit rose by the ordered amount since the baseline, or it did not;
* the account: the balance fell, or the spent total rose, by more than our other orders of that time explain;
* for Host Mode, the count of cycles rose, or it did not. It falls by itself whenever Netts delegates, so any rise is
  one that was paid for.

On an address in Host Mode the chain says less: what has risen there may have been delegated for cycles.

Believing "placed" wrongly costs an hour of waiting; believing "not placed" wrongly pays twice. So one witness is enough
for placed, at once; for not placed, the longest flight must be over (the caller measures that on its own clock, see
core/order.py), every witness that there is must have been heard after it, and all of them must agree, the account
among them. Anything else is "cannot tell", and a person decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from energyd.core import supply
from energyd.model import (
    NEVER_CHARGED,
    Cycles,
    CyclesKnown,
    Funds,
    Order,
    OrderKind,
    OrderState,
    Reading,
    Spend,
    Verdict,
)

CYCLE_ENERGY = 131_000
"""What one cycle delegates (netts-api 6.1)."""


class Testimony(Enum):
    PLACED = "placed"
    NOT_PLACED = "not placed"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class After:
    """The world as it is now. `flight_over` says that everything here was read after the longest flight."""

    flight_over: bool
    reading: Reading | None = None
    cycles: Cycles | None = None
    funds: Funds | None = None
    is_hosted: bool = False
    """The address is in Host Mode, so Netts delegates to it by itself, too."""


def judge(order: Order, after: After, rentals: Sequence[Order], spends: Sequence[Spend]) -> tuple[Verdict, str]:
    """The verdict, and one sentence of the figures that it rests on.

    `rentals` are the address's own rentals (see core/supply.py), `spends` at least those orders of the whole account
    that were not settled yet when it was asked for the baseline, or were sent since, whatever became of them.
    """
    grown = _chain(order, after, rentals) if order.kind is OrderKind.RENTAL else _cycles(order, after)
    charged = _account(order, after, [spend for spend in spends if spend.order.key != order.key])
    said = f"{_thing(order)} says {grown.value}, the account says {charged.value}"
    if Testimony.PLACED in (grown, charged):
        return Verdict.PLACED, said
    if not after.flight_over:
        return Verdict.TOO_EARLY, said
    if grown is charged is Testimony.NOT_PLACED:
        return Verdict.NOT_PLACED, said
    return Verdict.CANNOT_TELL, said


def _thing(order: Order) -> str:
    return "the chain" if order.kind is OrderKind.RENTAL else "the count of cycles"


def _chain(order: Order, after: After, rentals: Sequence[Order]) -> Testimony:
    if after.reading is None or order.baseline.energy_limit is None:
        return Testimony.NOTHING
    if after.is_hosted:
        return _chain_of_hosted(order, after.reading, rentals)
    came = supply.arrived(order, after.reading, rentals)
    if supply.is_whole(order, came, after.reading.energy_limit):
        # It may as well be another one of ours that is still due; that one is watched, and then this can be told.
        is_another_due = any(other.key != order.key and other.state is OrderState.PLACED for other in rentals)
        return Testimony.NOTHING if is_another_due else Testimony.PLACED
    few = supply.slack(max(after.reading.energy_limit, order.baseline.energy_limit))
    return Testimony.NOT_PLACED if came is not None and came <= few else Testimony.NOTHING


def _chain_of_hosted(order: Order, reading: Reading, rentals: Sequence[Order]) -> Testimony:
    """What the chain says where whole cycles come and go beside the rental: it speaks only if one reading fits."""
    rise = supply.risen(order, reading, rentals)
    if rise is None or order.energy is None or any(each.state is OrderState.PLACED for each in rentals):
        return Testimony.NOTHING
    few = supply.slack(max(reading.energy_limit, order.baseline.energy_limit or 0))
    without, with_it = (min(part % CYCLE_ENERGY, -part % CYCLE_ENERGY) <= few for part in (rise, rise - order.energy))
    if without is with_it:
        return Testimony.NOTHING
    return Testimony.PLACED if with_it else Testimony.NOT_PLACED


def _cycles(order: Order, after: After) -> Testimony:
    before, now = order.baseline.cycles, after.cycles
    if before is None or now is None or now.known is not CyclesKnown.COUNTED or now.remaining is None:
        return Testimony.NOTHING
    if now.key != order.baseline.cycles_key:
        return Testimony.NOTHING
    return Testimony.PLACED if now.remaining > before else Testimony.NOT_PLACED


def _account(order: Order, after: After, others: Sequence[Spend]) -> Testimony:
    """What left the account since the baseline beyond what our other orders explain.

    Half the expected cost tells a charge from a rounding. Another order explains only what it has certainly taken: so
    one whose fate is open may be what is missing, but where nothing is missing neither of them was charged, and orders
    that became unclear together do not wait for each other. Money that came in hides money that left: the spent
    total, which only rises, is asked first, and a balance proves that nothing left only where it did not move.
    """
    asked, heard = order.baseline.asked_mark, order.baseline.heard_mark
    left = None if after.funds is None else _left_account(order, after.funds)
    if left is None or after.funds is None or asked is None or heard is None:
        return Testimony.NOTHING
    since = [other for other in others if other.sent > heard]
    unexplained = left - sum(_taken(other, after.funds) for other in since)
    if 2 * unexplained >= order.cost_max_sun:
        # Of an order that was open when the baseline was taken nobody knows whether its charge is in there.
        was_open = any(other.sent <= heard and not _is_settled(other, asked) for other in others)
        is_told = not was_open and all(_is_told(other, after.funds) for other in since)
        return Testimony.PLACED if is_told else Testimony.NOTHING
    if unexplained == 0 or (_is_counted(order, after.funds) and 2 * abs(unexplained) < order.cost_max_sun):
        return Testimony.NOT_PLACED
    return Testimony.NOTHING


def _taken(other: Spend, funds: Funds) -> int:
    """What an order has at least taken, in sun, from the account as it was read; its price may fall after the quote."""
    spent = other.order
    if spent.state in NEVER_CHARGED or not _is_settled(other, funds.asked_mark):
        return 0
    return spent.cost_max_sun * 3 // 4 if spent.cost_sun is None else spent.cost_sun


def _is_told(other: Spend, funds: Funds) -> bool:
    """Whether that is all it has taken; one that was only shown to be placed may have cost more than was quoted."""
    if other.order.state in NEVER_CHARGED:
        return True
    return other.order.cost_sun is not None and _is_settled(other, funds.asked_mark)


def _is_settled(other: Spend, mark: int | None) -> bool:
    """Whether the fate of an order was known at a mark."""
    return other.settled is not None and mark is not None and other.settled <= mark


def _is_counted(order: Order, funds: Funds) -> bool:
    """Whether the spent total can be asked; nobody knows whether purchases of cycles are in it (netts-api 18)."""
    is_told = order.baseline.spent_total_sun is not None and funds.spent_total_sun is not None
    return is_told and order.kind is OrderKind.RENTAL


def _left_account(order: Order, funds: Funds) -> int | None:
    before = order.baseline
    if _is_counted(order, funds) and before.spent_total_sun is not None and funds.spent_total_sun is not None:
        return funds.spent_total_sun - before.spent_total_sun
    if before.balance_sun is not None:
        return before.balance_sun - funds.balance_sun
    return None
