"""What a new user gets wrong is told in words, with the right exit status, and never as a bug of energyd."""

import subprocess
from pathlib import Path

import pytest

from energyd.sandbox import addresses

from .program import ALICE, Done, Host


def ending_up(host: Host, where: str, *arguments: str) -> Done:
    """A command whose standard output goes to a file, or is closed: `>&-`."""
    done = subprocess.run(
        ["sh", "-c", f'"$@" {where}', "sh", *host.program(*arguments)],
        cwd=host.folder,
        env=host.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("command", ["version", "--help", "schema policy", "check --offline"])
def test_what_cannot_be_printed_is_said_in_one_line(host: Host, command: str) -> None:
    done = ending_up(host, ">/dev/full", *command.split())
    assert done.status == 1
    assert done.err == "energyd: this machine does not let it go on: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("command", ["version", "check --offline"])
def test_a_closed_output_is_no_reason_to_complain(host: Host, command: str) -> None:
    assert ending_up(host, ">&-", *command.split()) == Done(0, "", "")


@pytest.mark.parametrize(
    "command",
    ["report --from 0001-01-01", "report --from 0001-01-01T00:00:00+14:00", "decisions --since 0001-01-01", "orders"],
)
def test_the_beginning_of_all_time_is_a_time_like_another(lived: Host, command: str) -> None:
    done = lived.run(*command.split())
    assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("orders --limit 99999999999999999999", "--limit"),
        ("decisions --limit 0", "--limit"),
        ("orders settle ../x --placed", "is no id"),
        ("calls cancel a/b?c", "is no id"),
        ("pause --for -1h", "is not a duration"),
        ("calls add T123 --at tomorrow --energy 5", "is not a moment"),
        ("host order T123 3 --yes", "has 4 characters"),
        ("explain", "Missing argument 'ADDRESS'"),
    ],
)
def test_wrong_usage_names_what_is_wrong(host: Host, command: str, said: str) -> None:
    done = host.run(*command.split())
    assert (done.status, done.out) == (2, "")
    assert said in done.err


def test_an_empty_id_is_wrong_usage(host: Host) -> None:
    assert host.run("orders", "settle", "", "--placed").status == 2


def test_an_address_of_no_decision_fails_with_where_to_look(lived: Host) -> None:
    done = lived.run("explain", addresses.made_up("nobody"))
    assert (done.status, done.out) == (1, "")
    assert done.err.endswith("is in the ledger; `energyd status` lists the addresses\n")


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "the file is empty"), (b"mode: \xff", "save it as UTF-8"), (None, "is a directory")]
)
def test_a_settings_file_that_is_none_is_a_fault_that_is_named(
    host: Host, tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "settings.yaml"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    for command in ("check", "status", "run", "ensure"):
        more = (ALICE, "--energy", "65000") if command == "ensure" else ()
        done = host.run(command, *more, "--config", str(file))
        assert (done.status, done.out) == (78, "")
        assert said in done.err


@pytest.mark.parametrize("columns", ["1", "30", "400"])
def test_a_table_is_whole_on_every_terminal(lived: Host, columns: str) -> None:
    assert "rent · below_floor" in lived.run("status", columns=columns).out
