"""Keeps what is known of prices and of the account fresh, and tells when Netts fails and when it is there again.

The daemon's jobs call this at their paces; what was read stands in known.py.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from energyd.engine import Engine
from energyd.errors import ChainUnavailable, NettsUnavailable
from energyd.model import Reason
from energyd.telemetry import Log, LogEvent

FUNDS = "funds"
"""The job that reads the account."""
FIRST_READS_WITHIN = timedelta(seconds=10)
FIRST_FUNDS_AGAIN = tuple(timedelta(seconds=seconds) for seconds in (5, 10, 20, 40, 80))
"""After a start, as long as the account could not be read."""
BURN_PRICE_EVERY = timedelta(minutes=30)


class Failures:
    """What fails at the moment, by what was asked; `since` is on the event loop's clock."""

    def __init__(self) -> None:
        self._errors: dict[str, str] = {}
        self._since = 0.0

    def heard(self, what: str, error: str | None) -> bool | None:
        """Take note; True when this is the first failure, False when it was the last one, None otherwise."""
        failed_before = bool(self._errors)
        if error is None:
            self._errors.pop(what, None)
        else:
            self._errors[what] = error
        if failed_before == bool(self._errors):
            return None
        self._since = asyncio.get_running_loop().time()
        return not failed_before

    def standing(self, least: timedelta) -> str | None:
        """The first error, once it has stood for so long."""
        if not self._errors or asyncio.get_running_loop().time() - self._since < least.total_seconds():
            return None
        return next(iter(self._errors.values()))


class BurnPrice(Protocol):
    """What is asked of the chain."""

    async def burn_price(self) -> int: ...


class Refresh:
    """Reads that fail are told once and leave what was known. `hurry` has addresses looked at now.

    `again` has a job run after a while; nothing does before the daemon's jobs are there.
    """

    def __init__(
        self,
        engine: Engine,
        chain: BurnPrice,
        log: Log,
        now: Callable[[], datetime],
        *,
        url: Callable[[], str],
        hurry: Callable[[Iterable[str]], None],
        again: Callable[[str, timedelta], None],
    ) -> None:
        self._engine, self._chain, self._log, self._now = engine, chain, log, now
        self._url, self._hurry, self._again = url, hurry, again
        self._funds_again = iter(FIRST_FUNDS_AGAIN)
        self._auth_errors: dict[str, str] = {}
        self.failures = Failures()
        engine.hosting.heard = partial(self._hear, "time/status")

    @property
    def auth_error(self) -> str | None:
        """Why Netts does not accept the key or the address that it is used from, while it does not."""
        return next(iter(self._auth_errors.values()), None)

    async def everything(self) -> None:
        """All of it at once, as far as it is there soon."""
        reads = asyncio.gather(self.prices(), self.funds(), self.burn_price(), self._engine.hosting.read())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_READS_WITHIN.total_seconds()):
                await reads

    async def prices(self) -> None:
        unknown_before = self._engine.known.prices.rent_sun is None
        try:
            await self._engine.read_prices()
        except NettsUnavailable as error:
            self._hear("prices", error)
            return
        self._hear("prices", None)
        if unknown_before:
            self._hurry_what_waits_for(Reason.PRICE_UNKNOWN)

    async def funds(self) -> None:
        """The account. Orders wait for it to be read once, so at first it is asked for again soon."""
        unread_before = self._engine.known.funds is None
        try:
            await self._engine.known.read_funds()
        except NettsUnavailable as error:
            self._hear("userinfo", error)
            wait = next(self._funds_again, None) if unread_before else None
            if wait is not None:
                self._again(FUNDS, wait)
            return
        self._hear("userinfo", None)
        if unread_before:
            self._hurry_what_waits_for(Reason.NETTS_UNAVAILABLE)

    async def burn_price(self) -> None:
        known = self._engine.known
        if known.prices.burn_read_at and self._now() - known.prices.burn_read_at < BURN_PRICE_EVERY:
            return
        with contextlib.suppress(ChainUnavailable):
            burn_sun = await self._chain.burn_price()
            known.learn_burn_price(burn_sun, self._now())

    def _hurry_what_waits_for(self, reason: Reason) -> None:
        self._hurry([a for a, decision in self._engine.latest.items() if decision.reason is reason])

    def _hear(self, what: str, error: NettsUnavailable | None) -> None:
        if error is None:
            self._auth_errors.pop(what, None)
        elif error.auth:
            self._auth_errors[what] = str(error)
        said = None if error is None else str(error)
        change = self.failures.heard(what, said)
        if change is not None:
            event = LogEvent.NETTS_FAILED if change else LogEvent.NETTS_RECOVERED
            self._log.emit(event, url=self._url(), error=said)
