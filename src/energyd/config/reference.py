"""The reference of both files as Markdown, from the same models that read them: docs/reference.md.

`python -m energyd.config.reference > docs/reference.md` writes it anew; a test compares the two.
"""

import sys
from collections.abc import Iterator
from typing import Any

from energyd.config.schema import schema

_HEAD = """\
# Reference

Every key of both files, as energyd reads them. `${NAME}` is replaced from the environment anywhere in a value. A key
that is not listed here is a fault; `energyd check` says where it stands and what to write instead. For editors,
`energyd schema config` and `energyd schema policy` print the same as JSON Schema.
"""
_TITLES = {"config": "energyd.yaml", "policy": "A policy file"}
_VARIABLE = "[A-Za-z_]"
"""Part of the pattern with which a schema makes room for `${NAME}`."""


def reference() -> str:
    return "\n".join([_HEAD, *(line for kind in ("config", "policy") for line in _of_file(kind))])


def _of_file(kind: Any) -> Iterator[str]:
    drawn = schema(kind)
    yield f"## {_TITLES[kind]}\n"
    for path, shape in _shapes(drawn, drawn, ""):
        if path:
            yield f"### `{path}`\n"
            yield f"{shape.get('description', '')}\n"
        yield "| key | default | written like | what it says |"
        yield "|---|---|---|---|"
        required = shape.get("required", ())
        for key, field in shape["properties"].items():
            yield f"| `{key}` | {_default(field, key in required)} | {_example(field, drawn)} | {_text(field)} |"
        yield ""


def _shapes(shape: dict[str, Any], drawn: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A shape and those that stand in it, each with where."""
    yield path, shape
    for key, field in shape["properties"].items():
        for inner, is_item in _inner(field, drawn, is_item=False):
            yield from _shapes(inner, drawn, f"{path}.{key}".lstrip(".") + ("[]" if is_item else ""))


def _inner(field: dict[str, Any], drawn: dict[str, Any], *, is_item: bool) -> Iterator[tuple[dict[str, Any], bool]]:
    if "$ref" in field:
        yield from _inner(drawn["$defs"][field["$ref"].rsplit("/", 1)[-1]], drawn, is_item=is_item)
    elif "properties" in field:
        yield field, is_item
    else:
        for branch in (*field.get("anyOf", ()), *field.get("oneOf", ())):
            yield from _inner(branch, drawn, is_item=is_item)
        if isinstance(field.get("items"), dict):
            yield from _inner(field["items"], drawn, is_item=True)


def _default(field: dict[str, Any], is_required: bool) -> str:  # noqa: FBT001 - one word of the table
    if "default" not in field:
        return "required" if is_required else ""
    default = field["default"]
    return "" if default in ("", []) else f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _example(field: dict[str, Any], drawn: dict[str, Any]) -> str:
    """How a value is written: its examples, its words, or what kind of thing it is."""
    if field.get("examples"):
        return ", ".join(f"`{each}`" for each in field["examples"][:2])
    found = list(dict.fromkeys(_words(field, drawn)))
    return ", ".join(found) or "a text"


def _words(field: dict[str, Any], drawn: dict[str, Any]) -> Iterator[str]:
    if "$ref" in field:
        yield from _words(drawn["$defs"][field["$ref"].rsplit("/", 1)[-1]], drawn)
    elif field.get("examples"):
        yield f"`{field['examples'][0]}`"
    elif "enum" in field or "const" in field:
        yield from (f"`{str(word).lower()}`" for word in field.get("enum", [field.get("const")]))
    elif "properties" in field:
        yield "the keys below"
    elif field.get("type") == "array":
        yield "a list"
    elif field.get("type") in ("integer", "number"):
        yield "a whole number" if field["type"] == "integer" else "a number"
    elif field.get("type") == "string" and _VARIABLE not in field.get("pattern", ""):
        yield "a text"
    for branch in (*field.get("anyOf", ()), *field.get("oneOf", ())):
        yield from _words(branch, drawn)


def _text(field: dict[str, Any]) -> str:
    return " ".join(str(field.get("description", "")).split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
