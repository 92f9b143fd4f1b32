"""The shape of a policy file: frozen and checking itself. One file is one policy.

Every field says its unit in its type (fields.py). What needs more than one file to know, such as an address that stands
in two policies, is checked where all files are at hand (config/load.py).
"""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, model_validator

from energyd.fields import (
    Address,
    Clock,
    Cron,
    Days,
    Duration,
    Energy,
    Moment,
    Money,
    Name,
    Percent,
    PriceCap,
    PriceLimit,
    Shape,
    Timezone,
    at_least,
    listed,
)

UTC = ZoneInfo("UTC")


class WatchedAddress(Shape):
    """An address whose energy is watched, with a label for people."""

    address: Address
    label: str = ""


def _bare_address(value: object) -> object:
    return {"address": value} if isinstance(value, str) else value


class KeepWindow(Shape):
    """A stretch of the week in which the floor is kept; one that ends before it starts runs over midnight."""

    days: Days = frozenset(range(7))
    start: Annotated[Clock, Field(alias="from")]
    end: Annotated[Clock, Field(alias="to")]
    timezone: Timezone = UTC

    @model_validator(mode="after")
    def _has_length(self) -> "KeepWindow":
        if self.start == self.end:
            raise ValueError("the window starts and ends at the same time; write '00:00' to '24:00' for whole days")
        return self


Keep = Literal["always", "while_active", "never"] | tuple[KeepWindow, ...]


class EnergyRule(Shape):
    """Keep the energy of each address above a floor."""

    floor: Energy
    target: Energy | None = None
    keep: Annotated[Keep, listed] = "always"
    active_within: Annotated[Duration, at_least(1)] = timedelta(minutes=30)
    renew_before: Duration = timedelta(seconds=90)
    check_every: Annotated[Duration, at_least(1)] = timedelta(seconds=15)
    max_price: PriceCap = PriceLimit(burn_percent=Decimal(100))
    cooldown: Duration = timedelta(seconds=30)
    on_unknown: Literal["hold", "assume_empty"] = "hold"

    @model_validator(mode="after")
    def _target_reaches_floor(self) -> "EnergyRule":
        if self.target is not None and self.target < self.floor:
            raise ValueError(f"floor {self.floor} is above target {self.target}; the target is what is rented up to")
        return self

    @property
    def rent_up_to(self) -> int:
        return self.floor if self.target is None else self.target


class PlannedCall(Shape):
    """Contract calls that are known beforehand, at one moment or again and again."""

    name: Name
    cron: Cron | None = None
    at: Moment | None = None
    timezone: Timezone = UTC
    lead: Duration = timedelta(minutes=3)
    hold: Duration = timedelta(minutes=20)
    contract: Address | None = None
    function: Annotated[str, Field(pattern=r"^[A-Za-z_$][A-Za-z0-9_$]*\([^\s()]*(\([^\s()]*\)[^\s()]*)*\)$")] | None = (
        None
    )
    arguments: Annotated[tuple[Any, ...], listed] = ()
    count: Annotated[int, Field(ge=1, le=100_000)] = 1
    energy: Literal["auto"] | Energy = "auto"
    margin: Percent = Decimal(0)

    @model_validator(mode="after")
    def _says_when_and_what(self) -> "PlannedCall":
        if (self.cron is None) == (self.at is None):
            raise ValueError("a planned call needs either 'cron' or 'at', and not both")
        if self.energy == "auto" and (self.contract is None or self.function is None):
            raise ValueError("'energy: auto' asks the node, which needs 'contract' and 'function'")
        return self


class HostModeRule(Shape):
    """Keep Host Mode cycles topped up."""

    min_cycles: Annotated[int, Field(ge=1, le=10_000)]
    top_up_to: Annotated[int, Field(ge=1, le=10_000)]
    check_every: Annotated[Duration, at_least(10)] = timedelta(minutes=10)
    max_cycle_price: Money

    @model_validator(mode="after")
    def _tops_up(self) -> "HostModeRule":
        if self.top_up_to < self.min_cycles:
            raise ValueError(f"top_up_to {self.top_up_to} is below min_cycles {self.min_cycles}")
        return self


class Budget(Shape):
    """The most that may be spent, in sun: for one order, and in rolling windows of wall-clock time."""

    per_order: Money
    per_hour: Money
    per_day: Money

    @model_validator(mode="after")
    def _windows_grow(self) -> "Budget":
        if not self.per_order <= self.per_hour <= self.per_day:
            raise ValueError("per_order must not be above per_hour, nor per_hour above per_day")
        return self


class Policy(Shape):
    """One policy file."""

    policy: Name
    description: str = ""
    enabled: bool = True
    mode: Literal["observe"] | None = None
    addresses: Annotated[
        tuple[Annotated[WatchedAddress, BeforeValidator(_bare_address)], ...],
        listed,
        Field(min_length=1),
    ]
    energy: EnergyRule | None = None
    planned_calls: Annotated[tuple[PlannedCall, ...], listed] = ()
    host_mode: HostModeRule | None = None
    budget: Budget | Literal["unlimited"]

    @property
    def name(self) -> str:
        return self.policy

    @property
    def limits(self) -> Budget | None:
        """The budget; None when it was written out as unlimited."""
        return None if self.budget == "unlimited" else self.budget

    def watched(self) -> Iterator[str]:
        return (watched.address for watched in self.addresses)
