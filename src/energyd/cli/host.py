"""Host Mode by hand: what the daemon never does by itself, asked of the running daemon."""

import sys
from typing import Annotated, Any

import typer

from energyd.cli import options, printing
from energyd.cli.asking import asking
from energyd.cli.exits import Exit
from energyd.cli.help import Command
from energyd.errors import NotPossible

app = typer.Typer(help="Host Mode by hand: list, add, order, infinity, stop, remove.", no_args_is_help=True)

NETTS_ANSWERS_WITHIN = 180.0
"""Seconds; Netts is asked few times a minute, and each answer is waited for."""

Hosted = Annotated[str, typer.Argument(metavar="ADDRESS", help="One that a policy watches: T...")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]
_WITHOUT_COUNT = {"infinite": "without end", "not_in_host_mode": "not in Host Mode"}


@app.command("list", cls=Command)
def list_(config: options.Config = None, json: options.Json = False) -> None:
    """Show the addresses in Host Mode and their cycles.

    With how long these last, what is ordered, and under which key of Netts' answer they were found.
    """
    with asking(config) as client:
        found = client.get("/v1/host")
    if json:
        printing.print_json(found)
    else:
        _show(found)


@app.command(cls=Command)
def add(
    address: Hosted,
    threshold: Annotated[
        int | None,
        typer.Option(
            "--threshold", metavar="ENERGY", min=1, help="Older accounts: delegate below this much energy, as 65000."
        ),
    ] = None,
    yes: Yes = False,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Put an address into Host Mode.

    Cycles for it are bought with `energyd host order`, or by its policy.
    """
    _act("add", address, f"put {address} into Host Mode", yes, config, json, energy=threshold)


@app.command(cls=Command)
def order(
    address: Hosted,
    cycles: Annotated[
        int, typer.Argument(metavar="CYCLES", min=1, help="How many, beside those that are there, as 10.")
    ],
    yes: Yes = False,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Buy cycles now, once; no policy and no budget is asked.

    Each time that it is run it buys again, for the account's price of the moment.
    """
    address = options.checked_address(address)
    with asking(config) as client:
        price = client.get("/v1/host")["cycle_price_trx"]
        cost = "a price that is not known" if price is None else f"about {price * cycles} TRX"
        _sure(f"buy {cycles} cycles for {address} at {cost}", yes)
        placed = client.post("/v1/host/order", {"address": address, "cycles": cycles}, within=NETTS_ANSWERS_WITHIN)
    if json:
        printing.print_json(placed)
    else:
        print(f"order {placed['order_key'][:12]} is {placed['state']}, {placed['cost_trx']} TRX")
    raise typer.Exit(Exit.DONE if placed["state"] == "placed" else Exit.FAILED)


@app.command(cls=Command)
def infinity(
    address: Hosted,
    energy: Annotated[
        int | None,
        typer.Option("--energy", metavar="ENERGY", min=1, help="Older accounts: how much energy, as 65000."),
    ] = None,
    yes: Yes = False,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Switch an address to cycles without end, billed by the day.

    Netts bills until `energyd host stop`; energyd orders no cycles for the address then.
    """
    what = f"switch {address} to cycles without end, billed every day whatever the budget says"
    _act("infinity", address, what, yes, config, json, energy=energy)


@app.command(cls=Command)
def stop(address: Hosted, yes: Yes = False, config: options.Config = None, json: options.Json = False) -> None:
    """Stop Host Mode for an address; its cycles may be lost.

    How it is started again, Netts does not document.
    """
    _act("stop", address, f"stop Host Mode for {address}; its cycles may be lost", yes, config, json)


@app.command(cls=Command)
def remove(address: Hosted, yes: Yes = False, config: options.Config = None, json: options.Json = False) -> None:
    """Take an address out of Host Mode; its cycles may be lost.

    Its energy is taken back at once.
    """
    what = f"take {address} out of Host Mode; its energy is taken back and its cycles may be lost"
    _act("remove", address, what, yes, config, json)


@app.command("confirm-key", cls=Command)
def confirm_key(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The name of the count, as `energyd host list` shows it.")],
    yes: Yes = False,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Say that the count of cycles under this key is right.

    Netts' answers name the count in several ways. Compare what `energyd host list` shows with the account there first.
    """
    _sure(f"believe the count under {key}, and order cycles by it", yes)
    with asking(config) as client:
        confirmed = client.post("/v1/host/key", {"key": key})
    if json:
        printing.print_json(confirmed)
    else:
        print(f"the count under {key} is believed")


def _act(act: str, address: str, what: str, yes: bool, config: Any, json: bool, energy: int | None = None) -> None:
    address = options.checked_address(address)
    _sure(what, yes)
    with asking(config) as client:
        asked = printing.known({"address": address, "act": act, "energy": energy})
        acted = client.post("/v1/host/act", asked, within=NETTS_ANSWERS_WITHIN)
    if json:
        printing.print_json(acted)
    else:
        print(f"{act} {address}: {acted['outcome']}")
    raise typer.Exit(Exit.DONE if acted["outcome"] == "done" else Exit.FAILED)


def _sure(what: str, yes: bool) -> None:
    if not yes and not sys.stdin.isatty():
        raise NotPossible(f"this will {what}, and nobody is there to be asked; add --yes to mean it")
    if not yes:
        typer.confirm(f"This will {what}. Go on?", abort=True)


def _show(found: dict[str, Any]) -> None:
    if not found["addresses"]:
        print("No address is kept topped up: no policy has `host_mode`.")
        return
    table = printing.table("address", "label", "policy", ">cycles", ">they last", "counted as")
    for row in found["addresses"]:
        more = f" (+{row['ordered']} ordered)" if row["ordered"] else ""
        cycles = "unknown" if row["cycles"] is None else f"{row['cycles']}{more}"
        shown = _WITHOUT_COUNT.get(row["known"], cycles)
        table.add_row(
            row["address"], row["label"] or "", row["policy"], shown, row["left"] or "", row["key"] or row["detail"]
        )
    printing.console().print(table)
    for key in found["keys"]:
        if key["doubt"]:
            print(f"not believed: {key['key']}, because {key['doubt']}; see `energyd host confirm-key --help`")
