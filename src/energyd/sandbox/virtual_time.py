"""An asyncio event loop whose hours pass at once, and the clocks that go with it.

Nothing in here reads the real clock. The loop's clock stands still while anything can run and leaps to the next timer
when everything waits, so a simulated day costs only the work done in it, and the same program always runs in the same
order.

What is overridden, and nothing else: the selector given to the constructor, `time`, `run_in_executor`, and
`run_forever` (which lends APScheduler the virtual clock while the loop runs). One private figure, `_clock_resolution`,
is set: see `VirtualLoop.leap`.
"""

import asyncio
import math
import selectors
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import Any, TypeVar, TypeVarTuple, Unpack

import apscheduler.executors.base
import apscheduler.schedulers.base
import apscheduler.triggers.date
import apscheduler.triggers.interval

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

CLOCK_READERS = (
    apscheduler.schedulers.base,
    apscheduler.executors.base,
    apscheduler.triggers.interval,
    apscheduler.triggers.date,
)
"""The modules of APScheduler 3.11 that call `datetime.now`: two while running, two when a trigger is made without a
start. `CalendarIntervalTrigger` without a start date asks for today's date in another way; give it one."""

MAX_IDLE_TURNS = 1_000_000
"""Turns of the loop without the clock moving before we believe that something spins; about a second of real time."""

MIN_SLEEP_SECONDS = 0.01
"""A paced loop saves up shorter sleeps: the operating system would round each of them up to a millisecond."""


class Stuck(RuntimeError):
    """Virtual time cannot go on: everything waits for something that nothing will bring, or something spins."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on virtual time; use it as `asyncio.Runner(loop_factory=lambda: VirtualLoop(epoch))`.

    `epoch` (aware) is the moment at which the loop's clock shows zero seconds. `speed` paces the loop to at most so
    many virtual seconds per real second, for people who watch; None means as fast as it can. A paced loop serves real
    sockets as well; how the clock moves while they talk is then not repeatable.
    """

    def __init__(self, epoch: datetime, *, speed: float | None = None) -> None:
        assert epoch.tzinfo is not None, "an epoch without a time zone is no moment"
        self.epoch = epoch.astimezone(UTC)
        self.thread_seconds: Callable[[], float] = lambda: 0.0
        """Asked at each `run_in_executor`: virtual seconds until its answer is heard. A frozen host is one whose
        answers wait until it thaws."""
        self._clock = 0.0
        super().__init__(_LeapingSelector(self, speed))
        self.leap(0.0)

    def time(self) -> float:
        """Virtual seconds since the epoch."""
        return self._clock

    def now(self) -> datetime:
        """The virtual moment, aware UTC, to the microsecond."""
        return self.epoch + timedelta(seconds=self._clock)

    def leap(self, seconds: float) -> None:
        """Move the clock; nothing that falls due is run before the loop's next turn.

        asyncio runs timers that are due within the clock's resolution. A fixed one is wrong on a clock that leaps: too
        small after half a year (what is due now would never run), too large before (a task sleeping out the last bit
        would wake early, again and again). One unit in the last place makes "due" mean exactly "not later".
        """
        self._clock += seconds
        self._clock_resolution = math.ulp(self._clock)

    def run_in_executor(self, executor: object, func: Callable[[Unpack[Ts]], T], *args: *Ts) -> asyncio.Future[T]:
        """Run `func` here and now, whatever the executor; its answer is heard in a later turn of the loop.

        As with a real thread the caller is suspended, others may run before it goes on, and a cancelled caller's work
        has still been done.
        """
        del executor
        answer: asyncio.Future[T] = self.create_future()
        settle: Callable[[], None]
        try:
            settle = partial(answer.set_result, func(*args))
        except Exception as fault:  # noqa: BLE001 - whatever it is belongs to the caller
            settle = partial(answer.set_exception, fault)
        self.call_later(self.thread_seconds(), _unless_done, answer, settle)
        return answer

    def run_forever(self) -> None:
        with apscheduler_on(self):
            super().run_forever()


def _unless_done(answer: asyncio.Future[Any], settle: Callable[[], None]) -> None:
    if not answer.done():
        settle()


class _LeapingSelector(selectors.DefaultSelector):
    """Where another selector would sleep until the next timer, this one moves the loop's clock there."""

    def __init__(self, loop: VirtualLoop, speed: float | None) -> None:
        super().__init__()
        self._loop = loop
        self._speed = speed
        self._idle_turns = 0
        self._owed_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout == 0:
            self._idle_turns += 1
            if self._idle_turns > MAX_IDLE_TURNS:
                raise Stuck(f"{MAX_IDLE_TURNS:,} turns of the loop and the clock stands still: {self._tasks()}")
            return []
        self._idle_turns = 0
        # Signals and call_soon_threadsafe arrive here, through the loop's own pipe. They do not take time.
        if events := super().select(self._real_seconds(timeout)):
            return events
        if timeout is None:
            raise Stuck(f"everything waits and no timer is set: {self._tasks()}")
        self._loop.leap(timeout)
        return []

    def _real_seconds(self, timeout: float | None) -> float:
        if self._speed is None or timeout is None:
            return 0.0
        self._owed_seconds += timeout / self._speed
        if self._owed_seconds < MIN_SLEEP_SECONDS:
            return 0.0
        due, self._owed_seconds = self._owed_seconds, 0.0
        return due

    def _tasks(self) -> str:
        return ", ".join(sorted(task.get_name() for task in asyncio.all_tasks(self._loop))) or "no task"


@dataclass(slots=True)
class HostClock:
    """One host's wall clock: the loop's moment plus a skew, which may jump."""

    loop: VirtualLoop
    skew: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return self.loop.now() + self.skew

    def jump(self, by: timedelta) -> None:
        self.skew += by


@contextmanager
def apscheduler_on(loop: VirtualLoop) -> Iterator[None]:
    """Let APScheduler read the loop's clock. A running loop does this itself; triggers made before need it.

    APScheduler takes its wall clock from a module-level name and offers no other door. The name is put back afterwards.
    """

    class AnyDatetime(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, datetime)

    class VirtualDatetime(datetime, metaclass=AnyDatetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:  # a plain datetime, so that none of these escapes
            return loop.now().astimezone(tz)

    before = [module.datetime for module in CLOCK_READERS]
    for module in CLOCK_READERS:
        module.datetime = VirtualDatetime
    try:
        yield
    finally:
        for module, name in zip(CLOCK_READERS, before, strict=True):
            module.datetime = name
