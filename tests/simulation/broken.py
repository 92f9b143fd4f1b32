"""The daemon, broken on purpose: each variant leaves out one rule. The judges must catch every one of them.

A simulator that has never failed proves nothing. Each variant replaces one or two functions of the daemon while a
universe runs, and says in its docstring which belief of an ordinary program it stands for.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import inf
from typing import Any
from unittest.mock import patch

from sqlalchemy import delete

from energyd import orders
from energyd.chain import readings
from energyd.core import backoff, cycles, decide, evidence, order as life, supply
from energyd.core.order import Event, Record
from energyd.fields import PriceLimit
from energyd.ledger import queries, writes
from energyd.ledger.ledger import Ledger
from energyd.ledger.tables import leases
from energyd.model import CyclesKnown, Guard, Order, OrderState, Outcome, Reading, Reason, Refused, Sent, Unclear
from energyd.netts import answers, reads
from energyd.netts.client import Netts
from energyd.recall import Recall

BROKEN: dict[str, Callable[[], AbstractContextManager[None]]] = {}
FOR_EVER = datetime(2100, 1, 1, tzinfo=UTC)


def broken(variant: Callable[[], Iterator[None]]) -> Callable[[], Iterator[None]]:
    BROKEN[variant.__name__] = contextmanager(variant)
    return variant


def _instead(**places: tuple[Any, Any]) -> ExitStack:
    stack = ExitStack()
    for name, (where, new) in places.items():
        stack.enter_context(patch.object(where, name, new))
    return stack


@broken
def orders_again_after_a_timeout() -> Iterator[None]:
    """A request without an answer is sent again at once."""
    first = Netts.order

    async def order(self: Netts, sent: Sent) -> Outcome:
        outcome = await first(self, sent)
        if isinstance(outcome, Unclear):
            outcome = await first(self, replace(sent, good_until=inf, wall_good_until=FOR_EVER))
        return outcome

    with _instead(order=(Netts, order)):
        yield


@broken
def books_an_unclear_order_as_failed() -> Iterator[None]:
    """No answer means no order."""
    take = orders.Orders._take

    async def take_it(self: orders.Orders, order: Order, outcome: Outcome) -> Order:
        if isinstance(outcome, Unclear):
            outcome = Refused(Reason.REFUSED, outcome.why, outcome.http_status)
        return await take(self, order, outcome)

    with _instead(_take=(orders.Orders, take_it)):
        yield


@broken
def believes_not_placed_at_once() -> Iterator[None]:
    """What cannot be seen now did not happen."""
    with _instead(longest_flight=(life, lambda _: timedelta(0))):
        yield


@broken
def waits_on_the_wall_clock() -> Iterator[None]:
    """The longest flight is counted from another host's time stamp."""
    judge = orders.Orders._judge

    async def judged(self: orders.Orders, order: Order, seen: Any) -> Any:
        waited = (self._now() - (order.sent_at or order.intended_at)).total_seconds()
        self._unresolved_since[order.key] = asyncio.get_running_loop().time() - waited
        return await judge(self, order, seen)

    with _instead(_judge=(orders.Orders, judged)):
        yield


@broken
def no_end_to_the_mark_of_sending() -> Iterator[None]:
    """What was marked as being sent is sent, however much later."""
    mark = Ledger.mark_sending

    async def marked(self: Ledger, *arguments: Any) -> Sent:
        return replace(await mark(self, *arguments), good_until=inf, wall_good_until=FOR_EVER)

    with _instead(mark_sending=(Ledger, marked)):
        yield


@broken
def budget_only_before_the_intent() -> Iterator[None]:
    """The guard has looked; nobody else can have spent since."""
    with _instead(_keep_within=(writes, lambda _connection, _order, _budget: None)):
        yield


@broken
def an_interrupted_order_never_left() -> Iterator[None]:
    """The process died before it heard an answer, so there was none."""
    step = life.next_step

    def next_step(order: Order, now: datetime) -> Any:
        return Record(Event.REFUSED) if order.state is OrderState.SENT else step(order, now)

    with _instead(next_step=(life, next_step)):
        yield


