"""Budgets over any history: what a policy has spent in any window is never above its limit, whatever the clock does."""

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from energyd.core.order import Event
from energyd.errors import Conflict, OverBudget
from energyd.ledger import Ledger
from energyd.model import Action, Baseline, Decision, Order, OrderKind, OrderState, Reason
from energyd.policy import Budget

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LIMITS = {HOUR: 60, DAY: 150}
BUDGET = Budget.model_validate({"per_order": "40 sun", "per_hour": "60 sun", "per_day": "150 sun"})
POLICIES = st.sampled_from(["p", "q"])
ADDRESSES = st.sampled_from(["a", "b", "c", "d"])
STEPS = st.sampled_from(
    [timedelta(seconds=1), timedelta(minutes=7), timedelta(minutes=59), HOUR, DAY, -timedelta(minutes=20), -2 * HOUR]
)


@dataclass
class Entry:
    """One order in books that are kept by hand, beside the ledger."""

    order: Order
    at: datetime
    counts: bool = True
    cost: int = 0


class Spending(RuleBasedStateMachine):
    sent = Bundle("sent")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.now = datetime(2026, 11, 21, tzinfo=UTC)
        path = Path(self.folder.name) / "energyd.db"
        self.ledgers = [
            Ledger.open(path, now=self.now, host=host, rng=Random(1), exclusive=False) for host in ("north", "south")
        ]
        self.books: dict[str, Entry] = {}

    def teardown(self) -> None:
        for ledger in self.ledgers:
            self.runner.run(ledger.close())
        self.runner.close()
        self.folder.cleanup()

    def spent(self, policy: str, after: datetime, until: datetime | None = None) -> int:
        return sum(
            entry.cost
            for entry in self.books.values()
            if entry.order.policy == policy
            and entry.counts
            and entry.at > after
            and (until is None or entry.at <= until)
        )

    @rule(step=STEPS)
    def time_passes(self, step: timedelta) -> None:
        self.now += step

    @rule(target=sent, policy=POLICIES, address=ADDRESSES, cost=st.integers(1, 45), host=st.sampled_from([0, 1]))
    def buy(self, policy: str, address: str, cost: int, host: int) -> object:
        name = f"{len(self.books)}"
        decision = Decision(f"d{name}", address, policy, self.now, Action.RENT, Reason.BELOW_FLOOR)
        order = Order(
            f"o{name}",
            OrderKind.RENTAL,
            address,
            policy,
            decision.decision_id,
            OrderState.INTENDED,
            cost,
            Baseline(self.now),
            f"host{host}",
            self.now,
            self.now,
            energy=1,
        )
        fits = cost <= BUDGET.per_order and all(
            self.spent(policy, self.now - window) + cost <= limit for window, limit in LIMITS.items()
        )
        busy = bool(self.runner.run(self.ledgers[0].memory(address, policy, self.now)).unsettled)
        try:
            self.runner.run(self.ledgers[host].commit(decision, order, BUDGET, self.now))
        except OverBudget:
            assert not fits
            return multiple()
        except Conflict:
            assert busy
            return multiple()
        assert fits
        assert not busy
        marked = self.runner.run(self.ledgers[host].mark_sending(order, self.now, 0.0, self.now))
        self.books[order.key] = Entry(marked.order, self.now, cost=cost)
        return order.key

    @rule(key=consumes(sent), share=st.integers(0, 4), first=st.sampled_from([None, Event.UNCLEAR]))
    def it_was_placed(self, key: str, share: int, first: Event | None) -> None:
        entry = self.books[key]
        charge = entry.order.cost_max_sun * share // 3 if share < 4 else None
        if charge is not None:
            charge = min(charge, entry.order.cost_max_sun)
        if first is not None:
            entry.order = self.record(entry, first)
        entry.order = self.record(entry, Event.ACCEPTED, cost_sun=charge)
        entry.cost = entry.order.cost_max_sun if charge is None else charge

    @rule(key=consumes(sent), event=st.sampled_from([Event.REFUSED, Event.SHOWN_NOT_PLACED]))
    def it_never_happened(self, key: str, event: Event) -> None:
        entry = self.books[key]
        if event is Event.SHOWN_NOT_PLACED:
            entry.order = self.record(entry, Event.INTERRUPTED)
        entry.order = self.record(entry, event)
        entry.counts = False

    def record(self, entry: Entry, event: Event, cost_sun: int | None = None) -> Order:
        return self.runner.run(self.ledgers[1].record(entry.order, event, self.now, cost_sun=cost_sun))

    @invariant()
    def what_is_remembered_is_what_was_spent(self) -> None:
        for policy in ("p", "q"):
            memory = self.runner.run(self.ledgers[0].memory("a", policy, self.now))
            assert memory.spent_hour_sun == self.spent(policy, self.now - HOUR)
            assert memory.spent_day_sun == self.spent(policy, self.now - DAY)

    @invariant()
    def an_order_books_what_its_own_words_say(self) -> None:
        assert all(entry.order.booked_sun == (entry.cost if entry.counts else 0) for entry in self.books.values())

    @invariant()
    def no_window_is_above_its_limit(self) -> None:
        for entry in self.books.values():
            for window, limit in LIMITS.items():
                assert self.spent(entry.order.policy, entry.at - window, entry.at) <= limit


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
