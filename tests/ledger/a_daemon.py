"""A process of its own for the tests of this folder: `a_daemon.py WHAT LEDGER`. It tells what it did, line by line."""

import asyncio
import os
import resource
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from energyd.errors import LedgerError
from energyd.ledger import Ledger
from energyd.model import Action, Baseline, Decision, Order, OrderKind, OrderState, Reason

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
NOBODY = 65_534


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def wish(number: int) -> tuple[Decision, Order]:
    name, at = f"{os.getpid()}-{number}", NOW + timedelta(minutes=number)
    decision = Decision(f"d{name}", "a", "p", at, Action.RENT, Reason.BELOW_FLOOR, detail="x" * 1_000)
    baseline = Baseline(at)
    state, kind = OrderState.INTENDED, OrderKind.RENTAL
    order = Order(f"o{name}", kind, "a", "p", decision.decision_id, state, 5, baseline, "north", at, at, energy=1)
    return decision, order


async def commit_and_wait(path: Path) -> None:
    """Says the key of an order after it was committed, then waits to be killed."""
    ledger = Ledger.open(path, now=NOW, host="north")
    decision, order = wish(0)
    await ledger.commit(decision, order, None, NOW)
    say(order.key)
    sys.stdin.read()


async def hold(path: Path) -> None:
    """Holds the ledger until its input ends, and says what it is told when it cannot."""
    try:
        ledger = Ledger.open(path, now=NOW, host="north")
    except LedgerError as error:
        say(f"{type(error).__name__}: {error}")
        return
    say("open")
    sys.stdin.read()
    await ledger.close()


async def race(path: Path) -> None:
    """Waits for a line, then intends an order for the one address that others want too."""
    ledger = Ledger.open(path, now=NOW, host="north", exclusive=False)
    decision, order = wish(0)
    say("ready")
    sys.stdin.readline()
    try:
        await ledger.commit(decision, order, None, NOW)
        say(order.key)
    except LedgerError as error:
        say(type(error).__name__)


async def write_until_full(path: Path) -> None:
    """Writes under a limit for the size of files until it fails; says what failed and whether all else is there."""
    ledger = Ledger.open(path, now=NOW, host="north")
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    written = 0
    try:
        for number in range(10_000):
            decision, _ = wish(number)
            await ledger.note([decision])
            written += 1
    except LedgerError as error:
        say(error)
    say(len(await ledger.decisions()) == written)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await ledger.note([wish(written)[0]])
    say(len(await ledger.decisions()) == written + 1)


async def open_as_nobody(path: Path) -> None:
    if os.geteuid() == 0:
        os.setuid(NOBODY)
    await hold(path)


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](Path(sys.argv[2])))
