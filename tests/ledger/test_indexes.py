"""What a tick asks must not grow with the ledger: every question goes through an index."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import event

from energyd.core.order import Event
from energyd.ledger import Ledger
from energyd.model import OPEN, OrderKind, Reason

GROWING = ("orders", "order_events", "decisions")


@contextmanager
def asked(ledger: Ledger) -> Iterator[list[tuple[str, Any]]]:
    questions: list[tuple[str, Any]] = []

    def listen(_c: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        questions.append((statement, parameters))

    event.listen(ledger._engine, "before_cursor_execute", listen)
    yield questions
    event.remove(ledger._engine, "before_cursor_execute", listen)


def plans(ledger: Ledger, questions: list[tuple[str, Any]]) -> Iterator[str]:
    with ledger._engine.connect() as connection:  # type: ignore[union-attr] # a look inside
        for statement, parameters in questions:
            if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                yield from (f"{row[3]}: {statement}" for row in rows)


async def test_no_question_of_a_tick_walks_over_a_growing_table(story: Any) -> None:
    ledger, now = story.ledger, story.now
    with asked(ledger) as questions:
        await story.refuse(Reason.NO_FUNDS)
        order = await story.place()
        await ledger.record(order, Event.SEEN, now, netts_order_id="1H1")
        await ledger.memory(order.address, order.policy, now)
        await ledger.open_orders(order.address)
        await ledger.open_orders()
        await ledger.orders(states=OPEN)
        await ledger.lease(order.address, "north", now, now + timedelta(minutes=1))
        await ledger.note([story.decision()])
        await ledger.order_events(order.key)
        await ledger.latest_decisions()
        await ledger.decisions(address=order.address, limit=1)
        await ledger.forget(now)
        await ledger.forgive_refusals()
    assert len(questions) > 30
    walks = [plan for plan in plans(ledger, questions) if plan.startswith(tuple(f"SCAN {name}" for name in GROWING))]
    assert walks == []


async def test_one_addresss_history_is_not_walked_for_its_open_orders_and_rentals(story: Any) -> None:
    with asked(story.ledger) as questions:
        await story.ledger.open_orders("a")
        await story.ledger.memory("a", "p", story.now)
    used = "\n".join(plan.split(":")[0] for plan in plans(story.ledger, questions) if "orders " in plan)
    assert "SEARCH orders USING INDEX orders_by_state (state=? AND address=?)" in used
    assert "SEARCH orders USING INDEX orders_of_address (address=? AND sent_at>?)" in used
    assert "(address=?)\n" not in used.replace("SEARCH orders USING COVERING INDEX orders_of_address (address=?)", "")


async def test_what_the_page_asks_every_few_seconds_is_found_by_address_and_row(story: Any) -> None:
    ledger, now = story.ledger, story.now
    await ledger.note([story.decision() for _ in range(3)])
    with asked(ledger) as questions:
        newest = await ledger.newest_decision()
        after = await ledger.newest_decision(before=now)
        await ledger.looks("a", OrderKind.RENTAL, 65_000, after=after, until=newest, length=timedelta(minutes=6))
        await ledger.changes(after=after, until=newest, limit=30)
        await ledger.bought(now)
    used = [plan.split(":")[0] for plan in plans(ledger, questions)]
    assert "SEARCH decisions USING INDEX decisions_of_address (address=? AND id>? AND id<?)" in used
    assert "SEARCH decisions USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in used
    assert [plan for plan in used if plan.startswith("SCAN")] == []


async def test_the_few_orders_of_cycles_are_found_without_a_walk_over_the_rentals_of_their_address(story: Any) -> None:
    with asked(story.ledger) as questions:
        await story.ledger.cycles_mark("a")
        await story.ledger.memory("a", "p", story.now, OrderKind.CYCLES)
    used = {plan.split(":")[0] for plan in plans(story.ledger, questions)}
    assert "SEARCH orders USING INDEX orders_of_kind (address=? AND kind=?)" in used
    assert "SEARCH ok USING INDEX orders_of_kind (address=? AND kind=?)" in used
    assert not {step for step in used if step.startswith("SEARCH orders USING INDEX orders_of_address (address=?)")}
    assert not {step for step in used if step.startswith("SEARCH placed") and "events_of_address" in step}
