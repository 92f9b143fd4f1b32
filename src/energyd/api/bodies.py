"""What requests may carry, in the words of the command line and with the field types of a policy file."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.config import JsonDict

from energyd.arguments import of_calls
from energyd.fields import (
    MAX_ENERGY,
    Address,
    Argument,
    Duration,
    FaultAtKey,
    Function,
    Moment,
    Name,
    Shape,
    Switch,
    Text,
    Whole,
    at_least,
    at_most,
    listed,
    shown,
)
from energyd.model import ContractCall

KEY_PATTERN = r"^[\x21-\x7e]{1,200}$"
LONGEST_WAIT = timedelta(days=1)
LONGEST_HOLD = timedelta(days=1)


def _key(value: object) -> str:
    text = value if isinstance(value, str) else ""
    if not text.isascii() or not text.isprintable() or " " in text or not 1 <= len(text) <= 200:  # noqa: PLR2004 - the length in KEY_PATTERN
        raise ValueError(f"{shown(value)} is no key; use up to 200 letters, digits and signs without spaces")
    return text


Key = Annotated[
    str, BeforeValidator(_key), WithJsonSchema({"type": "string", "pattern": KEY_PATTERN, "examples": ["payout-1041"]})
]


def _one_line(text: str) -> str:
    if len(text) > 200 or not text.isprintable():  # noqa: PLR2004 - what fits a line
        raise ValueError("the text is too long, or not one line of signs that can be printed; write up to 200 of them")
    return text


_ONE_LINE = WithJsonSchema({"type": "string", "maxLength": 200, "pattern": "^[ -~]*$"})
Count = Annotated[int, Whole("a number of calls", 1, 100_000, 40)]
SomeEnergy = Annotated[int, Whole("an amount of energy", 1, MAX_ENERGY, 65_000)]
Wait = Annotated[Duration, at_least(1), at_most(LONGEST_WAIT, "nobody waits for so long")]
Hold = Annotated[Duration, at_most(LONGEST_HOLD, "energy is kept for a day at most")]

_ENERGY_OR_CALLS: JsonDict = {
    "oneOf": [
        {
            "required": ["energy"],
            "not": {"anyOf": [{"required": [key]} for key in ("contract", "function", "arguments", "count")]},
        },
        {"required": ["contract", "function"], "not": {"required": ["energy"]}},
    ]
}


class Wanted(Shape):
    """Energy for one address: an amount, or contract calls that are estimated."""

    address: Address
    """An address that a policy watches."""
    energy: SomeEnergy | None = None
    """The energy that is needed, in all."""
    contract: Address | None = None
    """The contract that is called."""
    function: Function | None = None
    """Its function."""
    arguments: Annotated[tuple[Argument, ...], listed] = ()
    """What the function is called with; or a list of such lists, one for each of several calls."""
    count: Count = 1
    """This many such calls; what is listed call by call counts itself."""

    model_config = ConfigDict(json_schema_extra=_ENERGY_OR_CALLS)

    @model_validator(mode="after")
    def _says_how_much(self) -> "Wanted":
        of_calls = [key for key in ("contract", "function", "arguments", "count") if key in self.model_fields_set]
        if self.energy is None and (self.contract is None or self.function is None):
            raise ValueError("it does not say how much energy; write 'energy', or 'contract' and 'function'")
        if self.energy is not None and of_calls:
            raise FaultAtKey(of_calls[0], f"'energy' says it all, and {of_calls[0]!r} stands beside it; remove one")
        return self

    @model_validator(mode="after")
    def _fits_the_function(self) -> "Wanted":
        try:
            calls = len(self._argument_lists)
        except ValueError as error:
            raise FaultAtKey("arguments", str(error)) from None
        if calls > 1 and "count" in self.model_fields_set and self.count != calls:
            raise FaultAtKey("count", f"{calls} calls are listed; remove 'count', or list as many")
        return self

    @property
    def _argument_lists(self) -> tuple[tuple[object, ...], ...]:
        """The arguments of each call, or of one that stands for all. Raises ValueError."""
        return ((),) if self.function is None else of_calls(self.function, self.arguments)

    @property
    def what(self) -> ContractCall | None:
        if self.contract is None or self.function is None:
            return None
        lists = self._argument_lists
        count = self.count if len(lists) == 1 else len(lists)
        return ContractCall(self.address, self.contract, self.function, lists, count)


class EnsureBody(Wanted):
    """Ask for energy now, or by a moment, and wait for it."""

    by: Moment | None = None
    """When the energy must be there; without it, now."""
    hold: Annotated[Hold, Field(alias="for")] = timedelta(minutes=10)
    """Keep the energy for this long."""
    timeout: Wait = timedelta(minutes=2)
    """Without `by`: how long the energy is of use when it does not come at once."""
    key: Key | None = None
    """The same key is the same request, not a second one."""
    name: Name = "ensure"
    """What the log calls it."""

    model_config = ConfigDict(json_schema_extra=_ENERGY_OR_CALLS | {"not": {"required": ["by", "timeout"]}})

    @model_validator(mode="after")
    def _waits_until_one_moment(self) -> "EnsureBody":
        if self.by is not None and "timeout" in self.model_fields_set:
            raise FaultAtKey("timeout", "'by' says how long to wait already; remove 'timeout'")
        return self


class CallBody(Wanted):
    """Plan a call at run time."""

    at: Moment
    """When the calls are made."""
    lead: Hold = timedelta(minutes=3)
    """Have the energy on chain this long before."""
    hold: Hold = timedelta(minutes=20)
    """And keep it that long after."""
    name: Name = "call"
    """What lists and the log call it."""


_ONE_OF_BOTH: JsonDict = {"not": {"required": ["policy", "address"]}}


class Whose(Shape):
    """A policy, an address, or everything."""

    policy: Name | None = None
    address: Address | None = None

    model_config = ConfigDict(json_schema_extra=_ONE_OF_BOTH)

    @model_validator(mode="after")
    def _is_one(self) -> "Whose":
        if self.policy is not None and self.address is not None:
            raise FaultAtKey("address", "a pause is for a policy or for an address; remove one")
        return self


class PauseBody(Whose):
    """Stop spending: of everything, of a policy, or for an address."""

    length: Annotated[Annotated[Duration, at_least(1)] | None, Field(alias="for")] = None
    """For how long; without it, until `resume`."""
    reason: Annotated[Text, AfterValidator(_one_line), _ONE_LINE] = ""
    """Why, for whoever wonders."""


class ResumeBody(Whose):
    """Lift the pause of exactly this policy, this address, or everything."""


class SettleBody(Shape):
    """What became of an unresolved order, by the word of a person who looked at the account at Netts."""

    placed: Switch
    """Whether Netts has taken and charged it."""
    who: Annotated[Text, AfterValidator(_one_line), _ONE_LINE] = "an operator"
    """Who says so."""


class HostOrderBody(Shape):
    """Buy Host Mode cycles by hand."""

    address: Address
    """An address that a policy watches."""
    cycles: Annotated[int, Whole("a number of cycles", 1, 10_000, 10)]
    """How many, beside those that are there."""


class HostActBody(Shape):
    """Change how an address stands in Host Mode."""

    address: Address
    act: Literal["add", "infinity", "stop", "remove"]
    """Put it there, give it cycles without end (billed by the day), stop it, or remove it."""
    energy: SomeEnergy | None = None
    """For older generations of Netts' documents: the threshold of `add`, or the energy of `infinity`."""


class HostKeyBody(Shape):
    """Confirm the key under which the count of cycles stands."""

    key: Key


class NothingBody(Shape):
    """Nothing has to be said."""


Limit = Annotated[int, Whole("a number", 1, 10_000, 50)]


class DecisionsQuery(Shape):
    """Which decisions."""

    address: Address | None = None
    since: Moment | None = None
    """Not before this moment."""
    changes: Switch = False
    """Leave out those that repeat the one before."""
    limit: Limit = 50


class OrdersQuery(Shape):
    """Which orders."""

    address: Address | None = None
    policy: Name | None = None
    since: Moment | None = None
    """Not before this moment."""
    limit: Limit = 50


class CallsQuery(Shape):
    """Which calls."""

    address: Address | None = None


class OverviewQuery(Shape):
    """Which addresses."""

    find: Annotated[Text, AfterValidator(_one_line), _ONE_LINE] = ""
    """A part of the address, of its label, or of its policy's name."""
    attention: Switch = False
    """Only those that are short of something, or of which something is not known."""
    sheet: Annotated[int, Whole("a number", 1, 10_000, 1)] = 1
    """Twenty addresses are on a sheet; after the last one comes the last one."""


class NothingQuery(Shape):
    """No parameters."""
