"""What the benchmarks share: rows, turns, and a daemon's files."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from random import Random
from statistics import median
from typing import TypeVar

import httpx

from energyd.config.load import load
from energyd.daemon import Daemon, build
from energyd.ledger.ledger import Ledger
from energyd.model import Mode
from energyd.sandbox.addresses import made_up
from energyd.telemetry import Log

T = TypeVar("T")
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything is done; more gives steadier medians."""

    turns: int
    readings: int
    decisions: int
    orders: int
    starts: int
    addresses: int


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; the ratio is what lasts."""

    name: str
    figure: float
    against: str
    its_figure: float
    unit: str

    @property
    def ratio(self) -> float:
        return self.figure / self.its_figure


def medians(turns: int, *works: Callable[[], float]) -> list[float]:
    """The median of what each work says that it took. They take turns, so that a busy moment meets all of them."""
    taken = [[work() for work in works] for _ in range(turns)]
    return [median(column) for column in zip(*taken, strict=True)]


async def some_at_once(work: Callable[[T], Awaitable[object]], items: Iterable[T]) -> None:
    waiting = iter(items)

    async def one_after_another() -> None:
        for item in waiting:
            await work(item)

    await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))


def addresses(count: int) -> list[str]:
    return [made_up(f"benchmark {number}") for number in range(count)]


def write_files(folder: Path, url: str, watched: Iterable[str], *, check_every: str = "15s") -> Path:
    """A configuration whose node and Netts are both at `url`."""
    settings = folder / "energyd.yaml"
    settings.write_text(
        f"mode: live\nnode: {{url: '{url}', max_rps: 1000}}\n"
        f"netts: {{url: '{url}', api_key: benchmark, real_ip: 127.0.0.1, max_rps: 1000}}\n"
        "policies: policies.yaml\nstate: energyd.db\nlisten: unix:energyd.sock\nlog: {format: json}\n"
    )
    (folder / "policies.yaml").write_text(
        f"policy: benchmark\nenergy: {{floor: 65_000, target: 131_000, check_every: {check_every}}}\n"
        "budget: {per_order: 15 TRX, per_hour: 1000000 TRX, per_day: 1000000 TRX}\n"
        "addresses:\n" + "".join(f"  - {address}\n" for address in watched)
    )
    return settings


def a_daemon(settings: Path, wire: httpx.AsyncBaseTransport | None = None) -> Daemon:
    """A daemon that is not running, with its policies taken over, so that its engine can be ticked."""
    configuration = load(settings, {})
    daemon = build(
        configuration,
        mode=Mode.LIVE,
        ledger=Ledger.open(configuration.settings.state, now=now(), host="benchmark"),
        log=Log(now=now, stream=BytesIO()),
        now=now,
        rng=Random(1),
        host="benchmark",
        wire=wire,
    )
    daemon.engine.adopt(configuration.policies)
    return daemon


def now() -> datetime:
    return datetime.now(UTC)
