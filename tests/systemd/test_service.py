"""The service as it is installed: a real systemd starts it, hears it, reloads it, kills it, and reads its journal."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from energyd.sandbox.netts_terms import API_KEY, REAL_IP

from ..cli.program import ALICE, POLICY  # noqa: TID252 - the same policy
from .machine import ROOT, Machine, booted, until, why_not

UNIT = "/etc/systemd/system/energyd.service"
PYTHON, ENERGYD = "/opt/energyd/bin/python", "/opt/energyd/bin/energyd"
FOR_NOW = "/run/systemd/system/energyd.service.d"
SANDBOX = "http://127.0.0.1:8490"
NODE_KEY = "a-key-of-the-node"
SETTINGS = f"""\
mode: live
node: {{url: "{SANDBOX}", api_keys: ["${{trongrid_api_key}}"], max_rps: 100}}
netts: {{url: "{SANDBOX}", real_ip: {REAL_IP}, max_rps: 20}}
"""
SOONER = "[Service]\nWatchdogSec=3s\nRestartSec=100ms\nTimeoutAbortSec=1s\n"
"""The same service for those who cannot wait."""

INSTEAD = f"[Service]\nExecStart=\nExecStart={PYTHON} /etc/energyd/blocked.py run\n"
BLOCKED = """
import time
from energyd.__main__ import main
from energyd.engine import Engine

Engine.tick = lambda engine, address: time.sleep(60)
main()
"""

reason = why_not()
pytestmark = pytest.mark.skipif(reason is not None, reason=reason or "")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    files = {UNIT: (ROOT / "systemd" / "energyd.service").read_text(), f"{UNIT}.d/sooner.conf": SOONER}
    with booted(tmp_path_factory.mktemp("machine"), files) as machine:
        machine.ask("install", "-d", "-m", "700", "/etc/credstore")
        machine.write("/etc/credstore/netts_api_key", f"{API_KEY}\n", 0o600)
        machine.write("/etc/credstore/trongrid_api_key", f"{NODE_KEY}\n", 0o600)
        machine.ask("mkdir", "-p", "/etc/energyd/policies")
        machine.ask("systemd-run", "-q", "--unit=sandbox", ENERGYD, "sandbox", "--port", "8490", "--delivery", "1s")
        yield machine


class Service:
    """energyd on the machine, from its first start."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._since = machine.ask("date", "+@%s.%6N").strip()

    def is_now(self, *names: str) -> list[str]:
        """Properties of the unit, of one moment."""
        lines = self.machine.ask("systemctl", "show", "energyd", *(f"-p{name}" for name in names)).splitlines()
        shown = dict(line.split("=", 1) for line in lines)
        return [shown[name] for name in names]

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """The entries since the start of the test that have these fields."""
        asked = ("journalctl", "-q", "-a", "-o", "json", "--since", self._since, *matches)
        return [json.loads(line) for line in self.machine.ask(*asked).splitlines()]

    def until_event(self, name: str, times: int = 1) -> list[dict[str, Any]]:
        until(lambda: len(self.journal(f"EVENT={name}")) >= times, self.said)
        return self.journal(f"EVENT={name}")

    def said(self) -> str:
        return self.machine.run("journalctl", "-q", "--since", self._since, "-o", "cat").out

    def charges(self) -> int:
        """How many orders Netts charged for, since it was switched on."""
        code = f"import urllib.request as r; print(r.urlopen('{SANDBOX}/sandbox/books').read().decode())"
        return len(json.loads(self.machine.ask(PYTHON, "-c", code))["charges"])


@pytest.fixture
def service(machine: Machine) -> Iterator[Service]:
    machine.write("/etc/energyd/energyd.yaml", SETTINGS)
    machine.write("/etc/energyd/policies/payouts.yaml", POLICY)
    yield Service(machine)
    machine.ask("systemctl", "stop", "energyd")
    machine.run("systemctl", "reset-failed", "energyd")


@pytest.fixture
def running(service: Service) -> Service:
    started = service.machine.run("systemctl", "start", "energyd")
    assert started.status == 0, service.said()
    return service


def test_systemd_understands_every_line_of_the_unit_and_finds_it_hardened(machine: Machine) -> None:
    verified = machine.run("systemd-analyze", "verify", UNIT)
    assert (verified.status, verified.out + verified.err) == (0, "")
    judged = machine.run("systemd-analyze", "security", "--offline=true", "--threshold=11", UNIT)
    assert judged.status == 0, judged.out


def test_a_start_is_over_when_it_is_ready_and_its_status_is_a_sentence(running: Service) -> None:
    state, status = running.is_now("ActiveState", "StatusText")
    assert state == "active"
    assert status.startswith("live, 1 address of 1 policy; ")
    assert [entry["EVENT"] for entry in running.journal("EVENT=daemon.ready")] == ["daemon.ready"]


def test_it_rents_and_the_journal_finds_its_lines_by_their_figures(running: Service) -> None:
    running.until_event("decision")
    entry = running.journal("POLICY=payouts", "EVENT=decision")[0]
    line = json.loads(entry["MESSAGE"])
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert (entry["ADDRESS"], entry["REASON"], entry["DEMAND"]) == (ALICE, line["reason"], str(line["demand"]))
    assert (entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]) == ("6", "energyd")
    assert entry["_SYSTEMD_UNIT"] == "energyd.service"
    until(lambda: running.machine.ask("journalctl", "-o", "cat", "EVENT=energy.delivered"))
    delivered = json.loads(running.machine.ask("journalctl", "-o", "cat", "EVENT=energy.delivered").splitlines()[0])
    assert running.journal(f"ORDER_KEY={delivered['order_key']}") or running.charges() == 1


