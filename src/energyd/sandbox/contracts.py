"""What contract calls cost: a USDT-like token, and contracts with one fixed cost for each function."""

from dataclasses import dataclass, field

from energyd.sandbox import addresses

USDT = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
TRANSFER, BALANCE_OF = "transfer(address,uint256)", "balanceOf(address)"
_SELECTORS = {"a9059cbb": TRANSFER, "70a08231": BALANCE_OF}
_WORD = 64


@dataclass(frozen=True, slots=True)
class Cost:
    """Energy of a call; the penalty of dynamic energy is contained in it."""

    energy: int
    penalty: int = 0


# Mainnet receipts from September 2024 to July 2026; balanceOf is Nile's 935 under the same factor of 3.4.
TO_HOLDER = Cost(64_285, 49_635)
TO_FRESH = Cost(130_285, 100_635)
REVERTED = Cost(8_624, 5_859)
BALANCE = Cost(4_114, 3_179)


@dataclass(frozen=True, slots=True)
class Measured:
    """A call tried on today's state: its cost, what it returns (hex), and whether it reverted."""

    cost: Cost
    output: str = ""
    reverted: bool = False


@dataclass(slots=True)
class Contract:
    """A contract: `calls` names functions by signature; a function without a cost reverts."""

    address: str
    name: str = "Contract"
    deployer: str = field(default_factory=lambda: addresses.made_up("deployer"))
    calls: dict[str, Cost] = field(default_factory=dict)
    energy_factor: int = 0

    def measure(self, caller: str, function: str, parameter: str) -> Measured:  # noqa: ARG002 - the token looks at both
        cost = self.calls.get(function)
        return Measured(cost, "0" * _WORD) if cost else Measured(Cost(200), reverted=True)


@dataclass(slots=True)
class Token(Contract):
    """A TRC-20 token whose transfer costs more when the receiver holds none of it."""

    balances: dict[str, int] = field(default_factory=dict)

    def measure(self, caller: str, function: str, parameter: str) -> Measured:
        words = [parameter[start : start + _WORD] for start in range(0, len(parameter), _WORD)]
        if function == TRANSFER and len(words) > 1:
            return self._measure_transfer(caller, addresses.of_word(words[0]), int(words[1], 16))
        if function == BALANCE_OF and words:
            return Measured(BALANCE, f"{self.balances.get(addresses.of_word(words[0]), 0):064x}")
        # `super()` without arguments does not work in a dataclass with slots on 3.11.
        return Contract.measure(self, caller, function, parameter)

    def _measure_transfer(self, sender: str, receiver: str, amount: int) -> Measured:
        if self.balances.get(sender, 0) < amount:
            return Measured(REVERTED, reverted=True)
        return Measured(TO_HOLDER if self.balances.get(receiver) else TO_FRESH, "0" * _WORD)

    def move(self, sender: str, receiver: str, amount: int) -> None:
        self.balances[sender] = self.balances.get(sender, 0) - amount
        self.balances[receiver] = self.balances.get(receiver, 0) + amount


def transfer_data(receiver: str, amount: int) -> str:
    """The call data of a token transfer: selector and two ABI words, in hex."""
    return f"a9059cbb{addresses.word_of(receiver)}{amount:064x}"


def function_and_parameter(data: str) -> tuple[str, str]:
    """Signature (the bare selector when it is not a known one) and parameters in call data."""
    return _SELECTORS.get(data[:8], data[:8]), data[8:]


def selector_of(function: str) -> str:
    """The four bytes of a known signature. Unknown ones get zeros: the standard library has no keccak."""
    return next((selector for selector, name in _SELECTORS.items() if name == function), "00000000")
