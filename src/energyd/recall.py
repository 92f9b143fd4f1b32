"""Whether the ledger has forgotten purchases: because it was lost, or because an older copy of it was put back.

Rentals that the ledger does not know may still run or be on their way, so their hour must pass before anything is
bought. Two witnesses outside the ledger are asked, each once after a start:

* the account at Netts: the ledger remembers how much had been spent in all when it was read last. Is more spent now
  than the ledger's own orders since then explain, everything is held;
* for a ledger in which nothing was ever remembered, the chain: an address that others have delegated energy to, of
  which this ledger knows nothing, is held.

Where neither has anything to say, a first order waits for nothing. Where the account stays silent, orders wait until no
rental from before the start can run any more. A request that still travels while an older copy is put in place is seen
by neither; restoring takes a person longer than that.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Protocol

from energyd import units
from energyd.errors import ChainUnavailable, LedgerError
from energyd.ledger.ledger import Ledger
from energyd.model import RENTAL_TIME, Funds, Reason, Unheard
from energyd.telemetry import Log, LogEvent

_LEAST_ORDER_SUN = units.SUN_PER_TRX // 2
"""No order costs less than this, so less than this is no order but a rounding."""

ASKED_AT_MOST = 2
"""How often a node is asked for the delegations of an address before a first order goes without them."""

FORGOTTEN_ENDS = RENTAL_TIME + timedelta(minutes=5)
"""How long after a start a rental that was ordered before it may still run, its request's longest flight included."""

_ACCOUNT = Unheard(
    Reason.NETTS_UNAVAILABLE, "the account has not been read since the start, to compare the ledger with"
)
_DELEGATIONS = Unheard(
    Reason.NODE_UNREACHABLE, "the ledger is new and what is delegated to the address was not read yet"
)


class Lender(Protocol):
    """What is asked of the chain."""

    async def lent_sun(self, address: str) -> int: ...


class Recall:
    """Holds purchases of which the ledger might not remember the reason."""

    def __init__(
        self,
        *,
        chain: Lender,
        ledger: Ledger,
        log: Log,
        now: Callable[[], datetime],
        addresses: Callable[[], Iterable[str]],
    ) -> None:
        self._chain, self._ledger, self._log, self._now, self._addresses = chain, ledger, log, now, addresses
        self._account_is_compared = False
        self._began: float | None = None
        """When the first order was asked for, on the event loop's clock."""
        self._is_new: bool | None = None
        self._looked_at: set[str] = set()
        self._asked: dict[str, int] = {}

    async def compare(self, funds: Funds, mark: int | None) -> None:
        """Hold everything if the account has paid for orders that the ledger does not know; remember it as it is now.

        `mark` is the ledger's `quiet_mark` from before the account was read.
        """
        if funds.spent_total_sun is None:
            self._account_is_compared = True
            return
        if not self._account_is_compared:
            unexplained = await self._ledger.unexplained_sun(funds.spent_total_sun)
            if unexplained is not None and unexplained >= _LEAST_ORDER_SUN:
                await self._hold(None, f"{units.trx_text(unexplained)} was spent that the ledger does not know of")
            self._account_is_compared = True
        if mark is not None and await self._is_trusted_everywhere():
            with contextlib.suppress(LedgerError):  # what is remembered is only older then
                await self._ledger.remember_spent(funds.spent_total_sun, mark)

    async def look_at(self, address: str, *, is_blind: bool) -> Unheard | None:
        """What has to be heard before the address may get an order; with a new ledger the chain is asked first, once.

        `is_blind`: the address cannot be read, so the policy has said what to do without the chain.
        """
        if await self._never_remembered() and address not in self._looked_at and not is_blind:
            try:
                await self._look_at(address)
            except ChainUnavailable:
                # A node that shows the energy of an address and not its delegations has no more to say.
                self._asked[address] = self._asked.get(address, 0) + 1
                return None if self._asked[address] >= ASKED_AT_MOST else _DELEGATIONS
        is_heard = self._account_is_compared or self._is_new or self._forgotten_have_ended()
        return None if is_heard else _ACCOUNT

    def _forgotten_have_ended(self) -> bool:
        clock = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = clock
        return clock - self._began >= FORGOTTEN_ENDS.total_seconds()

    async def _look_at(self, address: str) -> None:
        lent = 0 if await self._knows(address) else await self._chain.lent_sun(address)
        if lent and not await self._knows(address):  # another host may have ordered meanwhile
            await self._hold(address, f"{units.trx_text(lent)} of stake is delegated to it and the ledger is new")
        self._looked_at.add(address)

    async def _knows(self, address: str) -> bool:
        return bool(await self._ledger.orders(address=address, limit=1))

    async def _never_remembered(self) -> bool:
        if self._is_new is None:
            self._is_new = await self._ledger.is_new()
        return self._is_new

    async def _is_trusted_everywhere(self) -> bool:
        return not await self._never_remembered() or self._looked_at.issuperset(self._addresses())

    async def _hold(self, address: str | None, why: str) -> None:
        until = self._now() + RENTAL_TIME
        await self._ledger.set_hold_until(until, address)
        self._log.emit(LogEvent.LEDGER_LOST, address=address, until=until, detail=why)
