"""What a tick is told: rentals, spending, pauses, refusals in a row, leases; and the decisions that it writes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from energyd.core.order import Event
from energyd.errors import LedgerError
from energyd.ledger.ledger import Ledger
from energyd.model import Action, Alert, AlertName, Guard, Memory, OrderKind, Reason, Refusals

ALICE = "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE"
BOB = "TGiPJbaP5at8cigWcRHmCDkyKjUGb71fGd"
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


async def remember(story: Any, address: str = ALICE, policy: str = "payouts") -> Memory:
    memory: Memory = await story.ledger.memory(address, policy, story.now)
    return memory


async def test_an_empty_ledger_remembers_nothing(story: Any) -> None:
    assert await remember(story) == Memory()


async def test_rentals_are_remembered_until_an_hour_after_their_hour(story: Any) -> None:
    old = await story.place()
    old = await story.ledger.record(old, Event.SEEN, story.now, delivered_at=story.now)
    await story.place(kind=OrderKind.CYCLES, energy=None, cycles=3)
    await story.refuse()
    await story.place(BOB)
    story.now += HOUR
    old = await story.ledger.record(old, Event.HOUR_OVER, story.now)
    new = await story.place()
    story.now += HOUR - MINUTE
    assert (await remember(story)).rentals == (old, new)
    story.now += MINUTE
    assert (await remember(story)).rentals == (new,)


async def test_the_unsettled_order_is_remembered(story: Any) -> None:
    order = await story.send()
    memory = await remember(story)
    assert (memory.unsettled, memory.rentals, memory.last_order_at) == (order, (), story.now)
    assert (await remember(story, BOB)).unsettled is None


async def test_an_order_that_was_never_sent_is_no_last_order(story: Any) -> None:
    await story.ledger.record(await story.intend(), Event.DROPPED, story.now)
    assert (await remember(story)).last_order_at is None


async def test_spending_is_that_of_the_policy_in_rolling_windows(story: Any) -> None:
    await story.place(ALICE, 1)
    story.now += DAY - HOUR
    await story.place(BOB, 2)
    await story.refuse(Reason.REFUSED, ALICE, 4)
    await story.place("another", 8, policy="others")
    story.now += HOUR - timedelta(microseconds=1)
    memory = await remember(story)
    assert (memory.spent_hour_sun, memory.spent_day_sun) == (2, 3)
    story.now += timedelta(microseconds=1)
    memory = await remember(story)
    assert (memory.spent_hour_sun, memory.spent_day_sun) == (0, 2)


async def test_a_clock_that_is_set_back_forgets_no_spending(story: Any) -> None:
    await story.place(ALICE, 5)
    story.now -= 3 * DAY
    assert (await remember(story)).spent_hour_sun == 5


async def test_the_hold_after_a_lost_ledger_is_remembered_until_it_is_lifted(story: Any) -> None:
    await story.ledger.set_hold_until(story.now + HOUR)
    assert (await remember(story)).hold_until == story.now + HOUR
    await story.ledger.set_hold_until(None)
    assert (await remember(story)).hold_until is None


# --- refusals in a row ------------------------------------------------------------------------------------------------


async def test_refusals_of_an_address_are_counted_until_an_order_is_placed(story: Any) -> None:
    first_at = story.now
    await story.refuse(Reason.REFUSED)
    story.now += MINUTE
    await story.refuse(Reason.NOT_ACTIVATED, retry_after=MINUTE)
    memory = await remember(story)
    assert memory.refusals == Refusals(Reason.NOT_ACTIVATED, 2, first_at, story.now, MINUTE, balance_sun=50_000_000)
    assert memory.account_refusals is None
    assert (await remember(story, BOB)).refusals is None
    await story.place(BOB)
    assert (await remember(story)).refusals == memory.refusals
    await story.place()
    assert (await remember(story)).refusals is None


@pytest.mark.parametrize("reason", [Reason.NO_FUNDS, Reason.AUTH_FAILED, Reason.RATE_LIMITED, Reason.NETTS_UNAVAILABLE])
async def test_refusals_of_the_account_concern_every_address(story: Any, reason: Reason) -> None:
    await story.refuse(reason)
    await story.refuse(reason, BOB)
    memory = await remember(story, "another", "others")
    assert memory.account_refusals == Refusals(reason, 2, story.now, story.now, None, balance_sun=50_000_000)
    assert await story.ledger.account_refusals() == memory.account_refusals
    assert memory.refusals is None
    await story.place("somebody")
    assert (await remember(story)).account_refusals is None
    assert await story.ledger.account_refusals() is None


async def test_only_an_order_that_was_placed_ends_refusals(story: Any) -> None:
    await story.refuse()
    order = await story.ledger.record(await story.send(), Event.UNCLEAR, story.now)
    assert (await remember(story)).refusals is not None
    await story.ledger.record(order, Event.SHOWN_NOT_PLACED, story.now)
    await story.ledger.record(await story.intend(), Event.DROPPED, story.now)
    assert (await remember(story)).refusals is not None
    order = await story.ledger.record(await story.send(), Event.UNCLEAR, story.now)
    await story.ledger.record(order, Event.SHOWN_PLACED, story.now)
    assert (await remember(story)).refusals is None


async def test_a_clock_that_is_set_back_does_not_mix_up_refusals(story: Any) -> None:
    await story.refuse(Reason.NO_FUNDS)
    story.now -= DAY
    await story.place()
    assert (await remember(story)).account_refusals is None
    await story.refuse(Reason.AUTH_FAILED)
    refusals = (await remember(story)).account_refusals
    assert refusals is not None
    assert (refusals.reason, refusals.count, refusals.last_at) == (Reason.AUTH_FAILED, 1, story.now)


async def test_forgiven_refusals_count_no_more(story: Any) -> None:
    await story.ledger.forgive_refusals()
    await story.refuse(Reason.AUTH_FAILED)
    await story.refuse()
    await story.ledger.forgive_refusals()
    memory = await remember(story)
    assert (memory.refusals, memory.account_refusals) == (None, None)
    await story.refuse(Reason.AUTH_FAILED)
    refusals = (await remember(story)).account_refusals
    assert refusals is not None
    assert refusals.count == 1


# --- pauses -----------------------------------------------------------------------------------------------------------


async def test_a_pause_concerns_its_policy_its_address_or_everything(story: Any) -> None:
    pause, now = story.ledger.pause, story.now
    of_policy = await pause("payouts", None, None, "audit", now)
    of_address = await pause(None, BOB, now + HOUR, "moving", now)
    assert (await remember(story)).pauses == (of_policy,)
    assert (await remember(story, BOB)).pauses == (of_policy, of_address)
    assert (await remember(story, "another", "others")).pauses == ()
    everything = await pause(None, None, None, "", now)
    assert (await remember(story, "another", "others")).pauses == (everything,)
    assert await story.ledger.pauses(now) == (of_policy, of_address, everything)


async def test_a_pause_ends_by_itself_or_by_hand(story: Any) -> None:
    await story.ledger.pause(None, None, story.now + HOUR, "", story.now)
    lasting = await story.ledger.pause(None, ALICE, None, "", story.now)
    story.now += HOUR
    assert await story.ledger.pauses(story.now) == (lasting,)
    assert await story.ledger.resume(None, None, story.now) is False
    assert await story.ledger.resume(None, ALICE, story.now) is True
    assert await story.ledger.pauses(story.now) == ()


async def test_a_pause_of_the_same_replaces_the_one_before(story: Any) -> None:
    await story.ledger.pause("payouts", None, None, "for good", story.now)
    shorter = await story.ledger.pause("payouts", None, story.now + HOUR, "an hour", story.now)
    assert await story.ledger.pauses(story.now) == (shorter,)


# --- leases -----------------------------------------------------------------------------------------------------------


async def test_an_address_is_leased_to_one_host_until_the_lease_is_over(story: Any) -> None:
    lease, until = story.ledger.lease, story.now + MINUTE
    assert await lease(ALICE, "north", story.now, until)
    assert not await lease(ALICE, "south", story.now, until)
    assert await lease(BOB, "south", story.now, until)
    assert await lease(ALICE, "north", story.now, until)
    assert not await lease(ALICE, "south", until - timedelta(seconds=1), until + MINUTE)
    assert await lease(ALICE, "south", until, until + MINUTE)
    assert not await lease(ALICE, "north", until, until + MINUTE)


async def test_a_lease_is_good_for_two_thirds_of_what_was_asked_at_any_time(story: Any) -> None:
    start = story.now
    for second in range(0, 300, 7):
        now = start + timedelta(seconds=second)
        assert await story.ledger.lease(ALICE, "north", now, now + MINUTE)
        assert not await story.ledger.lease(ALICE, "south", now + MINUTE * 2 / 3, now + HOUR)


async def test_a_lease_from_before_the_clock_was_set_back_is_shortened(story: Any) -> None:
    await story.ledger.lease(ALICE, "north", story.now, story.now + MINUTE)
    story.now -= DAY
    assert await story.ledger.lease(ALICE, "north", story.now, story.now + MINUTE)
    assert await story.ledger.lease(ALICE, "south", story.now + MINUTE, story.now + HOUR)


# --- decisions --------------------------------------------------------------------------------------------------------


async def test_a_decision_reads_back_with_every_figure(story: Any) -> None:
    guards = (Guard(Reason.COOLDOWN, passed=True, figure="40s", limit="30s"), Guard(Reason.PAUSED, passed=False))
    figures = {"demand": 1, "supply": 2, "gap": 3, "available": 4, "in_flight": 0, "energy": 5, "price_sun": 6}
    decision = story.decision(cost_sun=10**17, detail="Zeit läuft", guards=guards, **figures)
    await story.ledger.note([decision, story.decision(BOB, cycles=3)])
    assert (await story.ledger.decisions(address=ALICE)) == (decision,)


async def test_a_decision_that_says_the_same_again_is_a_repeat(story: Any) -> None:
    same = [story.decision(), story.decision(BOB), story.decision(detail="other words")]
    other = story.decision(reason=Reason.COOLDOWN)
    await story.ledger.note([*same, other])
    await story.ledger.note([again := story.decision(reason=Reason.COOLDOWN), back := story.decision()])
    renamed = story.decision(policy="renamed")
    await story.ledger.commit(renamed, None, None, story.now)
    assert await story.ledger.decisions(with_repeats=False) == (renamed, back, other, same[1], same[0])
    assert await story.ledger.decisions(limit=3) == (renamed, back, again)


async def test_a_decision_with_an_order_is_never_a_repeat(story: Any) -> None:
    for _ in range(2):
        await story.place()
    assert len(await story.ledger.decisions(with_repeats=False)) == 2


async def test_decisions_are_found_by_address_and_time(story: Any) -> None:
    await story.ledger.note([story.decision(), story.decision(BOB)])
    story.now += MINUTE
    await story.ledger.note([newest := story.decision()])
    assert await story.ledger.decisions(since=story.now) == (newest,)
    assert len(await story.ledger.decisions(address=ALICE)) == 2
    assert await story.ledger.decisions(address="nobody") == ()


async def test_the_latest_decision_of_each_address_is_known(story: Any) -> None:
    assert await story.ledger.latest_decisions() == ()
    await story.ledger.note([story.decision(f"address{number}") for number in (2, 0, 1, 2, 1, 2)])
    latest = [story.decision(f"address{number}", reason=Reason.COOLDOWN) for number in range(3)]
    await story.ledger.note(list(reversed(latest)))
    assert await story.ledger.latest_decisions() == tuple(latest)


async def test_old_repeats_are_forgotten_and_nothing_else(story: Any) -> None:
    await story.place()
    await story.ledger.note([story.decision() for _ in range(2_500)])
    await story.ledger.note([story.decision(BOB) for _ in range(10)])
    story.now += 7 * DAY
    await story.ledger.note([fresh := story.decision() for _ in range(3)])
    assert await story.ledger.forget(story.now + MINUTE) == 2_499 + 8
    left = await story.ledger.decisions()
    assert fresh in left
    assert [one.action for one in left if one.address == ALICE].count(Action.RENT) == 1
    assert len(left) == 1 + 1 + 3 + 2
    assert await story.ledger.forget(story.now + MINUTE) == 0
    assert len(await story.ledger.latest_decisions()) == 2


async def test_noting_nothing_is_fine(story: Any) -> None:
    await story.ledger.note([])
    assert await story.ledger.decisions() == ()


async def test_a_decision_is_written_once(story: Any) -> None:
    decision = story.decision()
    await story.ledger.note([decision])
    with pytest.raises(LedgerError):
        await story.ledger.note([story.decision(), replace(decision, address=BOB)])
    assert await story.ledger.decisions() == (decision,)


# --- alerts and meta --------------------------------------------------------------------------------------------------


async def test_an_alert_is_raised_once_and_cleared_once(story: Any) -> None:
    alert = Alert(AlertName.DELIVERY_LATE, ALICE, "71,000 energy are late")
    other = Alert(AlertName.NETTS_BALANCE_LOW, "", "3 TRX are left")
    assert await story.ledger.raise_alert(alert, story.now) is True
    assert await story.ledger.raise_alert(replace(alert, summary="again"), story.now + MINUTE) is False
    assert await story.ledger.raise_alert(other, story.now) is True
    assert await story.ledger.standing_alerts() == ((alert, story.now), (other, story.now))
    assert await story.ledger.clear_alert(alert.name, ALICE, story.now + HOUR) is True
    assert await story.ledger.clear_alert(alert.name, ALICE, story.now + HOUR) is False
    assert await story.ledger.standing_alerts() == ((other, story.now),)
    assert await story.ledger.raise_alert(alert, story.now + HOUR) is True
    assert await story.ledger.standing_alerts() == ((other, story.now), (alert, story.now + HOUR))


async def test_a_note_to_oneself_is_kept(story: Any) -> None:
    assert await story.ledger.get_meta("x") is None
    await story.ledger.set_meta("x", "1")
    await story.ledger.set_meta("x", "2")
    assert await story.ledger.get_meta("x") == "2"


async def test_who_opens_a_ledger_alone_waits_for_no_lease_of_a_host_that_is_gone(tmp_path: Path) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    file = tmp_path / "energyd.db"
    async with Ledger.open(file, now=now, host="gone") as ledger:
        assert await ledger.lease(ALICE, "gone", now, now + HOUR)
    async with Ledger.open(file, now=now, host="new") as ledger:
        assert await ledger.lease(ALICE, "new", now, now + HOUR)
