"""The shape of a policy file: frozen and checking itself. One file is one policy.

Every field says its unit in its type (fields.py). What needs more than one file to know, such as an address that stands
in two policies, is checked where all files are at hand (config/load.py).
"""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict

from energyd.arguments import fitting, of_calls, of_lines
from energyd.fields import (
    Address,
    Argument,
    AutoEnergy,
    Clock,
    Cron,
    Days,
    Duration,
    Energy,
    FaultAtKey,
    Function,
    Label,
    Moment,
    Money,
    Name,
    Percent,
    PriceCap,
    Shape,
    Switch,
    Text,
    TimeOfDay,
    Timezone,
    Whole,
    at_least,
    at_most,
    listed,
    shown,
)

UTC = ZoneInfo("UTC")


class WatchedAddress(Shape):
    """An address whose energy is watched, with a label for people."""

    address: Address
    label: Label = ""
    """A name for people."""


def _bare_address(value: object) -> object:
    if isinstance(value, dict | WatchedAddress):
        return value
    if isinstance(value, str):
        return {"address": value}
    raise ValueError(f"{shown(value)} is not an address; write one, or address and label below it")


class KeepWindow(Shape):
    """A stretch of the week in which the floor is kept; one that ends before it starts runs over midnight."""

    days: Days = frozenset(range(7))
    """Days of the week on which the window starts; default: all."""
    start: Annotated[Clock, Field(alias="from")]
    """Time of day."""
    end: Annotated[Clock, Field(alias="to")]
    """Time of day; 24:00 is the end of the day."""
    timezone: Timezone = UTC
    """The time zone of both."""

    @field_validator("end")
    @classmethod
    def _has_length(cls, end: TimeOfDay, others: ValidationInfo) -> TimeOfDay:
        if end == others.data.get("start"):
            raise ValueError("the window ends when it starts; write '00:00' to '24:00' for whole days")
        return end


def _keep_word(value: object) -> object:
    if value in ("always", "while_active", "never"):
        return value
    raise ValueError(f"{shown(value)} is not known here; write always, while_active, never or a list of windows")


Keep = Annotated[
    Annotated[Literal["always", "while_active", "never"], BeforeValidator(_keep_word), Tag("<word>")]
    | Annotated[tuple[KeepWindow, ...], Field(min_length=1), listed, Tag("<list>")],
    Discriminator(lambda value: "<list>" if isinstance(value, list | tuple) else "<word>"),
]


class EnergyRule(Shape):
    """Keep the energy of each address above a floor."""

    floor: Energy
    """Rent when the energy that will still be there falls below this."""
    target: Energy | None = None
    """And rent up to this; default: the floor."""
    keep: Keep = "always"
    """When the floor is kept. While active: as long as energy was used in the last `active_within`."""
    active_within: Annotated[Duration, at_least(1)] = timedelta(minutes=30)
    """For `keep: while_active`."""
    renew_before: Annotated[
        Duration, at_most(timedelta(minutes=30), "a rental lasts an hour and would count as gone for most of it")
    ] = timedelta(seconds=90)
    """Count energy that expires within this time as gone already."""
    check_every: Annotated[Duration, at_least(1)] = timedelta(seconds=15)
    """How often the address is read."""
    max_price: PriceCap | None = None
    """The most that a unit of energy may cost; above it, hold and say why. Never more than burning costs."""
    cooldown: Duration = timedelta(seconds=30)
    """Least time between two orders for one address."""
    on_unknown: Literal["hold", "assume_empty"] = "hold"
    """What to do while the address cannot be read."""

    @field_validator("target")
    @classmethod
    def _reaches_the_floor(cls, target: int | None, others: ValidationInfo) -> int | None:
        if target is not None and target < others.data.get("floor", 0):
            raise ValueError("the target is below the floor; rent up to the floor at least")
        return target

    @property
    def rent_up_to(self) -> int:
        return self.floor if self.target is None else self.target


Receivers = Annotated[
    tuple[tuple[Any, ...], ...],
    WithJsonSchema({"type": "string", "minLength": 1, "examples": ["payroll.csv"]}),
]
"""Read from the file that is named; in a policy they are the arguments of each call."""

