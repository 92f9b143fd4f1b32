"""`energyd report`: the same exact sums as a table, as CSV and as JSON."""

import csv
import io
import sqlite3
from decimal import Decimal

import pytest

from .program import ALICE, Host


def booked_trx(host: Host) -> Decimal:
    """What stands in the ledger's file, asked without energyd."""
    query = "SELECT coalesce(sum(coalesce(cost_sun, cost_max_sun)), 0) FROM orders WHERE state <> 'refused'"
    (sun,) = sqlite3.connect(host.folder / "energyd.db").execute(query).fetchone()
    return Decimal(sun) / 1_000_000


@pytest.mark.parametrize(("by", "key"), [("policy", "payouts"), ("address", ALICE), ("day", None)])
def test_json_has_the_sums_of_the_ledger_however_they_are_grouped(lived: Host, by: str, key: str | None) -> None:
    done = lived.run("report", "--from", "2h", "--by", by, "--json")
    assert (done.status, done.err) == (0, "")
    (row,), total = done.json["rows"], done.json["total"]
    assert key in (None, row[by])
    assert row == {by: row[by]} | total
    assert Decimal(str(total["charged_trx"])) + Decimal(str(total["unconfirmed_trx"])) == booked_trx(lived) > 0
    assert (total["orders"], total["energy_rented"]) == (1, 65_000)


def test_csv_has_a_head_exact_amounts_and_no_total(lived: Host) -> None:
    done = lived.run("report", "--from", "2h", "--csv")
    (row,) = csv.DictReader(io.StringIO(done.out))
    assert Decimal(row["charged_trx"]) == booked_trx(lived)
    assert (row["policy"], row["energy_rented"]) == ("payouts", "65000")


def test_the_table_ends_with_a_total_and_says_what_its_figures_are(lived: Host) -> None:
    done = lived.run("report", "--from", "2h")
    assert (done.status, done.err) == (0, "")
    assert "total" in done.out
    assert f"{booked_trx(lived).normalize():f} TRX" in done.out
    assert "used: at least" in done.out


def test_what_was_used_long_ago_is_not_known(lived: Host) -> None:
    assert lived.run("report", "--from", "30d", "--json").json["total"]["energy_used"] is None
    assert "readings are kept for 7 days" in lived.run("report", "--from", "30d").out


def test_a_period_without_orders_has_no_rows(lived: Host) -> None:
    shown = lived.run("report", "--from", "2026-01-01", "--to", "2026-01-02T00:00:00Z", "--json").json
    assert shown["rows"] == []
    assert shown["total"]["orders"] == 0


@pytest.mark.parametrize(
    "usage",
    [
        ["--from", "yesterday"],
        ["--to", "2026-01-01"],
        ["--from", "2026-01-02", "--to", "2026-01-01"],
        ["--by", "moon"],
        ["--csv", "--json"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(lived: Host, usage: list[str]) -> None:
    done = lived.run("report", *usage)
    assert (done.status, done.out) == (2, "")
