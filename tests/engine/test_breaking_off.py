"""A tick that breaks off anywhere, and what the next daemon makes of it: one shortfall is never paid twice."""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from energyd.model import OrderState
from energyd.sandbox.wire import Fault

from .stage import ALICE, Stage, a_policy, a_stage

POLICY = a_policy(check_every="15s")
STEPS = 80
"""More than the times a tick that orders waits for something."""


@types.coroutine
def watched(work: Coroutine[Any, Any, Any], at_wake: Callable[[int], None]) -> Generator[Any, Any, int]:
    """Runs `work`, calls `at_wake` each time before it goes on, and says how many times it did.

    What `at_wake` raises is thrown into `work` where it waits, as a cancellation is.
    """
    error: BaseException | None = None
    for wake in count():
        try:
            at_wake(wake)
        except asyncio.CancelledError as cancelled:
            error = cancelled
        try:
            awaited = work.send(None) if error is None else work.throw(error)
        except (StopIteration, asyncio.CancelledError):
            return wake
        try:
            error = yield awaited
        except Exception as failed:  # noqa: BLE001 - whatever it is belongs to the work
            error = failed
    raise AssertionError


async def broken_off(work: Coroutine[Any, Any, Any], at: int) -> bool:
    """Runs `work` and cancels it when it wakes for the `at`-th time; False when it was done before that."""

    def cancel(wake: int) -> None:
        if wake == at:
            raise asyncio.CancelledError

    return await watched(work, cancel) >= at


async def _restarted(stage: Stage, minutes: float = 5) -> None:
    """The daemon's process is gone; another one works on the same ledger."""
    stage.crash()
    built = await stage.prepared()
    await stage.watch(built, minutes=minutes)


def _judge(stage: Stage, where: object) -> None:
    """Paid once, nothing on the way that is not written down, and nothing left open that could be settled."""
    written = {line["order_key"] for line in stage.events("order.intended")}
    assert len(stage.charged()) == 1, where
    assert {post.idempotency_key for post in stage.posts()} <= written, where
    assert stage.world.available(ALICE) >= 65_000, where


async def _first_tick_broken_off(stage: Stage, at: int) -> bool:
    built = await stage.prepared(POLICY)
    cut = await broken_off(built.engine.tick(ALICE), at)
    await _restarted(stage)
    return cut


def test_cancelled_whenever_it_wakes_the_first_tick_never_leads_to_a_second_charge(folder: Path) -> None:
    broken = []
    for at in range(1, STEPS):
        with a_stage(folder / str(at)) as stage:
            broken.append(stage.runner.run(_first_tick_broken_off(stage, at)))
            _judge(stage, at)
        if not broken[-1]:
            break
    assert not broken[-1], "the tick is longer than we looked"
    assert len(broken) >= 8


async def _first_tick_stopped_after(stage: Stage, seconds: float) -> None:
    built = await stage.prepared(POLICY)
    task = asyncio.create_task(built.engine.tick(ALICE))
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await _restarted(stage)


@pytest.mark.parametrize("seconds", [tenth / 20 for tenth in range(0, 16, 2)])
async def test_cancelled_at_any_time_the_first_tick_never_leads_to_a_second_charge(
    stage: Stage, seconds: float
) -> None:
    await _first_tick_stopped_after(stage, seconds)
    _judge(stage, seconds)


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.LOST_REQUEST, Fault.LATE_REQUEST])
@pytest.mark.parametrize("restart_after", [1, 12, 40, 100])
async def test_a_restart_while_an_order_is_unresolved_never_leads_to_a_second_charge(
    stage: Stage, fault: Fault, restart_after: float
) -> None:
    built = await stage.prepared(POLICY)
    stage.wire.disturb(fault, where="https://netts.sandbox/apiv2/order1h", count=1, late_seconds=(30, 50))
    task = asyncio.create_task(stage.watch(built, minutes=10))
    await asyncio.sleep(restart_after)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await _restarted(stage, minutes=6)
    _judge(stage, restart_after)


@pytest.mark.parametrize("after", [0.3, 0.9, 1.1, 1.3, 2.0, 4.0])
async def test_a_daemon_that_is_cancelled_leaves_a_ledger_on_which_the_next_one_goes_on(
    stage: Stage, after: float
) -> None:
    built = stage.build(POLICY)
    task = stage.begin(built)
    await asyncio.sleep(after)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await stage.live(stage.build(), minutes=5)
    _judge(stage, after)
    assert stage.events("fault") == []


# --- a ledger that fails --------------------------------------------------------------------------------------------

FAILURES = {
    "the disk is full": ("max_page_count = 1", "max_page_count = 1000000"),
    "it cannot be written": ("query_only = 1", "query_only = 0"),
}


