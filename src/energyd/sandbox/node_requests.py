"""How a TRON node reads a request, and what it says when it cannot."""

import json
from dataclasses import dataclass
from typing import Any

from energyd.sandbox import addresses, contracts
from energyd.sandbox.addresses import BadCharacterError
from energyd.sandbox.asgi import Request

Params = dict[str, Any]


class NodeError(Exception):
    """What a node puts under `Error`, with HTTP 200: a java exception and its text."""


@dataclass(frozen=True, slots=True)
class View:
    """What an answer is computed from: a head block, and the accounts as of a block (None: with waiting calls)."""

    head: int
    accounts: int | None
    visible: bool


def params_of(request: Request, release: str) -> Params:
    """The parameters of a GET or a POST. Raises NodeError for a body that is not a JSON object."""
    if request.method == "GET" or not request.body:
        return dict(request.query)
    try:
        params = json.loads(request.body)
    except ValueError:
        params = None
    if not isinstance(params, dict):
        library = "org.tron.json.JSONException" if release == "4.8.2" else "com.alibaba.fastjson.JSONException"
        raise NodeError(f"{library} : syntax error, pos 1, line 1, column 2")
    return params


def number_of(params: Params, key: str) -> int:
    """A number in the parameters, 0 where there is none."""
    text = str(params.get(key, "0"))
    return int(text) if text.isdecimal() else 0


def called(params: Params) -> tuple[str, str]:
    """Signature and ABI words of a contract call; a selector wins over `data`."""
    function = params.get("function_selector")
    if function:
        return str(function), str(params.get("parameter", ""))
    return contracts.function_and_parameter(str(params.get("data", "")))


def plain_address(params: Params, key: str, view: View) -> str | None:
    """An address as the account calls read it; None when it is missing or none, and then they find nothing."""
    text = params.get(key)
    if not isinstance(text, str):
        return None
    try:
        if not view.visible:
            return addresses.of_hex(text)
        payload = addresses.payload_of(text)
    except BadCharacterError as error:
        raise NodeError(f"java.lang.IllegalArgumentException : {error}") from None
    except ValueError:
        problem = "exception decoding Hex string: invalid characters encountered in Hex string"
        raise NodeError(f"org.bouncycastle.util.encoders.DecoderException : {problem}") from None
    return addresses.base58(payload) if payload else None


def message_address(params: Params, key: str, view: View, release: str, field: str) -> str | None:
    """An address in a request that is parsed as a protobuf message; `field` is its name there, for the errors."""
    try:
        address = plain_address(params, key, view)
    except NodeError as error:
        reason = str(error).partition(" : ")[2]
        problem = f"INVALID base58 String, {reason}" if view.visible else "INVALID hex String"
        raise _parse_error(problem, release, field) from None
    if address is None and view.visible and params.get(key):
        if release == "4.8.2":
            raise _parse_error("", release, field)
        raise NodeError("java.lang.NullPointerException : null")
    return address


def _parse_error(problem: str, release: str, field: str) -> NodeError:
    if release == "4.8.2":
        problem = f"invalid address for field: protocol.{field}"
    return NodeError(f"org.tron.core.services.http.JsonFormat$ParseException : 1:10: {problem}")
