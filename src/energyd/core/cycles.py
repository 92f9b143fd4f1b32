"""Whether to order Host Mode cycles for one address, how many, and why not.

Netts delegates 131,000 energy for each cycle by itself until the cycles run out, and then it stops silently. A cycle
order adds up when it is repeated and the count of cycles may stand under several keys (netts-api 6.2, 6.4), so a count
that is not certain never buys.

What is wanted is a number of cycles, or a time that they shall last. How long they last follows from how the counts
fell; until a fall was seen it is the least that any of the documents says (netts-api 15, row 10).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from energyd import units
from energyd.core.evidence import CYCLE_ENERGY
from energyd.core.guards import BY_HAND_GUARDS, CYCLE_GUARDS, Guards, Wish, held_back, known_cycle_price
from energyd.core.order import COUNTED_WITHIN, LATE_AFTER
from energyd.model import (
    Action,
    Count,
    Cycles,
    CyclesKnown,
    Decision,
    Guard,
    Order,
    OrderKind,
    Reading,
    Reason,
    Situation,
)
from energyd.policy import HostModeRule

CYCLE_LASTS_AT_LEAST = timedelta(hours=1)
"""The documents say an hour, a day, and three days."""
COUNT_GOOD_FOR = timedelta(minutes=5)
"""A count read longer ago than this is not known any more."""
RATE_OVER = timedelta(days=3)
"""How far back falls of the count tell how long a cycle lasts."""
RATE_FROM = timedelta(hours=1)
"""And for how long the count must have been watched before they do."""

_NOT_COUNTED = {
    CyclesKnown.INFINITE: Reason.INFINITE_CYCLES,
    CyclesKnown.NOT_IN_HOST_MODE: Reason.NOT_IN_HOST_MODE,
    CyclesKnown.UNKNOWN: Reason.CYCLES_UNKNOWN,
}


def decide_cycles(situation: Situation, decision_id: str) -> Decision:
    """The decision about the cycles of one address. Never raises; a count that is not known orders nothing."""
    s, rule, draft = situation, situation.policy.host_mode, _Draft(situation, decision_id)
    cycles = s.cycles or Cycles(s.address, CyclesKnown.UNKNOWN, None, s.now, detail="they have not been read yet")
    remaining = cycles.remaining
    assert rule is not None
    if cycles.known is not CyclesKnown.COUNTED or remaining is None:
        return draft.hold(_NOT_COUNTED.get(cycles.known, Reason.CYCLES_UNKNOWN), cycles.detail)
    if abs(s.now - cycles.read_at) > COUNT_GOOD_FOR:
        return draft.hold(Reason.CYCLES_UNKNOWN, f"they were counted at {cycles.read_at:%H:%M:%S} UTC last")
    low = wanted(rule, s.memory.counts, s.now)
    in_flight = sum(_missing(order, cycles) for order in s.memory.cycle_orders)
    draft.see(low, remaining, in_flight)
    if remaining >= low:
        return draft.hold(Reason.CYCLES_ENOUGH, _lasting(s, remaining))
    if remaining + in_flight >= low:
        return draft.hold(Reason.IN_FLIGHT, _lasting(s, remaining))
    few = min(rule.top_up_to - remaining - in_flight, s.limits.cycles_max)
    return draft.purchase(few, Reason.CYCLES_LOW, CYCLE_GUARDS)


def decide_by_hand(situation: Situation, cycles: int, decision_id: str) -> Decision:
    """The decision about cycles that a person asks for: the policy is not asked, what protects money is."""
    return _Draft(situation, decision_id).purchase(cycles, Reason.BY_HAND, BY_HAND_GUARDS)


def were_added(
    order: Order, cycles: Cycles, reading: Reading | None, rentals: Sequence[Order], now: datetime
) -> bool | None:
    """Whether the cycles of an order that Netts took are in the count; None while that cannot be told.

    A count that has grown by less than was ordered may do so because cycles were used meanwhile: each of them shows as
    energy on chain. For that the first minute is too short, because energy may still come for a cycle that was used
    before.
    """
    ordered, before = order.cycles or 0, order.baseline.cycles
    if cycles.known is not CyclesKnown.COUNTED or cycles.remaining is None:
        return None
    if before is None:
        return True if cycles.remaining >= ordered else None
    passed, grown = now - (order.sent_at or order.intended_at), cycles.remaining - before
    if grown >= ordered or (passed >= LATE_AFTER and grown + _used(order, reading, rentals) >= ordered):
        return True
    return False if passed >= COUNTED_WITHIN else None


def _used(order: Order, reading: Reading | None, rentals: Sequence[Order]) -> int:
    """Cycles that were used since the baseline, as the chain shows them."""
    before = order.baseline
    if reading is None or before.energy_limit is None:
        return 0
    came = (rental for rental in rentals if rental.delivered_at is not None and rental.key not in before.rentals)
    rise = reading.energy_limit - before.energy_limit - sum(rental.energy or 0 for rental in came)
    return max((rise + CYCLE_ENERGY // 2) // CYCLE_ENERGY, 0)


def time_of_a_cycle(counts: Sequence[Count], now: datetime) -> timedelta | None:
    """How long one cycle has lasted of late; None as long as no fall of the count was seen.

    `counts` are those of one address, oldest first. A count that rose tells nothing of what was used meanwhile, so
    cycles may last a little less than this.
    """
    if not counts:
        return None
    watched = now - max(counts[0].at, now - RATE_OVER)
    fallen = sum(max(a.remaining - b.remaining, 0) for a, b in pairwise(counts) if a.key == b.key)
    return watched / fallen if fallen and watched >= RATE_FROM else None


def wanted(rule: HostModeRule, counts: Sequence[Count], now: datetime) -> int:
    """The number of cycles below which some are ordered."""
    if rule.min_left is None:
        assert rule.min_cycles is not None
        return rule.min_cycles
    lasts = time_of_a_cycle(counts, now) or CYCLE_LASTS_AT_LEAST
    return min(max(-(-rule.min_left // lasts), 1), rule.top_up_to)


def _missing(order: Order, now: Cycles) -> int:
    """What of an order that Netts took the count does not show yet."""
    ordered, before = order.cycles or 0, order.baseline.cycles
    if before is None or now.remaining is None or now.key != order.baseline.cycles_key:
        return ordered
    return max(ordered - max(now.remaining - before, 0), 0)


def _lasting(situation: Situation, remaining: int) -> str:
    lasts = time_of_a_cycle(situation.memory.counts, situation.now)
    return "" if lasts is None else f"at the present rate they last {units.duration_text(lasts * remaining)}"


class _Draft:
    """A decision in the making: the figures known so far."""

    def __init__(self, situation: Situation, decision_id: str) -> None:
        self._situation, self._decision_id = situation, decision_id
        self._figures: dict[str, int | None] = {}
        self._guards: tuple[Guard, ...] = ()

    def see(self, low: int, remaining: int, in_flight: int) -> None:
        supply = remaining + in_flight
        gap = max(low - supply, 0)
        self._figures = {
            "demand": low, "supply": supply, "gap": gap, "available": remaining, "in_flight": in_flight
        }  # fmt: skip

    def purchase(self, cycles: int, because: Reason, guards: Guards) -> Decision:
        wish = Wish(self._situation, cycles, because, known_cycle_price(self._situation))
        self._guards = tuple(guard(wish) for guard in guards)
        self._figures |= {"cycles": cycles, "price_sun": wish.price_sun, "cost_sun": wish.cost_sun}
        failed = next((guard for guard in self._guards if not guard.passed), None)
        if failed is None:
            return self._decision(Action.ORDER_CYCLES, because, "")
        return self.hold(failed.reason, held_back(failed, because, "order"))

    def hold(self, reason: Reason, detail: str) -> Decision:
        return self._decision(Action.HOLD, reason, detail)

    def _decision(self, action: Action, reason: Reason, detail: str) -> Decision:
        s = self._situation
        return Decision(
            decision_id=self._decision_id,
            address=s.address,
            policy=s.policy.name,
            at=s.now,
            kind=OrderKind.CYCLES,
            action=action,
            reason=reason,
            detail=detail,
            guards=self._guards,
            needs=(),
            sources=(),
            **self._figures,
        )
