"""Host Mode cycles kept topped up: counted, ordered once for one shortfall, never on a count that is not certain."""

from typing import Any

from energyd.model import OrderKind, OrderState

from .stage import ALICE, Stage

CYCLE_SUN = 2_989_000
ORDER, STATUS = "time/order", "time/status"
ORDERS = "https://netts.sandbox/apiv2/time/order"
STATUSES = "https://netts.sandbox/apiv2/time/status"
RULE = {"min_cycles": 2, "top_up_to": 10, "check_every": "60s", "max_cycle_price": "4 TRX"}
RICH = {"per_order": "40 TRX", "per_hour": "120 TRX", "per_day": "400 TRX"}


def a_fleet(*watched: str, budget: object = None, mode: str | None = None, **rule: Any) -> dict[str, Any]:
    """A policy that tops cycles up; keywords change its `host_mode` part."""
    hosted = {name: value for name, value in (RULE | rule).items() if value is not None}
    own = {"policy": "fleet", "addresses": list(watched or (ALICE,)), "host_mode": hosted, "budget": budget or RICH}
    return own | ({"mode": mode} if mode else {})


def host(stage: Stage, address: str = ALICE, cycles: int = 0) -> None:
    """Put an address into Host Mode that never runs so low that a cycle is used."""
    hosted = stage.netts.host_mode.host(address)
    hosted.threshold, hosted.cycles = 0, cycles


def count(stage: Stage, address: str = ALICE) -> int:
    return stage.netts.host_mode.hosted[address].cycles


async def test_a_shortfall_is_ordered_once_and_seen_in_the_count(stage: Stage) -> None:
    host(stage, cycles=1)
    await stage.live(stage.build(a_fleet()), minutes=10)
    assert [(charge.kind, charge.amount) for charge in stage.charged()] == [("cycles", 9)]
    assert stage.names("order.") == ["order.intended", "order.sent", "order.placed"]
    assert len(stage.events("cycles.added")) == 1
    (order,) = await stage.kept_orders()
    assert (order.kind, order.state, order.cycles) == (OrderKind.CYCLES, OrderState.ADDED, 9)
    assert order.cost_sun == 9 * CYCLE_SUN
