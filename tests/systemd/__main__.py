"""Follows the README's section "Run it as a service" word by word on a fresh machine: `python -m tests.systemd`.

The machine has no network, so what pip will ask for is fetched before, with the pip of this host.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .machine import PYTHON, ROOT, Machine, booted, until, why_not

CLONE, WHEELS = "/srv/energyd", "/srv/wheels"
FILES = {"/etc/pip.conf": f"[global]\nno-index = true\nfind-links = {WHEELS}\n"}
KEY = "a-key-that-nobody-has\n"
LEFT = ("/opt/energyd", "/usr/local/bin/energyd", "/etc/energyd", "/var/lib/energyd", "/var/lib/private/energyd")


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def steps() -> Iterator[list[str]]:
    """The commands of the section, block by block: install, start, upgrade, remove."""
    section = (ROOT / "README.md").read_text().split("\n## Run it as a service\n")[1].split("\n## ")[0]
    for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL):
        yield re.findall(r"^# (.*)$", block, re.MULTILINE)


def bring(files: Path) -> None:
    """A clone of what is committed, and the packages."""
    clone = ["git", "clone", "--quiet", f"file://{ROOT}", str(files / CLONE[1:])]
    wheels = [PYTHON, "-m", "pip", "download", "--quiet", "--dest", str(files / WHEELS[1:]), str(ROOT), "hatchling"]
    for command in (clone, wheels):
        subprocess.run(command, check=True)


def follow(machine: Machine, commands: list[str]) -> None:
    for command in commands:
        say(f"# {command}\n")
        stdin = KEY if "/dev/stdin" in command else ""
        done = machine.run("bash", "-c", f"export HOME=/srv; cd {CLONE} && {command}", stdin=stdin)
        say(done.out + done.err)
        assert done.status == 0, machine.run("journalctl", "-u", "energyd", "-o", "cat").out


def is_going(machine: Machine) -> None:
    def has_decided() -> bool:
        return "payouts" in machine.ask("journalctl", "-o", "cat", "POLICY=payouts", "EVENT=decision")

    until(has_decided, lambda: machine.run("journalctl", "-u", "energyd").out)
    assert machine.ask("systemctl", "is-active", "energyd") == "active\n"


def walk(machine: Machine) -> None:
    install, start, upgrade, remove = steps()
    follow(machine, install + start)
    is_going(machine)
    follow(machine, upgrade)
    is_going(machine)
    follow(machine, remove)
    assert [name for name in LEFT if machine.run("test", "-e", name).status == 0] == []


def main() -> None:
    reason = why_not()
    if reason:
        sys.exit(reason)
    with tempfile.TemporaryDirectory(prefix="energyd-") as name:
        folder = Path(name)
        bring(folder / "files")
        with booted(folder, FILES, installed=False) as machine:
            walk(machine)
    say("Installed, started, upgraded and removed, as the README says.\n")


if __name__ == "__main__":
    main()
