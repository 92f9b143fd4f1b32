"""Commands that stop spending and let it go on.

The daemon is asked, so that it looks at once and logs it. While none runs, the pause is written into the ledger, which
a daemon reads at every look: stopping must never fail because nobody listens.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from energyd import rows, units
from energyd.cli import options, printing
from energyd.cli.asking import asking
from energyd.errors import LedgerError, NoDaemon, NotPossible

if TYPE_CHECKING:
    from energyd.ledger.ledger import Ledger

T = TypeVar("T")


def pause(
    policy: options.Policy = None,
    address: options.Address = None,
    length: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="DURATION",
            callback=options.checked("Duration"),
            help="How long, as 90s or 2h; without it, until `energyd resume`.",
        ),
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for whoever wonders: one line of 200 characters.")
    ] = "",
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Stop all spending, or that of one policy or address.

    Watching, deciding and logging go on. It survives a restart.
    """
    _check(policy, address)
    body = {"policy": policy, "address": address, "for": length, "reason": reason or None}
    try:
        with asking(config) as client:
            paused = client.post("/v1/pause", printing.known(body))
    except NoDaemon:
        _check_policy(policy, config)
        until = None if length is None else datetime.now(UTC) + _length(length)
        paused = _in_ledger(config, lambda ledger: _pause(ledger, policy, address, until, reason))
    if json:
        printing.print_json(paused)
    else:
        print(f"spending of {_whose(paused)} is paused {_until(paused['until'])}")


def resume(
    policy: options.Policy = None,
    address: options.Address = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Let spending go on that was paused.

    Lifts the pause of exactly this policy, this address, or, without either, of everything; other pauses stay.
    """
    _check(policy, address)
    whose = {"policy": policy, "address": address}
    try:
        with asking(config) as client:
            resumed = client.post("/v1/resume", printing.known(whose))
    except NoDaemon:
        _in_ledger(config, lambda ledger: _resume(ledger, policy, address))
        resumed = whose | {"resumed": True}
    if json:
        printing.print_json(resumed)
    else:
        print(f"spending of {_whose(resumed)} goes on")


def _check(policy: str | None, address: str | None) -> None:
    if policy is not None and address is not None:
        raise typer.BadParameter("a pause is for a policy or for an address; remove one")
    if address is not None:
        options.checked_address(address)


def _check_policy(policy: str | None, config: Path | None) -> None:
    """A pause of a policy that does not exist would look like one that holds. Raises NotPossible."""
    if policy is not None:
        names = sorted(policy.name for policy in options.load_taken_over(config).policies)
        if policy not in names:
            raise NotPossible(f"there is no policy {policy!r}; there are: {', '.join(names)}")


def _length(text: str) -> timedelta:
    try:
        return units.read_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _whose(row: dict[str, Any]) -> str:
    return str(row["address"] or row["policy"] or "everything")


def _until(moment: datetime | str | None) -> str:
    if moment is None:
        return "until `energyd resume`"
    text = moment if isinstance(moment, str) else units.moment_text(moment)
    return f"until {text[:19]}Z"


# --- without a daemon -----------------------------------------------------------------------------------------------


def _in_ledger(config: Path | None, work: Callable[["Ledger"], Awaitable[T]]) -> T:
    from energyd.ledger.ledger import Ledger

    settings = options.load_settings(config)
    if not settings.state.exists():
        raise LedgerError(f"no daemon listens on {settings.listen}, and there is no ledger at {settings.state} yet")

    async def write() -> T:
        now, host = datetime.now(UTC), socket.gethostname()
        async with Ledger.open(settings.state, now=now, host=host, exclusive=False) as ledger:
            return await work(ledger)

    return asyncio.run(write())


async def _pause(
    ledger: "Ledger", policy: str | None, address: str | None, until: datetime | None, reason: str
) -> dict[str, Any]:
    return rows.pause_row(await ledger.pause(policy, address, until, reason, datetime.now(UTC)))


async def _resume(ledger: "Ledger", policy: str | None, address: str | None) -> None:
    if not await ledger.resume(policy, address, datetime.now(UTC)):
        raise NotPossible(f"{address or policy or 'everything'} is not paused; `energyd status` shows what is")
