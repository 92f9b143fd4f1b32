"""Commands about files: check, schema."""

import asyncio
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from energyd import units
from energyd.cli import options, printing
from energyd.cli.exits import Exit

if TYPE_CHECKING:
    from energyd.config.advice import Advice
    from energyd.config.load import Configuration
    from energyd.errors import ConfigFaults
    from energyd.model import NoReading, Reading
    from energyd.policy import Policy

ASK_WITHIN = timedelta(seconds=8)
"""How long `check` asks the node and Netts at most, for everything together."""


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH", help="Policy files or folders; without any, energyd.yaml and all that it names."
        ),
    ] = None,
    config: options.Config = None,
    offline: Annotated[bool, typer.Option("--offline", help="Read files only; ask neither node nor Netts.")] = False,
    diff: Annotated[
        bool,
        typer.Option(
            "--diff", help="Print what a reload, and what a restart, would change of what the daemon runs; asks nobody."
        ),
    ] = False,
    json: options.Json = False,
) -> None:
    """Check the settings and the policies; print every fault.

    A fault is one line, file:line:column: message. Without faults: the most that each policy can spend in a day.
    """
    from energyd.config.load import load_policies
    from energyd.errors import ConfigFaults

    if diff and paths:
        raise typer.BadParameter("--diff compares the whole configuration; leave out the files")
    try:
        if diff:
            _diff(options.load_configuration(config), json=json)
            return
        if paths:
            found = load_policies(paths, os.environ)
            policies, advice, said = found.policies, found.advice, []
        else:
            configuration = options.load_configuration(config)
            policies, advice = configuration.policies, configuration.advice
            said = [] if offline else asyncio.run(_ask(configuration))
    except ConfigFaults as faults:
        if json:
            print_faults(faults)
            raise typer.Exit(Exit.CONFIG) from None
        raise
    if json:
        _print_checked(policies, advice, said)
    else:
        _show_checked(policies, advice, said)


def _diff(configuration: "Configuration", *, json: bool) -> None:
    from energyd.cli.diff import show

    show(configuration, json=json)


def print_faults(faults: "ConfigFaults") -> None:
    printing.print_json({"ok": False, "faults": fault_rows(faults)})


def fault_rows(faults: "ConfigFaults") -> list[dict[str, object]]:
    return [
        {
            "file": fault.place.file,
            "line": fault.place.line,
            "column": fault.place.column,
            "message": fault.problem,
            "hint": fault.hint or None,
        }
        for fault in faults.faults
    ]


def _print_checked(policies: "Sequence[Policy]", advice: "Iterable[Advice]", said: Sequence[str]) -> None:
    printing.print_json(
        {
            "ok": True,
            "policies": [
                {
                    "policy": policy.name,
                    "enabled": policy.enabled,
                    "addresses": len(policy.addresses),
                    "spend_a_day_max_trx": _most(policy),
                }
                for policy in policies
            ],
            "advice": [str(word) for word in advice],
            "said": list(said),
        }
    )


def _most(policy: "Policy") -> object:
    from energyd.config.advice import spend_a_day_max

    most = spend_a_day_max(policy)
    return "unlimited" if most is None else units.trx(most)


def _show_checked(policies: "Sequence[Policy]", advice: "Iterable[Advice]", said: Sequence[str]) -> None:
    for policy in policies:
        most = _most(policy)
        amount = "without limit" if most == "unlimited" else f"at most {most} TRX"
        count = f"{len(policy.addresses)} address{'' if len(policy.addresses) == 1 else 'es'}"
        state = "" if policy.enabled else " (not enabled)"
        state += " (observes only)" if policy.mode == "observe" else ""
        print(f"{policy.name}: {count}, spends {amount} in a day{state}")
    for word in advice:
        print(f"note: {word}")
    for line in said:
        print(f"note: {line}")
    print(f"{len(policies)} {'policy' if len(policies) == 1 else 'policies'}, no faults")


async def _ask(configuration: "Configuration") -> list[str]:
    """What the node and Netts say about the configuration. Whatever cannot be asked is said and is no fault."""
    try:
        async with asyncio.timeout(ASK_WITHIN.total_seconds()):
            said = await asyncio.gather(_ask_node(configuration), _ask_netts(configuration))
    except TimeoutError:
        return ["the node or Netts did not answer in time; `--offline` asks nobody"]
    return [line for lines in said for line in lines]


async def _ask_node(configuration: "Configuration") -> list[str]:
    from energyd.chain import Chain
    from energyd.model import NoReading, Reason

    node = configuration.settings.node
    keys = [key.get_secret_value() for key in node.api_keys]
    chain = Chain((node.url, *node.fallbacks), keys, max_rps=node.max_rps, timeout=node.timeout, now=_now)
    addresses = [address for policy in configuration.policies if policy.enabled for address in policy.watched()]
    said = []
    try:
        for address in addresses:
            reading = await chain.reading(address)
            if isinstance(reading, NoReading) and reading.reason is not Reason.NOT_ACTIVATED:
                said.append(f"the node cannot be read: {reading.detail}")
                break
            said += _said_of(address, reading)
    finally:
        await chain.close()
    return said


def _said_of(address: str, reading: "Reading | NoReading") -> list[str]:
    from energyd.model import NoReading

    if isinstance(reading, NoReading):
        return [f"{address} was never activated: it can neither call nor receive energy; send it some TRX first"]
    return []


async def _ask_netts(configuration: "Configuration") -> list[str]:
    from energyd.errors import NettsUnavailable
    from energyd.netts.client import Netts

    vendor = configuration.settings.netts
    if vendor.api_key is None:
        return []
    netts = Netts(
        url=vendor.url,
        api_key=vendor.api_key.get_secret_value(),
        real_ip=vendor.real_ip,
        max_rps=vendor.max_rps,
        timeout=vendor.timeout,
        now=_now,
    )
    try:
        price = (await netts.prices(cycles=False)).rent_sun
    except NettsUnavailable as error:
        return [f"Netts cannot be read: {error}"]
    finally:
        await netts.aclose()
    if price is None:
        return ["Netts names no current price"]
    return [_said_of_price(policy, price) for policy in configuration.policies if _is_too_dear(policy, price)]


def _is_too_dear(policy: "Policy", price_sun: int) -> bool:
    cap = policy.energy.max_price if policy.energy is not None else None
    return cap is not None and cap.sun is not None and cap.sun < price_sun


def _said_of_price(policy: "Policy", price_sun: int) -> str:
    assert policy.energy is not None
    return f"policy {policy.name} allows {policy.energy.max_price}, Netts asks {price_sun} sun now: it would not rent"


def _now() -> datetime:
    return datetime.now(UTC)


class Kind(StrEnum):
    CONFIG = "config"
    POLICY = "policy"


def schema(
    kind: Annotated[
        Kind, typer.Argument(metavar="config|policy", help="config: of energyd.yaml; policy: of a policy file.")
    ],
) -> None:
    """Print the JSON Schema of a kind of file, for editors.

    Draft 2020-12. The same is in docs/config.schema.json and docs/policy.schema.json.
    """
    from energyd.config.schema import schema as schema_of

    printing.print_json(schema_of(kind.value))
