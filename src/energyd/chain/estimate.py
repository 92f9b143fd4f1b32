"""What a contract call would use on today's state, by `triggerconstantcontract`: what to ask, what the body means.

Only a run that came to its end says what a call uses. A node says `result: true` of a call that reverted, too, so the
message and the state of the pretended transaction are looked at (tron-energy C1).
"""

from collections.abc import Sequence
from typing import Any

from energyd.chain.readings import MAX_ENERGY, Unusable
from energyd.errors import ChainUnavailable
from energyd.model import ContractCall

PATH = "wallet/triggerconstantcontract"
_HEX = frozenset("0123456789abcdefABCDEF")


class CannotSay(ChainUnavailable):
    """The node is well, and this call cannot be estimated: it would fail."""


class NoConstantCalls(ChainUnavailable):
    """The node is well and runs no constant calls; another one may."""


def question(call: ContractCall, arguments: Sequence[Any]) -> dict[str, Any]:
    """The request for one call. Raises CannotSay for arguments that do not fit the function."""
    return {
        "owner_address": call.owner,
        "contract_address": call.contract,
        "function_selector": call.function,
        "parameter": encoded(call.function, arguments),
        "call_value": 0,
        "visible": True,
    }


def encoded(function: str, arguments: Sequence[Any]) -> str:
    """The arguments as ABI words in hex. Raises CannotSay when they do not fit the function."""
    from eth_abi.exceptions import EncodingError, ParseError  # noqa: PLC0415 - comes with tronpy
    from tronpy.abi import trx_abi  # noqa: PLC0415 - takes a quarter of a second; most commands never ask a node

    types = function[function.index("(") :]
    if types == "()" and not arguments:
        return ""
    try:
        return str(trx_abi.encode_single(types, tuple(_plain(each) for each in arguments)).hex())
    except (EncodingError, ParseError, ValueError, TypeError) as error:
        raise CannotSay(f"the arguments do not fit {function}: {error}") from None


def _plain(argument: Any) -> Any:
    """Texts of hex digits are bytes to the ABI; lists are lists."""
    if isinstance(argument, str) and argument.startswith("0x") and set(argument[2:]) <= _HEX:
        return bytes.fromhex(argument[2:])
    return [_plain(each) for each in argument] if isinstance(argument, list | tuple) else argument


def read_used(body: Any) -> int:
    """The energy of a call, penalty included. Raises CannotSay when it would fail, NoConstantCalls, or Unusable."""
    if not isinstance(body, dict) or not isinstance(body.get("result"), dict):
        raise Unusable("the answer is not about a constant call")
    result = body["result"]
    if said := _readable(result.get("message")) or result.get("code"):
        if "support constant" in str(said):
            raise NoConstantCalls("it runs no constant calls; set another node, or write the energy as a number")
        raise CannotSay(_explained(str(said), body))
    made = body.get("transaction")
    runs = made.get("ret") if isinstance(made, dict) else None
    used = body.get("energy_used")
    if result.get("result") is not True or not isinstance(runs, list) or not runs:
        raise Unusable("the answer does not say how the call ended")
    if any(not isinstance(run, dict) or run.get("ret", "SUCCESS") != "SUCCESS" for run in runs):
        raise CannotSay(_explained("it failed", body))
    if isinstance(used, bool) or not isinstance(used, int) or not 0 < used <= MAX_ENERGY:
        raise Unusable("energy_used is missing or no energy")
    return used


def _explained(said: str, body: dict[str, Any]) -> str:
    if "not exist" in said.lower():
        return "there is no such contract"
    reason = _revert_reason(body.get("constant_result"))
    return f"the call would fail: {said}" + (f" ({reason})" if reason else "")


def _readable(message: Any) -> str:
    """A message, which is hex where the node does not obey `visible`."""
    if not isinstance(message, str):
        return ""
    if message and len(message) % 2 == 0 and set(message) <= _HEX:
        message = bytes.fromhex(message).decode("utf-8", "replace")
    return "".join(letter for letter in message if letter.isprintable())[:200]


def _revert_reason(output: Any) -> str:
    """The text of Solidity's `Error(string)`, if there is one."""
    text = output[0] if isinstance(output, list) and output and isinstance(output[0], str) else ""
    if not text.startswith("08c379a0") or set(text) - _HEX or len(text) % 2:
        return ""
    words = bytes.fromhex(text[8:])
    said = words[64 : 64 + int.from_bytes(words[32:64])]
    return "".join(letter for letter in said.decode("utf-8", "replace") if letter.isprintable())[:100]
