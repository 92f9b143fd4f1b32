"""`energyd doctor` against a world that is well, and against one thing at a time that is not."""

import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from energyd.sandbox.netts_terms import REAL_IP

from .program import Host, Sandbox, a_sandbox


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with a_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sick(world: Sandbox) -> Iterator[Sandbox]:
    """A world that a test may disturb."""
    yield world
    for side in ("node", "netts"):
        world.ask("mood", {"side": side, "clear": True})
    world.ask("terms", {"whitelist": [REAL_IP]})


@pytest.fixture
def patient(world: Sandbox, tmp_path: Path) -> Host:
    return Host(tmp_path / "host", world.url)


def findings(host: Host, status: int) -> dict[str, dict[str, Any]]:
    """What the doctor finds, by what it looked at."""
    done = host.run("doctor", "--json")
    assert (done.status, done.err) == (status, "")
    assert done.json["ok"] is (status == 0)
    return {found["check"]: found for found in done.json["checks"]}


def test_where_all_is_well_it_exits_with_0_one_line_each(patient: Host) -> None:
    done = patient.run("doctor")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert all(line.startswith(("✓ ", "! ")) for line in lines)
    for check in ("configuration", "node", "clock", "address", "estimates", "burn price", "netts", "balance"):
        assert [line for line in lines if line.startswith(f"✓ {check} ")], done.out
    assert [line[2:8] for line in lines if line.startswith("!")] == ["ledger", "daemon"]
    assert not (patient.folder / "energyd.db").exists()


def test_it_names_the_process_that_holds_the_ledger_and_leaves_it_in_peace(patient: Host, world: Sandbox) -> None:
    with patient.started("run") as running:
        running.until_event("order.placed")
        charges = world.charges()
        found = findings(patient, 0)
        assert f"held by process {running.process.pid}" in found["ledger"]["found"]
        assert found["daemon"]["state"] == "ok"
        assert world.charges() == charges
        assert running.process.poll() is None
    found = findings(patient, 0)
    assert "held" not in found["ledger"]["found"]
    assert found["daemon"]["state"] == "warning"


def test_when_nothing_answers_it_says_so_at_once(host: Host) -> None:
    began = time.monotonic()
    found = findings(host, 1)
    assert time.monotonic() - began < 8
    assert {check for check, one in found.items() if one["state"] == "broken"} == {"node", "netts"}
    assert "node.url" in found["node"]["todo"]


def test_a_key_that_is_wrong_is_told_and_not_shown(patient: Host) -> None:
    settings = patient.folder / "energyd.yaml"
    settings.write_text(settings.read_text().replace("${NETTS_API_KEY}", "another-key-altogether"))
    done = patient.run("doctor")
    assert done.status == 1
    assert "✗ netts" in done.out
    assert "compare netts.api_key" in done.out
    assert "another-key-altogether" not in done.out + done.err


def test_a_key_in_the_path_of_a_node_is_not_shown(patient: Host, world: Sandbox) -> None:
    settings = patient.folder / "energyd.yaml"
    hidden = settings.read_text().replace(f'node: {{url: "{world.url}"', f'node: {{url: "{world.url}/path-with-a-key"')
    settings.write_text(hidden)
    done = patient.run("doctor")
    assert "✗ node" in done.out
    assert "path-with-a-key" not in done.out + done.err


def test_an_address_that_is_not_on_the_whitelist_is_named(patient: Host, sick: Sandbox) -> None:
    sick.ask("terms", {"whitelist": ["198.51.100.1"]})
    found = findings(patient, 1)
    assert found["netts"]["state"] == "broken"
    assert REAL_IP in found["netts"]["todo"]
    assert "balance" not in found


def test_host_mode_is_looked_at_where_a_policy_uses_it(patient: Host) -> None:
    policy = patient.folder / "policies" / "payouts.yaml"
    assert findings(patient, 0)["host mode"]["found"] == "no policy uses it"
    policy.write_text(policy.read_text() + "host_mode: {min_cycles: 2, top_up_to: 10, max_cycle_price: 4 TRX}\n")
    found = findings(patient, 0)["host mode"]
    assert (found["state"], "is not in Host Mode" in found["found"]) == ("warning", True)


def test_a_stale_node_is_told_with_the_clock_in_mind(patient: Host, sick: Sandbox) -> None:
    minute_old = {"number": 70_000_000, "timestamp": int((time.time() - 60) * 1000)}
    body = {"block_header": {"raw_data": minute_old}}
    sick.ask("mood", {"side": "node", "endpoint": "getblock", "answer": {"body": body}})
    found = findings(patient, 1)
    assert found["node"]["state"] == "broken"
    assert "clock" in found["node"]["todo"]


def test_a_node_that_fails_is_a_warning_while_another_one_is_well(patient: Host, world: Sandbox) -> None:
    settings = patient.folder / "energyd.yaml"
    dead = settings.read_text().replace(f'node: {{url: "{world.url}"', 'node: {url: "http://127.0.0.1:9"')
    settings.write_text(dead.replace("max_rps: 100", f'fallbacks: ["{world.url}"], max_rps: 100'))
    lines = patient.run("doctor").out.splitlines()
    assert [line[:6] for line in lines if line[2:6] == "node"] == ["! node", "✓ node"]


def test_a_file_that_is_no_ledger_is_broken(patient: Host) -> None:
    patient.write("energyd.db", "this is not a database, and long enough to be looked at " * 40)
    found = findings(patient, 1)
    assert found["ledger"]["state"] == "broken"


def test_a_ledger_that_others_can_read_is_a_warning(patient: Host) -> None:
    assert patient.run("run", "--once").status == 0
    ledger = patient.folder / "energyd.db"
    assert stat.S_IMODE(ledger.stat().st_mode) == 0o600
    ledger.chmod(0o640)
    assert findings(patient, 0)["rights"]["state"] == "warning"


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv takes root's right to write everything away")
def test_a_ledger_that_cannot_be_written_is_broken(patient: Host) -> None:
    assert patient.run("run", "--once").status == 0
    (patient.folder / "energyd.db").chmod(0o400)
    humble = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*humble, *patient.program("doctor")],
        cwd=patient.folder,
        env=patient.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1, done.stderr
    assert "✗ ledger" in done.stdout
    assert "run this as the daemon's user" in done.stdout


def test_faults_of_the_configuration_exit_with_78(host: Host) -> None:
    host.write("policies/payouts.yaml", "policy: 1\n")
    assert host.run("doctor").status == 78
    done = host.run("doctor", "--json")
    assert (done.status, done.json["ok"]) == (78, False)
