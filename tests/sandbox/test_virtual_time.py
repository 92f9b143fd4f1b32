"""Hours pass at once, in the same order each time, and nothing hangs."""

import asyncio
import contextlib
import os
import signal
import sqlite3
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import apscheduler.schedulers.base
import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from hypothesis import given, strategies as st

from energyd.sandbox import virtual_time
from energyd.sandbox.virtual_time import CLOCK_READERS, HostClock, Stuck, VirtualLoop, apscheduler_on

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)
DAY = 86_400.0


def run(main: Callable[[VirtualLoop], Coroutine[Any, Any, Any]], **options: Any) -> Any:
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(EPOCH, **options)) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        complaints: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        result = runner.run(main(loop))
    assert complaints == []
    return result


def test_a_year_of_sleep_passes_at_once_and_ends_at_the_exact_second() -> None:
    async def main(loop: VirtualLoop) -> tuple[float, datetime]:
        await asyncio.sleep(365 * DAY)
        return loop.time(), loop.now()

    assert run(main) == (365 * DAY, EPOCH + timedelta(days=365))


@given(st.lists(st.floats(0, 400 * DAY), min_size=1, max_size=20))
def test_every_timer_fires_in_order_and_never_early(delays: list[float]) -> None:
    async def main(loop: VirtualLoop) -> list[tuple[float, float]]:
        fired: list[tuple[float, float]] = []
        for delay in delays:
            loop.call_later(delay, lambda due=delay: fired.append((due, loop.time())))
        await asyncio.sleep(500 * DAY)
        return fired

    fired = run(main)
    assert [due for due, _ in fired] == sorted(delays)
    assert all(at == due for due, at in fired)


@given(st.floats(0, 1e9), st.floats(1e-12, 1e4))
def test_sleeping_out_the_rest_of_a_wait_always_comes_to_an_end(start: float, rest: float) -> None:
    async def main(loop: VirtualLoop) -> int:
        loop.leap(start)
        deadline, turns = loop.time() + rest, 0
        while loop.time() < deadline:
            await asyncio.sleep(deadline - loop.time())
            turns += 1
        return turns

    assert run(main) <= 2


def test_a_timer_due_now_runs_even_after_centuries() -> None:
    async def main(loop: VirtualLoop) -> None:
        loop.leap(1e10)
        due = asyncio.Event()
        loop.call_later(0, due.set)
        await due.wait()

    run(main)


def test_gather_timeout_and_cancellation_keep_virtual_time() -> None:
    async def main(loop: VirtualLoop) -> list[float]:
        async def give_up(after: float) -> float:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(after):
                    await loop.create_future()
            return loop.time()

        cancelled = asyncio.ensure_future(asyncio.sleep(DAY))
        loop.call_later(5, cancelled.cancel)
        times = await asyncio.gather(give_up(30), give_up(3600), give_up(0.25))
        assert cancelled.cancelled()
        return times

    assert run(main) == [30.0, 3600.0, 0.25]


def test_a_deadlock_is_an_error_that_names_who_waits_and_the_loop_still_closes_tidily() -> None:
    tidied = []

    async def main(loop: VirtualLoop) -> None:
        asyncio.current_task().set_name("the one that waits")
        try:
            await loop.create_future()
        finally:
            tidied.append(True)

    with pytest.raises(Stuck, match="the one that waits"):
        run(main)
    assert tidied == [True]


def test_a_task_that_spins_is_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "MAX_IDLE_TURNS", 1000)

    async def main(_: VirtualLoop) -> None:
        while True:  # noqa: ASYNC110 - spinning is what is tried here
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match="stands still"):
        run(main)


def test_work_for_a_thread_runs_inline_so_a_connection_of_this_thread_may_be_used() -> None:
    connection = sqlite3.connect(":memory:")

    async def main(_: VirtualLoop) -> Any:
        cursor = await asyncio.to_thread(connection.execute, "select 1 + 1")
        return cursor.fetchone()

    with contextlib.closing(connection):
        assert run(main) == (2,)


def test_work_for_a_thread_suspends_its_caller_and_is_done_even_when_that_is_cancelled() -> None:
    async def main(loop: VirtualLoop) -> list[str]:
        order: list[str] = []

        async def caller() -> None:
            await loop.run_in_executor(None, order.append, "work")
            order.append("caller goes on")

        callers = [asyncio.create_task(caller()), asyncio.create_task(caller())]
        await asyncio.sleep(0)
        order.append("another runs")
        callers[1].cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        return order

    assert run(main) == ["work", "work", "another runs", "caller goes on"]


def test_an_exception_of_work_for_a_thread_reaches_the_caller() -> None:
    async def main(loop: VirtualLoop) -> None:
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 // 0)

    run(main)


