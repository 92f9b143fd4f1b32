"""`energyd doctor`: asks everything that energyd depends on."""

import asyncio
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from energyd.cli import files, options, printing
from energyd.cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from energyd.config.load import Configuration
    from energyd.doctor.findings import Finding
    from energyd.errors import ConfigFaults

_MARKS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "broken": "[red]✗[/]"}


def doctor(config: options.Config = None, json: options.Json = False) -> None:
    """Test everything energyd depends on, and say what to do.

    The node, the key at Netts, its whitelist, the balance, the clock, the ledger and the daemon: one line each.
    """
    from energyd.doctor.probes import examine
    from energyd.errors import ConfigFaults

    try:
        configuration, broken = _configuration(config)
    except ConfigFaults as faults:
        if json:
            files.print_faults(faults)
            raise typer.Exit(Exit.CONFIG) from None
        raise
    found = asyncio.run(examine(configuration, lambda: datetime.now(UTC), broken))
    ok = not any(finding.state == "broken" for finding in found)
    if json:
        checks = {"ok": ok, "checks": [_row(finding) for finding in found]}
        printing.print_json(checks | ({} if broken is None else {"faults": files.fault_rows(broken)}))
    else:
        _show(found)
    raise typer.Exit(Exit.CONFIG if broken else Exit.DONE if ok else Exit.FAILED)


def _configuration(path: "Path | None") -> "tuple[Configuration, ConfigFaults | None]":
    """The configuration; where only policies are broken, with those of the last good set, and the faults."""
    from energyd.config import last_good
    from energyd.config.load import Configuration, find_settings
    from energyd.errors import ConfigFaults

    try:
        return options.load_configuration(path), None
    except ConfigFaults as faults:
        settings = options.load_settings(path)
        found = last_good.recall(settings.state, os.environ)
        return Configuration.of(settings, found.policies if found else (), find_settings(path, os.environ)), faults


def _row(finding: "Finding") -> dict[str, object]:
    return {
        "check": finding.check,
        "state": str(finding.state),
        "found": finding.found,
        "todo": finding.todo or None,
    }


def _show(found: "Sequence[Finding]") -> None:
    from rich.markup import escape

    console = printing.console()
    width = max(len(finding.check) for finding in found)
    for finding in found:
        todo = f" → {finding.todo}" if finding.todo else ""
        line = f"{_MARKS[finding.state]} {finding.check:<{width}}  {escape(finding.found + todo)}"
        console.print(line, highlight=False, soft_wrap=True)
