"""What happened in a World, for readers: calls, deliveries, reclaims, and each account as of each block."""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from energyd.sandbox.energy import Stake


@dataclass(frozen=True, slots=True)
class Call:
    """A contract call to be made; `energy` contains the penalty. Without a fee limit only the balance bounds it."""

    address: str
    energy: int
    contract: str
    data: str = ""
    penalty: int = 0
    success: bool = True
    fee_limit_sun: int | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """A contract call: energy from stake is free, the rest burned TRX. Amounts in energy and sun."""

    at: datetime
    tx_id: str
    block: int
    address: str
    contract: str
    data: str
    energy: int
    penalty: int
    from_stake: int
    burned: int
    burned_sun: int
    result: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delegation of energy: `balance_sun` of the owner's stake serves the receiver."""

    at: datetime
    tx_id: str
    block: int
    owner: str
    receiver: str
    balance_sun: int
    energy: int
    rental_id: int | None


@dataclass(frozen=True, slots=True)
class Reclaim:
    at: datetime
    tx_id: str
    block: int
    owner: str
    receiver: str
    balance_sun: int
    energy: int
    rental_id: int | None


Event = Use | Delivery | Reclaim


@dataclass(frozen=True, slots=True)
class Rental:
    """Energy that was ordered: on chain from `due_at` to `until`. Its transaction id is known before that."""

    rental_id: int
    tx_id: str
    receiver: str
    energy: int
    ordered_at: datetime
    due_at: datetime
    until: datetime
    exact: bool


class State(NamedTuple):
    """An account from a moment on; the change is in `block`, the next one after that moment."""

    at: datetime
    block: int
    stake: Stake
    balance_sun: int


@dataclass(slots=True)
class Account:
    address: str
    created_at: datetime
    is_contract: bool
    states: list[State] = field(default_factory=list)

    def as_of(self, block: int | None) -> State | None:
        """The state in a block; with None the newest, calls still waiting for their block included."""
        if block is None:
            return self.states[-1]
        index = bisect_right(self.states, block, key=lambda state: state.block)
        return self.states[index - 1] if index else None

    def at(self, moment: datetime) -> State | None:
        """The newest state at a past moment, calls that waited for their block included."""
        index = bisect_right(self.states, moment, key=lambda state: state.at)
        return self.states[index - 1] if index else None
