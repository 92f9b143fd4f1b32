"""How TRON counts energy: limits, use, recovery, and what a delegation moves. Pure arithmetic.

Formulas are those of java-tron 4.8.1 (ResourceProcessor, EnergyProcessor, RepositoryImpl, UnDelegateResourceActuator)
with their roundings. Stake is in sun, weight in TRX, windows in slots of three seconds. Doubles stand where java has
them.
"""

import math
from dataclasses import dataclass, replace

TRX = 1_000_000
SLOT_MS = 3_000
FULL_WINDOW = 28_800
WINDOW_PRECISION = 1_000
FULL_WINDOW_RAW = FULL_WINDOW * WINDOW_PRECISION
_PRECISION = 1_000_000


@dataclass(frozen=True, slots=True)
class Network:
    """What all stake shares: a day's energy and the TRX staked for it (`TotalEnergyLimit`, `TotalEnergyWeight`)."""

    total_limit: int
    total_weight: int

    @property
    def ratio(self) -> float:
        """Energy for one TRX of stake."""
        return self.total_limit / self.total_weight if self.total_weight else 0.0


@dataclass(frozen=True, slots=True)
class Stake:
    """An account's energy as the chain stores it. `window_raw` is in thousandths of a slot once optimized."""

    own: int = 0
    acquired: int = 0
    usage: int = 0
    last_slot: int = 0
    window_raw: int = 0
    window_optimized: bool = False

    @property
    def frozen(self) -> int:
        return self.own + self.acquired

    @property
    def window(self) -> int:
        if not self.window_optimized:
            return self.window_raw or FULL_WINDOW
        return self.window_raw // WINDOW_PRECISION if self.window_raw >= WINDOW_PRECISION else FULL_WINDOW

    @property
    def precise_window(self) -> int:
        """Thousandths of a slot."""
        return self.window_raw if self.window_optimized else self.window * WINDOW_PRECISION


def _ceil_div(number: int, divisor: int) -> int:
    return -(-number // divisor)


def energy_limit(stake: Stake, network: Network) -> int:
    """`EnergyLimit`: fractions of a TRX count (EnergyProcessor)."""
    return int(stake.frozen / TRX * network.ratio)


def _recovered_average(stake: Stake, slot: int) -> int:
    window, passed = stake.window, slot - stake.last_slot
    average = _ceil_div(stake.usage * _PRECISION, window)
    if passed == 0:
        return average
    if passed >= window:
        return 0
    return math.floor(average * ((window - passed) / window) + 0.5)


def energy_used(stake: Stake, slot: int) -> int:
    """`EnergyUsed` at a slot: linear recovery to nothing at the end of the window (ResourceProcessor.recovery)."""
    if not stake.usage:
        return 0
    return _recovered_average(stake, slot) * stake.window // _PRECISION


def available(stake: Stake, slot: int, network: Network) -> int:
    return max(energy_limit(stake, network) - energy_used(stake, slot), 0)


def spendable(stake: Stake, slot: int, network: Network) -> int:
    """What a contract call can draw: whole TRX of stake only (RepositoryImpl.calculateGlobalEnergyLimit)."""
    return max(int(stake.frozen // TRX * network.ratio) - energy_used(stake, slot), 0)


def booked(stake: Stake, energy: int, slot: int) -> Stake:
    """The stake after `energy` more was used at `slot` (ResourceProcessor.increaseV2); 0 only recovers."""
    average, window = _recovered_average(stake, slot), stake.window
    new_average = _ceil_div(energy * _PRECISION, FULL_WINDOW)
    usage = (average * window + new_average * FULL_WINDOW) // _PRECISION
    remaining = average * window // _PRECISION
    raw = FULL_WINDOW_RAW
    if remaining:
        left = stake.precise_window - (slot - stake.last_slot) * WINDOW_PRECISION
        raw = min(_ceil_div(remaining * left + energy * FULL_WINDOW_RAW, usage), FULL_WINDOW_RAW)
    return replace(stake, usage=usage, last_slot=slot, window_raw=raw, window_optimized=True)


def after_call(stake: Stake, energy: int, slot: int, *, success: bool = True) -> Stake:
    """The stake after a call drew `energy`. A success recovers first and books then; a revert does both at once."""
    return booked(booked(stake, 0, slot) if success else stake, energy, slot)


def delegated(owner: Stake, receiver: Stake, balance: int) -> tuple[Stake, Stake]:
    """Owner and receiver after `balance` sun of the owner's stake was delegated (DelegateResourceActuator)."""
    return replace(owner, own=owner.own - balance), replace(receiver, acquired=receiver.acquired + balance)


def reclaimed(owner: Stake, receiver: Stake, balance: int, slot: int, network: Network) -> tuple[Stake, Stake, int]:
    """Both after the owner took `balance` sun back, and the usage that moved (UnDelegateResourceActuator)."""
    recovered = booked(receiver, 0, slot)
    owner = replace(owner, own=owner.own + balance)
    if receiver.acquired < balance:
        return owner, replace(recovered, acquired=0), 0
    share = int(recovered.usage * (balance / receiver.frozen))
    moved = min(int(balance / TRX * network.ratio), share)
    receiver = replace(recovered, usage=recovered.usage - moved, acquired=receiver.acquired - balance)
    return _with_usage_of(owner, receiver, moved, slot) if moved else owner, receiver, moved


def _with_usage_of(owner: Stake, receiver: Stake, moved: int, slot: int) -> Stake:
    owner = booked(owner, 0, slot)
    usage = owner.usage + moved
    weighted = owner.usage * owner.precise_window + moved * receiver.precise_window
    return replace(owner, usage=usage, window_raw=min(_ceil_div(weighted, usage), FULL_WINDOW_RAW))


def sun_for(energy: int, network: Network, *, whole_trx: bool = True) -> int:
    """Stake in sun that gives at least `energy`; vendors delegate whole TRX."""
    if whole_trx:
        return _ceil_div(energy * network.total_weight, network.total_limit) * TRX
    return _ceil_div(energy * network.total_weight * TRX, network.total_limit)