def test_its_secrets_are_where_only_it_can_read_them(running: Service) -> None:
    (process,) = running.is_now("MainPID")
    running.until_event("decision")
    folder = "/run/credentials/energyd.service"
    assert running.machine.ask("cat", f"{folder}/netts_api_key").strip() == API_KEY
    assert running.machine.run("setpriv", "--reuid=65534", "cat", f"{folder}/netts_api_key").status != 0
    shown = running.machine.ask("cat", f"/proc/{process}/environ", f"/proc/{process}/cmdline") + running.said()
    assert [key for key in (API_KEY, NODE_KEY) if key in shown] == []
    assert running.machine.run("grep", "-rqF", "-e", API_KEY, "-e", NODE_KEY, "/var/lib/energyd/").status == 1


def test_nobody_else_can_look_into_its_ledger(running: Service) -> None:
    rights = running.machine.ask("stat", "-L", "-c", "%a", "/var/lib/energyd", "/var/lib/energyd/energyd.db")
    assert rights.split() == ["700", "600"]


def test_root_asks_it_without_any_ado(running: Service) -> None:
    running.until_event("decision")
    assert running.machine.ask(ENERGYD, "check", "--offline")
    status = json.loads(running.machine.ask(ENERGYD, "status", "--json"))
    assert [row["address"] for row in status["addresses"]] == [ALICE]
    running.machine.ask("systemctl", "stop", "energyd")
    assert json.loads(running.machine.ask(ENERGYD, "orders", "--json"))
    running.machine.ask("systemctl", "start", "energyd")


def test_a_reload_takes_over_what_was_changed(running: Service) -> None:
    (process,) = running.is_now("MainPID")
    running.machine.write("/etc/energyd/policies/payouts.yaml", POLICY.replace("65_000", "64_000"))
    running.machine.ask("systemctl", "reload", "energyd")
    loaded = running.until_event("policies.loaded", times=2)
    assert loaded[1]["CHANGED"] == "payouts"
    until(lambda: running.is_now("ActiveState", "MainPID") == ["active", process])


def test_a_reload_of_broken_files_changes_nothing_and_says_so(running: Service) -> None:
    (process,) = running.is_now("MainPID")
    running.machine.write("/etc/energyd/policies/payouts.yaml", POLICY.replace("floor", "flor"))
    running.machine.ask("systemctl", "reload", "energyd")
    (rejected,) = running.until_event("policies.rejected")
    assert rejected["PRIORITY"] == "3"
    assert "unknown key 'flor'" in str(rejected["FAULTS"])
    until(lambda: "refused" in running.is_now("StatusText")[0])
    assert running.is_now("ActiveState", "MainPID") == ["active", process]


def test_killed_it_comes_back_and_knows_what_it_bought(running: Service) -> None:
    until(lambda: running.machine.ask("journalctl", "-o", "cat", "EVENT=energy.delivered"), running.said)
    charges, (before, process) = running.charges(), running.is_now("InvocationID", "MainPID")
    running.machine.ask("kill", "-9", process)
    until(lambda: running.is_now("InvocationID")[0] not in ("", before))
    running.until_event("daemon.ready", times=2)
    running.until_event("decision", times=2)
    assert running.charges() == charges


def test_a_process_that_hangs_is_noticed_and_started_anew(running: Service) -> None:
    before, process = running.is_now("InvocationID", "MainPID")
    running.machine.ask("kill", "-STOP", process)
    until(lambda: running.is_now("InvocationID")[0] not in ("", before), running.said)
    assert "Watchdog timeout" in running.said()
    running.until_event("daemon.ready", times=2)


def test_a_loop_that_is_blocked_is_noticed_and_shows_where(service: Service) -> None:
    service.machine.write("/etc/energyd/blocked.py", BLOCKED)
    service.machine.ask("mkdir", "-p", FOR_NOW)
    service.machine.write(f"{FOR_NOW}/blocked.conf", INSTEAD)
    service.machine.ask("systemctl", "daemon-reload")
    service.machine.ask("systemctl", "start", "energyd")
    until(lambda: "Watchdog timeout" in service.said(), service.said)
    until(lambda: "blocked.py" in service.said(), service.said)
    service.machine.ask("rm", "-r", FOR_NOW)
    service.machine.ask("systemctl", "daemon-reload")


def test_it_says_by_itself_that_it_lives(running: Service) -> None:
    since = running.is_now("WatchdogTimestampMonotonic")
    until(lambda: running.is_now("WatchdogTimestampMonotonic") > since)
    assert running.is_now("NRestarts") == ["0"]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("policies/payouts.yaml", POLICY.replace("floor", "flor"), "payouts.yaml:3:10: unknown key 'flor'"),
        ("energyd.yaml", SETTINGS.replace("trongrid", "tron_grid"), "tron_grid_api_key is not set"),
    ],
)
def test_a_broken_configuration_does_not_start_again_and_again(
    service: Service, file: str, text: str, said: str
) -> None:
    service.machine.write(f"/etc/energyd/{file}", text)
    assert service.machine.run("systemctl", "start", "energyd").status == 1
    assert service.is_now("ActiveState", "ExecMainStatus", "NRestarts") == ["failed", "78", "0"]
    assert said in service.said()


def test_stopping_takes_a_moment_and_is_no_failure(running: Service) -> None:
    began = time.monotonic()
    running.machine.ask("systemctl", "stop", "energyd")
    assert time.monotonic() - began < 5
    assert running.is_now("ActiveState", "Result") == ["inactive", "success"]
    assert running.journal("_SYSTEMD_UNIT=energyd.service")[-1]["EVENT"] == "daemon.stopped"