@broken
def total_instead_of_rise() -> Iterator[None]:
    """There is as much energy as was ordered, so the order was placed."""

    def arrived(order: Order, reading: Reading, _rentals: Sequence[Order]) -> int:
        return min(reading.energy_limit, order.energy or 0)

    with _instead(arrived=(supply, arrived)):
        yield


@broken
def what_is_on_its_way_does_not_count() -> Iterator[None]:
    """Only what is on chain is there."""

    def on_chain(_reading: Reading, rentals: Sequence[Order]) -> dict[Order, int]:
        running = (OrderState.DELIVERED, OrderState.PLACED)
        return {order: order.energy or 0 for order in rentals if order.state in running}

    with _instead(on_chain=(supply, on_chain)):
        yield


@broken
def an_empty_answer_is_no_energy() -> Iterator[None]:
    """What is missing in a node's answer is zero."""
    read = readings.read_energy

    def read_energy(body: Any) -> Any:
        return read(body) if body else readings.Energy(0, 0)

    with _instead(read_energy=(readings, read_energy)):
        yield


@broken
def no_referee() -> Iterator[None]:
    """Two hosts agree without a lease and without the index of unsettled orders."""
    intend = writes.intend

    def intended(connection: Any, *arguments: Any) -> None:
        connection.exec_driver_sql("DROP INDEX IF EXISTS one_unsettled_order")
        intend(connection, *arguments)

    async def lease(*_: Any) -> bool:
        return True

    with _instead(intend=(writes, intended), lease=(Ledger, lease)):
        yield


@broken
def buys_on_what_it_saw_before_it_froze() -> Iterator[None]:
    """Nobody else works while we stand still."""
    intend = writes.intend

    def intended(connection: Any, decision: Any, order: Order, *arguments: Any) -> None:
        connection.execute(delete(leases).where(leases.c.address == order.address))
        intend(connection, decision, order, *arguments)

    with _instead(intend=(writes, intended), INTENT_GOOD_FOR=(life, timedelta(days=1))):
        yield


@broken
def sends_what_it_wanted_before_it_froze() -> Iterator[None]:
    """What was decided is still wanted."""
    with _instead(INTENT_GOOD_FOR=(life, timedelta(days=1))):
        yield


@broken
def a_new_key_for_each_try() -> Iterator[None]:
    """A server error is tried again, as a new request with a key of its own."""
    first = Netts.order

    async def order(self: Netts, sent: Sent) -> Outcome:
        outcome = await first(self, sent)
        if isinstance(outcome, Unclear) and (outcome.http_status or 0) >= 500:
            again = replace(sent.order, key=sent.order.key[::-1])
            outcome = await first(self, replace(sent, order=again, good_until=inf, wall_good_until=FOR_EVER))
        return outcome

    with _instead(order=(Netts, order)):
        yield


@broken
def sends_before_it_marks() -> Iterator[None]:
    """The mark of sending is written when the order has been sent."""
    mark = Ledger.mark_sending

    async def send(self: orders.Orders, order: Order, buyer: orders.Buyer) -> Order:
        outcome = await buyer.order(Sent(order, inf, FOR_EVER))
        sent = await mark(self._ledger, order, self._now(), inf, FOR_EVER)
        return await self._take(sent.order, outcome)

    with _instead(send=(orders.Orders, send)):
        yield


@broken
def what_is_unclear_costs_nothing() -> Iterator[None]:
    """Only what was certainly bought counts in the budget."""
    spent, unsettled = queries.spent, "SELECT coalesce(sum(cost_max_sun), 0) FROM orders WHERE policy = ? AND state IN "

    def spent_for_sure(connection: Any, policy: str, since: datetime) -> int:
        open_sun = connection.exec_driver_sql(unsettled + "('sent', 'unresolved')", (policy,)).scalar()
        return max(spent(connection, policy, since) - int(open_sun), 0)

    with _instead(spent=(queries, spent_for_sure)):
        yield


