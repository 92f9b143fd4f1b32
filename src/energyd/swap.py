"""The node and Netts as they are asked now: a reload may exchange either while questions are under way.

Each question goes to the client of the moment it is asked at, and ends with that one. A client that was exchanged is
closed when nobody waits for it any more; what it heard late about an order can still be asked for.
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, TypeVar

import httpx

from energyd.chain import Chain, NodeHealth
from energyd.config.settings import NettsSettings, NodeSettings
from energyd.model import (
    ContractCall,
    Cycles,
    Estimate,
    Funds,
    HostAct,
    NoEstimate,
    NoReading,
    OrderCheck,
    Outcome,
    Prices,
    Reading,
    Sent,
)
from energyd.netts.client import Netts
from energyd.telemetry import Log, LogEvent

S = TypeVar("S")
C = TypeVar("C")

Watch = Callable[[httpx.AsyncBaseTransport], httpx.AsyncBaseTransport]
"""Puts something around a transport that sees every request."""


class _Held(Generic[C]):
    """One client, and how many use it now."""

    def __init__(self, client: C) -> None:
        self.client = client
        self.is_closed = False
        self.free = asyncio.Event()
        self.free.set()
        self._users = 0

    @contextlib.contextmanager
    def used(self) -> Iterator[C]:
        self._users += 1
        self.free.clear()
        try:
            yield self.client
        finally:
            self._users -= 1
            if not self._users:
                self.free.set()


class _Swappable(ABC, Generic[S, C]):
    """The client of now, and those before it that are not closed yet or may still be asked."""

    def __init__(self, settings: S) -> None:
        self._settings = settings
        self._now = _Held(self._make(settings))
        self._before: list[_Held[C]] = []
        self._closing: set[asyncio.Task[None]] = set()

    @abstractmethod
    def _make(self, settings: S) -> C:
        """A client of these settings."""

    @abstractmethod
    async def _wind_down(self, client: C) -> None:
        """Close a client that nobody uses any more."""

    @abstractmethod
    async def _break_off(self, client: C) -> None:
        """Close a client, whoever waits."""

    def prepare(self, settings: S) -> Callable[[], None]:
        """What asks by these settings from now on, when it is called. What cannot be made is raised before."""
        return (lambda: None) if settings == self._settings else partial(self._swap, settings, self._make(settings))

    def _swap(self, settings: S, client: C) -> None:
        self._settings = settings
        before, self._now = self._now, _Held(client)
        self._before = [held for held in (*self._before, before) if self._is_needed(held)]
        task = asyncio.get_running_loop().create_task(self._end(before), name="close what was exchanged")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _is_needed(self, held: _Held[C]) -> bool:
        return not held.is_closed

    async def _end(self, held: _Held[C]) -> None:
        await held.free.wait()
        await self._wind_down(held.client)
        held.is_closed = True

    async def close(self) -> None:
        """Close everything, whoever waits."""
        closing = list(self._closing)
        for task in closing:
            task.cancel()
        await asyncio.gather(*closing, return_exceptions=True)
        for held in (*self._before, self._now):
            if not held.is_closed:
                await self._break_off(held.client)


class SwappableChain(_Swappable[NodeSettings, Chain]):
    """The TRON node of the settings."""

    def __init__(
        self,
        settings: NodeSettings,
        *,
        log: Log,
        now: Callable[[], datetime],
        wire: httpx.AsyncBaseTransport | None,
        watch: Watch,
    ) -> None:
        self._log, self._clock, self._wire, self._watch = log, now, wire, watch
        super().__init__(settings)

    def _make(self, settings: NodeSettings) -> Chain:
        return Chain(
            (settings.url, *settings.fallbacks),
            settings.keys(),
            max_rps=settings.max_rps,
            timeout=settings.timeout,
            now=self._clock,
            transport=self._wire,
            on_health=self._tell_health,
            watch=self._watch,
        )

    def _tell_health(self, url: str, error: str | None) -> None:
        event = LogEvent.NODE_RECOVERED if error is None else LogEvent.NODE_FAILED
        self._log.emit(event, url=url, error=error)

    async def _wind_down(self, client: Chain) -> None:
        await client.close()

    async def _break_off(self, client: Chain) -> None:
        await client.close()

    async def reading(self, address: str, *, with_activity: bool = False) -> Reading | NoReading:
        with self._now.used() as chain:
            return await chain.reading(address, with_activity=with_activity)

    async def lent_sun(self, address: str) -> int:
        with self._now.used() as chain:
            return await chain.lent_sun(address)

    async def estimate(self, call: ContractCall) -> Estimate | NoEstimate:
        with self._now.used() as chain:
            return await chain.estimate(call)

    async def burn_price(self) -> int:
        with self._now.used() as chain:
            return await chain.burn_price()

    def health(self) -> tuple[NodeHealth, ...]:
        return self._now.client.health()

    def down_for(self, least: timedelta) -> str | None:
        return self._now.client.down_for(least)


class SwappableNetts(_Swappable[NettsSettings, Netts]):
    """Netts with the key of the settings."""

    def __init__(
        self,
        settings: NettsSettings,
        *,
        now: Callable[[], datetime],
        wire: httpx.AsyncBaseTransport | None,
        watch: Watch,
    ) -> None:
        """The settings have a key."""
        self._clock, self._wire, self._watch = now, wire, watch
        super().__init__(settings)

    def _make(self, settings: NettsSettings) -> Netts:
        return Netts(
            url=settings.url,
            api_key=settings.key(),
            real_ip=settings.real_ip,
            max_rps=settings.max_rps,
            timeout=settings.timeout,
            now=self._clock,
            auth=settings.auth,
            transport=self._wire,
            watch=self._watch,
        )

    async def _wind_down(self, client: Netts) -> None:
        await client.wind_down()

    async def _break_off(self, client: Netts) -> None:
        await client.aclose()

    def _is_needed(self, held: _Held[Netts]) -> bool:
        return not held.is_closed or held.client.may_know

    async def order(self, sent: Sent) -> Outcome:
        with self._now.used() as netts:
            return await netts.order(sent)

    def late_answer(self, order_key: str) -> Outcome | None:
        """What an order's answer says that came late, whichever client it was sent with."""
        for held in (self._now, *self._before):
            found = held.client.late_answer(order_key)
            if found is not None:
                return found
        return None

    async def prices(self, *, cycles: bool) -> Prices:
        with self._now.used() as netts:
            return await netts.prices(cycles=cycles)

    async def funds(self) -> Funds:
        with self._now.used() as netts:
            return await netts.funds()

    async def cycles_of(self, addresses: Collection[str]) -> dict[str, Cycles]:
        with self._now.used() as netts:
            return await netts.cycles_of(addresses)

    async def act(self, act: HostAct, address: str, *, energy: int | None = None) -> Outcome:
        with self._now.used() as netts:
            return await netts.act(act, address, energy=energy)

    async def order_check(self, netts_order_id: str) -> OrderCheck | None:
        with self._now.used() as netts:
            return await netts.order_check(netts_order_id)
