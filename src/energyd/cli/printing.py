"""How commands print: tables and colours for people, plain JSON for programs."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPE_WIDTH = 160
"""Columns of a table that is not printed on a terminal."""


def console() -> "Console":
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)


def table(*columns: str, head: bool = True) -> "Table":
    """A plain table; a column whose name begins with > is aligned right."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, show_header=head, pad_edge=False)
    for column in columns:
        made.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    return made


def print_json(value: object) -> None:
    from energyd.telemetry import dump_json

    sys.stdout.write(dump_json(value, indent=True).decode() + "\n")


def known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def short(address: str) -> str:
    return f"{address[:6]}…{address[-4:]}"