def test_a_frozen_host_hears_the_answer_of_its_thread_when_it_thaws() -> None:
    async def main(loop: VirtualLoop) -> list[float]:
        done_at: list[float] = []
        loop.thread_seconds = lambda: 300.0
        await asyncio.to_thread(lambda: done_at.append(loop.time()))
        return [*done_at, loop.time()]

    assert run(main) == [0.0, 300.0]


def test_signals_are_heard_although_nothing_sleeps() -> None:
    async def main(loop: VirtualLoop) -> None:
        heard = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, heard.set)
        os.kill(os.getpid(), signal.SIGUSR1)
        async with asyncio.timeout(DAY):
            await heard.wait()
        loop.remove_signal_handler(signal.SIGUSR1)

    run(main)


def test_a_paced_loop_shows_the_same_virtual_times() -> None:
    async def main(loop: VirtualLoop) -> list[float]:
        times = []
        for _ in range(3):
            await asyncio.sleep(3600)
            times.append(loop.time())
        return times

    assert run(main, speed=360_000.0) == run(main) == [3600.0, 7200.0, 10800.0]


def test_host_clocks_disagree_and_jump() -> None:
    async def main(loop: VirtualLoop) -> None:
        true, fast = HostClock(loop), HostClock(loop, skew=timedelta(seconds=150))
        await asyncio.sleep(60)
        assert true() == EPOCH + timedelta(seconds=60)
        assert fast() - true() == timedelta(seconds=150)
        fast.jump(timedelta(hours=-1))
        assert fast() == EPOCH + timedelta(seconds=210 - 3600)

    run(main)


def test_apscheduler_fires_interval_cron_and_date_jobs_at_their_virtual_moments() -> None:
    fired: dict[str, list[datetime]] = {"interval": [], "cron": [], "date": [], "thread": []}

    async def main(loop: VirtualLoop) -> None:
        async def note(name: str) -> None:
            fired[name].append(loop.now())

        scheduler = AsyncIOScheduler(timezone=UTC)
        scheduler.add_job(note, "interval", hours=6, args=["interval"], id="interval")
        scheduler.add_job(note, "cron", hour=7, minute=30, args=["cron"], id="cron")
        scheduler.add_job(note, "date", run_date=EPOCH + timedelta(days=2), args=["date"], id="date")
        scheduler.add_job(lambda: fired["thread"].append(loop.now()), "cron", day=3, id="thread")
        scheduler.start()
        await asyncio.sleep(3 * DAY + 1)
        scheduler.shutdown()
        await asyncio.sleep(0)

    run(main)
    assert fired["interval"] == [EPOCH + timedelta(hours=6 * n) for n in range(1, 13)]
    assert fired["cron"] == [EPOCH + timedelta(days=n, hours=7, minutes=30) for n in range(3)]
    assert fired["date"] == [EPOCH + timedelta(days=2)]
    assert fired["thread"] == [EPOCH + timedelta(days=2)]


def test_apscheduler_on_fractions_of_seconds_fires_each_job_once() -> None:
    async def main(loop: VirtualLoop) -> list[datetime]:
        fired: list[datetime] = []

        async def note() -> None:
            fired.append(loop.now())

        await asyncio.sleep(1 / 3)
        scheduler = AsyncIOScheduler(timezone=UTC)
        scheduler.add_job(note, "interval", seconds=7, id="often")
        scheduler.start()
        await asyncio.sleep(7 * 1000 + 0.5)
        scheduler.shutdown()
        await asyncio.sleep(0)
        return fired

    fired = run(main)
    start = EPOCH + timedelta(seconds=1 / 3)
    assert fired == [start + timedelta(seconds=7 * n) for n in range(1, 1001)]


def test_apscheduler_has_its_own_clock_back_after_the_loop_has_run_and_after_it_failed() -> None:
    async def good(_: VirtualLoop) -> None:
        assert apscheduler.schedulers.base.datetime is not datetime

    async def bad(_: VirtualLoop) -> None:
        raise LookupError

    run(good)
    with pytest.raises(LookupError):
        run(bad)
    assert all(module.datetime is datetime for module in CLOCK_READERS)


def test_triggers_made_before_the_loop_runs_can_read_its_clock_too() -> None:
    loop = VirtualLoop(EPOCH)
    with contextlib.closing(loop), apscheduler_on(loop):
        assert IntervalTrigger(hours=1, timezone=UTC).start_date == EPOCH + timedelta(hours=1)
        assert DateTrigger(timezone=UTC).run_date == EPOCH
        aware = EPOCH + timedelta(days=9)
        assert IntervalTrigger(hours=1, start_date=aware).timezone is UTC
        assert type(DateTrigger(timezone=UTC).run_date) is datetime
