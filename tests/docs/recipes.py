"""The commands of docs/monitoring.md, and what they print for the recorded day.

`python tests/docs/recipes.py` writes their output into the page anew.
"""

import gzip
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson

from energyd.systemd import _field, _fields

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "monitoring.md"
RECORDED = ROOT / "tests" / "recordings" / "log" / "demo-day.log.gz"
JOURNAL_REMOTE = Path("/lib/systemd/systemd-journal-remote")
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ (.*\n(?:  .*\n)*)", re.MULTILINE)


@dataclass(frozen=True)
class Recipe:
    """A command of the page, over one line or several that are indented, and what is said to be printed."""

    command: str
    printed: str

    @property
    def needs_journal(self) -> bool:
        return self.command.startswith("journalctl")


def recipes() -> list[Recipe]:
    return [recipe for block in _BLOCK.findall(PAGE.read_text()) for recipe in _in_block(block)]


def _in_block(block: str) -> Iterator[Recipe]:
    begins = list(_COMMAND.finditer(block))
    for match, after in zip(begins, [*begins[1:], None], strict=True):
        yield Recipe(match[1].rstrip("\n"), block[match.end() : after.start() if after else None])


def run(recipe: Recipe, folder: Path) -> str:
    """What the command prints in a folder that `lay_out` has filled."""
    journal = 'journalctl() { command journalctl --quiet --utc --file energyd.journal "$@"; }\n'
    script = "set -eo pipefail\n" + (journal if recipe.needs_journal else "") + recipe.command
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False, timeout=60, env=_ENVIRONMENT
    )
    assert done.returncode == 0, done.stderr
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())


_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C.UTF-8"}


def lay_out(folder: Path, *, journal: bool) -> None:
    """The recorded day as a file and, where systemd's tool for it is there, as a journal."""
    log = gzip.decompress(RECORDED.read_bytes())
    (folder / "energyd.log").write_bytes(log)
    if journal:
        subprocess.run(
            [JOURNAL_REMOTE, "-o", folder / "energyd.journal", "-"],
            input=b"".join(_exported(line) for line in log.splitlines()),
            check=True,
            capture_output=True,
            timeout=120,
        )


def _exported(line: bytes) -> bytes:
    """An entry of the journal as the daemon writes it, in the format in which journals are exchanged."""
    event = orjson.loads(line)
    at = int(datetime.fromisoformat(event["timestamp"]).timestamp() * 1_000_000)
    head = f"__REALTIME_TIMESTAMP={at}\n__MONOTONIC_TIMESTAMP={at}\n_BOOT_ID={1:032x}\n_SYSTEMD_UNIT=energyd.service\n"
    return head.encode() + b"".join(_field(name, value) for name, value in _fields(event, line)) + b"\n"


def write_anew() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder, journal=True)

        def printed(block: re.Match[str]) -> str:
            shown = "".join(f"$ {recipe.command}\n{run(recipe, folder)}" for recipe in _in_block(block[1]))
            return f"```console\n{shown}```"

        PAGE.write_text(_BLOCK.sub(printed, PAGE.read_text()))


if __name__ == "__main__":
    write_anew()
