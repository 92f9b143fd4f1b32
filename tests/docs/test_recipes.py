"""The recipes of docs/monitoring.md print what the page says, and the log arrives where the shipper sends it."""

import contextlib
import gzip
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from energyd.catalogue import EVENTS, HEAD

from .recipes import JOURNAL_REMOTE, RECORDED, ROOT, Recipe, lay_out, recipes, run

HAS_JOURNAL = JOURNAL_REMOTE.exists() and shutil.which("journalctl") is not None
SHIPPER = ROOT / "systemd" / "logging" / "rsyslog.conf"
PATIENCE_SECONDS = 20.0


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("day")
    lay_out(folder, journal=HAS_JOURNAL)
    return folder


@pytest.mark.skipif(shutil.which("jq") is None, reason="the recipes need jq")
@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.command.split("\n", 1)[0][:60])
def test_a_recipe_prints_what_the_page_says(recipe: Recipe, day: Path) -> None:
    if recipe.needs_journal and not HAS_JOURNAL:
        pytest.skip("journalctl or systemd-journal-remote is not here")
    anew = "write it anew: python tests/docs/recipes.py"
    assert run(recipe, day) == recipe.printed, anew


def test_the_recorded_day_speaks_the_words_of_the_catalogue() -> None:
    for text in gzip.decompress(RECORDED.read_bytes()).splitlines():
        line = json.loads(text)
        entry = EVENTS[line["event"]]
        assert {*HEAD, *entry.always} <= line.keys() <= {*HEAD, *entry.always, *entry.sometimes}, "record it anew"


# --- the shipper ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def rsyslogd(folder: Path, port: int) -> Iterator[Path]:
    """The real one with our file, on a socket of its own; the socket's path."""
    program = shutil.which("rsyslogd") or "/usr/sbin/rsyslogd"
    (folder / "ours.conf").write_text(SHIPPER.read_text().replace("5170", str(port)))
    whole = folder / "whole.conf"
    whole.write_text(
        f'global(workDirectory="{folder}")\nmodule(load="imuxsock" SysSock.Use="off")\n'
        f'input(type="imuxsock" Socket="{folder}/log")\ninclude(file="{folder}/ours.conf")\n'
    )
    checked = subprocess.run([program, "-N1", "-f", whole], capture_output=True, text=True, check=False, timeout=20)
    assert checked.returncode == 0, checked.stderr
    with subprocess.Popen([program, "-n", "-f", whole, "-i", folder / "pid"], stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + PATIENCE_SECONDS
            while not (folder / "log").exists():
                assert time.monotonic() < end
                time.sleep(0.05)
            yield folder / "log"
        finally:
            process.terminate()


@pytest.mark.skipif(not Path("/usr/sbin/rsyslogd").exists(), reason="rsyslogd is not here")
def test_every_line_of_the_log_arrives_at_the_collector_as_it_was_written(tmp_path: Path) -> None:
    lines = gzip.decompress(RECORDED.read_bytes()).splitlines()[:200]
    with socket.create_server(("127.0.0.1", 0)) as server, rsyslogd(tmp_path, server.getsockname()[1]) as log:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(str(log))
            for line in (b"Traceback: not ours to send", *lines):
                sender.send(b"<30>Jan  5 12:00:00 energyd[12]: " + line)
            sender.send(b"<30>Jan  5 12:00:00 another[12]: " + lines[0])
        server.settimeout(PATIENCE_SECONDS)
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as received:
            connection.settimeout(PATIENCE_SECONDS)
            assert [received.readline().rstrip(b"\n") for _ in lines] == lines
            connection.settimeout(0.5)
            with contextlib.suppress(TimeoutError):
                assert received.read(1) == b""
