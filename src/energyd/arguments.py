"""The arguments of a contract call, checked against the signature of its function before a node is asked."""

import csv
import re
from collections.abc import Sequence

from energyd.fields import read_address

MOST_CALLS = 1_000
"""Different calls that one planned call may list: each is one question to the node."""


def parameter_types(function: str) -> list[str]:
    """`transfer(address,uint256)` takes `address` and `uint256`; a tuple stays in its brackets."""
    inner, depth, types = function[function.index("(") + 1 : -1], 0, [""]
    for letter in inner:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            types.append("")
        else:
            types[-1] += letter
    return [] if types == [""] else types


def fitting(function: str, arguments: Sequence[object]) -> tuple[object, ...]:
    """The arguments as the function takes them. Raises ValueError for the first that does not fit."""
    types = parameter_types(function)
    if len(arguments) != len(types):
        raise ValueError(f"{function} takes {len(types)} arguments, and there are {len(arguments)}")
    return tuple(_fit(kind, value) for kind, value in zip(types, arguments, strict=True))


def of_calls(function: str, arguments: Sequence[object]) -> tuple[tuple[object, ...], ...]:
    """The arguments of one call, or a list of them for each of several, as a list for each call."""
    if _is_for_several(parameter_types(function), arguments):
        if len(arguments) > MOST_CALLS:
            raise ValueError(f"these are {len(arguments)} calls; list at most {MOST_CALLS}")
        return tuple(_numbered(function, number, each) for number, each in enumerate(arguments, 1))
    return (fitting(function, arguments),)


def of_lines(function: str, file: str, text: str) -> tuple[tuple[object, ...], ...]:
    """One call a line, its arguments in the columns. Blank lines and those that start with # say nothing.

    Raises ValueError with the line.
    """
    said = [(at, line) for at, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    if not 0 < len(said) <= MOST_CALLS:
        raise ValueError(f"{file} has {len(said)} calls; write 1 to {MOST_CALLS}, one a line")
    return tuple(_of_line(function, file, at, line) for at, line in said)


def _of_line(function: str, file: str, number: int, line: str) -> tuple[object, ...]:
    try:
        return fitting(function, [cell.strip() for cell in next(csv.reader([line]))])
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{file}:{number}: {error}") from None


def _is_for_several(types: Sequence[str], arguments: Sequence[object]) -> bool:
    """Every argument is a list, and not because the function takes that many lists."""
    takes_lists = len(types) == len(arguments) and all(kind.endswith((")", "]")) for kind in types)
    return bool(arguments) and all(isinstance(each, list | tuple) for each in arguments) and not takes_lists


def _numbered(function: str, number: int, arguments: object) -> tuple[object, ...]:
    assert isinstance(arguments, list | tuple)
    try:
        return fitting(function, arguments)
    except ValueError as error:
        raise ValueError(f"call {number}: {error}") from None


def _fit(kind: str, value: object) -> object:
    if kind.endswith("]"):
        return _array(kind, value)
    if kind.startswith("("):
        return fitting(kind, _list(kind, value))
    if whole := re.fullmatch(r"(u?)int(\d*)", kind):
        return _whole(kind, value, signed=not whole[1], bits=int(whole[2] or 256))
    if raw := re.fullmatch(r"bytes(\d*)", kind):
        return _bytes(kind, value, int(raw[1]) if raw[1] else None)
    return _plain(kind, value)


def _plain(kind: str, value: object) -> object:
    match kind:
        case "address":
            return read_address(str(value))
        case "string":
            return str(value)
        case "bool" if value in (True, False, "true", "false"):
            return value in (True, "true")
        case "bool":
            raise ValueError(f"{value!r} is no bool; write true or false")
    raise ValueError(f"{kind!r} is not a type that a contract knows; write it like 'address' or 'uint256'")


def _array(kind: str, value: object) -> object:
    of, _, size = kind[:-1].rpartition("[")
    items = _list(kind, value)
    if size and len(items) != int(size):
        raise ValueError(f"{kind} takes {size} items, and there are {len(items)}")
    return tuple(_fit(of, each) for each in items)


def _list(kind: str, value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{value!r} is no {kind}; write a list")
    return value


def _whole(kind: str, value: object, *, signed: bool, bits: int) -> int:
    text = str(value).replace("_", "")
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,78}", text):
        raise ValueError(f"{value!r} is no {kind}; write a whole number in the token's smallest unit")
    number, least = int(text), -(2 ** (bits - 1)) if signed else 0
    if not least <= number < 2 ** (bits - signed):
        raise ValueError(f"{value!r} does not fit {kind}")
    return number


def _bytes(kind: str, value: object, size: int | None) -> str:
    text = str(value)
    if not re.fullmatch(r"0x([0-9a-fA-F]{2})*", text) or (size is not None and len(text) != 2 + 2 * size):
        raise ValueError(f"{value!r} is no {kind}; write it in hex, like 0x{'00' * min(size or 4, 4)}…")
    return text
