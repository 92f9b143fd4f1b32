"""The daemon as a process: signals, the lock, a dry run, and what stands in its log, against a served sandbox."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from energyd.sandbox.netts_terms import API_KEY

from ..cli.program import ALICE, POLICY, Host, Sandbox, a_sandbox  # noqa: TID252 - the same program


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with a_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def host(tmp_path: Path, sandbox: Sandbox) -> Host:
    return Host(tmp_path / "host", sandbox.url)


def test_it_rents_reloads_and_stops_within_five_seconds(host: Host, sandbox: Sandbox) -> None:
    with host.started("run") as daemon:
        daemon.until_event("energy.delivered")
        assert len(sandbox.charges()) == 1
        _while_it_runs(host, daemon.process.pid)
        host.write("policies/payouts.yaml", POLICY.replace("policy:", "polcy:"))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until_event("policies.rejected")
        host.write("policies/payouts.yaml", POLICY.replace("65_000", "64_000"))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until_event("policies.loaded", times=2)
        assert daemon.stop() < 5
        assert daemon.process.returncode == 0
        assert daemon.names()[-1] == "daemon.stopped"
        assert daemon.err == ""
        assert [line["changed"] for line in daemon.events if line["event"] == "policies.loaded"] == [[], ["payouts"]]
        assert list(daemon.events[0])[:3] == ["timestamp", "level", "event"]
    assert len(sandbox.charges()) == 1


def _while_it_runs(host: Host, pid: int) -> None:
    second = host.run("run")
    assert (second.status, second.out) == (1, "")
    assert f"process {pid} holds the ledger" in second.err
    assert host.run("status", "--json").json["addresses"][0]["address"] == ALICE
    assert host.run("orders", "--json").json[0]["state"] == "delivered"
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
    assert API_KEY.encode() not in arguments
    assert not [file for file in host.folder.glob("energyd.db*") if API_KEY.encode() in file.read_bytes()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly_while_its_node_does_not_answer(
    tmp_path: Path, silent: str, number: signal.Signals
) -> None:
    with Host(tmp_path / "host", silent).started("run") as daemon:
        daemon.until_event("daemon.ready")
        assert daemon.stop(number) < 5
        assert daemon.process.returncode == 0
        assert daemon.names()[-2:] == ["daemon.stopping", "daemon.stopped"]
        assert daemon.err == ""


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    import socket  # noqa: PLC0415 - used here only

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_dry_run_spends_nothing(host: Host, sandbox: Sandbox) -> None:
    before = len(sandbox.ask("books")["charges"])
    sandbox.ask("use", {"address": ALICE, "energy": 60_000})
    done = host.run("run", "--once", "--dry-run")
    assert (done.status, done.err) == (0, "")
    assert '"reason":"dry_run"' in done.out
    assert host.run("orders", "--json").json == []
    assert len(sandbox.ask("books")["charges"]) == before


def test_a_reader_of_the_log_that_goes_away_does_not_end_it_with_a_complaint(host: Host) -> None:
    with subprocess.Popen(
        host.program("run", "--once", "--dry-run"),
        cwd=host.folder,
        env=host.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0
    assert len(host.run("decisions", "--json").json) == 1


def test_a_configuration_fault_keeps_it_from_starting(host: Host) -> None:
    host.write("policies/payouts.yaml", "policy: payouts\n")
    done = host.run("run")
    assert (done.status, done.out) == (78, "")
    assert "policies/payouts.yaml" in done.err
