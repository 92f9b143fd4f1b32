"""Kills the real daemon with signal 9 at random moments and counts what Netts charged: `python -m tests.killing`.

Every life is a daemon, a ledger and a served sandbox of its own. One address is short of energy once; the first answers
to an order are lost, late, unreadable or an error, charged or not. The daemon is killed again and again around its
order and then left alone. However it went, Netts must have charged once, and the ledger must say the same to the sun.

A life takes about two minutes, most of which an unclear order waits for its longest flight; several go on at a time.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from random import Random

from energyd import units

from ..cli.program import ALICE, Host, Running, Sandbox, a_sandbox  # noqa: TID252 - the same program

ANSWERS = (
    *("charge_then_drop", "charge_then_hang", "charge_then_502", "charge_then_internal", "unreadable", "no_code"),
    *("drop", "html_502", "internal", "empty_body", "slow", "late", "charge_then_empty"),
)
UNSETTLED = {"intended", "sent", "unresolved", "placed"}
NEVER_CHARGED = {"dropped", "refused", "not_placed"}
SETTLED_WITHIN = 400.0
STAYS_SECONDS = 30.0
"""How long a settled address is watched on, so that a second order would be seen."""


def live(seed: int, folder: Path) -> list[str]:
    """One life; what should not have happened in it."""
    chance = Random(seed)
    with a_sandbox(folder / "sandbox") as sandbox:
        sandbox.ask("accounts", {"address": ALICE})
        host = Host(folder / "host", sandbox.url)
        moods = chance.choices(ANSWERS, k=chance.randint(1, 2))
        for mood in moods:
            sandbox.ask("mood", {"side": "netts", "mood": mood, "endpoint": "order1h", "times": 1})
        sandbox.ask("terms", {"delivery_seconds": [1, chance.choice([1, 20])]})
        told = f"seed {seed} ({', '.join(moods)})"
        for _ in range(chance.randint(1, 6)):
            with host.started("run"):
                time.sleep(chance.uniform(0.5, 6.0))
        with host.started("run") as daemon:
            settle(daemon, sandbox, host)
            time.sleep(STAYS_SECONDS)
        return [f"{told}: {fault}" for fault in faults(host, sandbox)]


def settle(daemon: Running, sandbox: Sandbox, host: Host) -> None:
    """Wait until something was delivered and no order is on its way any more."""
    end = time.monotonic() + SETTLED_WITHIN
    while time.monotonic() < end:
        time.sleep(2)
        assert daemon.process.poll() is None, daemon.err
        asked = host.run("orders", "--json")
        states = {order["state"] for order in asked.json} if asked.status == 0 else UNSETTLED  # no ledger yet
        if sandbox.charges() and not states & UNSETTLED:
            return


def faults(host: Host, sandbox: Sandbox) -> Iterator[str]:
    charges = sandbox.charges()
    if len(charges) != 1:
        yield f"{len(charges)} charges for one shortfall: {json.dumps(charges)}"
    orders = host.run("orders", "--json").json
    booked = [order["cost_trx"] for order in orders if order["state"] not in NEVER_CHARGED]
    if sorted(booked) != sorted(charge["cost_sun"] / units.SUN_PER_TRX for charge in charges):
        yield f"Netts charged {json.dumps(charges)} and the ledger has {json.dumps(orders)}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.killing", description=__doc__.partition("\n")[0])
    parser.add_argument("--lives", type=int, default=24)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    wanted = parser.parse_args()
    seeds, said = range(wanted.seed, wanted.seed + wanted.lives), []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(wanted.at_once) as pool:
        lives = {pool.submit(live, seed, Path(folder) / str(seed)): seed for seed in seeds}
        for done, life in enumerate(as_completed(lives), 1):
            said += life.result()
            sys.stdout.write(f"{done}/{wanted.lives} lives, {len(said)} faults\n")
            sys.stdout.flush()
    sys.stdout.write("\n".join(said or ["each shortfall was charged once"]) + "\n")
    return 1 if said else 0


if __name__ == "__main__":
    raise SystemExit(main())
