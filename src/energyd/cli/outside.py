"""The node and Netts, for commands that ask them by themselves. What cannot be asked is not known, and is said once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Self, TypeVar

from energyd.chain import Chain
from energyd.errors import ChainUnavailable, NettsUnavailable
from energyd.model import Call, ContractCall, Estimate, Funds, NoEstimate, NoReading, Prices, Reading
from energyd.netts.client import Netts

if TYPE_CHECKING:
    from energyd.config.settings import Settings

T = TypeVar("T")
Estimates = dict[ContractCall, Estimate | NoEstimate]


class Outside:
    """Use it as `async with Outside(settings, now) as outside:`. `said` is what could not be asked."""

    def __init__(self, settings: "Settings", now: Callable[[], datetime]) -> None:
        node, vendor, self._now = settings.node, settings.netts, now
        self._chain = Chain(
            (node.url, *node.fallbacks), node.keys(), max_rps=node.max_rps, timeout=node.timeout, now=now
        )
        self._netts = None
        if vendor.api_key is not None:
            self._netts = Netts(
                url=vendor.url,
                api_key=vendor.key(),
                real_ip=vendor.real_ip,
                max_rps=vendor.max_rps,
                timeout=vendor.timeout,
                now=now,
            )
        self.said: list[str] = [] if self._netts else ["there is no key for Netts, so its price is not known"]
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._open.push_async_callback(self._chain.close)
        if self._netts is not None:
            self._open.push_async_callback(self._netts.aclose)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def reading(self, address: str, *, with_activity: bool) -> Reading | NoReading:
        return await self._chain.reading(address, with_activity=with_activity)

    async def prices(self) -> Prices:
        """What a unit costs to rent and to burn now."""
        rent, burn_sun = await asyncio.gather(self._asked_netts(_prices), self._burn_price())
        prices = rent or Prices()
        return prices if burn_sun is None else replace(prices, burn_sun=burn_sun, burn_read_at=self._now())

    async def funds(self) -> Funds | None:
        return await self._asked_netts(_funds)

    async def estimates(self, calls: Iterable[Call]) -> Estimates:
        """What those calls would use now that nobody has asked the node about yet."""
        wanted = dict.fromkeys(call.what for call in calls if call.what is not None and call.estimated_at is None)
        return {what: await self._chain.estimate(what) for what in wanted}

    async def _burn_price(self) -> int | None:
        try:
            return await self._chain.burn_price()
        except ChainUnavailable as error:
            self.said.append(f"the node cannot be read: {error}")
            return None

    async def _asked_netts(self, question: Callable[[Netts], Awaitable[T]]) -> T | None:
        if self._netts is None:
            return None
        try:
            return await question(self._netts)
        except NettsUnavailable as error:
            self.said.append(f"Netts cannot be read: {error}")
            return None


async def _prices(netts: Netts) -> Prices:
    return await netts.prices(cycles=False)


async def _funds(netts: Netts) -> Funds:
    return await netts.funds()
