"""What Netts' answers mean. Pure: bytes in, our words out.

The documentation exists in several generations that contradict each other, so nothing here depends on one of them, and
whatever was never seen before falls on the safe side: an order's answer is `Accepted` only with the success code of
its endpoint, `Refused` only where it says that nothing was bought, and otherwise `Unclear`. The numbers in the bodies
mean different things on different endpoints (-3 is a failed transaction or an empty balance), so endpoint and HTTP
status are read first, then the words, then the number.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from http import HTTPStatus
from typing import Any

from energyd.fields import ADDRESS_PATTERN, MAX_ENERGY
from energyd.model import Accepted, Cycles, CyclesKnown, Funds, OrderCheck, OrderKind, Outcome, Reason, Refused, Unclear
from energyd.units import sun_from_trx

MAX_BODY = 1 << 20
"""Bytes of a body that are looked at; a longer one counts as unreadable. Real ones stay below 100 kB."""
MAX_TEXT = 200
"""Characters of Netts' own words that are kept."""
MAX_ID = 100
MAX_PRICE_SUN = 100_000
"""A unit of energy costs 15 to 200 sun; a thousand times that is a fault, not a price."""
MAX_CYCLES = 10**9
MAX_WAIT = timedelta(days=1)

ORDER_DONE = 10_000
"""The success code of order1h and order_check."""
HOST_MODE_DONE = 0
"""The success code of everything below time/."""
_DONE = {OrderKind.RENTAL: ORDER_DONE, OrderKind.CYCLES: HOST_MODE_DONE}

Object = Mapping[str, Any]


# --- what stands in a body ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Answer:
    """A body taken apart. `code` is a number, "" when there is none, None when it is odd or there are several."""

    readable: bool
    code: int | str | None
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

    @property
    def number(self) -> int | None:
        return self.code if isinstance(self.code, int) else None


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