def _pragma(stage: Stage, text: str) -> None:
    """Set on the daemon's own connection."""
    stage.ledgers[-1]._transaction(lambda connection: connection.exec_driver_sql(f"PRAGMA {text}"), writing=False)


async def _tick_with_a_ledger_that_fails(stage: Stage, failure: str, at: int) -> bool:
    """From the `at`-th wake of the first tick on the ledger takes nothing; after half a minute it is well again."""
    begin, end = FAILURES[failure]
    built = await stage.prepared(POLICY)

    def fail(wake: int) -> None:
        if wake == at:
            _pragma(stage, begin)

    wakes = await watched(built._look(ALICE), fail)
    await stage.sleep(30)
    _pragma(stage, end)
    await stage.watch(built, minutes=5)
    return wakes >= at


@pytest.mark.parametrize("failure", FAILURES)
def test_a_ledger_that_fails_at_any_step_never_lets_anything_out_unwritten(folder: Path, failure: str) -> None:
    for at in range(1, STEPS, 2):
        with a_stage(folder / str(at)) as stage:
            more = stage.runner.run(_tick_with_a_ledger_that_fails(stage, failure, at))
            _judge(stage, at)
            assert stage.events("fault") == [], at
        if not more:
            return
    pytest.fail("the tick is longer than we looked")


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_ledger_that_fails_orders_nothing_raises_one_alert_and_recovers(stage: Stage, failure: str) -> None:
    begin, end = FAILURES[failure]
    built = stage.build(a_policy(check_every="3s"))  # decisions fill the pages that are left
    _pragma(stage, begin)
    task = stage.begin(built)
    await stage.sleep(300)
    assert {post.idempotency_key for post in stage.posts()} <= {order.key for order in await stage.kept_orders()}
    assert len(stage.events("alert.raised", alert="ledger_failed")) == 1
    assert stage.events("alert.cleared") == []
    _pragma(stage, end)
    await stage.sleep(120)
    built.stop()
    await task
    assert len(stage.charged()) == 1
    assert len(stage.events("alert.raised", alert="ledger_failed")) == 1
    assert len(stage.events("alert.cleared", alert="ledger_failed")) == 1


async def test_a_connection_to_the_ledger_that_is_lost_stops_orders_and_not_the_daemon(stage: Stage) -> None:
    built = stage.build(POLICY)
    task = stage.begin(built)
    await stage.sleep(60)
    stage.crash()
    stage.world.use(ALICE, 60_000)
    await stage.sleep(300)
    assert not task.done()
    assert len(stage.posts()) == 1
    assert len(stage.events("alert.raised", alert="ledger_failed")) == 1
    assert stage.events("alert.cleared") == []
    built.stop()
    await task
    assert stage.names("daemon.")[-1] == "daemon.stopped"


async def test_orders_that_stand_keep_their_alerts_while_the_ledger_cannot_be_read(stage: Stage) -> None:
    stage.netts.terms.delivers = False
    built = stage.build(POLICY)
    task = stage.begin(built)
    await stage.sleep(90)
    assert len(stage.events("alert.raised", alert="delivery_late")) == 1
    stage.crash()
    await stage.sleep(60)
    assert stage.events("alert.cleared") == []
    built.stop()
    await task


async def test_decisions_that_could_not_be_written_are_written_when_the_ledger_is_well_again(stage: Stage) -> None:
    built = await stage.prepared(a_policy(keep="never"))
    await built.engine.tick(ALICE)
    _pragma(stage, "query_only = 1")
    await built._write_down()
    assert built._ledger_error
    _pragma(stage, "query_only = 0")
    await built._write_down()
    assert built._ledger_error is None
    assert len(await stage.ledgers[-1].decisions()) == 1


async def test_a_late_order_that_was_left_open_is_carried_on_by_the_next_daemon(stage: Stage) -> None:
    built = await stage.prepared(POLICY)
    await built.engine.tick(ALICE)
    stage.crash()
    await stage.sleep(4000)
    built = await stage.prepared()
    await built.engine.tick(ALICE)
    orders = await stage.ledgers[-1].orders()
    assert orders[-1].state is OrderState.UNDELIVERED
    assert len(stage.charged()) == 2


async def test_a_look_that_began_long_before_an_order_does_not_shorten_its_longest_flight(stage: Stage) -> None:
    """As of a host that froze in its look, while another one took over, ordered, and died."""
    stage.wire.disturb(Fault.LATE_REQUEST, where="https://netts.sandbox/apiv2/order1h", count=1, late_seconds=(70, 70))
    built = await stage.prepared(POLICY)
    frozen = await built.engine._look(ALICE, None)
    await stage.sleep(200)
    task = asyncio.create_task(built.engine.tick(ALICE))
    await stage.sleep(5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await built.engine._orders.carry_on(ALICE, frozen)
    await stage.watch(built, minutes=6)
    _judge(stage, "")
