"""What Netts' answers to questions mean: prices, funds, cycles, one order. Pure, and unknown is None, never zero."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from energyd.fields import ADDRESS_PATTERN, MAX_ENERGY
from energyd.model import Cycles, CyclesKnown, Funds, OrderCheck
from energyd.netts.body import (
    ABOUT_THE_KEY,
    HOST_MODE_DONE,
    NOT_HOSTED,
    ORDER_DONE,
    Answer,
    Object,
    identifier,
    integer,
    is_error,
    is_flag,
    object_or_empty,
    take_apart,
    within,
)
from energyd.units import sun_from_trx

MAX_PRICE_SUN = 100_000
"""A unit of energy costs 15 to 200 sun; a thousand times that is a fault, not a price."""
MAX_CYCLES = 10**9
MAX_COUNTER = 10**18

_KEY_REFUSED = (401, 403)


def problem(body: bytes, hide: str = "") -> str:
    """What a failed read says of itself; empty when it says nothing."""
    return take_apart(body, hide).text


def blames_key(http_status: int, body: bytes) -> bool:
    """Whether a failed read is about the API key or the whitelist of addresses, which no retry can mend."""
    answer = take_apart(body)
    return http_status in _KEY_REFUSED or answer.code in _KEY_REFUSED or bool(ABOUT_THE_KEY.search(answer.text))


def rent_price_sun(body: bytes) -> int | None:
    """The most that one unit of 1-hour energy costs now, in sun, from an answer of `pricing` or `prices`.

    `prices` has bands by amount whose limits overlap (below 200k, exactly 131k, above 200k), so the dearest of the
    bands of the active period stands for all. Parts of a sun are rounded up. None where no period is marked as the
    current one, or where any figure that counts is no price: a guess would be spent.
    """
    answer = take_apart(body)
    if answer.denies:
        return None
    service = object_or_empty(object_or_empty(answer.find("services")).get("energy_1h"))
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
        bands = map(object_or_empty, object_or_empty(period.get("prices")).values())
        yield from (band["price_sun"] for band in bands if "price_sun" in band)


def _current(periods: Any, mark: str) -> list[Object]:
    listed = periods if isinstance(periods, list) else []
    return [period for period in map(object_or_empty, listed) if is_flag(period.get(mark), on=True)]


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
    answer = take_apart(body)
    return None if answer.denies else sun_from_trx(answer.find("host_price")) or None


def funds(body: bytes, read_at: datetime) -> Funds | None:
    """The prepaid account, from either form of `userinfo`. None when the balance does not stand in it."""
    answer = take_apart(body)
    stats = object_or_empty(answer.find("stats"))
    balance = sun_from_trx(stats.get("balance", answer.find("balance")))
    if answer.denies or is_error(answer.code) or balance is None:
        return None
    return Funds(
        balance_sun=balance,
        read_at=read_at,
        spent_total_sun=sun_from_trx(stats.get("total_trx_spent")),
        delegations=within(stats.get("total_delegations"), MAX_COUNTER),
        energy_total=within(stats.get("total_energy_delegated"), MAX_COUNTER),
    )


_COUNT_KEYS = ("cycles_remaining", "remaining_cycles", "cycles_left", "cycle_set")
"""Where the cycles that are left may stand; no document shows today's answer."""


def cycles(pages: Sequence[bytes], address: str, read_at: datetime) -> Cycles:
    """The cycles of one address from an answer of time/status, or from all pages of one.

    An address that is missing is out of Host Mode only when the answer is a complete list of whole addresses;
    otherwise, and for an entry without a count that can be read, the count is unknown and never zero.
    """
    answers = [take_apart(page) for page in pages]
    entries = [entry for answer in answers for entry in (*answer.layers, *map(object_or_empty, _listed(answer) or ()))]
    states = {_count(entry) for entry in entries if entry.get("address") == address}
    why = ""
    if any(answer.denies or is_error(answer.code) for answer in answers):
        states, why = set(), "the answer says that it failed"
    elif len(states) > 1:
        states, why = set(), "the answer has several counts for it"
    elif not states and _is_complete(answers):
        states = {(CyclesKnown.NOT_IN_HOST_MODE, None, "")}
    elif not states:
        why = "the answer does not tell of it and may not be complete"
    known, remaining, key = states.pop() if states else (CyclesKnown.UNKNOWN, None, "")
    if known is CyclesKnown.UNKNOWN and not why:
        why = "the answer has no count for it that can be read"
    return Cycles(address=address, known=known, remaining=remaining, read_at=read_at, key=key, detail=why)


