"""Options that several commands share, and how they open what they read."""

import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from energyd import units

if TYPE_CHECKING:
    from collections.abc import Callable

    from energyd.config.load import Configuration
    from energyd.config.settings import Settings

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The settings; without it $ENERGYD_CONFIG, ./energyd.yaml or /etc/energyd/energyd.yaml.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Not older than this: how long ago, such as 30m or 2d, or a moment, 2026-11-21T09:00:00Z.",
    ),
]
Address = Annotated[str | None, typer.Option("--address", "-a", metavar="ADDRESS", help="Only this address: T...")]
Policy = Annotated[str | None, typer.Option("--policy", "-p", metavar="NAME", help="Only this policy, as payouts.")]
Limit = Annotated[
    int, typer.Option("--limit", "-n", metavar="COUNT", min=1, max=1_000_000, help="The most to show, 1 to 1000000.")
]


def checked(kind: Literal["Duration", "Moment", "Energy"]) -> "Callable[[str | None], str | None]":
    """For an option whose text goes to the daemon: wrong usage when it is not written as `kind` is in a file."""

    def check(text: str | None) -> str | None:
        from pydantic import TypeAdapter, ValidationError

        from energyd import fields

        try:
            if text is not None:
                TypeAdapter(getattr(fields, kind)).validate_python(text)
        except ValidationError as error:
            raise typer.BadParameter(str(error.errors()[0]["ctx"]["error"])) from None
        return text

    return check


_BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)
"""No ledger is as old."""


def load_configuration(path: Path | None, *, need_key: bool = False) -> "Configuration":
    """The configuration. Raises ConfigFaults; a key for Netts is asked for only by what asks Netts."""
    from energyd.config.load import find_settings, load

    return load(find_settings(path, os.environ), os.environ, need_key=need_key)


def load_taken_over(path: Path | None) -> "Configuration":
    """The configuration; where only policy files are broken, with the policies that the daemon took over last.

    So one can look while they are being mended. It is said on standard error. Raises ConfigFaults.
    """
    from energyd.config import last_good
    from energyd.config.load import Configuration, find_settings
    from energyd.errors import ConfigFaults

    try:
        return load_configuration(path)
    except ConfigFaults as broken:
        settings = load_settings(path)
        found = last_good.recall(settings.state, os.environ)
        if found is None:
            raise broken from None
    said = (
        f"policy files are broken, see `energyd check`; shown are the policies of {found.taken_at:%Y-%m-%d %H:%M} UTC"
    )
    print(f"energyd: {said}", file=sys.stderr)
    return Configuration.of(settings, found.policies, find_settings(path, os.environ))


def load_settings(path: Path | None) -> "Settings":
    """The settings, for what asks the running daemon or its ledger. Raises ConfigFaults."""
    from energyd.config.load import find_settings, load_settings

    return load_settings(find_settings(path, os.environ), os.environ)


def read_since(text: str | None) -> datetime | None:
    """The moment that `--since` names. Raises typer.BadParameter for what is neither a duration nor a moment."""
    if text is None:
        return None
    if re.fullmatch(r"[0-9dhms]+", text):
        try:
            return datetime.now(UTC) - units.read_duration(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither a duration (30m, 2d) nor a moment (2026-11-21T09:00:00Z)"
        ) from None
    return max(moment if moment.tzinfo else moment.replace(tzinfo=UTC), _BEFORE_ALL)


def checked_address(text: str) -> str:
    """A TRON address from the command line. Raises typer.BadParameter with what is wrong with it."""
    from energyd.fields import read_address

    try:
        return read_address(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def checked_id(text: str) -> str:
    """An id or key from the command line. Raises typer.BadParameter for what cannot be one."""
    if not re.fullmatch(r"[\w-]+", text, re.ASCII):
        raise typer.BadParameter(f"{text!r} is no id; it has letters, digits, '-' and '_'")
    return text


def age_text(moment: datetime, now: datetime) -> str:
    """How long ago, roughly: 12s, 3m, 2h, 5d."""
    seconds = max(int((now - moment) / timedelta(seconds=1)), 0)
    for size, letter in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{letter}"
    return f"{seconds}s"
