"""What can still be asked while policy files are broken and the daemon goes on with the last good set."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .program import ALICE, POLICY, Host, Sandbox, a_sandbox

LOOKS = ("status", "orders", "decisions", "report", f"explain {ALICE}", "calls list --offline")


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host that has rented, and whose policy has been broken since."""
    with a_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield _broken(tmp_path_factory.mktemp("host") / "host", sandbox)


def _broken(folder: Path, sandbox: Sandbox) -> Host:
    host = Host(folder, sandbox.url)
    with host.started("run") as daemon:
        daemon.until_event("order.placed")
        daemon.stop()
    host.write("policies/payouts.yaml", POLICY.replace("floor", "flor"))
    return host


@pytest.mark.parametrize("command", LOOKS)
def test_what_looks_goes_on_looking(broken: Host, command: str) -> None:
    done = broken.run(*command.split())
    assert (done.status, bool(done.out)) == (0, True)


def test_status_shows_the_policies_that_were_taken_over_last_and_says_so(broken: Host) -> None:
    done = broken.run("status")
    assert "payouts" in done.out
    assert done.err.startswith("energyd: policy files are broken, see `energyd check`; shown are the policies of ")


def test_the_doctor_names_it_and_tests_the_rest(broken: Host) -> None:
    done = broken.run("doctor", "--json")
    found = {check["check"]: check for check in done.json["checks"]}
    assert done.status == 78
    assert [fault["line"] for fault in done.json["faults"]] == [3]
    assert found["configuration"]["state"] == "broken"
    assert "1 fault in policy files" in found["configuration"]["found"]
    assert found["ledger"]["state"] == "ok"


def test_broken_settings_are_told_and_nothing_else(broken: Host, tmp_path: Path) -> None:
    file = tmp_path / "energyd.yaml"
    file.write_text("mode: lively\n")
    for command in ("status", "orders", "doctor"):
        done = broken.run(command, "--config", str(file))
        assert (done.status, done.out) == (78, "")
        assert "'lively' is not known here" in done.err


def test_without_a_last_good_set_the_faults_are_told(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    host.write("policies/payouts.yaml", POLICY.replace("floor", "flor"))
    done = host.run("status")
    assert done.status == 78
    assert "unknown key 'flor'" in done.err
