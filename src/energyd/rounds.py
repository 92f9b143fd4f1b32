"""Which address is looked at next: one heap of due moments, longest overdue first.

Looks are spread over the first pace and never dropped: when there are more than can be done, each comes later, and the
age of a reading is part of every decision. The clock is the event loop's; the spread comes from the given chance.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from random import Random

SOONEST = 0.01
"""Seconds until a look that took no time can come again: a moment that is rounded away must not make rounds spin."""

Look = Callable[[str], Awaitable[timedelta | None]]


@dataclass(frozen=True, slots=True)
class Pulse:
    """Somebody wants to hear, every so many seconds, that the rounds go on; `beat` is called for that."""

    every: float
    beat: Callable[[], None]


class Rounds:
    """Calls `look` for each address again and again; what it returns says in how long, None not to come back."""

    def __init__(self, look: Look, *, at_once: int, rng: Random, pulse: Pulse | None = None) -> None:
        self._look, self._at_once, self._rng = look, at_once, rng
        self._pulse, self._beat_at = pulse, 0.0
        self._began: dict[str, float] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._due: dict[str, float] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._wanted: set[str] = set()
        self._hurried: set[str] = set()
        self._added = 0
        self._changed = asyncio.Event()

    def take_on(self, addresses: Iterable[str], spread: timedelta = timedelta(0)) -> None:
        """Look at these addresses too, the first time within `spread`."""
        for address in addresses:
            if address in self._looking:
                self._wanted.add(address)
            elif address not in self._due:
                self._put(address, self._rng.random() * spread.total_seconds())

    def hurry(self, addresses: Iterable[str]) -> None:
        """Look at these addresses now; at one that is being looked at once more when that is done."""
        for address in addresses:
            if address in self._looking:
                self._hurried.add(address)
            else:
                self._put(address, 0)

    async def run(self) -> None:
        """Go round until cancelled. Looks that have begun are left to `finish`."""
        while True:
            self._changed.clear()
            wait = self._beat(self._start_due())
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def late(self) -> float:
        """How many seconds ago the address was due that waits longest; 0 when none waits."""
        due = min(self._due.values(), default=0.0)
        return max(asyncio.get_running_loop().time() - due, 0.0) if self._due else 0.0

    def hanging(self, longer_than: timedelta) -> list[str]:
        """The addresses whose look began longer ago than that and has not ended."""
        before = asyncio.get_running_loop().time() - longer_than.total_seconds()
        return [address for address, began in self._began.items() if began < before]

    def _beat(self, wait: float | None) -> float | None:
        """Tell that one more turn was taken, when it is time to; the seconds until the next turn must be taken."""
        if self._pulse is None:
            return wait
        now = asyncio.get_running_loop().time()
        if now >= self._beat_at:
            self._beat_at = now + self._pulse.every
            self._pulse.beat()
        return self._beat_at - now if wait is None else min(wait, self._beat_at - now)

    async def finish(self, within: timedelta) -> None:
        """Give the looks that have begun some time to end, then break them off."""
        running = list(self._looking.values())
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=within.total_seconds())
        for task in running:
            if task in late:
                task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _put(self, address: str, in_seconds: float) -> None:
        self._due[address] = asyncio.get_running_loop().time() + in_seconds
        self._added += 1
        heapq.heappush(self._heap, (self._due[address], self._added, address))
        self._changed.set()

    def _start_due(self) -> float | None:
        """Begin every look that is due, as far as there is room; the seconds until the next one."""
        loop = asyncio.get_running_loop()
        while self._heap and len(self._looking) < self._at_once:
            due, _, address = self._heap[0]
            if self._due.get(address) != due:
                heapq.heappop(self._heap)
                continue
            if due > loop.time():
                return due - loop.time()
            heapq.heappop(self._heap)
            del self._due[address]
            self._looking[address] = loop.create_task(self._once(address), name=f"look at {address}")
        return None

    async def _once(self, address: str) -> None:
        began = self._began[address] = asyncio.get_running_loop().time()
        again_in: timedelta | None = None
        try:
            again_in = await self._look(address)
        finally:
            del self._looking[address], self._began[address]
            self._changed.set()
        if address in self._hurried:
            self._put(address, 0)
        elif again_in is not None:
            took = asyncio.get_running_loop().time() - began
            self._put(address, max(again_in.total_seconds() - took, 0 if took else SOONEST))
        elif address in self._wanted:
            self._put(address, 0)  # it was taken on again while a look that did not know this was under way
        self._wanted.discard(address)
        self._hurried.discard(address)
