"""The payout scripts of the README, taken from it and run as they are written."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .program import PATIENCE_SECONDS, Done, Host, Sandbox

README = Path(__file__).parents[2] / "README.md"
SENDER, RECEIVER = "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE", "TGiPJbaP5at8cigWcRHmCDkyKjUGb71fGd"
WALLET = '#!/bin/sh\necho "$@" >> paid\n'
POLICY = f"""\
policy: payouts
addresses: [{SENDER}, {RECEIVER}]
budget: {{per_order: 15 TRX, per_hour: 60 TRX, per_day: 400 TRX}}
"""


def blocks(language: str) -> list[str]:
    """The blocks of a language in the section about payouts."""
    section = README.read_text().split("## Before a contract call\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def shop(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host with the scripts of the README, a wallet program, and a running daemon."""
    host = Host(tmp_path_factory.mktemp("shop") / "host", sandbox.url)
    host.write("policies/payouts.yaml", POLICY)
    for name, text in (("payout.sh", blocks("sh")[0]), ("payout.py", blocks("python")[0]), ("my-wallet", WALLET)):
        host.write(name, text).chmod(0o755)
    with host.started("run") as running:
        running.until_event("daemon.ready")
        yield host


def run(host: Host, *command: str) -> Done:
    path = f"{host.folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = host.environment | {"PATH": path, "ENERGYD_SOCKET": str(host.folder / "energyd.sock")}
    done = subprocess.run(
        command,
        cwd=host.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE_SECONDS,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def paid(host: Host) -> list[str]:
    file = host.folder / "paid"
    return file.read_text().splitlines() if file.exists() else []


def test_the_shell_script_pays_when_the_energy_is_there_and_not_before(shop: Host, sandbox: Sandbox) -> None:
    done = run(shop, "./payout.sh", "1041", SENDER, RECEIVER, "25000000")
    assert (done.status, done.err) == (0, "")
    assert re.fullmatch(
        rf"64,295 energy is there for {SENDER} until \S+; each call needs a fee_limit of 6.4285 TRX\n", done.out
    )
    assert paid(shop)[-1].endswith(f"--from {SENDER} --to {RECEIVER} --amount 25000000")
    assert len(sandbox.charges(SENDER)) >= 1


def test_the_shell_script_does_not_pay_when_the_energy_will_not_come(shop: Host) -> None:
    before = paid(shop)
    assert shop.run("pause").status == 0
    try:
        done = run(shop, "./payout.sh", "1042", RECEIVER, SENDER, "25000000")
    finally:
        assert shop.run("resume").status == 0
    assert done.status == 1
    assert "paused" in done.err
    assert paid(shop) == before


def test_the_python_script_pays_once_its_energy_is_there_and_is_one_request_when_repeated(
    shop: Host, sandbox: Sandbox
) -> None:
    before = len(sandbox.charges(RECEIVER))
    for _ in range(2):
        done = run(shop, sys.executable, "payout.py", "7", RECEIVER, SENDER, "1000000")
        assert done.status == 0, done.err
    assert len(sandbox.charges(RECEIVER)) == before + 1
    assert paid(shop)[-1].endswith(f"--from {RECEIVER} --to {SENDER} --amount 1000000")


def test_the_python_script_says_why_it_does_not_pay(shop: Host) -> None:
    before = paid(shop)
    done = run(shop, sys.executable, "payout.py", "8", "TPHEZesy8sMSFLAMP3HrTo9Rp2Gz6HkNT4", SENDER, "1000000")
    assert done.status == 1
    assert "no policy watches TPHEZesy8sMSFLAMP3HrTo9Rp2Gz6HkNT4" in done.err
    assert paid(shop) == before


def test_the_commands_about_calls_run_as_they_are_written(shop: Host) -> None:
    commands = [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ energyd")]
    assert len(commands) == 3
    for command in commands:
        done = run(shop, "sh", "-c", command)
        assert (done.status, done.err) == (0, "")
        assert done.out
