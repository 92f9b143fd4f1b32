"""Requests are read as strictly as files: an unknown key, a key that stands twice and a null are faults.

The answer to a fault says what to write instead.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from fastapi import Request

from energyd.config.faults import shaped
from energyd.config.source import Node
from energyd.errors import Place
from energyd.fields import MAX_ENERGY, Shape, shown

S = TypeVar("S", bound=Shape)

BODY_BYTES_MAX = 64 * 1024


class Wrong(Exception):
    """A request that cannot be done: its HTTP status, what is wrong, and what to do instead."""

    def __init__(self, status: int, error: str, hint: str = "", **more: object) -> None:
        super().__init__(error)
        self.status, self.error, self.hint, self.more = status, error, hint, more


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
