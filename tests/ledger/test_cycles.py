"""What the ledger remembers of Host Mode: orders on their way, refusals of each kind, counts, keys, what people did."""

from typing import Any

import pytest

from energyd.core.order import Event
from energyd.model import Action, Count, HostAct, OrderKind, OrderState, Reason

ALICE = "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE"
CYCLES = {"kind": OrderKind.CYCLES, "energy": None, "cycles": 3}


async def refusals(story: Any, kind: OrderKind) -> tuple[Reason | None, Reason | None]:
    """What stops this kind of order: of the address, of the account."""
    memory = await story.ledger.memory(ALICE, "payouts", story.now, kind)
    found = [each.reason if each else None for each in (memory.refusals, memory.account_refusals)]
    return found[0], found[1]


async def refuse(story: Any, reason: Reason, **parts: Any) -> None:
    await story.ledger.record(await story.send(**parts), Event.REFUSED, story.now, reason=reason)


async def test_orders_of_cycles_are_on_their_way_until_the_count_shows_them(story: Any) -> None:
    await story.place()
    placed = await story.place(**CYCLES)
    memory = await story.ledger.memory(ALICE, "payouts", story.now, OrderKind.CYCLES)
    assert memory.cycle_orders == (placed,)
    assert (await story.ledger.memory(ALICE, "payouts", story.now)).cycle_orders == ()
    added = await story.ledger.record(placed, Event.COUNTED, story.now)
    assert added.state is OrderState.ADDED
    assert added not in await story.ledger.open_orders(ALICE)
    assert (await story.ledger.memory(ALICE, "payouts", story.now, OrderKind.CYCLES)).cycle_orders == ()


@pytest.mark.parametrize("reason", [Reason.REFUSED, Reason.RATE_LIMITED, Reason.NO_FUNDS, Reason.NETTS_UNAVAILABLE])
async def test_what_refuses_cycles_stops_no_rental_and_the_other_way_round(story: Any, reason: Reason) -> None:
    await refuse(story, reason, **CYCLES)
    assert await refusals(story, OrderKind.RENTAL) == (None, None)
    assert reason in await refusals(story, OrderKind.CYCLES)
    await story.ledger.forgive_refusals()
    await refuse(story, reason)
    assert await refusals(story, OrderKind.CYCLES) == (None, None)
    assert reason in await refusals(story, OrderKind.RENTAL)


async def test_a_key_that_is_refused_stops_both(story: Any) -> None:
    await refuse(story, Reason.AUTH_FAILED, **CYCLES)
    for kind in OrderKind:
        assert await refusals(story, kind) == (None, Reason.AUTH_FAILED)


async def test_a_rental_that_is_placed_says_nothing_about_refused_cycles(story: Any) -> None:
    await refuse(story, Reason.INFINITE_CYCLES, **CYCLES)
    await story.place()
    assert (await refusals(story, OrderKind.CYCLES))[0] is Reason.INFINITE_CYCLES
    await story.place(**CYCLES)
    assert await refusals(story, OrderKind.CYCLES) == (None, None)


async def test_decisions_about_energy_and_cycles_repeat_each_for_themselves(story: Any) -> None:
    about_cycles = {"kind": OrderKind.CYCLES, "action": Action.HOLD, "reason": Reason.CYCLES_ENOUGH}
    for _ in range(2):
        await story.ledger.note([story.decision(), story.decision(**about_cycles)])
    assert len(await story.ledger.decisions(with_repeats=False)) == 2
    (energy,) = await story.ledger.latest_decisions()
    (cycles,) = await story.ledger.latest_decisions(OrderKind.CYCLES)
    assert (energy.reason, cycles.reason) == (Reason.ENOUGH, Reason.CYCLES_ENOUGH)


async def test_a_count_is_kept_where_it_differs_from_the_one_before(story: Any) -> None:
    for remaining in (5, 5, 4, 4, 5):
        await story.ledger.note_count(Count(ALICE, story.now, remaining, "cycle_set"))
    memory = await story.ledger.memory(ALICE, "payouts", story.now, OrderKind.CYCLES)
    assert [count.remaining for count in memory.counts] == [5, 4, 5]
    assert (await story.ledger.last_count(ALICE)).remaining == 5


async def test_a_key_is_trusted_or_doubted_and_each_is_told_once(story: Any) -> None:
    ledger = story.ledger
    assert await ledger.judge_cycle_key("cycle_set", "")
    assert not await ledger.judge_cycle_key("cycle_set", "")
    assert await ledger.judge_cycle_key("cycle_set", "it does not grow")
    assert not await ledger.judge_cycle_key("cycle_set", "it still does not")
    assert await ledger.cycle_keys() == {"cycle_set": "it does not grow"}
    assert await ledger.judge_cycle_key("cycle_set", "")


async def test_what_a_person_has_done_is_written_before_and_after(story: Any) -> None:
    act_id = await story.ledger.begin_host_act(ALICE, HostAct.INFINITY, story.now)
    (begun,) = await story.ledger.host_acts()
    assert (begun.act, begun.ended_at, begun.outcome) == (HostAct.INFINITY, None, "")
    await story.ledger.end_host_act(act_id, "done", story.now)
    (ended,) = await story.ledger.host_acts(ALICE)
    assert (ended.ended_at, ended.outcome) == (story.now, "done")
    assert await story.ledger.host_acts("T") == ()


async def test_the_mark_of_cycles_follows_orders_of_cycles_only(story: Any) -> None:
    assert await story.ledger.cycles_mark(ALICE) == 0
    await story.place(**CYCLES)
    mark = await story.ledger.cycles_mark(ALICE)
    assert mark == await story.ledger.mark()
    await story.place()
    assert await story.ledger.cycles_mark(ALICE) == mark < await story.ledger.mark()