_WHEN_AND_WHAT: JsonDict = {
    "oneOf": [{"required": ["cron"]}, {"required": ["at"]}],
    "anyOf": [
        {"required": ["contract", "function"]},
        {"required": ["energy"], "properties": {"energy": {"not": {"const": "auto"}}}},
    ],
}
"""What `PlannedCall._says_when_and_what` checks, for the JSON Schema."""


class PlannedCall(Shape):
    """Contract calls that are known beforehand, at one moment or again and again."""

    name: Name
    """A name that no other call of this policy has."""
    cron: Cron | None = None
    """When, as minute hour day month weekday; or `at`."""
    at: Moment | None = None
    """When, once; or `cron`."""
    timezone: Timezone = UTC
    """The time zone of `cron`."""
    lead: Duration = timedelta(minutes=3)
    """Have the energy on chain this long before."""
    hold: Duration = timedelta(minutes=20)
    """And keep it that long after."""
    contract: Address | None = None
    """The contract that is called."""
    function: Function | None = None
    """Its function."""
    arguments: Annotated[tuple[Argument, ...], listed] = ()
    """What the function is called with, for the estimate; or such a list for each of up to 1,000 different calls."""
    receivers: Receivers | None = None
    """Or a CSV file with one call a line, its arguments in the columns; a relative path starts at this file."""
    count: Annotated[int, Whole("a number of calls", 1, 100_000, 40)] = 1
    """This many such calls; what is listed call by call counts itself."""
    energy: AutoEnergy = "auto"
    """Energy of one call; auto asks the node."""
    fallback: Energy | None = None
    """Energy of one call when the node cannot say; without it nothing is rented on a guess."""
    margin: Percent = Decimal(0)
    """Added to the estimate."""

    model_config = ConfigDict(json_schema_extra=_WHEN_AND_WHAT)

    @field_validator("arguments")
    @classmethod
    def _fit_the_function(cls, written: tuple[object, ...], others: ValidationInfo) -> tuple[object, ...]:
        function = others.data.get("function")
        return written if function is None else of_calls(function, written)

    @field_validator("receivers", mode="before")
    @classmethod
    def _read_from_their_file(cls, named: object, others: ValidationInfo) -> object:
        function, read_text = others.data.get("function"), others.context
        if not isinstance(named, str) or not named or not callable(read_text):
            raise ValueError(f"{shown(named)} is no file; write its name, like payroll.csv")
        if function is None:
            raise ValueError("the function is missing; write one, like 'transfer(address,uint256)'")
        return of_lines(function, named, read_text(named))

    @property
    def argument_lists(self) -> tuple[tuple[object, ...], ...]:
        """The arguments of each call, or of one that stands for all."""
        return ((),) if self.function is None else self.receivers or self.arguments or ((),)

    @property
    def calls(self) -> int:
        """How many calls these are."""
        return self.count if len(self.argument_lists) == 1 else len(self.argument_lists)

    @model_validator(mode="after")
    def _lists_or_counts(self) -> "PlannedCall":
        if self.receivers and self.arguments:
            raise FaultAtKey("receivers", "the call has both 'arguments' and 'receivers'; remove one")
        if "count" in self.model_fields_set and self.count != self.calls:
            raise FaultAtKey("count", f"{self.calls} calls are listed; remove 'count', or list as many")
        if not self.receivers and not self.arguments and self.energy == "auto" and self.function is not None:
            fitting(self.function, ())
        return self

    @model_validator(mode="after")
    def _says_when_and_what(self) -> "PlannedCall":
        if self.cron is None and self.at is None:
            raise ValueError("the call does not say when; write 'cron' or 'at'")
        if self.cron is not None and self.at is not None:
            raise FaultAtKey("at", "the call has both 'cron' and 'at'; remove one")
        if self.energy == "auto" and (self.contract is None or self.function is None):
            raise ValueError("the call does not say how much energy; write 'energy', or 'contract' and 'function'")
        return self


