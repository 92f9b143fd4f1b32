"""Whether to rent for one address, how much, and why not: one Decision with one reason and every figure behind it.

The question is answered in three steps that only go forward: what is needed (demand.py), what will be there
(supply.py), and, if something is missing, whether each guard lets the purchase pass (guards.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from energyd.core import demand, supply
from energyd.core.demand import Idle
from energyd.core.guards import GUARDS, Wish, held_back, known_burn_price, known_rent_price
from energyd.model import Action, Decision, Guard, Need, NoReading, OrderKind, Reading, Reason, Situation, Source
from energyd.policy import EnergyRule


def decide(situation: Situation, decision_id: str) -> Decision:
    """The decision about the energy of one address. Never raises; what is not known holds the purchase back."""
    s = situation
    draft = Draft(s, decision_id)
    reading = _usable(s)
    if isinstance(reading, NoReading):
        return draft.hold(reading.reason, detail=reading.detail)
    floor, calls = demand.floor_need(s), demand.call_needs(s)
    needs = calls if isinstance(floor, Idle) else (floor, *calls)
    moment = max((_moment(s, reading, needs, at) for at in _moments(s, needs)), key=lambda moment: moment.missing)
    draft.see(moment, supply.sources(reading, s.memory.rentals, moment.at), known=isinstance(s.reading, Reading))
    if not moment.is_met:
        return _purchase(draft, moment)
    if unknown := _without_estimate(s):
        return draft.hold(Reason.NO_ESTIMATE, detail=unknown)
    if isinstance(floor, Idle) and not calls:
        return draft.hold(floor.reason, detail=floor.detail)
    return draft.hold(moment.why_met)


def _usable(situation: Situation) -> Reading | NoReading:
    """The reading, or an empty one where the policy says to go on without."""
    seen, rule = situation.reading, situation.policy.energy
    if isinstance(seen, Reading) or rule is None or rule.on_unknown == "hold":
        return seen
    if seen.reason is Reason.NOT_ACTIVATED or seen.is_doubted:
        return seen
    return Reading(seen.address, 0, 0, situation.now, situation.now, node="")


def _without_estimate(situation: Situation) -> str:
    unknown = [call for call in demand.running(situation.memory.calls) if call.energy is None]
    return "; ".join(f"call {call.name}: {call.detail or 'nobody knows yet what it uses'}" for call in unknown)


# --- what is missing, and when --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Moment:
    """What is needed at a moment and what will be there then."""

    at: datetime
    needs: tuple[Need, ...]
    there: supply.Supply
    headroom: int
    """By how much the target is above the floor, where the floor by itself is not met."""

    @property
    def demand(self) -> int:
        return sum(need.energy for need in self.needs)

    @property
    def missing(self) -> int:
        return self.demand - self.there.then

    @property
    def may_drift(self) -> int:
        """The drift for which the target leaves no room: an order is larger by so much."""
        return max(self.there.drift - self.headroom, 0)

    @property
    def is_met(self) -> bool:
        """What has once been there may be missed by its drift, so that no order follows another for a few units."""
        tolerated = self.may_drift if all(need.is_covered for need in self.needs) else 0
        return max(self.there.then, 0) >= self.demand - tolerated

    @property
    def why_met(self) -> Reason:
        without = self.there.then - self.there.in_flight
        return Reason.IN_FLIGHT if self.there.in_flight and without < self.demand else Reason.ENOUGH

    @property
    def unmet(self) -> Need:
        """The need that is not met: of several the one that comes last."""
        rest = self.there.then
        for need in self.needs:
            rest -= need.energy
            if rest < 0:
                return need
        return self.needs[-1]


def _moments(situation: Situation, needs: Sequence[Need]) -> list[datetime]:
    return sorted({demand.counts_at(need, situation) for need in needs}) or [situation.now]


def _moment(situation: Situation, reading: Reading, needs: Sequence[Need], at: datetime) -> Moment:
    there = supply.forecast(reading, situation.memory.rentals, at)
    needed = demand.needed_at(needs, at)
    return Moment(at, needed, there, _headroom(situation.policy.energy, needed, there))


def _headroom(rule: EnergyRule | None, needed: Sequence[Need], there: supply.Supply) -> int:
    keeps_floor = rule is not None and any(need.reason is Reason.BELOW_FLOOR for need in needed)
    if rule is None or not keeps_floor:
        return 0
    room = rule.rent_up_to - rule.floor
    return room if max(there.then, 0) < rule.floor - max(there.drift - room, 0) or len(needed) == 1 else 0


def _purchase(draft: "Draft", moment: Moment) -> Decision:
    s = draft.situation
    gap = moment.missing + moment.headroom
    energy = min(max(gap + moment.may_drift, s.limits.energy_min), s.limits.energy_max)
    need = moment.unmet
    wish = Wish(s, energy, need.reason, known_rent_price(s), known_burn_price(s))
    guards = tuple(guard(wish) for guard in GUARDS)
    draft.want(gap, wish, guards)
    failed = next((guard for guard in guards if not guard.passed), None)
    if failed is None:
        return draft.rent(need.reason, detail=f"call {need.call}" if need.call else "")
    return draft.hold(failed.reason, detail=held_back(failed, need.reason, "rent"))


class Draft:
    """A decision in the making: the figures known so far."""

    def __init__(self, situation: Situation, decision_id: str) -> None:
        self.situation = situation
        self._decision_id = decision_id
        self._figures: dict[str, int | None] = {}
        self._guards: tuple[Guard, ...] = ()
        self._needs: tuple[Need, ...] = ()
        self._sources: tuple[Source, ...] = ()

    def see(self, moment: Moment, sources: tuple[Source, ...], *, known: bool) -> None:
        self._needs, self._sources = moment.needs, sources
        self._figures |= {
            "demand": moment.demand,
            "supply": moment.there.then,
            "gap": max(moment.missing, 0),
            "available": moment.there.available if known else None,
            "in_flight": moment.there.in_flight,
        }

    def want(self, gap: int, wish: "Wish", guards: tuple[Guard, ...]) -> None:
        self._figures |= {
            "gap": gap, "energy": wish.amount, "price_sun": wish.price_sun, "cost_sun": wish.cost_sun
        }  # fmt: skip
        self._guards = guards

    def rent(self, reason: Reason, *, detail: str = "") -> Decision:
        return self._decision(Action.RENT, reason, detail)

    def hold(self, reason: Reason, *, detail: str = "") -> Decision:
        return self._decision(Action.HOLD, reason, detail)

    def _decision(self, action: Action, reason: Reason, detail: str) -> Decision:
        s = self.situation
        return Decision(
            decision_id=self._decision_id,
            address=s.address,
            policy=s.policy.name,
            at=s.now,
            kind=OrderKind.RENTAL,
            action=action,
            reason=reason,
            detail=detail,
            guards=self._guards,
            needs=self._needs,
            sources=self._sources,
            **self._figures,
        )
