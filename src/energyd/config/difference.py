"""What another set of files would change: policies, addresses, limits, and the most that can be spent in a day."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, SecretStr

from energyd.config.advice import spend_a_day_max
from energyd.config.settings import Settings
from energyd.fields import PriceLimit
from energyd.model import Mode
from energyd.policy import Budget, Policy
from energyd.units import duration_text, moment_text, trx_text

AFTER_A_RESTART = ("mode", "state", "listen", "listen_token", "log.format")
"""Settings that a reload does not take over."""
_AMOUNTS = (*Budget.model_fields, "max_cycle_price")
"""Keys whose value is an amount of sun."""
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Change:
    """One key that has another value, both as a person would write them; None where the key was or is left out."""

    key: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Moved:
    """An address that another policy watches; None: none did, or none will."""

    address: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Between two sets of policies."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: Mapping[str, tuple[Change, ...]]
    """By the policy's name."""
    addresses: tuple[Moved, ...]
    spend_before: int | None
    """The most that can be spent in a day, in sun; None: without limit."""
    spend_after: int | None

    @property
    def is_none(self) -> bool:
        return not (self.added or self.removed or self.changed)


def difference(before: Sequence[Policy], after: Sequence[Policy]) -> Difference:
    old, new = ({policy.name: policy for policy in policies} for policies in (before, after))
    both = [name for name in old if name in new]
    return Difference(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed={name: changes(old[name], new[name]) for name in sorted(both) if old[name] != new[name]},
        addresses=tuple(_moved(before, after)),
        spend_before=spend_in_all(before),
        spend_after=spend_in_all(after),
    )


def spend_in_all(policies: Iterable[Policy]) -> int | None:
    """The most that policies can spend together in a day, in sun; None: one of them is without limit."""
    most = [spend_a_day_max(policy) for policy in policies]
    return None if None in most else sum(each for each in most if each is not None)


def changes(before: BaseModel, after: BaseModel) -> tuple[Change, ...]:
    """The keys whose values differ, in the order in which the reference lists them; what is secret shows as stars."""
    old, new = dict(written(before)), dict(written(after))
    found = [Change(key, old.get(key), new.get(key)) for key in dict.fromkeys((*old, *new))]
    return tuple(change for change in found if change.before != change.after)


def acting(started_with: Settings, latest: Settings) -> Settings:
    """What a daemon runs with that was started with the one and has taken over the other."""
    kept = {key: getattr(started_with, key) for key in AFTER_A_RESTART if "." not in key}
    log = latest.log.model_copy(update={"format": started_with.log.format})
    return latest.model_copy(update=kept | {"log": log})


def waits_for_restart(before: Settings, after: Settings) -> tuple[str, ...]:
    """The settings that have changed and act only after a restart."""
    return tuple(key for key in AFTER_A_RESTART if _at(before, key) != _at(after, key))


def said_of_restart(before: Settings, after: Settings, *, mode: Mode) -> str | None:
    """What a person must know who expects a reload to take over everything. `mode` is the one that the daemon is in."""
    keys = waits_for_restart(before, after)
    if not keys:
        return None
    acts = "acts" if len(keys) == 1 else "act"
    stop = mode is Mode.LIVE and after.mode is not Mode.LIVE
    more = "; until then money is spent, `energyd pause` stops that" if stop else ""
    return f"{', '.join(keys)} {acts} after a restart{more}"


def said_of_budgets(found: Difference) -> str | None:
    """What a person must know who renames a policy or moves an address: a budget counts by the policy's name."""
    moves = dict.fromkeys((moved.before, moved.after) for moved in found.addresses if moved.before and moved.after)
    if not moves:
        return None
    ways = ", ".join(f"{before} to {after}" for before, after in moves)
    return f"addresses move from {ways}: what the one has spent does not count in the budget of the other"


def _at(value: Any, key: str) -> object:
    for step in key.split("."):
        value = getattr(value, step)
    return value


def _moved(before: Iterable[Policy], after: Iterable[Policy]) -> Iterator[Moved]:
    old, new = _watched(before), _watched(after)
    for address in dict.fromkeys((*old, *new)):
        if old.get(address) != new.get(address):
            yield Moved(address, old.get(address), new.get(address))


def _watched(policies: Iterable[Policy]) -> dict[str, str]:
    return {address: policy.name for policy in policies if policy.enabled for address in policy.watched()}


# --- as a person would write it -------------------------------------------------------------------------------------


def written(shape: BaseModel) -> Iterator[tuple[str, str]]:
    """Every key, as `budget.per_day`, and what stands there; what is left out has none, secrets are stars."""
    return _written(shape, "")


def _written(value: object, key: str) -> Iterator[tuple[str, str]]:
    """Every key below a value, and what stands there; what is left out has none."""
    match value:
        case None | ():
            return
        case BaseModel():
            for name in type(value).model_fields:
                yield from _written(getattr(value, name), f"{key}.{name}" if key else name)
        case tuple() if all(isinstance(each, BaseModel) and hasattr(each, "name") for each in value):
            for each in value:
                yield from _written(each, f"{key}.{each.name}")
        case _:
            yield key, _text(value, key.rpartition(".")[2])


def _text(value: object, key: str) -> str:  # noqa: C901, PLR0911 - one line for each kind of value
    match value:
        case bool():
            return str(value).lower()
        case int() if key in _AMOUNTS:
            return trx_text(value)
        case int():
            return f"{value:_}"
        case timedelta():
            return duration_text(value)
        case Decimal():
            return f"{value}%"
        case PriceLimit() | SecretStr():
            return str(value)
        case datetime():
            return moment_text(value)
        case frozenset():
            return ",".join(_DAYS[day] for day in sorted(value))
        case tuple():
            return ", ".join(_text(each, key) for each in value)
        case BaseModel():
            return " ".join(text for _, text in _written(value, key))
        case _ if is_dataclass(value) and type(value).__str__ is object.__str__:
            return " ".join(_text(getattr(value, field.name), key) for field in fields(value))
        case _:
            return str(value)
