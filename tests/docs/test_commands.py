"""Every command that a page names exists, with its options; those around the ledger do what the page says."""

import asyncio
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import typer

from energyd.cli.main import app
from energyd.ledger import Ledger

from ..ledger.conftest import THEN, Story  # noqa: TID252 - the same ledger
from .recipes import ROOT

PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"^ *```\w*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`(energyd [^`]+)`")
_IN_BLOCK = re.compile(r"(?:^ *(?:[$#] )?|&& |bin/)(energyd [a-z-].*)$", re.MULTILINE)
_END = re.compile(r"\s(?:&&|\|\||[|;>])(?:\s|$)")


def _named(page: Path) -> Iterator[str]:
    text = page.read_text()
    spans = _BLOCK.sub("", text)
    for block in _BLOCK.findall(text):
        yield from (match[1] for match in _IN_BLOCK.finditer(block.replace("\\\n", " ")))
    yield from (" ".join(span.split()) for span in _SPAN.findall(spans))


def _wrong(line: str) -> str | None:
    """What energyd would not understand in a command; placeholders may stand for values."""
    command: Any = typer.main.get_command(app)
    words = shlex.split(_END.split(line)[0].replace("\\|", "|").replace("…", ""), comments=True)[1:]
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        below = {name: command.commands.get(name) for name in words[0].split("|")}
        if missing := [name for name, found in below.items() if found is None]:
            return f"{line}: there is no command {missing[0]}"
        command, words = next(found for found in below.values() if found is not None), words[1:]
    known = {"--help", "-h"} | {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    asked = {option for word in words for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", word.split("=")[0])}
    return f"{line}: there is no {', '.join(sorted(asked - known))}" if asked - known else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_exists_with_its_options(page: Path) -> None:
    assert [wrong for line in _named(page) if (wrong := _wrong(line))] == []


def test_the_commands_are_found_and_a_wrong_one_is_seen() -> None:
    assert len({line for page in PAGES for line in _named(page)}) > 45
    assert _wrong("energyd orders settle KEY --placed") is None
    assert (
        _wrong("energyd orders settel KEY --placed") == "energyd orders settel KEY --placed: there is no command settel"
    )
    assert _wrong("energyd check --dif && x --y") == "energyd check --dif && x --y: there is no --dif"


def _section(title: str) -> list[str]:
    """The shell commands of a section of docs/operations.md."""
    section = (ROOT / "docs" / "operations.md").read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def _follow(script: str, folder: Path) -> None:
    """Run it as it stands, with the places of this test and a systemctl that does nothing."""
    places = {"/opt/energyd/bin/python": sys.executable, "/var/lib/private/energyd": f"{folder}/state"}
    places |= {"/var/lib/energyd": f"{folder}/state", "/root": str(folder)}
    for place, here in places.items():
        script = script.replace(place, here)
    subprocess.run(["sh", "-ec", f"systemctl() {{ :; }}\n{script}"], check=True, timeout=60)


@pytest.mark.parametrize("which", [0, 1], ids=["python", "sqlite3"])
def test_a_backup_of_a_ledger_at_work_is_whole_and_is_restored_as_it_was(which: int, tmp_path: Path) -> None:
    if which and shutil.which("sqlite3") is None:
        pytest.skip("sqlite3 is not here")
    asyncio.run(_back_up_and_restore(_section("Back up")[which], tmp_path))


async def _back_up_and_restore(script: str, folder: Path) -> None:
    file = folder / "state" / "energyd.db"
    ledger = Ledger.open(file, now=THEN, host="north", rng=Random(7))
    story = Story(ledger)
    kept = await story.place()
    assert file.with_name("energyd.db-wal").stat().st_size > 0
    _follow(script, folder)
    assert stat.S_IMODE((folder / "energyd-backup.db").stat().st_mode) == 0o600
    await story.place("TGiPJbaP5at8cigWcRHmCDkyKjUGb71fGd")
    ledger.cut()
    [restore] = _section("Restore")
    _follow(restore, folder)
    async with Ledger.open_to_read(file) as reader:
        assert [order.key for order in await reader.orders()] == [kept.key]
    again = Ledger.open(file, now=THEN, host="north", rng=Random(8))
    assert (await again.order(kept.key)).state is kept.state
    again.cut()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
