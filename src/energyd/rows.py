"""What commands and the control API show as JSON: one row for one thing, built from what is known of it.

Energy is in units, money in TRX with every digit, a moment in UTC. What is not known is null and never zero.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from energyd import units
from energyd.model import OPEN, Alert, Call, Decision, Memory, Order, Pause, Prices
from energyd.policy import Policy, WatchedAddress
from energyd.telemetry import call_row, decision_fields, order_row


def live_orders(memory: Memory) -> list[Order]:
    """The orders that still matter for an address: on the way, delivered, or unclear."""
    live = [order for order in memory.rentals if order.state in OPEN]
    return [*live, memory.unsettled] if memory.unsettled else live


def address_row(
    policy: Policy,
    watched: WatchedAddress,
    decision: Decision | None,
    memory: Memory,
    burn_sun: int | None = None,
    *,
    about_cycles: Decision | None = None,
) -> dict[str, Any]:
    """One address: its energy and its cycles as the last decisions saw them, and what the ledger knows of it."""
    return {
        "address": watched.address,
        "label": watched.label or None,
        "policy": policy.name,
        "floor": policy.energy.floor if policy.energy else None,
        "available": decision.available if decision else None,
        "in_flight": decision.in_flight if decision else None,
        "decided_at": decision.at if decision else None,
        "action": str(decision.action) if decision else None,
        "reason": str(decision.reason) if decision else None,
        "detail": (decision.detail or None) if decision else None,
        "cycles": about_cycles.available if about_cycles else None,
        "cycles_reason": str(about_cycles.reason) if about_cycles else None,
        "cycles_detail": (about_cycles.detail or None) if about_cycles else None,
        "orders": [order_row(order) for order in live_orders(memory)],
        "calls": [call_row(call, burn_sun) for call in memory.calls],
        "pauses": [pause_row(pause) for pause in memory.pauses],
    }


def spending_row(policy: Policy, memory: Memory) -> dict[str, Any]:
    """What a policy has spent in its budget's windows."""
    budget = policy.limits
    return {
        "policy": policy.name,
        "spent_hour_trx": units.trx(memory.spent_hour_sun),
        "spent_day_trx": units.trx(memory.spent_day_sun),
        "budget_hour_trx": units.trx(budget.per_hour) if budget else None,
        "budget_day_trx": units.trx(budget.per_day) if budget else None,
    }


def decision_row(decision: Decision, *, whole: bool = False) -> dict[str, Any]:
    """A decision: the fields of its event that are known; as a `whole` with every need, source and guard behind it."""
    fields = {name: value for name, value in decision_fields(decision).items() if value is not None}
    row = {"at": decision.at} | fields
    if whole:
        row |= {"needs": decision.needs, "sources": decision.sources, "guards": decision.guards}
    return row


def pause_row(pause: Pause) -> dict[str, Any]:
    return {
        "policy": pause.policy,
        "address": pause.address,
        "since": pause.since,
        "until": pause.until,
        "reason": pause.why or None,
    }


def alert_rows(standing: Iterable[tuple[Alert, datetime]]) -> list[dict[str, Any]]:
    return [
        {"alert": str(alert.name), "subject": alert.subject or None, "summary": alert.summary, "since": since}
        for alert, since in standing
    ]


def call_at_price(call: Call, prices: Prices) -> dict[str, Any]:
    """A call, and what the energy that it still needs would cost now."""
    known = call.energy is not None and prices.rent_sun is not None
    cost = units.cost_sun(call.remaining, prices.rent_sun or 0) if known else None
    return call_row(call, prices.burn_sun) | {"cost_trx": None if cost is None else units.trx(cost)}
