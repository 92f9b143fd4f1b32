"""A plan is held against what the daemon then does, when nobody else uses energy and nothing goes wrong."""

from dataclasses import replace
from datetime import timedelta

import pytest

from energyd.core.plan import calls_until, roll
from energyd.daemon import Daemon
from energyd.model import Action, Decision, Reading
from energyd.units import cost_sun

from .stage import ALICE, Stage, a_policy

HOURS = 4
PAYROLL = {"name": "payroll", "at": "2026-01-05T02:30:00Z", "lead": "5m", "hold": "10m", "energy": 65_000, "count": 3}


@pytest.mark.parametrize(
    "policy",
    [
        a_policy(),
        a_policy(target=131_000),
        a_policy(budget={"per_order": "3 TRX", "per_hour": "3 TRX", "per_day": "5 TRX"}),
        a_policy(target=131_000) | {"planned_calls": [PAYROLL]},
        a_policy(keep="never") | {"planned_calls": [PAYROLL | {"lead": "80m"}]},
        a_policy(keep=[{"days": "mon-fri", "from": "01:00", "to": "03:00"}]),
    ],
    ids=["floor", "target", "budget", "payroll", "long-lead", "window"],
)
async def test_the_daemon_does_what_was_planned(stage: Stage, policy: dict[str, object]) -> None:
    built = await stage.prepared(policy)
    stage.netts.prices.set_price(20)
    planned = await _plan(stage, built)
    stage.crash()
    if "planned_calls" in policy:
        stage.world.plan_use(stage.loop.epoch + timedelta(hours=2, minutes=30), ALICE, 195_000)
    await stage.live(stage.build(), hours=HOURS)
    done = [charge for charge in reversed(stage.charged()) if charge.kind == "order1h"]
    done.sort(key=lambda charge: charge.at)
    assert len(planned) == len(done)
    for decision, charge in zip(planned, done, strict=True):
        assert abs(decision.at - charge.at) <= timedelta(minutes=2)
        assert abs((decision.energy or 0) - charge.amount) <= 200
    assert planned[0].cost_sun == cost_sun(planned[0].energy or 0, planned[0].price_sun or 0)


async def _plan(stage: Stage, built: Daemon) -> list[Decision]:
    now = stage.loop.now()
    until = now + timedelta(hours=HOURS)
    policy = built.engine.policies[ALICE]
    reading = await built._chain.reading(ALICE)
    assert isinstance(reading, Reading)
    situation = await built.engine._situation(policy, ALICE, reading)
    calls = calls_until(policy, ALICE, (), now=now, until=until)
    start = replace(situation, memory=replace(situation.memory, calls=tuple(calls)))
    return [each for each in roll([start], {}, until) if each.action is Action.RENT]
