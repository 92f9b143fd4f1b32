"""`energyd orders`: the ledger's orders, and the word of a person about one that cannot be told."""

import asyncio
import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energyd import units
from energyd.cli import options, printing
from energyd.cli.help import Command
from energyd.cli.views import with_ledger
from energyd.model import Order, OrderState

if TYPE_CHECKING:
    from rich.table import Table

    from energyd.config.settings import Settings

app = typer.Typer(invoke_without_command=True, no_args_is_help=False)


@app.callback()
def orders(
    context: typer.Context,
    config: options.Config = None,
    address: options.Address = None,
    policy: options.Policy = None,
    since: options.Since = None,
    limit: options.Limit = 50,
    json: options.Json = False,
) -> None:
    """Show the ledger's orders, newest first.

    Each with its energy or cycles, what it cost, its state and Netts' own id.
    """
    if context.invoked_subcommand is not None:
        return
    settings = options.load_settings(config)
    wanted = options.checked_address(address) if address else None
    begin = options.read_since(since)
    found = with_ledger(settings, lambda ledger: ledger.orders(address=wanted, policy=policy, since=begin, limit=limit))
    if json:
        from energyd.telemetry import order_row

        printing.print_json([order_row(order) for order in found])
    elif found:
        printing.console().print(_order_table(found))
    else:
        print("No orders.")


@app.command(cls=Command)
def settle(
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY",
            callback=options.checked_id,
            help="The order's key, or as much of its beginning as is unique, as 5dfbd3d1.",
        ),
    ],
    placed: Annotated[
        bool, typer.Option("--placed/--not-placed", help="Whether Netts has taken and charged it.", show_default=False)
    ],
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Say what became of an unresolved order.

    Look at the account at Netts first. Only an unresolved order can be settled, and only once; its address may order
    again then. Saying --not-placed of an order that was placed pays twice.
    """
    row = _settled_by_daemon(options.load_settings(config), key, placed=placed)
    if json:
        printing.print_json(row)
    else:
        print(f"order {row['order_key'][:12]} for {row['address']} is settled as {row['state']}")


def _settled_by_daemon(settings: "Settings", key: str, *, placed: bool) -> dict[str, Any]:
    """The order as the daemon has settled it; while none runs, as it is settled here."""
    from energyd.client import Client
    from energyd.errors import NoDaemon
    from energyd.telemetry import order_row

    who = os.environ.get("SUDO_USER") or os.environ.get("USER") or "an operator"
    try:
        with Client(settings) as client:
            settled: dict[str, Any] = client.post(f"/v1/orders/{key}/settle", {"placed": placed, "who": who})
    except NoDaemon:
        return order_row(asyncio.run(_settle(settings, key, who, placed=placed)))
    return settled


async def _settle(settings: "Settings", key: str, who: str, *, placed: bool) -> Order:
    from energyd.core.order import Event, flight_left, longest_flight
    from energyd.errors import LedgerError, NotPossible
    from energyd.ledger.ledger import Ledger

    async with Ledger.open_to_read(settings.state) as reader:
        found = await reader.order(key)
    if found.state is not OrderState.UNRESOLVED:
        raise LedgerError(f"order {found.key[:12]} is {found.state}; only an unresolved order can be settled")
    now = datetime.now(UTC)
    if not placed and (left := flight_left(found, longest_flight(settings.netts.timeout), now)):
        wait = f"look at the account then, and say so in {units.duration_text(left)}"
        raise NotPossible(f"the request of order {found.key[:12]} may still be on its way; {wait}")
    async with Ledger.open(settings.state, now=now, host=socket.gethostname(), exclusive=False) as ledger:
        event = Event.SETTLED_PLACED if placed else Event.SETTLED_NOT_PLACED
        return await ledger.record(found, event, now, detail=f"settled by {who}")


_STATE_COLOURS = {
    OrderState.UNRESOLVED: "bold red",
    OrderState.REFUSED: "yellow",
    OrderState.UNDELIVERED: "red",
    OrderState.DELIVERED: "green",
    OrderState.PLACED: "cyan",
}


def _order_table(found: Sequence[Order]) -> "Table":
    table = printing.table(
        "when (UTC)", "order", "address", "policy", ">energy", ">cost", "state", "Netts' id", "outcome"
    )
    for order in found:
        colour = _STATE_COLOURS.get(order.state, "default")
        table.add_row(
            f"{order.intended_at:%m-%d %H:%M:%S}",
            order.key[:12],
            printing.short(order.address),
            order.policy,
            printing.number(order.energy or order.cycles),
            units.trx_text(order.cost_max_sun if order.cost_sun is None else order.cost_sun),
            f"[{colour}]{order.state}[/]",
            order.netts_order_id or "",
            "" if order.outcome == "accepted" else order.outcome,
        )
    return table
