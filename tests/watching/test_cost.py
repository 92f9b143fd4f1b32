"""A scrape costs the ledger the same, however many addresses are watched."""

import asyncio
from collections.abc import Sequence

import pytest

from energyd.sandbox import addresses

from ..engine.stage import Stage, a_policy  # noqa: TID252 - the same stage

MANY = [addresses.made_up(f"watched {number}") for number in range(200)]


async def questions(stage: Stage, monkeypatch: pytest.MonkeyPatch, watched: Sequence[str]) -> int:
    """How often the ledger is asked for one scrape of addresses that were looked at."""
    built = await stage.prepared(a_policy("payouts", *watched))
    await asyncio.gather(*(built._look(address) for address in watched))
    ledger, asked = stage.ledgers[-1], []
    ask = ledger._transaction
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "_transaction", lambda work, writing: (asked.append(work), ask(work, writing))[1])
        text = (await built.metrics()).decode()
    assert text.count("\nenergyd_energy_available{") == len(watched)
    stage.crash()
    return len(asked)


async def test_many_addresses_are_as_many_questions_as_one(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in MANY:
        stage.world.add_account(address, stake_energy=100_000)
    alone = await questions(stage, monkeypatch, MANY[:1])
    assert await questions(stage, monkeypatch, MANY) == alone
    assert alone < 6
