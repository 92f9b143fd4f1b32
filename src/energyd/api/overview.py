"""Everything that the page draws, in one answer: the addresses of one sheet, the last day of each, and what stands.

Energy is in units and money in whole sun. What is not known is null and never zero.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from energyd import __version__, rows, units
from energyd.api.answers import Overview, answers
from energyd.api.bodies import OverviewQuery
from energyd.api.host import Exact, Host
from energyd.api.past import DAY, STRETCH, Drawn, Past
from energyd.api.reading import query, takes
from energyd.api.routes import TheHost
from energyd.calls import coming
from energyd.catalogue import ALERTS, REASONS
from energyd.engine import WITHOUT_FLOOR_EVERY
from energyd.ledger.history import Bought
from energyd.model import (
    NEVER_CHARGED,
    RENTAL_TIME,
    Action,
    Alert,
    Call,
    CallState,
    Cycles,
    Decision,
    Order,
    OrderKind,
    Pause,
    Reason,
)
from energyd.policy import Policy, WatchedAddress

ADDRESSES_ON_A_SHEET = 20
HOUR = timedelta(hours=1)
ROUTINE = (Reason.CYCLES_ENOUGH, Reason.INFINITE_CYCLES, Reason.IN_FLIGHT)

router = APIRouter()


@router.get("/v1/overview", responses=answers(Overview), openapi_extra=takes(OverviewQuery, "query"))
async def overview(host: TheHost, wanted: Annotated[OverviewQuery, Depends(query(OverviewQuery))]) -> Exact:
    """What the page shows: one sheet of addresses with their last day, totals, budgets, decisions, pauses, alerts."""
    now = host.now()
    watched = [(policy, each) for policy in host.enabled() for each in policy.addresses]
    host.past.forget_others(each.address for _, each in watched)
    found = [pair for pair in watched if _is_wanted(host, *pair, wanted)]
    sheets = max(-(-len(found) // ADDRESSES_ON_A_SHEET), 1)
    sheet = min(wanted.sheet, sheets)
    shown = found[(sheet - 1) * ADDRESSES_ON_A_SHEET :][:ADDRESSES_ON_A_SHEET]
    pauses, newest = await host.ledger.pauses(now), await host.ledger.newest_decision()
    first = Past.first_stretch(now)
    return Exact(
        {
            "at": now,
            "version": __version__,
            "mode": str(host.mode),
            "began_at": host.began_at,
            "day_from": Past.begins_at(first),
            "stretch_seconds": int(STRETCH.total_seconds()),
            "totals": _totals(host, watched, await host.ledger.bought(now - DAY)),
            "found": len(found),
            "sheet": sheet,
            "sheets": sheets,
            "addresses": [
                await _address_row(host, policy, each, pauses=pauses, now=now, newest=newest) for policy, each in shown
            ],
            "policies": [await _policy_row(host, policy, now) for policy in _policies_of(shown)],
            "decisions": [_decision_row(decision) for decision in await host.past.changes(now, newest)],
            "pauses": [rows.pause_row(pause) for pause in pauses],
            "alerts": [_alert_row(*standing) for standing in await host.ledger.standing_alerts()],
        }
    )


# --- which addresses ------------------------------------------------------------------------------------------------


def _is_wanted(host: Host, policy: Policy, watched: WatchedAddress, wanted: OverviewQuery) -> bool:
    if wanted.attention and not _needs_attention(host, watched.address):
        return False
    named = f"{watched.address} {watched.label} {policy.name}".casefold()
    return wanted.find.strip().casefold() in named


def _needs_attention(host: Host, address: str) -> bool:
    """It is short of energy or of cycles and buys none, or one of the two is not known."""
    rental, cycles = host.engine.latest.get(address), host.engine.hosting.latest.get(address)
    is_short = rental is not None and bool(rental.gap) and not _buys(rental)
    is_unknown = rental is not None and rental.available is None
    return is_short or is_unknown or (cycles is not None and not _buys(cycles) and cycles.reason not in ROUTINE)


def _policies_of(shown: Iterable[tuple[Policy, WatchedAddress]]) -> list[Policy]:
    return list({policy.name: policy for policy, _ in shown}.values())


# --- rows -----------------------------------------------------------------------------------------------------------


def _totals(host: Host, watched: list[tuple[Policy, WatchedAddress]], bought: Bought) -> dict[str, Any]:
    prices, funds = host.engine.known.prices, host.engine.known.funds
    runway = DAY * (funds.balance_sun / bought.sun) if funds and bought.sun else None
    return {
        "addresses": len(watched),
        "need_attention": sum(_needs_attention(host, each.address) for _, each in watched),
        "spent_day_sun": bought.sun,
        "rentals_day_sun": bought.rentals_sun,
        "rented_day": bought.energy,
        "burning_day_sun": None if prices.burn_sun is None else units.cost_sun(bought.energy, prices.burn_sun),
        "rent_price_sun": prices.rent_sun,
        "burn_price_sun": prices.burn_sun,
        "cycle_price_sun": prices.cycle_sun,
        "balance_sun": funds.balance_sun if funds else None,
        "balance_read_at": funds.read_at if funds else None,
        "runway_seconds": None if runway is None else int(runway.total_seconds()),
    }


async def _policy_row(host: Host, policy: Policy, now: datetime) -> dict[str, Any]:
    budget = policy.limits
    return {
        "policy": policy.name,
        "is_observed": policy.mode == "observe",
        "spent_hour_sun": await host.ledger.spent(policy.name, now - HOUR),
        "spent_day_sun": await host.ledger.spent(policy.name, now - DAY),
        "budget_hour_sun": budget.per_hour if budget else None,
        "budget_day_sun": budget.per_day if budget else None,
    }


async def _address_row(
    host: Host, policy: Policy, watched: WatchedAddress, *, pauses: Iterable[Pause], now: datetime, newest: int
) -> dict[str, Any]:
    address, drawn = watched.address, _drawn(policy)
    latest = host.engine.latest.get(address)
    levels = await host.past.levels(address, drawn, now, newest)
    reading = host.engine.readings.get(address)
    orders = await host.ledger.orders(address=address, since=now - DAY - RENTAL_TIME)
    paused = next((each for each in pauses if _concerns(each, policy, address)), None)
    return {
        "address": address,
        "label": watched.label or None,
        "policy": policy.name,
        "floor": policy.energy.floor if policy.energy else None,
        "target": policy.energy.rent_up_to if policy.energy else None,
        "needs_attention": _needs_attention(host, address),
        "available": latest.available if latest else reading.available if reading else None,
        "in_flight": latest.in_flight if latest else None,
        "demand": latest.demand if latest else None,
        "gap": latest.gap if latest else None,
        "decision": _decision_row(latest) if latest else None,
        "cycles": _cycles_row(host, policy, address),
        "paused": rows.pause_row(paused) if paused else None,
        "drawn": "cycles" if drawn.kind is OrderKind.CYCLES else "energy",
        "lowest": levels.lowest,
        "unread": levels.unread,
        "below": levels.below,
        "orders": [_order_row(order) for order in orders if order.state not in NEVER_CHARGED],
        "calls": [_call_row(call) for call in await _calls(host, policy, watched, now)],
    }


def _drawn(policy: Policy) -> Drawn:
    """Energy, or, where only cycles are seen to, those."""
    rule, hosted = policy.energy, policy.host_mode
    if rule is None and hosted is not None and not policy.planned_calls:
        return Drawn(OrderKind.CYCLES, hosted.min_cycles, hosted.check_every)
    if rule is None:
        return Drawn(OrderKind.RENTAL, None, WITHOUT_FLOOR_EVERY)
    return Drawn(OrderKind.RENTAL, rule.floor, rule.check_every)


def _alert_row(alert: Alert, since: datetime) -> dict[str, Any]:
    (row,) = rows.alert_rows([(alert, since)])
    return row | {"todo": ALERTS[alert.name].todo}


def _concerns(pause: Pause, policy: Policy, address: str) -> bool:
    return pause.policy in (None, policy.name) and pause.address in (None, address)


def _cycles_row(host: Host, policy: Policy, address: str) -> dict[str, Any] | None:
    if policy.host_mode is None:
        return None
    cycles: Cycles | None = host.engine.hosting.counted().get(address)
    latest = host.engine.hosting.latest.get(address)
    return {
        "known": str(cycles.known) if cycles else "unknown",
        "remaining": cycles.remaining if cycles else None,
        "min_cycles": policy.host_mode.min_cycles,
        "min_left": policy.host_mode.min_left,
        "top_up_to": policy.host_mode.top_up_to,
        "read_at": cycles.read_at if cycles else None,
        "decision": _decision_row(latest) if latest else None,
    }


def _decision_row(decision: Decision) -> dict[str, Any]:
    is_about_cycles = decision.kind is OrderKind.CYCLES
    return {
        "at": decision.at,
        "address": decision.address,
        "policy": decision.policy,
        "kind": str(decision.kind),
        "action": str(decision.action),
        "reason": str(decision.reason),
        "sentence": decision.detail or REASONS[decision.reason].text,
        "bought": (decision.cycles if is_about_cycles else decision.energy) if _buys(decision) else None,
        "cost_sun": decision.cost_sun if _buys(decision) else None,
    }


def _buys(decision: Decision) -> bool:
    return decision.action is not Action.HOLD


def _order_row(order: Order) -> dict[str, Any]:
    return {
        "kind": str(order.kind),
        "state": str(order.state),
        "energy": order.energy,
        "cycles": order.cycles,
        "cost_sun": order.cost_max_sun if order.cost_sun is None else order.cost_sun,
        "is_charged": order.cost_sun is not None,
        "from_at": order.sent_at or order.intended_at,
        "until_at": order.until_at if order.kind is OrderKind.RENTAL else None,
    }


async def _calls(host: Host, policy: Policy, watched: WatchedAddress, now: datetime) -> list[Call]:
    """Those of the last day and those that come, with the next one of each rule of the policy."""
    written = await host.ledger.calls(address=watched.address, since=now - DAY)
    for_this_one = policy.model_copy(update={"addresses": (watched,)})
    ahead = coming([for_this_one], {call.call_id for call in written}, now)
    return sorted((*written, *ahead), key=lambda call: (call.at, call.call_id))


def _call_row(call: Call) -> dict[str, Any]:
    return {
        "call": call.name,
        "state": str(CallState.MISSED if _was_missed(call) else call.state),
        "energy": call.energy,
        "needed_by": call.needed_by,
        "at": call.at,
        "until_at": call.until,
        "covered_at": call.covered_at,
    }


def _was_missed(call: Call) -> bool:
    return call.state is CallState.OVER and call.covered_at is None
