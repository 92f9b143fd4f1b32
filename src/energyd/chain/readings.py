"""What the bodies of a TRON node mean. Pure: a parsed body in, a value out, or Unusable.

A node leaves zero numbers out of its answers, so a missing figure is zero only where something else in the same body
proves that it is a whole answer about an existing account. Everything here refuses rather than guesses.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from energyd import units
from energyd.errors import ChainUnavailable

MAX_ENERGY = 1_800_000_000_000
"""Ten times what the whole main network gives in a day: no account has more."""
MAX_NETWORK_ENERGY = 10**16
"""Test networks give up to 5e13 a day."""
MAX_BURN_PRICE = 100_000
"""Sun for one unit of energy. The chain's own history lies between 10 and 420."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_MS = 4_102_444_800_000
"""The year 2100."""
_USE_AFTER_HEAD = timedelta(minutes=5)
"""A balancer's nodes stand some blocks apart, so an account may be newer than the head, but not by much."""


class Unusable(ChainUnavailable):
    """The node answered, but what it said cannot be believed."""


class Head(NamedTuple):
    """The newest block of a node."""

    number: int
    block_at: datetime


class Energy(NamedTuple):
    """`EnergyLimit` and `EnergyUsed` of an activated account."""

    limit: int
    used: int


def read_head(body: Any) -> Head:
    """The head of `getblock` or `getnowblock`. Raises Unusable."""
    raw = body
    for key in ("block_header", "raw_data"):
        raw = _mapping(raw, "a block").get(key)
    raw = _mapping(raw, "a block header")
    return Head(_figure(raw, "number", 1, 2**63 - 1), _moment(raw, "timestamp"))


def read_energy(body: Any) -> Energy | None:
    """The energy in `getaccountresource`; None for an account that was never activated. Raises Unusable.

    `TotalEnergyLimit` stands in the answer about every activated account (tron-energy A8), so without it nothing that
    is missing counts as zero.
    """
    body = _mapping(body, "an account's resources")
    if not body:
        return None
    total = _figure(body, "TotalEnergyLimit", 1, MAX_NETWORK_ENERGY)
    limit = _figure(body, "EnergyLimit", 0, min(total, MAX_ENERGY), missing=0)
    return Energy(limit, _figure(body, "EnergyUsed", 0, MAX_ENERGY, missing=0))


def read_last_use(body: Any, address: str, head: Head) -> datetime | None:
    """When the account of `getaccount` last made a contract call; None when it never did. Raises Unusable."""
    body = _mapping(body, "an account")
    if body.get("address") != address:
        raise Unusable("the answer is not about this account")
    resource = _mapping(body.get("account_resource", {}), "account_resource")
    if resource.get("latest_consume_time_for_energy", 0) == 0:
        return None
    used_at = _moment(resource, "latest_consume_time_for_energy")
    if used_at > head.block_at + _USE_AFTER_HEAD:
        raise Unusable("latest_consume_time_for_energy lies after the newest block")
    return used_at


def read_lent(body: Any, address: str) -> int:
    """Sun of others' stake in `getaccount` that serves this account's energy. Raises Unusable."""
    body = _mapping(body, "an account")
    if not body:
        return 0
    if body.get("address") != address:
        raise Unusable("the answer is not about this account")
    resource = _mapping(body.get("account_resource", {}), "account_resource")
    return _figure(resource, "acquired_delegated_frozenV2_balance_for_energy", 0, units.MAX_SUN, missing=0)


def read_burn_price(body: Any) -> int:
    """Sun for one unit of energy in `getchainparameters`. Raises Unusable."""
    parameters = _mapping(body, "the chain parameters").get("chainParameter")
    if not isinstance(parameters, list):
        raise Unusable("the answer holds no chain parameters")
    for parameter in parameters:
        if isinstance(parameter, dict) and parameter.get("key") == "getEnergyFee":
            return _figure(parameter, "value", 1, MAX_BURN_PRICE)
    raise Unusable("getEnergyFee is not among the chain parameters")


def read_newest_price(body: Any) -> int:
    """Sun for one unit of energy, the last of `getenergyprices`. Raises Unusable."""
    prices = _mapping(body, "the energy prices").get("prices")
    newest = prices.rpartition(",")[2] if isinstance(prices, str) else ""
    since, _, price = newest.partition(":")
    if not (_is_number(since) and _is_number(price)):
        raise Unusable("the answer holds no energy prices")
    return _figure({"price": int(price)}, "price", 1, MAX_BURN_PRICE)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20  # noqa: PLR2004 - what a node's integers can have


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unusable(f"the answer is not {what}")
    return value


def _figure(body: dict[str, Any], key: str, least: int, most: int, *, missing: int | None = None) -> int:
    if key not in body and missing is not None:
        return missing
    value = body.get(key)
    if type(value) is not int or not least <= value <= most:
        raise Unusable(f"{key} is " + (repr(value)[:40] if key in body else "missing"))
    return value


def _moment(body: dict[str, Any], key: str) -> datetime:
    return _EPOCH + timedelta(milliseconds=_figure(body, key, 1, _MAX_MS))