@broken
def a_server_error_is_a_refusal() -> Iterator[None]:
    """HTTP 5xx: it did not work."""
    read = answers.order_outcome

    def order_outcome(kind: Any, http_status: int, *arguments: Any, **more: Any) -> Outcome:
        outcome = read(kind, http_status, *arguments, **more)
        return Refused(Reason.REFUSED, "it failed", http_status) if http_status >= 500 else outcome

    with _instead(order_outcome=(answers, order_outcome)):
        yield


@broken
def a_repeated_answer_is_a_refusal() -> Iterator[None]:
    """HTTP 208: there is no new order."""
    read = answers.order_outcome

    def order_outcome(kind: Any, http_status: int, *arguments: Any, **more: Any) -> Outcome:
        outcome = read(kind, http_status, *arguments, **more)
        return Refused(Reason.REFUSED, "it was there already", http_status) if http_status == 208 else outcome

    with _instead(order_outcome=(answers, order_outcome)):
        yield


@broken
def before_is_what_is_there_now() -> Iterator[None]:
    """The world before an order is looked at when its answer is missing."""
    judge = evidence.judge

    def judged(order: Order, after: Any, *arguments: Any) -> Any:
        limit = after.reading.energy_limit if after.reading else None
        total = after.funds.spent_total_sun if after.funds else None
        before = replace(order.baseline, energy_limit=limit, spent_total_sun=total)
        return judge(replace(order, baseline=before), after, *arguments)

    with _instead(judge=(evidence, judged)):
        yield


@broken
def no_cooldown() -> Iterator[None]:
    """A process that has just started has bought nothing yet."""
    memory = Ledger.memory

    async def forgetful(self: Ledger, *arguments: Any) -> Any:
        return replace(await memory(self, *arguments), last_order_at=None)

    with _instead(memory=(Ledger, forgetful)):
        yield


@broken
def nobody_is_paused() -> Iterator[None]:
    """A pause is for those who look."""
    memory = Ledger.memory

    async def forgetful(self: Ledger, *arguments: Any) -> Any:
        return replace(await memory(self, *arguments), pauses=())

    with _instead(memory=(Ledger, forgetful)):
        yield


@broken
def any_price_is_right() -> Iterator[None]:
    """Energy is needed, so it is bought."""
    with _instead(in_sun=(PriceLimit, lambda *_: Decimal(10**9)), known_burn_price=(decide, lambda _: None)):
        yield


@broken
def cycles_on_their_way_do_not_count() -> Iterator[None]:
    """What the count does not show was not ordered."""
    with _instead(_missing=(cycles, lambda *_: 0)):
        yield


@broken
def an_unreadable_count_is_zero() -> Iterator[None]:
    """No count, no cycles."""
    read = reads.cycles

    def counted(pages: Any, address: str, read_at: datetime) -> Any:
        found = read(pages, address, read_at)
        if found.known is CyclesKnown.UNKNOWN:
            found = replace(found, known=CyclesKnown.COUNTED, remaining=0, key="cycles_remaining")
        return found

    with _instead(cycles=(reads, counted)):
        yield


@broken
def trusts_any_ledger() -> Iterator[None]:
    """What the ledger does not know did not happen."""

    async def hold(*_: Any) -> None: ...

    with _instead(_hold=(Recall, hold)):
        yield


@broken
def tries_at_every_look() -> Iterator[None]:
    """A refusal is asked about again with the next tick."""
    with _instead(guard=(backoff, lambda *_: Guard(Reason.REFUSED, passed=True))):
        yield


@broken
def books_the_quote() -> Iterator[None]:
    """What was quoted is what was charged."""
    take = orders.Orders._take

    async def take_it(self: orders.Orders, order: Order, outcome: Outcome) -> Order:
        if hasattr(outcome, "cost_sun"):
            outcome = replace(outcome, cost_sun=order.cost_max_sun)
        return await take(self, order, outcome)

    with _instead(_take=(orders.Orders, take_it)):
        yield
