"""The word of a person about an unclear order, while no daemon runs."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from energyd.core.order import Event
from energyd.ledger import Ledger
from energyd.model import Action, Baseline, Decision, Order, OrderKind, OrderState, Reason

from .program import ALICE, Host

KEY = "5dfbd3d1" + 56 * "0"


async def _write_down_an_unclear_order(file: Path, sent_ago: timedelta) -> None:
    at = datetime.now(UTC) - sent_ago
    decision = Decision("d", ALICE, "payouts", at, Action.RENT, Reason.BELOW_FLOOR)
    kind, state = OrderKind.RENTAL, OrderState.INTENDED
    order = Order(KEY, kind, ALICE, "payouts", "d", state, 2_000_000, Baseline(at), "host", at, at, energy=65_000)
    async with Ledger.open(file, now=at, host="host") as ledger:
        await ledger.commit(decision, order, None, at)
        sent = (await ledger.mark_sending(order, at, 10.0, at + timedelta(seconds=10))).order
        await ledger.record(sent, Event.UNCLEAR, at)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


def an_unclear_order(host: Host, **sent_ago: float) -> None:
    asyncio.run(_write_down_an_unclear_order(host.folder / "energyd.db", timedelta(**sent_ago)))


@pytest.mark.parametrize(("word", "state"), [("--placed", "placed"), ("--not-placed", "not_placed")])
def test_an_unclear_order_is_settled_once(host: Host, word: str, state: str) -> None:
    an_unclear_order(host, minutes=5)
    done = host.run("orders", "settle", KEY[:8], word)
    assert (done.status, done.out) == (0, f"order {KEY[:12]} for {ALICE} is settled as {state}\n")
    again = host.run("orders", "settle", KEY[:8], word)
    assert (again.status, again.out) == (1, "")
    assert f"order {KEY[:12]} is {state}; only an unresolved order can be settled" in again.err


def test_an_order_whose_request_may_still_arrive_cannot_be_written_off(host: Host) -> None:
    an_unclear_order(host, seconds=20)
    done = host.run("orders", "settle", KEY[:8], "--not-placed")
    assert (done.status, done.out) == (1, "")
    assert f"the request of order {KEY[:12]} may still be on its way; look at the account then" in done.err
    assert host.run("orders", "--json").json[0]["state"] == "unresolved"
    assert host.run("orders", "settle", KEY[:8], "--placed").status == 0
