"""What was read last of prices and of the account at Netts, for every address alike."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from energyd.ledger.ledger import Ledger
from energyd.model import Funds, OrderCheck, Prices
from energyd.recall import Recall


class Account(Protocol):
    """What is read at Netts."""

    async def funds(self) -> Funds: ...

    async def prices(self, *, cycles: bool) -> Prices: ...

    async def order_check(self, netts_order_id: str) -> OrderCheck | None: ...


class Known:
    """Figures with their age. A read that fails raises NettsUnavailable and leaves what was known before."""

    def __init__(self, account: Account, ledger: Ledger, recall: Recall) -> None:
        self._account, self._ledger, self._recall = account, ledger, recall
        self.prices = Prices()
        self.funds: Funds | None = None
        self.funds_at = float("-inf")
        """When the funds were read, on the event loop's clock."""
        self.asked_at = float("-inf")
        """When they were asked for last, whether an answer came or not."""

    async def read_funds(self) -> None:
        at = self.asked_at = asyncio.get_running_loop().time()
        quiet_mark, asked_mark = await self._ledger.quiet_mark(), await self._ledger.mark()
        funds = await self._account.funds()
        funds = replace(funds, asked_mark=asked_mark, heard_mark=await self._ledger.mark())
        if at < self.funds_at:
            return  # who asked later was answered first
        self.funds, self.funds_at = funds, at
        await self._recall.compare(funds, quiet_mark)

    async def read_prices(self, *, cycles: bool) -> None:
        """What Netts asks now; with `cycles`, for those too."""
        read = await self._account.prices(cycles=cycles)
        self.prices = replace(
            self.prices, rent_sun=read.rent_sun, cycle_sun=read.cycle_sun, rent_read_at=read.rent_read_at
        )

    def learn_burn_price(self, burn_sun: int, read_at: datetime) -> None:
        self.prices = replace(self.prices, burn_sun=burn_sun, burn_read_at=read_at)
