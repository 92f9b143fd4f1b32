"""Commands that ask a running daemon, over its real socket; and what that socket does to strangers."""

import contextlib
import json
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from energyd.sandbox import addresses
from energyd.sandbox.contracts import USDT

from .program import PATIENCE_SECONDS, Host, Running, Sandbox

CAROL, DAVE, ERIN = (addresses.made_up(name) for name in ("carol", "dave", "erin"))
TOKEN = "open-sesame-open-sesame"
ASKING = (["ensure", CAROL, "--energy", "65000"], ["reload"], ["calls", "cancel", "0123"])
POLICY = f"""\
policy: payroll
addresses: [{CAROL}, {DAVE}]
planned_calls: [{{name: daily, cron: "0 12 * * *", energy: 65_000, count: 2}}]
budget: {{per_order: 15 TRX, per_hour: 60 TRX, per_day: 400 TRX}}
"""


@pytest.fixture(scope="module")
def asked(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Running]]:
    """A daemon that runs and listens on the socket in its folder."""
    host = Host(tmp_path_factory.mktemp("asked") / "host", sandbox.url)
    host.write("policies/payouts.yaml", POLICY)
    with host.started("run") as running:
        running.until_event("decision")
        yield host, running


@pytest.fixture
def host_asked(asked: tuple[Host, Running]) -> Host:
    return asked[0]


# --- without a daemon -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ASKING, ids=" ".join)
def test_without_a_daemon_a_command_that_asks_it_says_so_in_one_line(host: Host, command: list[str]) -> None:
    done = host.run(*command)
    assert (done.status, done.out) == (1, "")
    assert done.err == f"energyd: no daemon listens on unix:{host.folder}/energyd.sock; start it with `energyd run`\n"


def test_without_a_daemon_a_pause_is_written_into_the_ledger_and_holds_from_its_start_on(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    host = Host(tmp_path / "host", sandbox.url)
    before = host.run("pause")
    assert (before.status, before.out) == (1, "")
    assert "there is no ledger" in before.err
    assert host.run("run", "--once", "--dry-run").status == 0
    assert host.run("pause", "--policy", "payuots").status == 1
    assert host.run("pause", "--for", "2h", "--policy", "payouts", "--reason", "later").status == 0
    assert "paused payouts" in host.run("status").out
    assert host.run("run", "--once").status == 0
    assert host.run("decisions", "--json", "-n", "1").json[0]["reason"] == "paused"
    assert host.run("resume", "--policy", "payouts").out == "spending of payouts goes on\n"
    assert host.run("resume").status == 1


def test_tcp_without_a_token_is_a_fault_that_says_what_to_write(host: Host) -> None:
    settings = host.folder / "energyd.yaml"
    settings.write_text(settings.read_text().replace("unix:energyd.sock", "127.0.0.1:8480"))
    done = host.run("run")
    assert (done.status, done.out) == (78, "")
    assert "energyd.yaml:6:9: listening on TCP needs a token; write listen_token" in done.err


def test_a_token_that_can_be_guessed_is_a_fault_that_says_what_to_write(host: Host) -> None:
    settings = host.folder / "energyd.yaml"
    place = "127.0.0.1:8480\nlisten_token: sesame"
    settings.write_text(settings.read_text().replace("unix:energyd.sock", place))
    done = host.run("run")
    assert (done.status, done.out) == (78, "")
    assert "energyd.yaml:7:15: a token of 6 characters can be guessed; write 16 or more random ones" in done.err
    assert "sesame" not in done.err


def test_a_place_that_cannot_be_had_is_named_and_exits_with_1(host: Host) -> None:
    (host.folder / "energyd.sock").write_text("not a socket")
    done = host.run("run")
    assert done.status == 1
    assert "no socket" in done.err
    assert (host.folder / "energyd.sock").read_text() == "not a socket"


# --- ensure ---------------------------------------------------------------------------------------------------------


def test_ensure_exits_with_0_when_the_energy_is_there(host_asked: Host, sandbox: Sandbox) -> None:
    done = host_asked.run("ensure", CAROL, "--energy", "65000", "--for", "1s")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"65,000 energy is there for {CAROL} until ")


