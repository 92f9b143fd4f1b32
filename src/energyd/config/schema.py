"""The JSON Schema of both files, for editors: what the loader accepts, as far as a schema can say it.

A schema sees a file as another YAML reader does, before variables of the environment are filled in: wherever a value
is expected, a text with `${NAME}` in it fits.
"""

import ast
import inspect
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from energyd.config.faults import shapes
from energyd.config.settings import Settings, UnixSocket
from energyd.fields import PriceLimit, Shape
from energyd.policy import Policy, WatchedAddress
from energyd.units import duration_text

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE = r"(^|[^$])\$\{[A-Za-z_][A-Za-z0-9_]*\}"
_FROM_ENVIRONMENT = {"type": "string", "pattern": _VARIABLE}


def schema(kind: Literal["config", "policy"]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of energyd.yaml or of a policy file."""
    shape: type[Shape] = Settings if kind == "config" else Policy
    drawn = shape.model_json_schema()
    for each in shapes(shape):
        _write_out(each, drawn if each is shape else drawn["$defs"][each.__name__])
    if kind == "policy":
        _allow_bare_addresses(drawn["$defs"])
    head = {"$schema": DIALECT, "$id": f"urn:energyd:schema:{kind}", "title": f"energyd {kind}"}
    return head | {key: value for key, value in _opened(drawn).items() if key not in head}


def _allow_bare_addresses(definitions: dict[str, Any]) -> None:
    mapping = definitions[WatchedAddress.__name__]
    definitions[WatchedAddress.__name__] = {"anyOf": [mapping["properties"]["address"], mapping]}


def _write_out(shape: type[Shape], drawn: dict[str, Any]) -> None:
    """Each key's description, and its default as a person would write it."""
    texts = _docstrings(shape)
    for name, field in shape.model_fields.items():
        key = drawn["properties"][field.alias or name]
        written = None if field.is_required() else _as_written(field.default)
        key.pop("default", None)
        key.update({"default": written} if written is not None else {})
        key.update({"description": texts[name]} if name in texts else {})


def _docstrings(shape: type[Shape]) -> dict[str, str]:
    """The text below each field. Pydantic could read it, but at every import and not only for a schema."""
    [drawn] = ast.parse(inspect.getsource(shape)).body
    assert isinstance(drawn, ast.ClassDef)
    texts = {}
    for field, text in pairwise(drawn.body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(words))):
                texts[name] = words
    return texts


def _as_written(value: object) -> object:
    match value:
        case bool() | int() | str():
            return value
        case ():
            return []
        case timedelta():
            return duration_text(value)
        case Decimal():
            return f"{value}%"
        case PriceLimit() | Path() | ZoneInfo() | UnixSocket():
            return str(value)
    return None


def _opened(drawn: Any) -> Any:
    """The same schema with room for `${NAME}` at every value, and without null, which no file may contain."""
    if isinstance(drawn, list):
        return [_opened(each) for each in drawn if each != {"type": "null"}]
    if not isinstance(drawn, dict) or "pattern" in drawn.get("not", ()):
        return drawn
    if len(drawn.get("anyOf", ())) == 2 and {"type": "null"} in drawn["anyOf"]:  # noqa: PLR2004 - a type or null
        only = next(branch for branch in drawn["anyOf"] if branch != {"type": "null"})
        return _opened(only | {key: value for key, value in drawn.items() if key != "anyOf"})
    if "pattern" in drawn:
        return drawn | {"pattern": f"({drawn['pattern']})|{_VARIABLE}"}
    words = {key: drawn[key] for key in ("enum", "const") if key in drawn}
    if not words:
        return {key: _opened(value) for key, value in drawn.items()}
    rest = {key: value for key, value in drawn.items() if key not in (*words, "type")}
    return rest | {"anyOf": [words, _FROM_ENVIRONMENT]}
