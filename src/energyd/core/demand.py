"""What an address must have, until when, and because of what."""

from dataclasses import dataclass
from datetime import datetime

from energyd.core import calendar
from energyd.model import Need, Reading, Reason, Situation
from energyd.policy import EnergyRule


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing is asked of the address now, and why."""

    reason: Reason
    detail: str


def floor_need(situation: Situation) -> Need | Idle:
    """The floor of the policy, kept from now until energy that ends within `renew_before` has ended."""
    rule = situation.policy.energy
    if rule is None:
        return Idle(Reason.ENOUGH, "the policy keeps no floor")
    kept_until = _kept_until(rule, situation)
    if isinstance(kept_until, Idle):
        return kept_until
    until = situation.now + rule.renew_before
    return Need(rule.floor, situation.now, min(until, kept_until or until), Reason.BELOW_FLOOR)


def _kept_until(rule: EnergyRule, situation: Situation) -> datetime | Idle | None:
    """When keeping ends (None: not in sight), or why it is not kept now."""
    match rule.keep:
        case "always":
            return None
        case "never":
            return Idle(Reason.ENOUGH, "the policy keeps no floor: `keep: never`")
        case "while_active":
            return None if _is_active(rule, situation) else Idle(Reason.INACTIVE, _idle_since(situation))
        case windows:
            end = calendar.open_until(windows, situation.now)
            return end or Idle(Reason.OUTSIDE_WINDOW, "outside the windows of `keep`")


def _is_active(rule: EnergyRule, situation: Situation) -> bool:
    reading = situation.reading
    if not isinstance(reading, Reading) or reading.last_used_at is None:
        return False
    return situation.now - reading.last_used_at <= rule.active_within


def _idle_since(situation: Situation) -> str:
    reading = situation.reading
    if not isinstance(reading, Reading):
        return "whether it is in use cannot be read"
    if reading.last_used_at is None:
        return "it has never used energy"
    return f"no energy was used since {reading.last_used_at:%Y-%m-%d %H:%M:%S} UTC"