def test_two_that_ask_at_once_each_get_theirs_and_the_same_key_is_one_request(host_asked: Host) -> None:
    command = ["ensure", CAROL, "--energy", "65_000", "--for", "2m", "--json"]
    with ThreadPoolExecutor(4) as at_once:
        keys = ["a", "a", "b", "c"]
        done = list(at_once.map(lambda key: host_asked.run(*command, "--key", key), keys))
    assert [each.status for each in done] == [0, 0, 0, 0]
    ids = [each.json["call"]["call_id"] for each in done]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_who_is_cut_off_while_waiting_asks_again_with_the_same_key(host_asked: Host, sandbox: Sandbox) -> None:
    command = ["ensure", DAVE, "--energy", "300000", "--for", "1s", "--key", "cut-off"]
    with subprocess.Popen(host_asked.program(*command), cwd=host_asked.folder, env=host_asked.environment) as process:
        end = time.monotonic() + PATIENCE_SECONDS
        while not sandbox.charges(DAVE):
            assert time.monotonic() < end
            time.sleep(0.02)
        process.kill()
    assert host_asked.run(*command).status == 0
    assert len(sandbox.charges(DAVE)) == 1


def test_ensure_exits_with_1_and_the_reason_when_the_energy_does_not_come(host_asked: Host) -> None:
    assert host_asked.run("pause", "--reason", "maintenance").status == 0
    try:
        done = host_asked.run("ensure", CAROL, "--energy", "2000000")
        as_json = host_asked.run("ensure", CAROL, "--energy", "2000000", "--json")
    finally:
        assert host_asked.run("resume").out == "spending of everything goes on\n"
    assert (done.status, done.out) == (1, "")
    assert "paused" in done.err
    assert (as_json.status, as_json.json["ok"]) == (1, False)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([], "does not say how much energy"),
        (["--energy", "many"], "is not an amount of energy"),
        (["--energy", "-5"], "is not an amount of energy"),
        (["--energy", "65000", "--by", "tomorrow"], "is not a moment"),
        (["--energy", "65000", "--for", "600"], "write it like '90s'"),
        (["--energy", "65000", "--timeout", "-2m"], "write it like '90s'"),
        (["--energy", "65000", "--count", "2"], "--energy says it all"),
        (["--contract", USDT], "does not say how much energy"),
    ],
)
def test_what_is_not_understood_is_wrong_usage_daemon_or_not(host: Host, wrong: list[str], said: str) -> None:
    done = host.run("ensure", CAROL, *wrong)
    assert (done.status, done.out) == (2, "")
    assert said in done.err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--energy", "0"], "is out of range"),
        (["--energy", "65000", "--for", "3d"], "is too long"),
        (["--energy", "65000", "--by", "2026-12-24T09:00:00Z", "--timeout", "1m"], "remove 'timeout'"),
        (["--contract", USDT, "--function", "transfer(address,uint256)", "--arg", "5"], "transfer(address,uint256)"),
    ],
)
def test_what_the_daemon_refuses_is_said_in_one_line(host_asked: Host, wrong: list[str], said: str) -> None:
    done = host_asked.run("ensure", CAROL, *wrong)
    assert (done.status, done.out) == (1, "")
    assert said in done.err
    assert done.err.count("\n") == 1


# --- calls, plan, pause, reload -------------------------------------------------------------------------------------


