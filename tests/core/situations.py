"""Small builders: a policy, a reading, an order, a situation; a test names only the figures that it is about."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from energyd.model import (
    Baseline,
    Funds,
    Memory,
    Mode,
    Order,
    OrderKind,
    OrderState,
    Prices,
    Reading,
    Situation,
)
from energyd.policy import Policy

ADDRESS = "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE"
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
TRX = 1_000_000


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def a_policy(budget: object = None, mode: str | None = None, **energy: Any) -> Policy:
    """The worked example: floor 65,000, target 131,000; keywords change the `energy` part."""
    rule = {"floor": 65_000, "target": 131_000, "max_price": "80% of burn"} | energy
    return Policy.model_validate(
        {
            "policy": "payouts",
            "addresses": [ADDRESS],
            "energy": rule,
            "mode": mode,
            "budget": budget or {"per_order": "15 TRX", "per_hour": "60 TRX", "per_day": "400 TRX"},
        }
    )


def a_reading(limit: int = 60_000, used: int = 0, at: datetime = NOW, last_used_at: datetime | None = None) -> Reading:
    return Reading(ADDRESS, limit, used, at, at, "node", last_used_at)


PRICES = Prices(rent_sun=30, burn_sun=100, rent_read_at=NOW, burn_read_at=NOW)


def a_situation(**changes: Any) -> Situation:
    plain = Situation(
        policy=a_policy(),
        address=ADDRESS,
        mode=Mode.LIVE,
        now=NOW,
        reading=a_reading(),
        prices=PRICES,
        funds=Funds(balance_sun=500 * TRX, read_at=NOW),
    )
    return replace(plain, **changes)


def an_order(
    energy: int | None = 65_000,
    state: OrderState = OrderState.PLACED,
    sent_at: datetime = NOW,
    baseline: int | None = 0,
    before: Sequence[Order] = (),
    **changes: Any,
) -> Order:
    """A rental sent at a moment, when the chain showed `baseline` as the energy limit and other rentals had come."""
    plain = Order(
        key=f"{sent_at:%d%H%M%S}-{energy}",
        kind=OrderKind.RENTAL,
        address=ADDRESS,
        policy="payouts",
        decision_id="d",
        state=state,
        cost_max_sun=(energy or 0) * 30,
        baseline=Baseline(sent_at, baseline, tuple(other.key for other in before)),
        host="host",
        intended_at=sent_at,
        changed_at=sent_at,
        energy=energy,
        sent_at=sent_at,
        delivered_at=sent_at + seconds(5) if state in (OrderState.DELIVERED, OrderState.EXPIRED) else None,
    )
    return replace(plain, **changes)


def remembering(*rentals: Order, **changes: Any) -> Memory:
    return Memory(rentals=rentals, **changes)