def says_not_hosted(body: bytes) -> bool:
    """Whether a failed time/status speaks of an address that is not in Host Mode."""
    return take_apart(body).code == NOT_HOSTED


def has_further_pages(pages: Sequence[bytes]) -> bool:
    """Whether the pages of a time/status so far say that there are more addresses than they list."""
    answers = [take_apart(page) for page in pages]
    listed = [_listed(answer) for answer in answers]
    if not listed[-1] or answers[-1].code != HOST_MODE_DONE:
        return False
    return _says_more(answers[-1], sum(len(some or ()) for some in listed), len(pages))


def _listed(answer: Answer) -> list[Any] | None:
    return next((found for found in (answer.find("addresses"), answer.find("data")) if isinstance(found, list)), None)


def _says_more(last: Answer, listed: int, pages: int) -> bool:
    totals = [integer(last.find(key)) for key in _TOTALS]
    pages_in_all = integer(last.find("total_pages", "pages")) or 0
    more = any(last.find(key) is not None and not is_flag(last.find(key), on=False) for key in _FURTHER)
    return any(total is not None and total > listed for total in totals) or pages_in_all > pages or more


def _count(entry: Object) -> tuple[CyclesKnown, int | None, str]:
    if any(_is_infinite(key.lower(), value) for key, value in entry.items()):
        return CyclesKnown.INFINITE, None, ""
    key = next((key for key in _COUNT_KEYS if entry.get(key) is not None), "")
    remaining = within(entry.get(key), MAX_CYCLES)
    if remaining is None:
        return CyclesKnown.UNKNOWN, None, ""
    return CyclesKnown.COUNTED, remaining, key


def _is_infinite(key: str, value: Any) -> bool:
    if "infin" in key:
        return is_flag(value, on=True)
    return key in ("mode", "status", *_COUNT_KEYS) and isinstance(value, str) and "infin" in value.lower()


_TOTALS = ("total_addresses", "total", "total_count", "count")
_FURTHER = ("has_more", "has_next", "next_page", "next")


def _is_complete(answers: Sequence[Answer]) -> bool:
    """Successful answers whose lists hold whole addresses, each once, and of which the last says nothing of more."""
    listed = [item for answer in answers for item in _listed(answer) or ()]
    addresses = [object_or_empty(item).get("address") for item in listed]
    whole = all(isinstance(found, str) and re.fullmatch(ADDRESS_PATTERN, found, re.ASCII) for found in addresses)
    totals = [total for answer in answers for key in _TOTALS if (total := answer.find(key)) is not None]
    return (
        all(answer.code == HOST_MODE_DONE and _listed(answer) is not None for answer in answers)
        and whole
        and len(set(addresses)) == len(addresses)
        and all(integer(total) == len(listed) for total in totals)
        and not _says_more(answers[-1], len(listed), len(answers))
    )


def order_check(body: bytes) -> OrderCheck | None:
    """What Netts knows of an order that was asked for by its id.

    None when it says that it knows nothing, or nothing that can be read; that alone is no proof that there is none.
    """
    answer = take_apart(body)
    order, activation = object_or_empty(answer.find("order")), object_or_empty(answer.find("activation"))
    order_id = identifier(order.get("id"))
    if answer.denies or order_id is None or not (answer.codeless or answer.code == ORDER_DONE):
        return None
    target = order.get("target_address")
    hashes = order.get("tx_hashes")
    return OrderCheck(
        netts_order_id=order_id,
        address=target if isinstance(target, str) else None,
        energy=within(order.get("energy"), MAX_ENERGY),
        cost_sun=sun_from_trx(order.get("cost")) or None,
        activation_sun=sun_from_trx(activation.get("cost")),
        delegated=bool(hashes) if isinstance(hashes, list) else None,
    )
