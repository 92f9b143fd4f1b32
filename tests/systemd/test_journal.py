"""Entries of the journal: every figure a field, the line as it stands on standard output, and never a wait."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import IO

import pytest

from energyd.systemd import Journal, find_journal
from energyd.telemetry import Log, LogEvent

from .ears import Ears

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def ears(tmp_path: Path) -> Iterator[Ears]:
    ears = Ears(tmp_path / "journal")
    yield ears
    ears.close()


@pytest.fixture
def journal(tmp_path: Path, ears: Ears, stream: IO[bytes]) -> Iterator[Journal]:
    journal = Journal(stream, str(tmp_path / "journal"))
    yield journal
    journal.close()


@pytest.fixture
def stream() -> Iterator[IO[bytes]]:
    """The way into the journal that takes lines only: a socket that nobody reads."""
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("wb") as stream:
        yield stream


def _log(journal: Journal, stream: BytesIO | None = None) -> Log:
    return Log(now=lambda: NOON, stream=stream or BytesIO(), journal=journal.write)


def _entry(datagram: bytes) -> dict[str, list[bytes]]:
    """An entry as journald reads it."""
    fields: dict[str, list[bytes]] = {}
    while datagram:
        head, datagram = datagram.split(b"\n", 1)
        name, is_plain, value = head.partition(b"=")
        if not is_plain:
            size = int.from_bytes(datagram[:8], "little")
            value, datagram = datagram[8 : 8 + size], datagram[8 + size + 1 :]
        fields.setdefault(name.decode(), []).append(value)
    return fields


def test_every_figure_of_an_event_is_a_field(journal: Journal, ears: Ears) -> None:
    shown = {"policy": "payouts", "energy": 65_000, "cost_trx": Decimal("2.53976"), "late": True, "needed_by": NOON}
    _log(journal).emit(LogEvent.ENERGY_LATE, **shown)
    (entry,) = map(_entry, ears.heard())
    (line,) = entry.pop("MESSAGE")
    assert json.loads(line)["timestamp"] == "2026-01-05T12:00:00.000Z"
    assert entry == {
        "PRIORITY": [b"4"],
        "SYSLOG_IDENTIFIER": [b"energyd"],
        "EVENT": [b"energy.late"],
        "POLICY": [b"payouts"],
        "ENERGY": [b"65000"],
        "COST_TRX": [b"2.53976"],
        "LATE": [b"true"],
        "NEEDED_BY": [b"2026-01-05T12:00:00.000Z"],
    }


def test_a_list_is_a_field_for_each_of_its_items(journal: Journal, ears: Ears) -> None:
    log = _log(journal)
    log.emit(LogEvent.POLICIES_LOADED, added=["one", "two"], removed=[])
    (entry,) = map(_entry, ears.heard())
    assert entry["ADDED"] == [b"one", b"two"]
    assert "REMOVED" not in entry


def test_a_text_of_several_lines_cannot_make_up_a_field(journal: Journal, ears: Ears) -> None:
    _log(journal).emit(LogEvent.FAULT, error="one\nPOLICY=payouts\n")
    (entry,) = map(_entry, ears.heard())
    assert entry["ERROR"] == [b"one\nPOLICY=payouts\n"]
    assert "POLICY" not in entry


def test_an_entry_that_is_too_large_for_a_datagram_arrives_whole(journal: Journal, ears: Ears) -> None:
    faults = [f"payouts.yaml:{number}:1: unknown key 'flor'" for number in range(50_000)]
    _log(journal).emit(LogEvent.POLICIES_REJECTED, faults=faults)
    (entry,) = map(_entry, ears.heard())
    assert [fault.decode() for fault in entry["FAULTS"]] == faults[:100]
    assert json.loads(entry["MESSAGE"][0])["faults"] == faults


def test_what_the_journal_does_not_take_goes_to_the_stream(journal: Journal, tmp_path: Path) -> None:
    written = BytesIO()
    (tmp_path / "journal").unlink()
    _log(journal, written).emit(LogEvent.DAEMON_READY)
    assert json.loads(written.getvalue())["event"] == "daemon.ready"


def test_a_journal_that_reads_nothing_holds_nobody_up(journal: Journal, ears: Ears, stream: IO[bytes]) -> None:
    written = BytesIO()
    log = _log(journal, written)
    for _ in range(1000):
        log.emit(LogEvent.DAEMON_READY)
    assert len(ears.heard()) + written.getvalue().count(b"\n") == 1000
    os.set_blocking(stream.fileno(), False)
    with suppress(BlockingIOError):
        while os.write(stream.fileno(), b"x" * 4096):
            pass
    before = len(written.getvalue())
    for _ in range(1000):
        log.emit(LogEvent.DAEMON_READY)
    assert len(written.getvalue()) == before


def test_the_journal_is_found_only_behind_the_stream_that_leads_to_it(stream: IO[bytes]) -> None:
    status = os.fstat(stream.fileno())
    there = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
    found = find_journal(there, stream)
    assert found is not None
    found.close()
    assert find_journal({}, stream) is None
    assert find_journal({"JOURNAL_STREAM": f"{status.st_dev}:1"}, stream) is None
    assert find_journal(there, BytesIO()) is None
