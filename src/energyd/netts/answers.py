"""What an answer to an order means for our money. Pure: bytes in, an Outcome out.

The documentation exists in several generations that contradict each other, so nothing here depends on one of them, and
whatever was never seen before falls on the safe side: an answer is `Accepted` only with the success code of its
endpoint, `Refused` only where it says that nothing was bought, and otherwise `Unclear`. The numbers in the bodies mean
different things on different endpoints (-3 is a failed transaction or an empty balance), so endpoint and HTTP status
are read first, then the words, then the number.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus

from energyd.fields import MAX_ENERGY
from energyd.model import Accepted, OrderKind, Outcome, Reason, Refused, Unclear
from energyd.netts.body import (
    ABANDONED,
    ABOUT_THE_KEY,
    HOST_MODE_DONE,
    LACK_OF_FUNDS,
    NO_SUPPLIER,
    ORDER_DONE,
    SUPPLIER_MINIMUM,
    Answer,
    is_error,
    may_have_run,
    take_apart,
    tidy,
    within,
)
from energyd.units import sun_from_trx

MAX_CYCLES = 10**9
MAX_WAIT = timedelta(days=1)

_DONE = {OrderKind.RENTAL: ORDER_DONE, OrderKind.CYCLES: HOST_MODE_DONE}
_MOVED = (301, 307, 308)
"""Redirects that ask to send the same request elsewhere, so it was not acted on. 302 and 303 may follow an act."""
_BY_STATUS = {401: Reason.AUTH_FAILED, 402: Reason.NO_FUNDS, 422: Reason.REFUSED, 429: Reason.RATE_LIMITED}
_WORDS = (
    (ABOUT_THE_KEY, Reason.AUTH_FAILED),
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
    (OrderKind.RENTAL, 403, LACK_OF_FUNDS): Reason.NO_FUNDS,
    (OrderKind.CYCLES, 403, LACK_OF_FUNDS): Reason.NO_FUNDS,
    (OrderKind.CYCLES, 400, -3): Reason.NO_FUNDS,
    (OrderKind.CYCLES, 404, -4): Reason.NOT_IN_HOST_MODE,
}
_NO_SUPPLIER = dict.fromkeys(NO_SUPPLIER, Reason.NETTS_UNAVAILABLE) | {SUPPLIER_MINIMUM: Reason.REFUSED}
"""What order1h says with 503 when nobody took the order; one of them would have taken a larger amount."""


def order_outcome(
    kind: OrderKind, http_status: int, headers: Mapping[str, str], body: bytes, hide: str = ""
) -> Outcome:
    """What an answer to order1h (RENTAL) or time/order (CYCLES) says about our money. Never raises.

    `hide` is a secret that must not appear in the outcome, should the answer repeat it.
    """
    answer = take_apart(body, hide)
    match http_status // 100:
        case 2:
            return _done_or_not(kind, http_status, headers, answer)
        case _ if answer.code == _DONE[kind]:
            return _unclear(http_status, answer, "contradicts itself with the code of success")
        case 3 if http_status in _MOVED:
            return _refused(Reason.REFUSED, http_status, headers, answer, "it redirects; check netts.url")
        case 4 if http_status not in ABANDONED:
            return _refused(_reason(kind, http_status, answer), http_status, headers, answer)
        case 5 if _found_no_supplier(kind, http_status, answer):
            return _refused(_NO_SUPPLIER[answer.code or 0], http_status, headers, answer)
    return _unclear(http_status, answer, "may have come after the purchase")


def _done_or_not(kind: OrderKind, http_status: int, headers: Mapping[str, str], answer: Answer) -> Outcome:
    if not answer.readable:
        return _unclear(http_status, answer, "cannot be read")
    if answer.code == _DONE[kind] and not answer.denies and not answer.complains:
        return Accepted(
            http_status=http_status,
            netts_order_id=answer.order_id,
            cost_sun=_cost(kind, answer),
            energy=within(answer.find("energy"), MAX_ENERGY) if kind is OrderKind.RENTAL else None,
            cycles_total=within(answer.find("new_total_cycles"), MAX_CYCLES),
            repeated=http_status == HTTPStatus.ALREADY_REPORTED,
        )
    if _says_no(answer) and not _bought(kind, answer):
        return _refused(_reason(kind, answer.code or http_status, answer), http_status, headers, answer)
    return _unclear(http_status, answer, "carries no code of success")


def _says_no(answer: Answer) -> bool:
    """Whether a body, come with a status of success, says clearly that nothing was bought."""
    if answer.code is None:
        return answer.denies and answer.codeless
    denied = answer.denies and answer.code not in _DONE.values() and not may_have_run(answer.code)
    return denied or is_error(answer.code)


def _found_no_supplier(kind: OrderKind, http_status: int, answer: Answer) -> bool:
    """One of the answers of order1h that say that no supplier took the order."""
    known = http_status == HTTPStatus.SERVICE_UNAVAILABLE and answer.code in _NO_SUPPLIER
    return known and kind is OrderKind.RENTAL and not _bought(kind, answer)


def _bought(kind: OrderKind, answer: Answer) -> bool:
    """It names an order or a charge, whatever else it says."""
    return answer.order_id is not None or _cost(kind, answer) is not None


def _reason(kind: OrderKind, http_status: int, answer: Answer) -> Reason:
    if http_status in _BY_STATUS:
        return _BY_STATUS[http_status]
    words = _WORDS + (_WORDS_ABOUT_CYCLES if kind is OrderKind.CYCLES else ())
    said = next((reason for pattern, reason in words if pattern.search(answer.text)), None)
    if said is not None:
        return said
    by_code = _BY_CODE.get((kind, http_status, answer.code or 0)) or _NO_SUPPLIER.get(answer.code or 0)
    if by_code is not None:
        return by_code
    return Reason.AUTH_FAILED if http_status == HTTPStatus.FORBIDDEN else Reason.REFUSED


def _refused(
    reason: Reason, http_status: int, headers: Mapping[str, str], answer: Answer, otherwise: str = ""
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


def _unclear(http_status: int, answer: Answer, why: str) -> Unclear:
    said = f": {answer.text}" if answer.text else ""
    return Unclear(tidy(f"the answer, HTTP {http_status}, {why}{said}"), http_status, answer.order_id)


def _cost(kind: OrderKind, answer: Answer) -> int | None:
    """The charge in sun. `amount` is money in time/order only; a charge of nothing is not believed."""
    keys = ("paidTRX",) if kind is OrderKind.RENTAL else ("cost_trx", "amount", "total_cost")
    return next((sun for key in keys if (sun := sun_from_trx(answer.find(key)))), None)


def _amount(name: str, answer: Answer) -> int | None:
    """An amount of TRX from its own member, else from the message, in sun."""
    sun = sun_from_trx(answer.find(name))
    if sun is not None:
        return sun
    said = re.search(rf"{name}\W{{0,3}}([0-9]+(?:,[0-9]{{3}})*(?:\.[0-9]+)?)", answer.text, re.ASCII | re.IGNORECASE)
    return sun_from_trx(said[1].replace(",", "")) if said else None


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """How long Netts asks to wait: Retry-After in seconds, else RateLimit-Reset; None when it says nothing sane."""
    lower = {name.lower(): value for name, value in headers.items()}
    for name in ("retry-after", "ratelimit-reset"):
        if re.fullmatch(r"\s*[0-9]{1,6}\s*", lower.get(name, ""), re.ASCII):
            wait = timedelta(seconds=int(lower[name]))
            return wait if wait <= MAX_WAIT else None
    return None
