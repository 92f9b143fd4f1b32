"""Commands that ask the running daemon: ensure, reload."""

import json as json_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energyd.cli import options, printing
from energyd.cli.exits import Exit

if TYPE_CHECKING:
    from pathlib import Path

    from energyd.client import Client

Energy = Annotated[
    str | None,
    typer.Option(
        "--energy",
        "-e",
        metavar="ENERGY",
        callback=options.checked("Energy"),
        help="How much, in all, as 65000 or 65_000; or the options from --contract to --count.",
    ),
]
Contract = Annotated[
    str | None, typer.Option("--contract", metavar="ADDRESS", help="The contract that is called; the node estimates.")
]
Function = Annotated[
    str | None, typer.Option("--function", metavar="FUNCTION", help="Its function, as 'transfer(address,uint256)'.")
]
Arguments = Annotated[
    list[str] | None,
    typer.Option("--arg", metavar="VALUE", help="An argument of the function, again for each one; a list as '[1, 2]'."),
]
Count = Annotated[
    int | None,
    typer.Option("--count", metavar="COUNT", min=1, help="How many such calls, as 40; without it, one."),
]


def asking(config: "Path | None") -> "Client":
    from energyd.client import Client

    return Client(options.load_settings(config))


def wanted(
    address: str,
    energy: str | None,
    contract: str | None,
    function: str | None,
    arguments: list[str] | None,
    count: int | None,
) -> dict[str, Any]:
    """The words of a request that say how much energy. Raises typer.BadParameter when they do not."""
    checked = options.checked_address(address)
    if energy is None and (contract is None or function is None):
        raise typer.BadParameter("it does not say how much energy; give --energy, or --contract and --function")
    if energy is not None and (contract, function, arguments or None, count) != (None, None, None, None):
        raise typer.BadParameter("--energy says it all; remove it, or --contract, --function, --arg and --count")
    body = {
        "address": checked,
        "energy": energy,
        "contract": contract,
        "function": function,
        "arguments": [_argument(text) for text in arguments or ()] or None,
        "count": count,
    }
    return printing.known(body)


def _argument(text: str) -> Any:
    """An argument as it is written; one in brackets is a list."""
    if not text.startswith("["):
        return text
    try:
        return json_module.loads(text)
    except ValueError:
        return text


def ensure(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="One that a policy watches: T...")],
    energy: Energy = None,
    contract: Contract = None,
    function: Function = None,
    arg: Arguments = None,
    count: Count = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="MOMENT",
            callback=options.checked("Moment"),
            help="When it must be there, as 2026-12-24T09:00:00+01:00, and how long to wait; without it, now.",
        ),
    ] = None,
    length: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="DURATION",
            callback=options.checked("Duration"),
            help="Keep it for this long, as 90s or 2h; a day at most.",
        ),
    ] = "10m",
    timeout: Annotated[
        str | None,
        typer.Option(
            "--timeout",
            metavar="DURATION",
            callback=options.checked("Duration"),
            help="Wait for this long, as 30s, a day at most; not with --by. Without it, 2m.",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", metavar="KEY", help="A name of your own, as payout-1041: asked again with it, it is one request."
        ),
    ] = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Ask for energy and wait until it is on chain.

    The command to run before a contract call: exit status 0 means that the energy is there.
    """
    body = wanted(address, energy, contract, function, arg, count)
    body |= printing.known({"by": by, "for": length, "timeout": timeout, "key": key})
    with asking(config) as client:
        answer = client.ensure(body)
    if json:
        printing.print_json(answer)
    else:
        _show_ensured(answer)
    raise typer.Exit(Exit.DONE if answer["ok"] else Exit.FAILED)


def _show_ensured(answer: dict[str, Any]) -> None:
    call = answer["call"]
    if answer["ok"]:
        more = f"; each call needs a fee_limit of {call['fee_limit_trx']} TRX" if call["fee_limit_trx"] else ""
        print(f"{call['energy']:,} energy is there for {call['address']} until {call['until'][:19]}Z{more}")
    else:
        hint = f"; {answer['hint']}" if answer["hint"] else ""
        typer.echo(f"energyd: {answer['error']}{hint}", err=True)


def reload(config: options.Config = None, json: options.Json = False) -> None:
    """Make the running daemon read its files again, all or none.

    Where one file has a fault, nothing is taken over, every fault is printed, and the daemon goes on as before.
    """
    with asking(config) as client:
        taken = client.reload()
    faults = taken.get("faults", ())
    if json:
        printing.print_json(taken)
    elif faults:
        for line in (*faults, f"energyd: {taken['error']}"):
            typer.echo(line, err=True)
    else:
        changes = [f"{len(taken[what])} {what}" for what in ("added", "changed", "removed") if taken[what]]
        print(f"policies are loaded: {', '.join(changes) or 'nothing has changed'}")
        if taken["detail"]:
            print(taken["detail"])
    raise typer.Exit(Exit.CONFIG if faults else Exit.DONE)
