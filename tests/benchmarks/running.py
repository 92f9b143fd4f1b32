"""What it costs to watch, to decide and to order, measured inside this process."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from energyd.chain import Chain
from energyd.core.decide import decide
from energyd.model import Funds, Mode, Prices, Reading, Situation
from energyd.policy import Policy

from . import pretend
from .parts import AT_ONCE, Row, Size, a_daemon, addresses, medians, now, some_at_once, write_files

Work = Callable[[], Coroutine[Any, Any, object]]

# --- watching -------------------------------------------------------------------------------------------------------


def watching(size: Size) -> Iterable[Row]:
    """Processor time of one reading, and of one whole look, against a client that only asks and parses."""
    watched = addresses(size.readings)
    with pretend.served() as url, TemporaryDirectory() as folder, asyncio.Runner() as runner:
        chain = Chain((url,), max_rps=10**6, timeout=timedelta(seconds=10), now=now)
        daemon = a_daemon(write_files(Path(folder), url, watched))
        client = httpx.AsyncClient(limits=httpx.Limits(max_connections=AT_ONCE))

        async def ask(path: str, **params: object) -> object:
            return (await client.post(f"{url}/wallet/{path}", json=params)).json()

        async def bare() -> None:
            await ask("getblock", detail=False)
            await some_at_once(lambda address: ask("getaccountresource", address=address, visible=True), watched)

        async def looks() -> None:
            await some_at_once(daemon.engine.tick, watched)
            await daemon.engine.write_down()

        async def readings() -> None:
            await some_at_once(chain.reading, watched)

        def cost(work: Work) -> Callable[[], float]:
            return lambda: _processor_time(runner, work) / len(watched) * 1e6

        for work in (bare, readings, looks):
            runner.run(work())
        bare_cost, reading, look = medians(size.turns, cost(bare), cost(readings), cost(looks))
        runner.run(client.aclose())
        runner.run(chain.close())
        runner.run(daemon.run(once=True))  # the shortest way to an orderly end
    against = "the same requests by bare httpx"
    yield Row("CPU of a reading", reading, against, bare_cost, "µs")
    yield Row("CPU of a look: reading, decision, log, ledger", look, against, bare_cost, "µs")


def _processor_time(runner: asyncio.Runner, work: Work) -> float:
    began = time.process_time()
    runner.run(work())
    return time.process_time() - began


# --- deciding -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trivial:
    """What nothing can be cheaper than, in this style."""

    name: str
    at: object
    energy: int
    cost_sun: int


def deciding(size: Size) -> Iterable[Row]:
    """The pure core: a decision that nothing is missing, and one to rent, with every guard's figures."""
    enough, short = _situation(200_000), _situation(10_000)

    def cost(work: Callable[[], object]) -> Callable[[], float]:
        def measured() -> float:
            began = time.process_time()
            for _ in range(size.decisions):
                work()
            return (time.process_time() - began) / size.decisions * 1e6

        return measured

    made, calm, rents = medians(
        size.turns,
        cost(lambda: Trivial("decision", enough.now, 131_000, 3_930_000)),
        cost(lambda: decide(enough, "0")),
        cost(lambda: decide(short, "0")),
    )
    against = "making a dataclass of four fields"
    yield Row(f"a decision to hold ({1e6 / calm:,.0f} a second)", calm, against, made, "µs")
    yield Row(f"a decision to rent ({1e6 / rents:,.0f} a second)", rents, against, made, "µs")


def _situation(energy_limit: int) -> Situation:
    at, address = now(), addresses(1)[0]
    rules = {
        "policy": "benchmark",
        "addresses": [address],
        "energy": {"floor": 65_000, "target": 131_000},
        "budget": {"per_order": "9 TRX", "per_hour": "9 TRX", "per_day": "9 TRX"},
    }
    return Situation(
        policy=Policy.model_validate(rules),
        address=address,
        mode=Mode.LIVE,
        now=at,
        reading=Reading(address, energy_limit, 0, at, at, "node"),
        prices=_prices(),
        funds=Funds(balance_sun=500_000_000, read_at=at),
    )


def _prices() -> Prices:
    return Prices(rent_sun=30, burn_sun=100, rent_read_at=now(), burn_read_at=now())


# --- ordering -------------------------------------------------------------------------------------------------------


def ordering(size: Size) -> Iterable[Row]:
    """From a reading to the POST leaving, over a network that takes no time, against the two commits in between."""
    watched = addresses(size.orders)
    wire = pretend.InMemory(energy_limit=10_000)
    with TemporaryDirectory() as folder, asyncio.Runner() as runner:
        daemon = a_daemon(write_files(Path(folder), "http://127.0.0.1", watched), wire)
        daemon.engine.known.prices = _prices()
        runner.run(daemon.engine.known.read_funds())
        bare = _bare_store(Path(folder) / "bare.db")
        orders, commits = [], []
        for address in watched:
            runner.run(daemon.engine.tick(address))
            assert wire.ordered_at > wire.read_at
            orders.append((wire.ordered_at - wire.read_at) * 1e3)
            commits.append(_two_commits(bare, address) * 1e3)
        bare.close()
        runner.run(daemon.run(once=True))
    yield Row("from a reading to the POST", median(orders), "two bare SQLite commits", median(commits), "ms")


def _bare_store(path: Path) -> sqlite3.Connection:
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("PRAGMA journal_mode = WAL")
    store.execute("PRAGMA synchronous = FULL")
    store.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, address TEXT)")
    return store


def _two_commits(store: sqlite3.Connection, address: str) -> float:
    began = time.perf_counter()
    for _ in range(2):
        store.execute("INSERT INTO orders (address) VALUES (?)", (address,))
    return time.perf_counter() - began
