"""What pydantic found, as faults: one sentence of ours for one mistake, at its place in the file."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from energyd.config.source import Node, in_words
from energyd.errors import ConfigFault
from energyd.fields import FaultAtKey, Shape, shown

S = TypeVar("S", bound=Shape)


def shaped(kind: type[S], root: Node, context: object = None) -> tuple[S | None, list[ConfigFault]]:
    """The shape that a tree stands for, or what keeps it from being one."""
    try:
        return kind.model_validate(root.plain(), context=context), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    misspelt = _misspelt(kind, found)
    return None, [_fault(kind, root, details) for details in found if not _follows(details, root, misspelt)]


def _follows(details: ErrorDetails, root: Node, misspelt: set[tuple[str | int, ...]]) -> bool:
    """Whether this is only the consequence of another fault: one mistake is one fault."""
    nodes = root.path(details["loc"])
    if any(node.broken for node in nodes):
        return True
    if details["type"] == "missing":
        return details["loc"] in misspelt
    return details["type"] == "too_short" and bool(nodes[-1].value)  # pydantic counts the good items only


def _misspelt(kind: type[Shape], found: list[ErrorDetails]) -> set[tuple[str | int, ...]]:
    """The keys that are not missing but written as something near them."""
    extra = [details["loc"] for details in found if details["type"] == "extra_forbidden"]
    return {(*loc[:-1], near) for loc in extra if (near := _nearest(str(loc[-1]), _shape_at(kind, loc[:-1])))}


def _fault(kind: type[Shape], root: Node, details: ErrorDetails) -> ConfigFault:
    loc = details["loc"]
    node = root.path(loc)[-1]
    if details["type"] == "extra_forbidden":
        return ConfigFault(node.key_place, *_unknown(kind, loc))
    if details["type"] == "missing":
        place = node.place if node is root else node.key_place
        return ConfigFault(place, f"{loc[-1]!r} is missing", f"write {REQUIRED.get(str(loc[-1]), loc[-1])!r}")
    problem, hint = _said(details, node)
    error = details.get("ctx", {}).get("error")
    if isinstance(error, FaultAtKey):
        node = node.child(error.key) or node
    elif variables := node.variables_inside():
        problem = f"{in_words(variables)} cannot be used here"
        hint = "" if _quotes(hint, node.text) else hint
    return ConfigFault(node.place, problem, hint)


def _quotes(hint: str, secret: str) -> bool:
    """Whether a word of what must not be told stands in the hint."""
    return any(word in hint for word in re.findall(r"\w+", secret))


def _said(details: ErrorDetails, node: Node) -> tuple[str, str]:
    """Problem and hint. Errors of our own types carry both; pydantic's few others get their words here.

    A value is quoted only where it is one of a few words: a list or a mapping may be a key in the wrong place.
    """
    kind, context = details["type"], details.get("ctx", {})
    if kind == "value_error":
        problem, _, hint = str(context["error"]).partition("; ")
        return problem, hint
    if kind in ("literal_error", "enum"):
        return f"{shown(node.plain())} is not known here", f"write {str(context['expected']).replace(chr(39), '')}"
    return WORDS.get(kind, ("this value cannot be used here", "see the documentation of this key"))


REQUIRED = {
    "mode": "mode: dry-run",
    "policy": "policy: payouts",
    "addresses": "addresses: [T…]",
    "address": "address: T…",
    "budget": "budget: {per_order: 15 TRX, per_hour: 60 TRX, per_day: 400 TRX}",
    "per_order": "per_order: 15 TRX",
    "per_hour": "per_hour: 60 TRX",
    "per_day": "per_day: 400 TRX",
    "floor": "floor: 65_000",
    "from": "from: 08:00",
    "to": "to: 20:00",
    "name": "name: payroll",
    "min_cycles": "min_cycles: 2",
    "top_up_to": "top_up_to: 10",
    "max_cycle_price": "max_cycle_price: 4 TRX",
}
"""An example of each key that must be there."""

WORDS = {
    "too_short": ("the list is empty", "write at least one item"),
    "tuple_type": ("this is not a list", "write each item on a line that starts with '- '"),
    "model_type": ("this is not a mapping", "write its keys below, indented by two spaces"),
    "model_attributes_type": ("this is not a mapping", "write its keys below, indented by two spaces"),
}


def _unknown(kind: type[Shape], loc: tuple[str | int, ...]) -> tuple[str, str]:
    key, shape = str(loc[-1]), _shape_at(kind, loc[:-1])
    near = _nearest(key, shape)
    if near:
        return f"unknown key {key!r}", f"did you mean {near!r}?"
    homes = _homes(kind).get(key)
    if homes:
        return f"unknown key {key!r} here", f"it belongs {homes}"
    return f"unknown key {key!r}", f"known here: {', '.join(sorted(keys(shape)))}"


def keys(shape: type[Shape]) -> dict[str, Any]:
    """The keys of a mapping in a file and the type of each one's value."""
    return {field.alias or name: field.annotation for name, field in shape.model_fields.items()}


def _nearest(key: str, shape: type[Shape]) -> str | None:
    near = get_close_matches(key.lower(), keys(shape), n=1, cutoff=0.7)
    return near[0] if near else None


def _shape_at(kind: type[Shape], loc: tuple[str | int, ...]) -> type[Shape]:
    """The shape of the mapping at the end of the way; steps that are no keys (items, branches) are skipped."""
    shape = kind
    for step in loc:
        shape = _shape_in(keys(shape).get(str(step))) or shape
    return shape


def _shape_in(annotation: object) -> type[Shape] | None:
    if isinstance(annotation, type) and issubclass(annotation, Shape):
        return annotation
    return next((shape for part in get_args(annotation) if (shape := _shape_in(part))), None)


def shapes(kind: type[Shape]) -> set[type[Shape]]:
    """Every shape in a file of this kind."""
    below = {shape for annotation in keys(kind).values() if (shape := _shape_in(annotation))}
    return {kind}.union(*(shapes(shape) for shape in below))


@lru_cache(maxsize=8)
def _homes(kind: type[Shape]) -> dict[str, str]:
    """Where each key belongs, in words, for keys that were written in the wrong mapping."""

    def walk(shape: type[Shape], where: str) -> Iterator[tuple[str, str]]:
        for key, annotation in keys(shape).items():
            yield key, where
            below = _shape_in(annotation)
            if below is not None:
                yield from walk(below, f"below {key!r}")

    return dict(reversed(list(walk(kind, "at the start of a line"))))
