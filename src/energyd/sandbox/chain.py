"""The time, the blocks, the staked weight and the burn price of a pretend chain."""

import hashlib
import heapq
import random
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from energyd.sandbox.energy import FULL_WINDOW, SLOT_MS, Network

SOLID_LAG = 18
"""Blocks between the head and the newest block that 19 of 27 producers have confirmed."""

MAINTENANCE_MS = 6 * 3_600_000
# Mainnet block 84,940,364 ties numbers to slots; there are no missed slots.
_ANCHOR = 84_940_364 - 1_785_491_841_000 // SLOT_MS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAINNET_BURN_PRICES = (
    (0, 100),
    (1_542_607_200_000, 20),
    (1_544_724_000_000, 10),
    (1_606_240_800_000, 40),
    (1_613_044_800_000, 140),
    (1_635_422_400_000, 280),
    (1_670_133_600_000, 420),
    (1_726_747_200_000, 210),
    (1_756_468_800_000, 100),
)


def milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def block_at(moment: datetime) -> int:
    """The number of the head block at a moment."""
    return milliseconds(moment) // SLOT_MS + _ANCHOR


class Chain:
    """A clock with blocks: `advance` does what has become due, and nothing runs by itself.

    `weight_trx` is all TRX staked for energy; with `drift_ppm` it moves a little in each block.
    """

    def __init__(
        self, now: Callable[[], datetime], rng: random.Random, *, total_energy: int, weight_trx: int, drift_ppm: int
    ) -> None:
        self._now = now
        self._seed = rng.getrandbits(63)
        self._total_energy, self._weight, self._drift_ppm = total_energy, weight_trx, drift_ppm
        self._due: list[tuple[datetime, int, Callable[[], object]]] = []
        self._sequence = 0
        self._advancing = False
        self._forks: dict[int, int] = {}
        self.time = now()
        self.burn_prices: list[tuple[int, int]] = list(_MAINNET_BURN_PRICES)

    def advance(self) -> datetime:
        """Does everything that has become due, in its order and as of its own moment. Time never goes back.

        While something is being done, it is that something's moment: then this only tells it.
        """
        if self._advancing:
            return self.time
        now = max(self._now(), self.time)
        self._advancing = True
        try:
            while self._due and self._due[0][0] <= now:
                self.time, _, act = heapq.heappop(self._due)
                act()
        finally:
            self._advancing = False
        self.time = now
        return now

    def plan(self, at: datetime, act: Callable[[], object]) -> None:
        """Has `act` called when time reaches `at`; at the next look if that is past."""
        heapq.heappush(self._due, (max(at, self.time), self.next_number(), act))

    def next_number(self) -> int:
        self._sequence += 1
        return self._sequence

    def new_transaction(self) -> str:
        """A transaction id, 64 hex digits."""
        return hashlib.sha256(f"{self._seed}:tx:{self.next_number()}".encode()).hexdigest()

    @property
    def slot(self) -> int:
        return milliseconds(self.time) // SLOT_MS

    @property
    def head(self) -> int:
        """The number of the newest block."""
        return self.slot + _ANCHOR

    @staticmethod
    def slot_of(block: int) -> int:
        return block - _ANCHOR

    @staticmethod
    def block_time_ms(block: int) -> int:
        return (block - _ANCHOR) * SLOT_MS

    def block_id(self, block: int) -> str:
        """Number, then a digest, as real ids are made. A fork gives the block another one."""
        digest = hashlib.sha256(f"{self._seed}:{block}:{self._forks.get(block, 0)}".encode()).hexdigest()
        return f"{block:016x}{digest[:48]}"

    def fork(self, depth: int) -> None:
        """The newest blocks are replaced by others with the same content."""
        head = block_at(self.advance())
        for block in range(head - depth + 1, head + 1):
            self._forks[block] = self._forks.get(block, 0) + 1

    def network(self, block: int | None = None) -> Network:
        """The shared figures as of a block, by default the newest."""
        return Network(self._total_energy, self._weight_at(self.slot if block is None else self.slot_of(block)))

    def _weight_at(self, slot: int) -> int:
        if not self._drift_ppm:
            return self._weight
        noise = ((slot ^ self._seed) * 0x9E3779B97F4A7C15 & (2**64 - 1)) >> 33
        jitter = noise % (2 * self._drift_ppm + 1) - self._drift_ppm
        wave = abs((slot + self._seed) % FULL_WINDOW - FULL_WINDOW // 2) - FULL_WINDOW // 4
        return self._weight + self._weight * (jitter * 1_000 + wave * self._drift_ppm * 10) // 10**9

    def burn_price_sun(self) -> int:
        """What the chain burns now for one unit of energy that is missing, in sun."""
        return self.burn_prices[bisect_right(self.burn_prices, (milliseconds(self.time), 2**62)) - 1][1]

    def set_burn_price(self, price_sun: int) -> None:
        """The price from now on."""
        self.burn_prices.append((milliseconds(self.advance()), price_sun))
