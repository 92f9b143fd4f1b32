"""What a service tells systemd: how it is (sd_notify(3)), and its log with a field for every figure (the journal).

Where there is no systemd, nothing of this does anything.
"""

import errno
import fcntl
import os
import select
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import IO, Any

from energyd.telemetry import dump_json

JOURNAL = "/run/systemd/journal/socket"
PATIENCE_SECONDS = 0.25
"""The most that a message to systemd may hold up the daemon: systemd reads them at once, unless it is stuck itself."""
ITEMS_MAX = 100
"""The journal drops an entry of more than 1024 fields as a whole; the line that stands for it has all items."""
_PRIORITIES = {"debug": b"7", "info": b"6", "warning": b"4", "error": b"3"}
_IN_THE_JOURNAL_ANYWAY = ("timestamp", "level")
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class Manager:
    """The service manager that started this process, if one did. What it cannot take is lost, and never an error.

    `beat_every` is how often it shall be told that the service lives, in seconds; None when it does not ask. It is a
    third of the time after which it gives the service up, so that one message may be lost and another be late.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        is_for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environ.get("WATCHDOG_USEC", "") if self._address and is_for_us else ""
        self.beat_every = int(microseconds) / 3e6 or None if microseconds.isdecimal() else None

    def ready(self, status: str) -> None:
        """The start is over, or a reload."""
        self._tell(READY="1", STATUS=status)

    def reloading(self, at: float) -> None:
        """A reload began `at` this time of CLOCK_MONOTONIC, which is the event loop's, in seconds."""
        self._tell(RELOADING="1", MONOTONIC_USEC=str(int(at * 1e6)))

    def stopping(self) -> None:
        self._tell(STOPPING="1", STATUS="stops; orders under way get a moment to end")

    def status(self, sentence: str) -> None:
        """What `systemctl status` shows."""
        self._tell(STATUS=sentence)

    def beat(self) -> None:
        """The service lives. To be said by what must not stop, and by nothing else."""
        self._tell(WATCHDOG="1")

    def _tell(self, **words: str) -> None:
        if not self._address:
            return
        message = "\n".join(f"{word}={' '.join(value.split())}" for word, value in words.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(PATIENCE_SECONDS)
                sender.sendto(message.encode(), self._address)
        except OSError:
            return


def find_journal(environ: Mapping[str, str], stream: IO[Any]) -> "Journal | None":
    """The journal, when it is where `stream` leads to: systemd names that in $JOURNAL_STREAM as DEVICE:INODE."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return None
    return Journal(stream) if environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}" else None


class Journal:
    """Writes entries with fields of their own, for `journalctl POLICY=payouts`. It never waits.

    The format is systemd's "Native Journal Protocol": one datagram for an entry; one that is too large for that goes as
    a sealed file in memory. `stream` is the other way into the journal, by which a line arrives without its fields.
    """

    def __init__(self, stream: IO[Any], address: str = JOURNAL) -> None:
        self._stream, self._address = stream, address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(0)

    def write(self, event: Mapping[str, object], line: bytes) -> bool:
        """One event, and the line that stands for it; False when it is to be written to the stream instead.

        When the stream has no room either, the journal is stuck, and the line is lost: a log must not stop a decision.
        """
        entry = b"".join(_field(name, value) for name, value in _fields(event, line))
        try:
            try:
                self._socket.sendto(entry, self._address)
            except OSError as error:
                if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                    raise
                self._send_file(entry)
        except OSError:
            return not self._stream_has_room()
        return True

    def close(self) -> None:
        self._socket.close()

    def _stream_has_room(self) -> bool:
        try:
            return bool(select.select((), (self._stream,), (), 0)[1])
        except (OSError, ValueError):
            return False

    def _send_file(self, entry: bytes) -> None:
        file = os.memfd_create("energyd-journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with os.fdopen(file, "wb", closefd=False) as stream:
                stream.write(entry)
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", file))
            self._socket.sendmsg((), (rights,), 0, self._address)  # Python's send_fds does not heed the address
        finally:
            os.close(file)


def _fields(event: Mapping[str, object], line: bytes) -> Iterator[tuple[str, bytes]]:
    """A list becomes one field for each of its first items: the journal allows a name more than once."""
    yield "MESSAGE", line
    yield "PRIORITY", _PRIORITIES[str(event["level"])]
    yield "SYSLOG_IDENTIFIER", b"energyd"
    for name, value in event.items():
        if name not in _IN_THE_JOURNAL_ANYWAY:
            for one in value[:ITEMS_MAX] if isinstance(value, list | tuple) else (value,):
                yield name.upper(), one.encode() if isinstance(one, str) else dump_json(one).strip(b'"')


def _field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
    return name.encode() + b"=" + value + b"\n"
