"""Commands that ask the running daemon: ensure, reload."""

import json as json_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energyd.cli import options, printing

if TYPE_CHECKING:
    from pathlib import Path

    from energyd.client import Client

EXIT_CONFIG = 78

Energy = Annotated[str | None, typer.Option("--energy", "-e", help="How much energy, in all.")]
Contract = Annotated[str | None, typer.Option("--contract", help="Or the contract that is called, to be estimated.")]
Function = Annotated[str | None, typer.Option("--function", help="Its function: 'transfer(address,uint256)'.")]
Arguments = Annotated[list[str] | None, typer.Option("--arg", help="An argument of the function; again for each one.")]
Count = Annotated[int | None, typer.Option("--count", min=1, help="How many such calls.")]


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
    """The words of a request that say how much energy; what is wrong with them the daemon says."""
    body = {
        "address": options.checked_address(address),
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
    address: Annotated[str, typer.Argument(help="An address that a policy watches.")],
    energy: Energy = None,
    contract: Contract = None,
    function: Function = None,
    arg: Arguments = None,
    count: Count = None,
    by: Annotated[str | None, typer.Option("--by", help="When it must be there: 2026-12-24T09:00:00+01:00.")] = None,
    length: Annotated[str, typer.Option("--for", help="Keep it for this long.")] = "10m",
    timeout: Annotated[str | None, typer.Option("--timeout", help="Wait for this long; default: 2m.")] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="A name of this request: asked again with it, it is the same one.")
    ] = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Ask for energy and wait until it is on chain. Exits with 0 only when it is, and is kept for this caller."""
    body = wanted(address, energy, contract, function, arg, count)
    body |= printing.known({"by": by, "for": length, "timeout": timeout, "key": key})
    with asking(config) as client:
        answer = client.ensure(body)
    if json:
        printing.print_json(answer)
    else:
        _show_ensured(answer)
    raise typer.Exit(0 if answer["ok"] else 1)


def _show_ensured(answer: dict[str, Any]) -> None:
    call = answer["call"]
    if answer["ok"]:
        more = f"; each call needs a fee_limit of {call['fee_limit_trx']} TRX" if call["fee_limit_trx"] else ""
        print(f"{call['energy']:,} energy is there for {call['address']} until {call['until'][:19]}Z{more}")
    else:
        hint = f"; {answer['hint']}" if answer["hint"] else ""
        typer.echo(f"energyd: {answer['error']}{hint}", err=True)


def reload(config: options.Config = None, json: options.Json = False) -> None:
    """Make the running daemon read its files again; all of them are taken over, or none."""
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
    raise typer.Exit(EXIT_CONFIG if faults else 0)