def test_calls_are_added_listed_and_cancelled(host_asked: Host) -> None:
    added = host_asked.run("calls", "add", CAROL, "--energy", "65000", "--at", "2099-01-01T00:00:00Z", "--name", "gala")
    assert added.status == 0
    listed = host_asked.run("calls", "list", "--json").json
    (gala,) = [call for call in listed if call["call"] == "gala"]
    assert gala["call_id"] in added.out
    assert gala["cost_trx"] > 0
    assert {call["origin"] for call in listed if call["call"] == "daily"} == {"policy"}
    assert "gala" in host_asked.run("calls", "list", "--offline").out
    assert host_asked.run("calls", "cancel", gala["call_id"]).status == 0
    assert "gala" not in host_asked.run("calls", "list").out


def test_the_plan_shows_the_planned_call_its_cost_and_spends_nothing(host_asked: Host, sandbox: Sandbox) -> None:
    before = sandbox.ask("books")["spent_sun"]
    done = host_asked.run("plan", "--json")
    assert done.status == 0
    assert "planned_call" in [decision["reason"] for decision in done.json["decisions"]]
    (row,) = done.json["policies"]
    assert (row["policy"], row["orders"] >= 1, row["cost_trx"] > 0) == ("payroll", True, True)
    assert "planned_call" in host_asked.run("plan").out
    assert sandbox.ask("books")["spent_sun"] == before


def test_the_plan_needs_no_daemon_and_no_ledger(sandbox: Sandbox, tmp_path: Path) -> None:
    done = Host(tmp_path / "host", sandbox.url).run("plan")
    assert done.status == 0
    assert "below_floor" in done.out
    assert not (tmp_path / "host" / "energyd.db").exists()


def test_status_and_explain_show_calls_and_pauses(host_asked: Host) -> None:
    assert host_asked.run("pause", "--policy", "payroll", "--for", "2h", "--reason", "moving").status == 0
    try:
        assert host_asked.run("ensure", CAROL, "--energy", "1", "--for", "1m").status in (0, 1)
        shown = host_asked.run("status").out
    finally:
        assert host_asked.run("resume", "--policy", "payroll").status == 0
    assert "paused payroll" in shown
    assert "moving" in shown
    assert host_asked.run("explain", CAROL).status == 0
    assert {"needs", "sources", "guards", "calls"} <= host_asked.run("explain", CAROL, "--json").json.keys()


def test_reload_prints_every_fault_and_exits_with_78(host_asked: Host) -> None:
    file = host_asked.folder / "policies" / "payouts.yaml"
    assert host_asked.run("reload").out == "policies are loaded: nothing has changed\n"
    file.write_text(POLICY.replace("count", "cuont"))
    broken = host_asked.run("reload")
    file.write_text(POLICY)
    assert (broken.status, broken.out) == (78, "")
    assert "did you mean 'count'?" in broken.err
    assert host_asked.run("reload", "--json").json["changed"] == []


# --- the socket -----------------------------------------------------------------------------------------------------


