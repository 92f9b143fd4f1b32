"""A ledger on each store, a story that can be told on it in a few words, and tests that may be coroutines."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from energyd.core.order import Event
from energyd.ledger import Ledger
from energyd.model import Action, Baseline, Decision, Order, OrderKind, OrderState, Reason
from energyd.policy import Budget

THEN = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
ALICE = "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE"
STORES = ("sqlite",)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@dataclass
class Story:
    """Decisions and orders with as few words as a test needs; `now` moves only when the test moves it."""

    ledger: Ledger
    now: datetime = THEN
    told: int = field(default=0)

    def decision(self, address: str = ALICE, **parts: Any) -> Decision:
        self.told += 1
        facts: dict[str, Any] = {"policy": "payouts", "action": Action.HOLD, "reason": Reason.ENOUGH, "at": self.now}
        return Decision(f"{self.ledger.host}-d{self.told}", address, **(facts | parts))

    def wish(self, address: str = ALICE, cost: int = 2_000_000, **parts: Any) -> tuple[Decision, Order]:
        decision = self.decision(address, action=Action.RENT, reason=Reason.BELOW_FLOOR)
        order = Order(
            key=f"{self.ledger.host}-o{self.told}",
            kind=OrderKind.RENTAL,
            address=address,
            policy=parts.pop("policy", decision.policy),
            decision_id=decision.decision_id,
            state=OrderState.INTENDED,
            cost_max_sun=cost,
            baseline=Baseline(self.now, balance_sun=50_000_000, asked_mark=0, heard_mark=0),
            host=self.ledger.host,
            intended_at=self.now,
            changed_at=self.now,
            energy=71_000,
        )
        order = replace(order, **parts)
        return replace(decision, policy=order.policy), order

    async def intend(
        self, address: str = ALICE, cost: int = 2_000_000, *, budget: Budget | None = None, **parts: Any
    ) -> Order:
        decision, order = self.wish(address, cost, **parts)
        await self.ledger.commit(decision, order, budget, self.now)
        return order

    async def send(self, *wish: Any, **parts: Any) -> Order:
        order = await self.intend(*wish, **parts)
        return (await self.ledger.mark_sending(order, self.now, 10.0, self.now + timedelta(seconds=10))).order

    async def place(self, *wish: Any, **parts: Any) -> Order:
        return await self.ledger.record(await self.send(*wish, **parts), Event.ACCEPTED, self.now)

    async def refuse(self, reason: Reason = Reason.REFUSED, *wish: Any, **said: Any) -> Order:
        return await self.ledger.record(await self.send(*wish), Event.REFUSED, self.now, reason=reason, **said)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "state" / "energyd.db"


@pytest.fixture(params=STORES)
def open_ledger(place: Path) -> Iterator[Callable[..., Ledger]]:
    """Opens the ledger at `place`; hosts that share it give `exclusive=False`."""
    opened = []

    def open_it(host: str = "north", **how: Any) -> Ledger:
        opened.append(Ledger.open(place, now=THEN, host=host, rng=Random(7), **how))
        return opened[-1]

    yield open_it
    for ledger in opened:
        ledger.cut()


@pytest.fixture
def ledger(open_ledger: Callable[..., Ledger]) -> Ledger:
    return open_ledger()


@pytest.fixture
def story(ledger: Ledger) -> Story:
    return Story(ledger)


@pytest.fixture
def tell() -> type[Story]:
    """For tests with a ledger of their own: `tell(ledger)`."""
    return Story
