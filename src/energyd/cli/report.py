"""`energyd report`: what was spent in a while, and what came of it."""

import csv
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energyd.cli import options, printing
from energyd.cli.views import with_ledger
from energyd.report import By

if TYPE_CHECKING:
    from energyd.ledger.reads import Reader
    from energyd.report import Report, Row


def report(
    config: options.Config = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="The beginning: a date, 2026-11-21, a moment, 2026-11-21T09:00:00Z, or how long ago, 7d; without it, "
            "today's midnight in UTC.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="The end, not included, written as --from; without it, now."),
    ] = None,
    by: Annotated[
        By, typer.Option("--by", metavar="policy|address|day", help="What a row is about; days are those of UTC.")
    ] = By.POLICY,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV and nothing else.")] = False,
    json: options.Json = False,
) -> None:
    """Sum what was rented, delivered, used, charged and saved.

    Amounts are exact, and those of the ledger.
    """
    if as_csv and json:
        raise typer.BadParameter("--csv and --json exclude each other")
    now = datetime.now(UTC)
    begin = options.read_since(since) or now.replace(hour=0, minute=0, second=0, microsecond=0)
    end = options.read_since(until) or now
    if end <= begin:
        raise typer.BadParameter(f"the report ends at {end:%Y-%m-%d %H:%M} before it begins at {begin:%Y-%m-%d %H:%M}")
    made = with_ledger(options.load_settings(config), lambda ledger: _make(ledger, begin, end, by, now))
    if json:
        printing.print_json(_as_json(made))
    elif as_csv:
        _print_csv(made)
    else:
        _show(made)


async def _make(ledger: "Reader", since: datetime, until: datetime, by: By, now: datetime) -> "Report":
    from energyd.ledger.ledger import KEEP_REPEATS
    from energyd.report import BEFORE, make

    orders = await ledger.orders(since=since - BEFORE)
    falls = await ledger.falls(since, until) if since >= now - KEEP_REPEATS else None
    burn_prices = await ledger.burn_prices(since - BEFORE, until)
    return make(orders, falls, burn_prices, since=since, until=until, by=by)


def _as_json(made: "Report") -> dict[str, Any]:
    from energyd.report import as_row

    return {
        "from": made.since,
        "to": made.until,
        "by": str(made.by),
        "rows": [{str(made.by): key} | as_row(row) for key, row in made.rows.items()],
        "total": as_row(made.total),
    }


def _print_csv(made: "Report") -> None:
    from energyd.report import Row, as_row

    writer = csv.DictWriter(sys.stdout, [str(made.by), *as_row(Row())], lineterminator="\n")
    writer.writeheader()
    for key, row in made.rows.items():
        writer.writerow({str(made.by): key} | as_row(row))


def _show(made: "Report") -> None:
    console = printing.console()
    console.print(f"{made.since:%Y-%m-%d %H:%M} to {made.until:%Y-%m-%d %H:%M} UTC", highlight=False)
    table = printing.table(
        str(made.by), ">orders", ">rented", ">delivered", ">used", ">charged", ">unconfirmed", ">burning it", ">saved"
    )
    for key, row in made.rows.items():
        table.add_row(key, *_cells(row))
    table.add_section()
    table.add_row("[bold]total[/]", *_cells(made.total))
    console.print(table)
    for note in _notes(made):
        console.print(note, highlight=False)


def _cells(row: "Row") -> tuple[str, ...]:
    from energyd import units

    burning = row.burning_all_sun if row.burning_sun is None else row.burning_sun
    saved = row.saved_max_sun if row.saved_sun is None else row.saved_sun
    at_most = "≤ " if row.saved_sun is None else ""
    return (
        str(row.orders),
        f"{row.energy_rented:,}",
        f"{row.energy_delivered:,}",
        printing.number(row.energy_used),
        units.trx_text(row.charged_sun),
        units.trx_text(row.unconfirmed_sun) if row.unconfirmed_sun else "",
        "" if burning is None else at_most + units.trx_text(burning),
        "" if saved is None else at_most + units.trx_text(saved),
    )


def _notes(made: "Report") -> list[str]:
    total = made.total
    notes = []
    if total.unconfirmed_sun:
        notes.append("unconfirmed: the most that orders may have cost whose charge is not known; see `energyd orders`")
    if total.energy_used is None:
        notes.append(
            "used: not known, because readings are kept for 7 days; burning and saved are of all delivered energy"
        )
    elif total.orders:
        notes.append(
            "used: at least, as readings showed it; burning it: the used energy at the chain's price at that time"
        )
    if total.cycles:
        notes.append(f"charged holds {total.cycles:,} Host Mode cycles; saved leaves them out")
    return notes