def test_the_socket_is_for_its_owner_and_group_only(host_asked: Host) -> None:
    mode = (host_asked.folder / "energyd.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660


def test_a_second_daemon_does_not_take_the_socket_away(host_asked: Host, sandbox: Sandbox, tmp_path: Path) -> None:
    other = Host(tmp_path / "other", sandbox.url)
    settings = other.folder / "energyd.yaml"
    settings.write_text(settings.read_text().replace("unix:energyd.sock", f"unix:{host_asked.folder}/energyd.sock"))
    done = other.run("run")
    assert done.status == 1
    assert "another process listens there" in done.err
    assert host_asked.run("reload").status == 0


def test_the_socket_of_a_daemon_that_was_killed_is_replaced_and_one_that_stops_takes_it_along(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    host = Host(tmp_path / "host", sandbox.url)
    with host.started("run") as running:
        running.until_event("daemon.ready")
        running.process.kill()
    assert (host.folder / "energyd.sock").is_socket()
    with host.started("run") as running:
        running.until_event("daemon.ready")
        assert host.run("reload").status == 0
        running.stop()
    assert not (host.folder / "energyd.sock").exists()


def spoken(host: Host, *pieces: bytes) -> bytes:
    """What the socket answers to raw bytes until it closes."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE_SECONDS)
        client.connect(str(host.folder / "energyd.sock"))
        for piece in pieces:
            client.sendall(piece)
        answer = b""
        while more := client.recv(65536):
            answer += more
        return answer


def test_what_is_no_http_is_refused_and_hurts_nobody(host_asked: Host) -> None:
    assert spoken(host_asked, b"\x16\x03\x01 hello\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert spoken(host_asked, b"GET / HTTP/1.1\r\nx: " + b"a" * 100_000).startswith(b"HTTP/1.1 400")
    large = b"POST /v1/ensure HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999\r\n\r\n"
    assert spoken(host_asked, large).startswith(b"HTTP/1.1 413")
    assert host_asked.run("reload").status == 0


def test_a_client_that_does_not_finish_its_request_is_shown_the_door(host_asked: Host) -> None:
    began = time.monotonic()
    with contextlib.suppress(ConnectionResetError):
        spoken(host_asked, b"GET /healthz HTTP/1.1\r\nhost:")
    assert 5 < time.monotonic() - began < PATIENCE_SECONDS


def test_over_tcp_only_who_brings_the_token_is_heard(sandbox: Sandbox, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    host = Host(tmp_path / "host", sandbox.url)
    settings = host.folder / "energyd.yaml"
    host.write("token", TOKEN + "\n")
    place = f"127.0.0.1:{port}\nlisten_token_file: token"
    settings.write_text(settings.read_text().replace("unix:energyd.sock", place))
    with host.started("run") as running:
        running.until_event("daemon.ready")
        stranger = httpx.get(f"http://127.0.0.1:{port}/v1/addresses", trust_env=False)
        friend = httpx.get(
            f"http://127.0.0.1:{port}/v1/addresses", headers={"authorization": f"Bearer {TOKEN}"}, trust_env=False
        )
        reloaded = host.run("reload")
        host.write("token", "another-token-another")
        refused = host.run("reload")
        assert TOKEN not in running.out
    assert (stranger.status_code, friend.status_code) == (401, 200)
    assert (reloaded.status, refused.status) == (0, 1)
    assert "token" in refused.err
    assert TOKEN not in json.dumps([reloaded.out, reloaded.err, refused.out, refused.err])


def test_a_daemon_that_is_killed_between_ensure_and_delivery_goes_on_with_the_request(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    host = Host(tmp_path / "host", sandbox.url)
    host.write("policies/payouts.yaml", POLICY.replace(CAROL, ERIN))
    command = ["ensure", ERIN, "--energy", "65000", "--key", "payout-1"]
    with host.started("run") as running, ThreadPoolExecutor(1) as aside:
        running.until_event("daemon.ready")
        waiting = aside.submit(host.run, *command)
        running.until_event("order.sent")
        running.process.kill()
        cut_off = waiting.result()
    with host.started("run") as running:
        running.until_event("daemon.ready")
        again = host.run(*command)
    assert cut_off.status == 1
    assert "went away" in cut_off.err
    assert (again.status, again.err) == (0, "")
    assert len(sandbox.charges(ERIN)) == 1


def test_who_waits_while_the_daemon_stops_is_told_so(sandbox: Sandbox, tmp_path: Path) -> None:
    host = Host(tmp_path / "host", sandbox.url)
    host.write("policies/payouts.yaml", POLICY)
    command = ["ensure", CAROL, "--energy", "65000", "--by", "2099-01-01T00:00:00Z", "--key", "later"]
    with host.started("run") as running, ThreadPoolExecutor(1) as aside:
        running.until_event("decision")
        waiting = aside.submit(host.run, *command)
        running.until(lambda: "ensure" in host.run("calls", "list", "--offline", "--json").out or waiting.done())
        assert running.stop() < 5
        told = waiting.result()
        assert running.err == ""
    assert (told.status, told.out) == (1, "")
    assert "the request stands" in told.err
