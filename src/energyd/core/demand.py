"""What an address must have, until when, and because of what: the floor of its policy, and each call on top of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from energyd.core import calendar
from energyd.model import RUNNING, Call, CallOrigin, Need, Reading, Reason, Situation
from energyd.policy import EnergyRule

RENEW_BEFORE = EnergyRule.model_fields["renew_before"].default
"""For policies that keep no floor."""


@dataclass(frozen=True, slots=True)
class Idle:
    """No floor is kept now, and why."""

    reason: Reason
    detail: str


def floor_need(situation: Situation) -> Need | Idle:
    """The floor of the policy, for as long as it is kept."""
    rule = situation.policy.energy
    if rule is None:
        return Idle(Reason.ENOUGH, "the policy keeps no floor")
    kept_until = _kept_until(rule, situation)
    if isinstance(kept_until, Idle):
        return kept_until
    return Need(rule.floor, situation.now, kept_until, Reason.BELOW_FLOOR)


def call_needs(situation: Situation) -> tuple[Need, ...]:
    """What each call must have whose energy is being seen to, the first to be needed first."""
    return tuple(_of_call(call, situation.now) for call in running(situation.memory.calls) if call.remaining)


def running(calls: Iterable[Call]) -> list[Call]:
    return [call for call in calls if call.state in RUNNING]


def _of_call(call: Call, now: datetime) -> Need:
    reason = Reason.ENSURE if call.origin is CallOrigin.ENSURE else Reason.PLANNED_CALL
    return Need(
        call.remaining,
        max(call.needed_by, now),
        call.until,
        reason,
        call=call.name,
        is_covered=call.covered_at is not None,
    )


def counts_at(need: Need, situation: Situation) -> datetime:
    """The moment at which it shows whether a need is met.

    Energy that ends within `renew_before` counts as gone already; what is needed only later than that must be there
    then; and nothing has to be there after the need has ended.
    """
    rule = situation.policy.energy
    renew_before = RENEW_BEFORE if rule is None else rule.renew_before
    at = max(situation.now + renew_before, need.from_at)
    return at if need.until_at is None else min(at, need.until_at)


def needed_at(needs: Sequence[Need], moment: datetime) -> tuple[Need, ...]:
    """The needs that hold at a moment. They add up."""
    return tuple(n for n in needs if n.from_at <= moment and (n.until_at is None or moment <= n.until_at))


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
