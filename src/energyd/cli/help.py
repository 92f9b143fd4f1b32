"""How `--help` looks: plain text for 80 columns, in the order of a man page.

What a command does stands in its docstring, what an option means beside the option, and the rest in manual.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from typer.core import TyperCommand, TyperGroup

from energyd.cli.exits import Exit

NAMES_WIDTH_MAX = 26
"""Columns of the names of options; longer ones have a line of their own."""


@dataclass(frozen=True, slots=True)
class Manual:
    """What help says of a command beside its words and options."""

    data: str
    """Where it finds what it prints, what it changes, and what it never does."""
    examples: tuple[tuple[str, str], ...]
    """Each: what for, and the command as it is typed; a long one has lines that end with a backslash."""
    exits: Mapping[Exit, str] = field(default_factory=dict)


class _Documented:
    """Help of a command or group; `manual` is its part of manual.py."""

    @staticmethod
    def _path(ctx: Any) -> str:
        """The words behind `energyd`, whatever the program was called as."""
        names = []
        while ctx.parent is not None:
            names.append(ctx.info_name)
            ctx = ctx.parent
        return " ".join(reversed(names))

    def _manual(self, ctx: Any) -> Manual:
        from energyd.cli.manual import MANUAL

        return MANUAL[self._path(ctx)]

    def _write_parameters(self, ctx: Any, formatter: Any) -> None:
        shown = [param for param in self.get_params(ctx) if not getattr(param, "hidden", False)]  # type: ignore[attr-defined] # beside a typer class
        by_kind = groupby(sorted(shown, key=_is_option), key=_is_option)
        for is_option, params in by_kind:
            with formatter.section("Options" if is_option else "Arguments"):
                formatter.write_dl([(_names(param), _meaning(param)) for param in params], col_max=NAMES_WIDTH_MAX)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        manual = self._manual(ctx)
        with formatter.section("Data"):
            formatter.write_text(manual.data)
        with formatter.section("Examples"):
            formatter.write("\n".join(_example_lines(manual)))
        with formatter.section("Exit status"):
            formatter.write_dl([(str(int(status)), text) for status, text in sorted(manual.exits.items())])


class Command(_Documented, TyperCommand):
    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        needed = [param for param in self.get_params(ctx) if param.required or not _is_option(param)]
        return ["[OPTIONS]", *(_in_usage(param) for param in sorted(needed, key=_is_option, reverse=True))]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        self._write_parameters(ctx, formatter)


class Group(_Documented, TyperGroup):
    def format_options(self, ctx: Any, formatter: Any) -> None:
        self._write_parameters(ctx, formatter)
        self.format_commands(ctx, formatter)


def _is_option(param: Any) -> bool:
    return bool(param.param_type_name == "option")


def _argument_name(param: Any) -> str:
    return str(param.metavar or param.name.upper()) + ("..." if param.nargs == -1 else "")


def _names(param: Any) -> str:
    if not _is_option(param):
        return _argument_name(param)
    names = ", ".join(sorted((*param.opts, *param.secondary_opts), key=len))
    return names if param.is_flag else f"{names} {param.metavar}"


def _in_usage(param: Any) -> str:
    if not _is_option(param):
        return _argument_name(param) if param.required else f"[{_argument_name(param)}]"
    longest = max(param.opts, key=len)
    return "|".join((longest, *param.secondary_opts)) if param.is_flag else f"{longest} {param.metavar}"


def _meaning(param: Any) -> str:
    if _is_option(param) and param.required:
        return f"{param.help} Required."
    if param.is_flag if _is_option(param) else param.required:
        return str(param.help)
    default = param.default
    return f"{param.help} [default: {default}]" if default not in (None, "", []) else str(param.help)


def _example_lines(manual: Manual) -> Iterator[str]:
    for what, command in manual.examples:
        yield f"  # {what}"
        yield from (f"  {line}" for line in command.splitlines())
    yield ""
