"""Whether to rent for one address, how much, and why not: one Decision with one reason and every figure behind it.

The question is answered in three steps that only go forward: what is needed (demand.py), what will be there
(supply.py), and, if something is missing, whether each guard lets the purchase pass (guards.py).
"""

from energyd.core import demand, supply
from energyd.core.guards import GUARDS, Wish, known_burn_price, known_rent_price
from energyd.model import Action, Decision, Guard, Need, NoReading, Reading, Reason, Situation


def decide(situation: Situation, decision_id: str) -> Decision:
    """The decision about the energy of one address. Never raises; what is not known holds the purchase back."""
    s = situation
    draft = Draft(s, decision_id)
    reading = _usable(s)
    if isinstance(reading, NoReading):
        return draft.hold(reading.reason, detail=reading.detail)
    need = demand.floor_need(s)
    at = need.until_at if isinstance(need, Need) else s.now
    there = supply.forecast(reading, s.memory.rentals, at)
    draft.see(need, there, known=isinstance(s.reading, Reading))
    if isinstance(need, demand.Idle):
        return draft.hold(need.reason, detail=need.detail)
    if max(there.then, 0) >= need.energy - _may_drift(s, need, there):
        return draft.hold(_why_enough(need, there))
    return _purchase(draft, need, there)


def _usable(situation: Situation) -> Reading | NoReading:
    """The reading, or an empty one where the policy says to go on without."""
    seen, rule = situation.reading, situation.policy.energy
    if isinstance(seen, Reading) or rule is None or rule.on_unknown == "hold":
        return seen
    if seen.reason is Reason.NOT_ACTIVATED:
        return seen
    return Reading(seen.address, 0, 0, situation.now, situation.now, node="")


def _why_enough(need: Need, there: supply.Supply) -> Reason:
    without = there.then - there.in_flight
    return Reason.IN_FLIGHT if there.in_flight and without < need.energy else Reason.ENOUGH


def _rent_up_to(situation: Situation, need: Need) -> int:
    rule = situation.policy.energy
    return need.energy if rule is None else max(rule.rent_up_to, need.energy)


def _may_drift(situation: Situation, need: Need, there: supply.Supply) -> int:
    """The drift for which the target leaves no room above the need.

    By so much the need may be missed and an order is larger, so that none is followed by another for a few units.
    """
    return max(there.drift - (_rent_up_to(situation, need) - need.energy), 0)


def _purchase(draft: "Draft", need: Need, there: supply.Supply) -> Decision:
    s = draft.situation
    gap = _rent_up_to(s, need) - there.then
    energy = min(max(gap + _may_drift(s, need, there), s.limits.energy_min), s.limits.energy_max)
    wish = Wish(s, energy, known_rent_price(s), known_burn_price(s))
    guards = tuple(guard(wish) for guard in GUARDS)
    draft.want(gap, wish, guards)
    failed = next((guard for guard in guards if not guard.passed), None)
    if failed is None:
        return draft.rent(need.reason)
    return draft.hold(failed.reason, detail=_explained(failed, need))


def _explained(failed: Guard, need: Need) -> str:
    if failed.reason in (Reason.DRY_RUN, Reason.OBSERVE):
        return f"would rent: {need.reason}"
    compared = " against ".join(part for part in (failed.figure, failed.limit) if part)
    return f"{need.reason}, but {failed.reason}: {compared}" if compared else f"{need.reason}, but {failed.reason}"


class Draft:
    """A decision in the making: the figures known so far."""

    def __init__(self, situation: Situation, decision_id: str) -> None:
        self.situation = situation
        self._decision_id = decision_id
        self._figures: dict[str, int | None] = {}
        self._guards: tuple[Guard, ...] = ()

    def see(self, need: "Need | demand.Idle", there: supply.Supply, *, known: bool) -> None:
        wanted = need.energy if isinstance(need, Need) else 0
        self._figures |= {
            "demand": wanted,
            "supply": there.then,
            "gap": max(wanted - there.then, 0),
            "available": there.available if known else None,
            "in_flight": there.in_flight,
        }

    def want(self, gap: int, wish: "Wish", guards: tuple[Guard, ...]) -> None:
        self._figures |= {
            "gap": gap, "energy": wish.energy, "price_sun": wish.price_sun, "cost_sun": wish.cost_sun
        }  # fmt: skip
        self._guards = guards

    def rent(self, reason: Reason) -> Decision:
        return self._decision(Action.RENT, reason, "")

    def hold(self, reason: Reason, *, detail: str = "") -> Decision:
        return self._decision(Action.HOLD, reason, detail)

    def _decision(self, action: Action, reason: Reason, detail: str) -> Decision:
        s = self.situation
        return Decision(
            decision_id=self._decision_id,
            address=s.address,
            policy=s.policy.name,
            at=s.now,
            action=action,
            reason=reason,
            detail=detail,
            guards=self._guards,
            **self._figures,
        )
