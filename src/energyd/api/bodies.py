"""What requests may carry, in the words of the command line and with the field types of a policy file.

A body is read as strictly as a file: an unknown key, a key that stands twice and a value without its unit are faults,
and the answer says what to write instead.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Request
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.config import JsonDict

from energyd.arguments import of_calls
from energyd.config.faults import shaped
from energyd.config.source import Node
from energyd.errors import Place
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

S = TypeVar("S", bound=Shape)

BODY_BYTES_MAX = 64 * 1024
KEY_PATTERN = r"^[\x21-\x7e]{1,200}$"
LONGEST_WAIT = timedelta(days=1)
LONGEST_HOLD = timedelta(days=1)


class Wrong(Exception):
    """A request that cannot be done: its HTTP status, what is wrong, and what to do instead."""

    def __init__(self, status: int, error: str, hint: str = "", **more: object) -> None:
        super().__init__(error)
        self.status, self.error, self.hint, self.more = status, error, hint, more


# --- the shapes -----------------------------------------------------------------------------------------------------


def _key(value: object) -> str:
    text = value if isinstance(value, str) else ""
    if not text.isascii() or not text.isprintable() or " " in text or not 1 <= len(text) <= 200:  # noqa: PLR2004 - the length in KEY_PATTERN
        raise ValueError(f"{shown(value)} is no key; use up to 200 letters, digits and signs without spaces")
    return text


Key = Annotated[
    str, BeforeValidator(_key), WithJsonSchema({"type": "string", "pattern": KEY_PATTERN, "examples": ["payout-1041"]})
]


def _reason(text: str) -> str:
    if len(text) > 200 or not text.isprintable():  # noqa: PLR2004 - what fits a line
        raise ValueError("the reason is too long or has a line break; write one line of up to 200 characters")
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
    reason: Annotated[Text, AfterValidator(_reason), _ONE_LINE] = ""
    """Why, for whoever wonders."""


class ResumeBody(Whose):
    """Lift the pause of exactly this policy, this address, or everything."""


class SettleBody(Shape):
    """What became of an unresolved order, by the word of a person who looked at the account at Netts."""

    placed: Switch
    """Whether Netts has taken and charged it."""
    who: Annotated[Text, AfterValidator(_reason), _ONE_LINE] = "an operator"
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


class NothingQuery(Shape):
    """No parameters."""


# --- reading them ---------------------------------------------------------------------------------------------------


def body(kind: type[S]) -> Callable[[Request], Awaitable[S]]:
    """Reads a JSON body of a shape. Raises Wrong."""

    async def read(request: Request) -> S:
        _nothing_in_query(request)
        content = await request.body()
        return _shaped(kind, _json(content) if content.strip() else {}, "body")

    return read


def query(kind: type[S]) -> Callable[[Request], Awaitable[S]]:
    """Reads the parameters of a request as a shape. Raises Wrong."""

    async def read(request: Request) -> S:
        pairs = request.query_params.multi_items()
        return _shaped(kind, _once(pairs), "query")

    return read


def takes(kind: type[Shape], where: str) -> dict[str, Any]:
    """The part of the OpenAPI page about what is read: as JSON body, or as parameters of the query."""
    schema = kind.model_json_schema()
    parts = {name: _said(part) for name, part in schema.get("properties", {}).items()}
    if where == "body":
        content = {"application/json": {"schema": schema | {"properties": parts}}}
        return {"requestBody": {"required": bool(schema.get("required")), "content": content}}
    parameters = [
        {"name": name, "in": "query", "required": False, "schema": _as_number(part)} for name, part in parts.items()
    ]
    return {"parameters": parameters} if parameters else {}


def _said(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A key is there or not; it is never null."""
    forms = [form for form in schema.get("anyOf", ()) if form != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf" and (name, value) != ("default", None)}
    return rest | ({"anyOf": forms} if len(forms) > 1 else forms[0] if forms else {})


def _as_number(schema: Mapping[str, Any]) -> dict[str, Any]:
    """In a query all is text, so that a number has one form only."""
    number = next((form for form in schema.get("anyOf", ()) if form.get("type") == "integer"), None)
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return dict(schema) if number is None else rest | number


def _nothing_in_query(request: Request) -> None:
    if request.query_params:
        name = next(iter(request.query_params))
        raise Wrong(422, f"{name!r} stands in the query", "write it into the JSON body")


def _json(content: bytes) -> object:
    try:
        return json.loads(content, object_pairs_hook=_once, parse_float=_whole, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Wrong(400, f"the body is not JSON: {error}", 'write it like {"address": "T…", "energy": 65000}') from None


def _whole(text: str) -> int:
    """1.0 is the whole number 1 for JSON; nothing here has parts."""
    number = float(text)
    if not number.is_integer() or abs(number) > MAX_ENERGY:
        raise Wrong(422, f"{text} is not a whole number", "write amounts as whole numbers")
    return int(number)


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no number of JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Wrong(422, f"{shown(key)} stands twice", "remove one of the two")
        if value is None:
            raise Wrong(422, f"{shown(key)} is null", "leave it out")
        found[key] = value
    return found


def _shaped(kind: type[S], value: object, where: str) -> S:
    if not isinstance(value, dict):
        raise Wrong(422, f"the {where} is {shown(value)}", "write an object with the keys of this request")
    root = _node(value, where)
    found, faults = shaped(kind, root)
    if found is None:
        first = faults[0]
        named = "" if first.place.file == where or repr(first.place.file) in first.problem else f"{first.place.file}: "
        raise Wrong(422, named + first.problem, first.hint)
    return found


def _node(value: object, name: str) -> Node:
    """A value of JSON in the form in which files are checked; in place of a line stands the name of its key."""
    place = Place(name)
    if isinstance(value, dict):
        return Node(place, place, {str(key): _node(part, str(key)) for key, part in value.items()})
    if isinstance(value, list):
        return Node(place, place, [_node(part, name) for part in value])
    return Node(place, place, value if isinstance(value, bool | int | str) else None)
