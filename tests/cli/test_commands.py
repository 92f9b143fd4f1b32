"""Script tests: a command, what it prints where, and its exit status. Nothing ever prints a traceback (program.py)."""

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from energyd import __version__
from energyd.sandbox import addresses

from .program import ALICE, BOB, Host, Sandbox

VIEWS = (["status"], ["decisions"], ["explain", ALICE], ["orders"])


# --- about the program ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["version", "--version"])
def test_the_version_is_one_line(host: Host, how: str) -> None:
    done = host.run(how)
    assert (done.status, done.out, done.err) == (0, f"{__version__}\n", "")


def test_help_names_every_command(host: Host) -> None:
    done = host.run("--help")
    assert done.status == 0
    commands = "run check schema demo sandbox status decisions explain plan report doctor ensure pause resume reload"
    for command in (*commands.split(), "version", "orders", "calls", "host"):
        assert f" {command} " in done.out


@pytest.mark.parametrize(
    "usage",
    [
        ["frobnicate"],
        ["explain"],
        ["schema", "orders"],
        ["decisions", "--since", "yesterday"],
        ["decisions", "--address", ALICE[:-1] + ("1" if ALICE[-1] != "1" else "2")],
        ["explain", "0x12"],
        ["sandbox", "--balance", "much"],
        ["demo", "--hours", "0"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_said_on_stderr_and_exits_with_2(host: Host, usage: list[str]) -> None:
    done = host.run(*usage)
    assert done.status == 2
    assert done.out == ""
    assert done.err


@pytest.mark.parametrize("kind", ["config", "policy"])
def test_the_schema_is_json_of_draft_2020_12(host: Host, kind: str) -> None:
    done = host.run("schema", kind)
    assert (done.status, done.err) == (0, "")
    assert done.json["$schema"] == "https://json-schema.org/draft/2020-12/schema"


# --- check ----------------------------------------------------------------------------------------------------------


def test_check_says_what_each_policy_can_spend_in_a_day(host: Host) -> None:
    done = host.run("check", "--offline")
    assert (done.status, done.err) == (0, "")
    assert "payouts: 1 address, spends at most 400 TRX in a day" in done.out
    assert done.out.endswith("1 policy, no faults\n")


def test_check_prints_every_fault_with_its_place_and_exits_with_78(host: Host) -> None:
    broken = host.folder / "policies" / "payouts.yaml"
    broken.write_text(broken.read_text().replace("floor", "flor").replace("15 TRX", "15"))
    done = host.run("check", "--offline")
    assert (done.status, done.out) == (78, "")
    lines = done.err.splitlines()
    assert [line for line in lines if line.startswith("policies/payouts.yaml:3:10: ")]
    assert [line for line in lines if line.startswith("policies/payouts.yaml:4:")]
    assert lines[-1].endswith("faults in the configuration")


def test_check_as_json_prints_json_only_also_for_faults(host: Host) -> None:
    good = host.run("check", "--offline", "--json")
    assert (good.status, good.err) == (0, "")
    assert good.json["ok"] is True
    assert good.json["policies"][0]["policy"] == "payouts"
    host.write("policies/payouts.yaml", "policy: 1\n")
    bad = host.run("check", "--offline", "--json")
    assert bad.status == 78
    assert bad.json["ok"] is False
    assert {"file", "line", "column", "message"} <= bad.json["faults"][0].keys()


def test_check_of_paths_needs_no_configuration(host: Host) -> None:
    (host.folder / "energyd.yaml").unlink()
    assert host.run("check", "policies").status == 0
    assert host.run("check", "policies/payouts.yaml").status == 0
    assert host.run("check", "nowhere").status == 78
    assert host.run("check").status == 78


def test_check_says_what_node_and_netts_say(host: Host, sandbox: Sandbox, tmp_path: Path) -> None:
    quiet = Host(tmp_path / "asking", sandbox.url).run("check")
    assert quiet.status == 0
    assert "cannot be read" not in quiet.out
    nobody = host.run("check")
    assert nobody.status == 0
    assert "cannot be read" in nobody.out


def test_a_missing_variable_is_a_fault_with_its_place(host: Host) -> None:
    settings = host.folder / "energyd.yaml"
    settings.write_text(settings.read_text().replace("NETTS_API_KEY", "NO_SUCH_VARIABLE"))
    done = host.run("status")
    assert done.status == 78
    assert "NO_SUCH_VARIABLE" in done.err
    assert "energyd.yaml:3:" in done.err


# --- before there is a ledger ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS, ids=" ".join)
def test_before_there_is_a_ledger_a_view_says_so_in_one_line(host: Host, view: list[str]) -> None:
    done = host.run(*view, "--json")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("energyd: there is no ledger at ")
    assert done.err.count("\n") == 1
    assert not (host.folder / "energyd.db").exists()


def test_a_file_that_is_no_ledger_is_named_in_one_line(host: Host) -> None:
    host.write("energyd.db", "this is not a database, and long enough to be looked at " * 40)
    done = host.run("status")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("energyd: the ledger ")
    assert done.err.count("\n") == 1


def test_a_ledger_that_is_a_folder_is_named_in_one_line(host: Host) -> None:
    (host.folder / "energyd.db").mkdir()
    for command in (["status"], ["run", "--once"]):
        done = host.run(*command)
        assert done.status == 1
        assert done.err.startswith("energyd: the ledger ")


# --- with a ledger --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS, ids=" ".join)
def test_a_view_as_json_prints_json_and_nothing_else(lived: Host, view: list[str]) -> None:
    done = lived.run(*view, "--json")
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out)


def test_status_shows_the_address_its_policy_and_its_budget(lived: Host) -> None:
    done = lived.run("status")
    assert (done.status, done.err) == (0, "")
    assert "hot" in done.out
    assert "of 60 TRX" in done.out
    state = lived.run("status", "--json").json
    (address,) = state["addresses"]
    assert (address["address"], address["reason"], len(address["orders"])) == (ALICE, "below_floor", 1)
    assert 0 < state["policies"][0]["spent_hour_trx"] < 15


def test_orders_carry_the_fields_of_their_events_and_their_state(lived: Host) -> None:
    (order,) = lived.run("orders", "--json").json
    assert {"order_key", "netts_order_id", "energy", "cost_trx", "http_status", "outcome"} <= order.keys()
    assert (order["state"], order["address"], order["policy"]) == ("placed", ALICE, "payouts")
    assert "placed" in lived.run("orders").out
    assert lived.run("orders", "--address", BOB, "--json").json == []
    assert lived.run("orders", "--policy", "other").out == "No orders.\n"


def test_decisions_can_be_narrowed(lived: Host) -> None:
    assert len(lived.run("decisions", "--json").json) == 1
    assert lived.run("decisions", "--address", BOB, "--json").json == []
    assert lived.run("decisions", "--since", "0s").out == "No decisions.\n"
    assert len(lived.run("decisions", "--since", "1h", "--changes", "--json").json) == 1


def test_explain_shows_every_guard_with_its_figure(lived: Host) -> None:
    done = lived.run("explain", ALICE)
    assert done.status == 0
    for word in ("demand", "supply", "gap", "below_floor", "price_too_high", "budget_per_day"):
        assert word in done.out
    assert {"demand", "guards", "reason"} <= lived.run("explain", ALICE, "--json").json.keys()


def test_explain_of_an_address_that_nothing_is_known_of_says_so(lived: Host) -> None:
    done = lived.run("explain", addresses.made_up("nobody"), "--json")
    assert done.status == 1
    assert done.out == ""
    assert done.err


@pytest.mark.parametrize("view", [["decisions"], ["schema", "policy"], ["status", "--json"]], ids=" ".join)
def test_a_reader_that_goes_away_is_no_reason_to_complain(lived: Host, view: list[str]) -> None:
    with subprocess.Popen(
        lived.program(*view), cwd=lived.folder, env=lived.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaint = process.stderr.read().decode()
    assert complaint == ""


def test_a_ledger_can_be_looked_at_by_somebody_who_may_only_read(lived: Host, tmp_path: Path) -> None:
    copy = Host(tmp_path / "copy")
    shutil.copy(lived.folder / "energyd.db", copy.folder)
    (copy.folder / "energyd.db").chmod(0o400)
    copy.folder.chmod(0o500)
    try:
        assert copy.run("status", "--json").status == 0
    finally:
        copy.folder.chmod(0o700)


def test_the_sandbox_ends_quietly_when_it_is_interrupted(tmp_path: Path) -> None:
    with Host(tmp_path / "host").started("sandbox", "--port", "0") as running:
        running.until(lambda: "curl" in running.out)
        running.stop(signal.SIGINT)
        assert running.err == ""
        assert running.process.returncode in (0, 130)