def _take_apart(body: bytes, hide: str) -> _Answer:
    whole = _load(body)
    top = _object(whole)
    detail, error = _object(top.get("detail")), _object(top.get("error"))
    layers = (_object(detail.get("data")), _object(top.get("data")), detail, top)
    answer = _Answer(
        readable=isinstance(whole, dict),
        code=_code([layer.get("code") for layer in (detail, top, error)]),
        denies=any(_is(layer.get("success"), on=False) or _failed(layer.get("status")) for layer in (detail, top)),
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
    problems = [_object(item).get("msg") for item in listed] if isinstance(listed, list) else []
    candidates = (
        *(detail.get(key) for key in ("msg", "message", "error")),
        top.get("detail"),
        "; ".join(words for words in problems if isinstance(words, str)),
        *(top.get(key) for key in ("msg", "message")),
        error.get("message"),
        top.get("error"),
    )
    return (words for words in candidates if isinstance(words, str) and words.strip())


def _object(value: Any) -> Object:
    return value if isinstance(value, dict) else {}


def _code(found: list[Any]) -> int | str | None:
    codes = {_integer(value) for value in found if value is not None}
    return "" if not codes else codes.pop() if len(codes) == 1 else None


def _integer(value: Any) -> int | None:
    """A whole number, also written as text or as 10000.0; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    match = re.fullmatch(r"\s*([+-]?[0-9]{1,18})(?:\.0+)?\s*", str(value), re.ASCII)
    return int(match[1]) if match else None


def _is(value: Any, *, on: bool) -> bool:
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


# --- orders ---------------------------------------------------------------------------------------------------------

_MOVED = (301, 307, 308)
"""Redirects that ask to send the same request elsewhere, so it was not acted on. 302 and 303 may follow an act."""
_ABANDONED = (408, 460, 499)
"""A gateway gave up waiting; the application behind it may have gone on."""
_LACK_OF_FUNDS = 1004
_INTERNAL_ERROR = 5000

_BY_STATUS = {401: Reason.AUTH_FAILED, 402: Reason.NO_FUNDS, 422: Reason.REFUSED, 429: Reason.RATE_LIMITED}
_WORDS = (
    (re.compile(r"white.?list|api.?key|unauthori[sz]ed", re.IGNORECASE), Reason.AUTH_FAILED),
    (re.compile(r"transaction failed|delegation attempts", re.IGNORECASE), Reason.NETTS_UNAVAILABLE),
    (re.compile(r"\bbalance\b|\bfunds\b", re.IGNORECASE), Reason.NO_FUNDS),
)
_WORDS_ABOUT_CYCLES = (
    (re.compile(r"infinit", re.IGNORECASE), Reason.INFINITE_CYCLES),
    (re.compile(r"not (?:found )?in host mode", re.IGNORECASE), Reason.NOT_IN_HOST_MODE),
)
_BY_CODE = {
    (OrderKind.RENTAL, 400, -2): Reason.NO_FUNDS,
    (OrderKind.RENTAL, 400, -3): Reason.NETTS_UNAVAILABLE,
    (OrderKind.RENTAL, 400, -12): Reason.NETTS_UNAVAILABLE,
    (OrderKind.RENTAL, 403, _LACK_OF_FUNDS): Reason.NO_FUNDS,
    (OrderKind.CYCLES, 403, _LACK_OF_FUNDS): Reason.NO_FUNDS,
    (OrderKind.CYCLES, 400, -3): Reason.NO_FUNDS,
    (OrderKind.CYCLES, 404, -4): Reason.NOT_IN_HOST_MODE,
}
_UNAVAILABLE = {
    5001: Reason.NETTS_UNAVAILABLE,
    5002: Reason.NETTS_UNAVAILABLE,
    5003: Reason.NETTS_UNAVAILABLE,
    5004: Reason.REFUSED,
}
"""What order1h says with 503 when no supplier took the order; 5004: only a larger amount would be taken."""


def order_outcome(
    kind: OrderKind, http_status: int, headers: Mapping[str, str], body: bytes, hide: str = ""
) -> Outcome:
    """What an answer to order1h (RENTAL) or time/order (CYCLES) says about our money. Never raises.

    `hide` is a secret that must not appear in the outcome, should the answer repeat it.
    """
    answer = _take_apart(body, hide)
    match http_status // 100:
        case 2:
            return _done_or_not(kind, http_status, headers, answer)
        case _ if answer.code == _DONE[kind]:
            return _unclear(http_status, answer, "contradicts itself with the code of success")
        case 3 if http_status in _MOVED:
            return _refused(Reason.REFUSED, http_status, headers, answer, "it redirects; check netts.url")
        case 4 if http_status not in _ABANDONED:
            return _refused(_reason(kind, http_status, answer), http_status, headers, answer)
        case 5 if _no_supplier(kind, http_status, answer):
            return _refused(_UNAVAILABLE[answer.number or 0], http_status, headers, answer)
    return _unclear(http_status, answer, "may have come after the purchase")


def _done_or_not(kind: OrderKind, http_status: int, headers: Mapping[str, str], answer: _Answer) -> Outcome:
    if not answer.readable:
        return _unclear(http_status, answer, "cannot be read")
    if answer.code == _DONE[kind] and not answer.denies and not answer.complains:
        return Accepted(
            http_status=http_status,
            netts_order_id=answer.order_id,
            cost_sun=_cost(kind, answer),
            energy=_within(answer.find("energy"), MAX_ENERGY) if kind is OrderKind.RENTAL else None,
            cycles_total=_within(answer.find("new_total_cycles"), MAX_CYCLES),
            repeated=http_status == HTTPStatus.ALREADY_REPORTED,
        )
    if _says_no(kind, answer) and not _bought(kind, answer):
        return _refused(_reason(kind, answer.number or http_status, answer), http_status, headers, answer)
    return _unclear(http_status, answer, "carries no code of success")


def _says_no(kind: OrderKind, answer: _Answer) -> bool:
    """Whether a body, come with a status of success, says clearly that nothing was bought."""
    number = answer.number
    if number is None or not answer.denies:
        return answer.denies or _is_error(number)
    return number != _DONE[kind] and not _may_have_run(number)


def _is_error(code: int | None) -> bool:
    """A number that is an error by itself, whatever the HTTP status (netts-api 11.2; the generic form repeats it)."""
    if code is None or _may_have_run(code):
        return False
    return code < 0 or code == _LACK_OF_FUNDS or code in _UNAVAILABLE or code in range(400, 500)


def _may_have_run(code: int) -> bool:
    return code == _INTERNAL_ERROR or code in _ABANDONED or code in range(500, 600)


def _no_supplier(kind: OrderKind, http_status: int, answer: _Answer) -> bool:
    """One of the answers of order1h that say that no supplier took the order."""
    known = http_status == HTTPStatus.SERVICE_UNAVAILABLE and answer.number in _UNAVAILABLE
    return known and kind is OrderKind.RENTAL and not _bought(kind, answer)


def _bought(kind: OrderKind, answer: _Answer) -> bool:
    """It names an order or a charge, whatever else it says."""
    return answer.order_id is not None or _cost(kind, answer) is not None


def _reason(kind: OrderKind, http_status: int, answer: _Answer) -> Reason:
    if http_status in _BY_STATUS:
        return _BY_STATUS[http_status]
    words = _WORDS + (_WORDS_ABOUT_CYCLES if kind is OrderKind.CYCLES else ())
    said = next((reason for pattern, reason in words if pattern.search(answer.text)), None)
    if said is not None:
        return said
    by_code = _BY_CODE.get((kind, http_status, answer.number or 0)) or _UNAVAILABLE.get(answer.number or 0)
    if by_code is not None:
        return by_code
    return Reason.AUTH_FAILED if http_status == HTTPStatus.FORBIDDEN else Reason.REFUSED


def _refused(
    reason: Reason, http_status: int, headers: Mapping[str, str], answer: _Answer, otherwise: str = ""
) -> Refused:
    funds = reason is Reason.NO_FUNDS
    return Refused(
        reason=reason,
        text=answer.text or otherwise or f"HTTP {http_status} without a word",
        http_status=http_status,
        retry_after=retry_after(headers),
        required_sun=_amount("required", answer) if funds else None,
        available_sun=_amount("available", answer) if funds else None,
    )


def _unclear(http_status: int, answer: _Answer, why: str) -> Unclear:
    said = f": {answer.text}" if answer.text else ""
    return Unclear(tidy(f"the answer, HTTP {http_status}, {why}{said}"), http_status, answer.order_id)


def _cost(kind: OrderKind, answer: _Answer) -> int | None:
    """The charge in sun. `amount` is money in time/order only; a charge of nothing is not believed."""
    keys = ("paidTRX",) if kind is OrderKind.RENTAL else ("cost_trx", "amount", "total_cost")
    return next((sun for key in keys if (sun := sun_from_trx(answer.find(key)))), None)


def _amount(name: str, answer: _Answer) -> int | None:
    """An amount of TRX from its own member, else from the message, in sun."""
    sun = sun_from_trx(answer.find(name))
    if sun is not None:
        return sun
    said = re.search(rf"{name}\W{{0,3}}([0-9]+(?:,[0-9]{{3}})*(?:\.[0-9]+)?)", answer.text, re.ASCII | re.IGNORECASE)
    return sun_from_trx(said[1].replace(",", "")) if said else None


def _within(value: Any, limit: int) -> int | None:
    number = _integer(value)
    return number if number is not None and 0 <= number <= limit else None


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """How long Netts asks to wait: Retry-After in seconds, else RateLimit-Reset; None when it says nothing sane."""
    lower = {name.lower(): value for name, value in headers.items()}
    for name in ("retry-after", "ratelimit-reset"):
        if re.fullmatch(r"\s*[0-9]{1,6}\s*", lower.get(name, ""), re.ASCII):
            wait = timedelta(seconds=int(lower[name]))
            return wait if wait <= MAX_WAIT else None
    return None


# --- reads ----------------------------------------------------------------------------------------------------------


def problem(body: bytes, hide: str = "") -> str:
    """What a failed read says of itself; empty when it says nothing."""
    return _take_apart(body, hide).text


def blames_key(http_status: int, body: bytes) -> bool:
    """Whether a failed read is about the API key or the whitelist of addresses, which no retry can mend."""
    answer = _take_apart(body, "")
    pattern, _ = _WORDS[0]
    return http_status in (401, 403) or answer.code in (401, 403) or bool(pattern.search(answer.text))


def rent_price_sun(body: bytes) -> int | None:
    """The most that one unit of 1-hour energy costs now, in sun, from an answer of `pricing` or `prices`.

    `prices` has bands by amount whose limits overlap (below 200k, exactly 131k, above 200k), so the dearest of the
    bands of the active period stands for all. Parts of a sun are rounded up. None where no period is marked as the
    current one, or where any figure that counts is no price: a guess would be spent.
    """
    answer = _take_apart(body, "")
    if answer.denies:
        return None
    service = _object(_object(answer.find("services")).get("energy_1h"))
    figures = list(_service_prices(service) if service else _band_prices(answer.find("periods")))
    prices = [price for figure in figures if (price := _price(figure)) is not None]
    return max(prices) if prices and len(prices) == len(figures) else None


def _service_prices(service: Object) -> Iterator[Any]:
    unit = service.get("unit", "sun")
    if not isinstance(unit, str) or "sun" not in unit.lower():
        return
    if "periods" in service:
        yield from (period.get("price") for period in _current(service["periods"], "is_current"))
    else:
        yield service.get("price")


def _band_prices(periods: Any) -> Iterator[Any]:
    for period in _current(periods, "is_active"):
        bands = map(_object, _object(period.get("prices")).values())
        yield from (band["price_sun"] for band in bands if "price_sun" in band)


def _current(periods: Any, mark: str) -> list[Object]:
    listed = periods if isinstance(periods, list) else []
    return [period for period in map(_object, listed) if _is(period.get(mark), on=True)]


def _price(value: Any) -> int | None:
    """A price in whole sun, rounded up; None for what is no number, not above zero, or absurd."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        price = Decimal(str(value).strip())
        sane = 0 < price <= MAX_PRICE_SUN
    except ArithmeticError:
        return None
    return int(price.to_integral_value(rounding=ROUND_CEILING)) if sane else None


def cycle_price_sun(body: bytes) -> int | None:
    """What one Host Mode cycle costs now, in sun, from `host_price` of `prices`. None where it does not stand.

    `pricing` has a service named host, but its layout is not known, so it is not read.
    """
    answer = _take_apart(body, "")
    return None if answer.denies else sun_from_trx(answer.find("host_price")) or None


def funds(body: bytes, read_at: datetime) -> Funds | None:
    """The prepaid account, from either form of `userinfo`. None when the balance does not stand in it."""
    answer = _take_apart(body, "")
    stats = _object(answer.find("stats"))
    balance = sun_from_trx(stats.get("balance", answer.find("balance")))
    if answer.denies or _is_error(answer.number) or balance is None:
        return None
    return Funds(
        balance_sun=balance,
        read_at=read_at,
        spent_total_sun=sun_from_trx(stats.get("total_trx_spent")),
        delegations=_within(stats.get("total_delegations"), 10**18),
        energy_total=_within(stats.get("total_energy_delegated"), 10**18),
    )


_COUNT_KEYS = ("cycles_remaining", "remaining_cycles", "cycles_left", "cycle_set")
"""Where the cycles that are left may stand; no document shows today's answer."""


def cycles(body: bytes, address: str, read_at: datetime) -> Cycles:
    """The cycles of one address from an answer of time/status.

    An address that is missing is out of Host Mode only when the answer is a complete list of whole addresses;
    otherwise, and for an entry without a count that can be read, the count is unknown and never zero.
    """
    answer = _take_apart(body, "")
    listed = next((found for found in (answer.find("addresses"), answer.find("data")) if isinstance(found, list)), None)
    entries = [*answer.layers, *map(_object, listed or ())]
    states = {_count(entry) for entry in entries if entry.get("address") == address}
    if answer.denies or _is_error(answer.number) or len(states) > 1:
        states = set()
    elif not states and listed is not None and _is_complete(answer, listed):
        states = {(CyclesKnown.NOT_IN_HOST_MODE, None, "")}
    known, remaining, key = states.pop() if states else (CyclesKnown.UNKNOWN, None, "")
    return Cycles(address=address, known=known, remaining=remaining, read_at=read_at, key=key)


def _count(entry: Object) -> tuple[CyclesKnown, int | None, str]:
    if any(_is_infinite(key.lower(), value) for key, value in entry.items()):
        return CyclesKnown.INFINITE, None, ""
    key = next((key for key in _COUNT_KEYS if entry.get(key) is not None), "")
    remaining = _within(entry.get(key), MAX_CYCLES)
    if remaining is None:
        return CyclesKnown.UNKNOWN, None, ""
    return CyclesKnown.COUNTED, remaining, key


def _is_infinite(key: str, value: Any) -> bool:
    if "infin" in key:
        return _is(value, on=True)
    return key in ("mode", "status", *_COUNT_KEYS) and isinstance(value, str) and "infin" in value.lower()


def _is_complete(answer: _Answer, listed: list[Any]) -> bool:
    """A successful answer whose list holds whole addresses and says nothing of further ones."""
    addresses = [_object(item).get("address") for item in listed]
    whole = all(isinstance(found, str) and re.fullmatch(ADDRESS_PATTERN, found, re.ASCII) for found in addresses)
    totals = [answer.find(key) for key in ("total_addresses", "total", "total_count", "count")]
    further = [answer.find(key) for key in ("has_more", "has_next", "next_page", "next")]
    pages = answer.find("total_pages", "pages")
    return (
        answer.code == HOST_MODE_DONE
        and whole
        and all(total is None or _integer(total) == len(listed) for total in totals)
        and all(more is None or _is(more, on=False) for more in further)
        and (pages is None or _integer(pages) in (0, 1))
    )


def order_check(body: bytes) -> OrderCheck | None:
    """What Netts knows of an order that was asked for by its id.

    None when it says that it knows nothing, or nothing that can be read; that alone is no proof that there is none.
    """
    answer = _take_apart(body, "")
    order, activation = _object(answer.find("order")), _object(answer.find("activation"))
    order_id = identifier(order.get("id"))
    if answer.denies or answer.code not in (ORDER_DONE, "") or order_id is None:
        return None
    target = order.get("target_address")
    hashes = order.get("tx_hashes")
    return OrderCheck(
        netts_order_id=order_id,
        address=target if isinstance(target, str) else None,
        energy=_within(order.get("energy"), MAX_ENERGY),
        cost_sun=sun_from_trx(order.get("cost")) or None,
        activation_sun=sun_from_trx(activation.get("cost")),
        delegated=bool(hashes) if isinstance(hashes, list) else None,
    )
