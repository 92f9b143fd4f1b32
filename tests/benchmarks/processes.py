"""What it costs to start, and to watch ten thousand addresses, measured on whole processes."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from energyd.ledger.ledger import Ledger

from . import pretend
from .parts import Row, Size, addresses, medians, now, write_files

CHECK_EVERY_SECONDS = 15
"""The default of a policy; a round of all addresses that takes longer cannot keep it."""
ROUND_AT_MOST_SECONDS = 120


def starting(size: Size) -> Iterable[Row]:
    """From the start of a command to its end."""
    with TemporaryDirectory() as folder:
        settings = write_files(Path(folder), "http://127.0.0.1:9", addresses(3))
        Ledger.open(Path(folder) / "energyd.db", now=now(), host="benchmark").cut()
        python, version, status = medians(
            size.starts,
            _start("-c", "pass"),
            _start("-m", "energyd", "version"),
            _start("-m", "energyd", "status", "--config", str(settings)),
        )
    yield Row("start of energyd version", version, "python -c pass", python, "ms")
    yield Row("start of energyd status", status, "python -c pass", python, "ms")


def _start(*arguments: str) -> Callable[[], float]:
    def timed() -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        return (time.perf_counter() - began) * 1e3

    return timed


def many_addresses(size: Size) -> Iterable[Row]:
    """Memory of a daemon that watches many addresses, and how long one round of them takes it."""
    with pretend.served() as url, TemporaryDirectory() as folder:
        settings = write_files(Path(folder), url, addresses(size.addresses), check_every="1s")
        log = Path(folder) / "log"
        with (
            log.open("wb") as stream,
            subprocess.Popen([sys.executable, "-m", "energyd", "run", "-c", str(settings)], stdout=stream) as daemon,
        ):
            try:
                _wait_for_decisions(daemon, log, size.addresses)
                began = time.monotonic()
                _wait_for_decisions(daemon, log, 2 * size.addresses)
                seconds = time.monotonic() - began
                memory = _resident_mb(str(daemon.pid))
            finally:
                daemon.terminate()
    count = f"{size.addresses:,} addresses"
    yield Row(f"memory with {count}", memory, "a bare interpreter", _bare_resident_mb(), "MB")
    yield Row(f"a round of {count}", seconds, "check_every, as it is by default", CHECK_EVERY_SECONDS, "s")


def _wait_for_decisions(daemon: subprocess.Popen[bytes], log: Path, count: int) -> None:
    until = time.monotonic() + ROUND_AT_MOST_SECONDS
    while log.read_bytes().count(b'"event":"decision"') < count:
        assert daemon.poll() is None, "the daemon ended"
        assert time.monotonic() < until, f"fewer than {count} decisions in time"
        time.sleep(0.2)


def _resident_mb(process: str) -> float:
    status = Path("/proc", process, "status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kilobytes) / 1024


def _bare_resident_mb() -> float:
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as bare:
        assert bare.stdout is not None
        bare.stdout.readline()
        memory = _resident_mb(str(bare.pid))
        bare.kill()
    return memory