_HOW_FEW: JsonDict = {"oneOf": [{"required": ["min_cycles"]}, {"required": ["min_left"]}]}
"""What `HostModeRule._says_how_few` checks, for the JSON Schema."""


class HostModeRule(Shape):
    """Keep Host Mode cycles topped up."""

    min_cycles: Annotated[int, Whole("a number of cycles", 1, 10_000, 10)] | None = None
    """Order when fewer remain; or `min_left`."""
    min_left: Annotated[Duration, at_least(1)] | None = None
    """Order when those that remain last less than this; or `min_cycles`."""
    top_up_to: Annotated[int, Whole("a number of cycles", 1, 10_000, 10)]
    """And order up to this."""
    check_every: Annotated[Duration, at_least(10)] = timedelta(minutes=10)
    """How often the cycles are read."""
    max_cycle_price: Money
    """The most that a cycle may cost."""

    @field_validator("top_up_to")
    @classmethod
    def _tops_up(cls, top_up_to: int, others: ValidationInfo) -> int:
        if top_up_to < (others.data.get("min_cycles") or 0):
            raise ValueError("top_up_to is below min_cycles; top up to min_cycles at least")
        return top_up_to

    model_config = ConfigDict(json_schema_extra=_HOW_FEW)

    @model_validator(mode="after")
    def _says_how_few(self) -> "HostModeRule":
        if self.min_cycles is None and self.min_left is None:
            raise ValueError("it does not say when to order; write 'min_cycles' or 'min_left'")
        if self.min_cycles is not None and self.min_left is not None:
            raise FaultAtKey("min_left", "it has both 'min_cycles' and 'min_left'; remove one")
        return self


class Budget(Shape):
    """The most that may be spent, in sun: for one order, and in rolling windows of wall-clock time."""

    per_order: Money
    """The most that one order may cost."""
    per_hour: Money
    """The most within any hour."""
    per_day: Money
    """The most within any 24 hours."""

    @field_validator("per_hour")
    @classmethod
    def _an_hour_holds_an_order(cls, per_hour: int, others: ValidationInfo) -> int:
        if per_hour < others.data.get("per_order", 0):
            raise ValueError("per_hour is below per_order; one order counts in its hour")
        return per_hour

    @field_validator("per_day")
    @classmethod
    def _a_day_holds_an_hour(cls, per_day: int, others: ValidationInfo) -> int:
        if per_day < others.data.get("per_hour", 0):
            raise ValueError("per_day is below per_hour; an hour counts in its day")
        return per_day


def _unlimited(value: object) -> object:
    if value == "unlimited":
        return value
    raise ValueError(f"{shown(value)} is no budget; write per_order, per_hour and per_day below it, or unlimited")


Spending = Annotated[
    Annotated[Budget, Tag("<mapping>")] | Annotated[Literal["unlimited"], BeforeValidator(_unlimited), Tag("<word>")],
    Discriminator(lambda value: "<mapping>" if isinstance(value, dict | Budget) else "<word>"),
]


class Policy(Shape):
    """One policy file."""

    policy: Name
    """The name of the policy."""
    description: Text = ""
    """What it is for."""
    enabled: Switch = True
    """A policy that is not enabled is checked and then left out."""
    mode: Literal["observe"] | None = None
    """Observe: decide and log, and spend nothing, whatever the daemon does."""
    addresses: Annotated[
        tuple[Annotated[WatchedAddress, BeforeValidator(_bare_address)], ...],
        Field(min_length=1),
        listed,
    ]
    """The addresses that it watches."""
    energy: EnergyRule | None = None
    planned_calls: Annotated[tuple[PlannedCall, ...], listed] = ()
    """Contract calls that are known beforehand."""
    host_mode: HostModeRule | None = None
    budget: Spending
    """The most that it may spend; `unlimited` must be written out."""

    @property
    def name(self) -> str:
        return self.policy

    @property
    def limits(self) -> Budget | None:
        """The budget; None when it was written out as unlimited."""
        return None if self.budget == "unlimited" else self.budget

    def watched(self) -> Iterator[str]:
        return (watched.address for watched in self.addresses)
