"""Every line of the log: its name, its fields, and never the key."""

import sqlite3
from datetime import timedelta

import pytest

from energyd.model import Reason
from energyd.sandbox.netts_terms import API_KEY
from energyd.telemetry import LogEvent

from .stage import ALICE, BOB, CAROL, EPOCH, Stage, a_policy

UNSEEN = {
    *(LogEvent.FAULT, LogEvent.LEDGER_LOST, LogEvent.SPENDING_PAUSED, LogEvent.SPENDING_RESUMED),
    *(event for event in LogEvent if event.startswith(("cycles.", "host.", "notify."))),
}
"""What the hour below does not have; it is seen in other tests, and each line is held against the catalogue there."""


async def _an_eventful_hour(stage: Stage) -> None:
    """Everything that can happen to an order, a node, Netts and the files."""
    calls = [
        {"name": name, "at": (EPOCH + timedelta(seconds=at)).isoformat(), "lead": "30s", "energy": 1_000}
        for name, at in (("covered", 200), ("missed", 400))
    ]
    built = stage.build(a_policy("payouts", ALICE, BOB, CAROL, check_every="60s") | {"planned_calls": calls})
    stage.netts.mood("charge_then_drop", "order1h", times=1)
    stage.netts.mood("provider_5001", "order1h", times=1)
    stage.netts.terms.delivery_seconds = (70, 70)
    task = stage.begin(built)
    await stage.sleep(300)
    stage.node.mood("html_502")
    stage.netts.mood("unauthorised")
    (stage.folder / "policies" / "payouts.yaml").write_text("policy: 5\n")
    await built.reload()
    await stage.sleep(120)
    stage.node.moods.clear()
    stage.netts.moods.clear()
    stage.write(a_policy("payouts", ALICE, BOB, check_every="120s"))
    await built.reload()
    await stage.sleep(3300)
    built.stop()
    await task


async def test_every_event_has_the_names_and_fields_that_users_rely_on(stage: Stage) -> None:
    await _an_eventful_hour(stage)
    seen = {line["event"] for line in stage.events()}
    assert seen == set(LogEvent) - UNSEEN
    assert {line["reason"] for line in stage.events("decision")} <= set(Reason)
    _no_key_anywhere(stage, stage.log.raw)


def _no_key_anywhere(stage: Stage, raw: bytes) -> None:
    key = API_KEY.encode()
    assert key not in raw
    kept = [file for file in stage.folder.glob("energyd.db*") if file.is_file()]
    assert kept
    assert not [file for file in kept if key in file.read_bytes()]
    dumped = "\n".join(sqlite3.connect(stage.folder / "energyd.db").iterdump())
    assert API_KEY not in dumped


async def test_the_key_is_in_no_repr_of_the_running_parts(stage: Stage) -> None:
    built = stage.build()
    parts = [built, built._netts, built._chain, built.engine, built._configuration, built._configuration.settings]
    assert not [part for part in parts if API_KEY in repr(part) or API_KEY in str(part)]


@pytest.mark.parametrize("endpoint", ["order1h", "userinfo", "pricing"])
async def test_an_answer_that_quotes_the_key_does_not_carry_it_into_the_log(stage: Stage, endpoint: str) -> None:
    from energyd.sandbox.asgi import Mood, json_answer  # noqa: PLC0415 - used here only

    quoting = json_answer({"detail": {"code": -1, "msg": f"key {API_KEY} is not allowed"}}, 400)
    stage.netts.moods.set(Mood(answer=quoting), endpoint)
    await stage.live(stage.build(), minutes=2)
    _no_key_anywhere(stage, stage.log.raw)


async def test_every_decision_of_a_run_is_in_the_log_and_in_the_ledger(stage: Stage) -> None:
    from energyd.ledger.ledger import Ledger  # noqa: PLC0415 - used here only

    await stage.live(stage.build(), minutes=3)
    async with Ledger.open_to_read(stage.folder / "energyd.db") as ledger:
        kept = {decision.decision_id for decision in await ledger.decisions()}
    told = {line["decision_id"] for line in stage.events("decision")}
    assert kept == told
    assert len(told) >= 12


async def test_decisions_to_hold_are_written_down_when_the_daemon_stops(stage: Stage) -> None:
    from energyd.ledger.ledger import Ledger  # noqa: PLC0415 - used here only

    await stage.live(stage.build(a_policy(keep="never")), seconds=3)
    async with Ledger.open_to_read(stage.folder / "energyd.db") as ledger:
        assert [decision.reason for decision in await ledger.decisions()] == [Reason.ENOUGH]


async def test_the_latest_decision_of_each_watched_address_is_known_and_forgotten_with_its_policy(
    stage: Stage,
) -> None:
    built = await stage.prepared(a_policy("payouts", ALICE, BOB))
    await stage.watch(built, ALICE, seconds=20)
    await stage.watch(built, BOB, seconds=20)
    assert set(built.engine.latest) == {ALICE, BOB}
    assert built.engine.latest[ALICE].reason is Reason.ENOUGH
    stage.write(a_policy("payouts", BOB))
    await built.reload()
    assert set(built.engine.latest) == {BOB}


async def test_an_address_that_left_its_policy_is_watched_until_its_order_is_over_and_then_no_more(
    stage: Stage,
) -> None:
    built = await stage.prepared(a_policy("payouts", ALICE, BOB))
    await built.engine.tick(ALICE)
    stage.write(a_policy("payouts", BOB))
    await built.reload()
    for _ in range(4):
        assert await built.engine.tick(ALICE) is not None
        await stage.sleep(5)
    assert len(stage.events("energy.delivered")) == 1
    await stage.sleep(3600)
    assert await built.engine.tick(ALICE) is None
    assert len(stage.events("rental.expired")) == 1
    assert len(stage.charged()) == 1
