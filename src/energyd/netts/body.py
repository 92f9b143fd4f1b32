"""What stands in one of Netts' answers, whatever shape it has: read with care, meant for answers.py and reads.py."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

MAX_BODY = 1 << 20
"""Bytes of a body that are looked at; a longer one counts as unreadable. The recorded ones are below 2 kB."""
MAX_TEXT = 200
"""Characters of Netts' own words that are kept."""
MAX_ID = 100

ORDER_DONE = 10_000
"""The success code of order1h and order_check."""
HOST_MODE_DONE = 0
"""The success code of everything below time/."""
NOT_HOSTED = -4
"""What time/status and time/order say, with 404, of an address that is not in Host Mode."""
LACK_OF_FUNDS = 1004
INTERNAL_ERROR = 5000
NO_SUPPLIER = (5001, 5002, 5003)
SUPPLIER_MINIMUM = 5004
ABANDONED = (408, 460, 499)
"""A gateway gave up waiting; the application behind it may have gone on."""
ABOUT_THE_KEY = re.compile(r"white.?list|api.?key|unauthori[sz]ed", re.IGNORECASE)
"""Words about the API key or the whitelist of addresses."""

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """A body taken apart, whichever of the shapes of netts-api 11.1 it has."""

    readable: bool
    code: int | None
    """Its number; None when there is none, or none that can be read, or several that differ."""
    codeless: bool
    """There is nothing at all where a code might stand."""
    denies: bool
    """It says of itself that it failed."""
    complains: bool
    """It carries an `error` member."""
    text: str
    layers: tuple[Object, ...]
    """The objects that may hold a figure, innermost first."""
    order_id: str | None

    def find(self, *keys: str) -> Any:
        """The first of these keys that has a value."""
        return next((value for key in keys for layer in self.layers if (value := layer.get(key)) is not None), None)


def _load(body: bytes) -> Any:
    """The JSON value; None when there is none, or when it says two things under one key."""
    if len(body) > MAX_BODY:
        return None
    try:
        return json.loads(body, parse_float=Decimal, object_pairs_hook=_unambiguous)
    except (ValueError, ArithmeticError, RecursionError):
        return None


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    merged = dict(pairs)
    if len(merged) < len(pairs) and any(merged[key] != value for key, value in pairs):
        raise ValueError("a key stands twice with different values")
    return merged


def take_apart(body: bytes, hide: str = "") -> Answer:
    """Never raises. `hide` is a secret that must not appear in what is handed on, should the body repeat it."""
    whole = _load(body)
    top = object_or_empty(whole)
    detail, error = object_or_empty(top.get("detail")), object_or_empty(top.get("error"))
    layers = (object_or_empty(detail.get("data")), object_or_empty(top.get("data")), detail, top)
    codes = {integer(code) for layer in (detail, top, error) if (code := layer.get("code")) is not None}
    answer = Answer(
        readable=isinstance(whole, dict),
        code=codes.pop() if len(codes) == 1 else None,
        codeless=not any(layer.get("code") is not None for layer in (detail, top, error)),
        denies=any(is_flag(layer.get("success"), on=False) or _failed(layer.get("status")) for layer in (detail, top)),
        complains=bool(top.get("error") or detail.get("error")),
        text=tidy(next(_words(top, detail, error), ""), hide),
        layers=layers,
        order_id=None,
    )
    order_id = identifier(answer.find("orderId", "order_id"))
    return answer if hide and order_id and hide in order_id else replace(answer, order_id=order_id)


def _words(top: Object, detail: Object, error: Object) -> Iterator[str]:
    """Everything that may be the message, the best first."""
    listed = top.get("detail")
    problems = [object_or_empty(item).get("msg") for item in listed] if isinstance(listed, list) else []
    candidates = (
        *(detail.get(key) for key in ("msg", "message", "error")),
        top.get("detail"),
        "; ".join(words for words in problems if isinstance(words, str)),
        *(top.get(key) for key in ("msg", "message")),
        error.get("message"),
        top.get("error"),
    )
    return (words for words in candidates if isinstance(words, str) and words.strip())


def object_or_empty(value: Any) -> Object:
    """A JSON object; empty where something else stands, so that a look into it finds nothing."""
    return value if isinstance(value, dict) else {}


def integer(value: Any) -> int | None:
    """A whole number, also written as text or as 10000.0; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    match = re.fullmatch(r"\s*([+-]?[0-9]{1,18})(?:\.0+)?\s*", str(value), re.ASCII)
    return int(match[1]) if match else None


def is_flag(value: Any, *, on: bool) -> bool:
    """Whether a flag, written as true, 1 or text, is clearly on (or off)."""
    words = ("true", "1", "yes", "on", "active") if on else ("false", "no", "off")
    return isinstance(value, bool | int | str) and str(value).strip().lower() in words


def _failed(status: Any) -> bool:
    return isinstance(status, str) and status.strip().lower() in ("error", "failed", "fail")


def tidy(text: str, hide: str = "") -> str:
    """One printable line of at most MAX_TEXT characters, in which `hide` (a secret) does not occur."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if hide:
        line = line.replace(hide, "[hidden]")
    return line if len(line) <= MAX_TEXT else line[: MAX_TEXT - 1] + "…"


def identifier(value: Any) -> str | None:
    """An order id as text, whatever type it came as; None for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= MAX_ID and text.isprintable() else None


def is_error(code: int | None) -> bool:
    """Whether a number says failure by itself, whatever the HTTP status (netts-api 11.2); some forms repeat that."""
    if code is None or may_have_run(code):
        return False
    return code < 0 or code == LACK_OF_FUNDS or code in (*NO_SUPPLIER, SUPPLIER_MINIMUM) or code in range(400, 500)


def may_have_run(code: int) -> bool:
    """Whether a number speaks of a failure that may have come after the deed."""
    return code == INTERNAL_ERROR or code in ABANDONED or code in range(500, 600)


def within(value: Any, limit: int) -> int | None:
    number = integer(value)
    return number if number is not None and 0 <= number <= limit else None
