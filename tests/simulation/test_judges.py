"""Each judge complains about a story that was doctored to be wrong; of the true one none does."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from copy import copy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from energyd.sandbox.addresses import made_up

from . import judges, universe
from .universe import CallPlan, Line, Plan, PolicyPlan, Story, Universe

Doctor = Callable[[Story], None]
DOCTORS: dict[str, list[Doctor]] = {}
POLICIES = (
    PolicyPlan("pay", ("one",), target=65_000, check_every=60, per_hour=4, per_day=8),
    PolicyPlan("calls", ("two", "three"), floor=0, target=0, keep="never", calls=(CallPlan(650, 70_000, lead=60),)),
    PolicyPlan("host", ("hosted",), floor=0, target=0, keep="never", cycles=(3, 5)),
)
PLAN = Plan(
    "the doctored",
    policies=POLICIES,
    storm=timedelta(minutes=7),
    calm=timedelta(minutes=12),
    uses=((30, "one", 60_000),),
    asks=((60, "three", 65_000),),
)


def doctor(judge: Callable[[Story], Any]) -> Callable[[Doctor], Doctor]:
    def keep(one: Doctor) -> Doctor:
        DOCTORS.setdefault(judge.__name__, []).append(one)
        return one

    return keep


def _policy(story: Story, name: str, **changed: Any) -> None:
    policies = tuple(replace(each, **changed) if each.name == name else each for each in story.plan.policies)
    story.plan = replace(story.plan, policies=policies)


def _sql(story: Story, *statements: str) -> None:
    """The newest ledger, changed behind the daemon's back."""
    file = story.ledgers[-1].with_name("doctored.db")
    shutil.copy(story.ledgers[-1], file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    story.ledgers[-1] = file


def _first(story: Story, event: str, **fields: Any) -> Line:
    return next(line for line in story.lines if line.event == event and fields.items() <= line.fields.items())


@doctor(judges.charged_once)
def a_second_order_a_second_later(story: Story) -> None:
    first = _first(story, "order.intended", address=made_up("one"))
    charge = next(one for one in story.netts.charges if one.idempotency_key == first.fields["order_key"])
    second = {**first.fields, "order_key": "2" * 64}
    story.lines.append(Line(first.at + 1, first.host, second))
    story.netts.books.charges.append(replace(charge, idempotency_key="2" * 64))


@doctor(judges.charged_once)
def an_order_that_is_too_large(story: Story) -> None:
    line = _first(story, "order.intended", address=made_up("one"))
    story.lines[story.lines.index(line)] = replace(line, fields={**line.fields, "energy": 80_000})


@doctor(judges.an_order_leaves_once_and_right_after_its_mark)
def the_same_order_leaves_again(story: Story) -> None:
    story.left.append(story.left[0])


@doctor(judges.an_order_leaves_once_and_right_after_its_mark)
def an_order_leaves_late(story: Story) -> None:
    story.left[0] = (story.left[0][0] + 11, story.left[0][1])


@doctor(judges.an_order_leaves_once_and_right_after_its_mark)
def an_order_leaves_without_a_mark(story: Story) -> None:
    story.marked.popitem()


@doctor(judges.nothing_is_sent_on_facts_that_are_old)
def it_was_decided_a_minute_before(story: Story) -> None:
    _sql(story, "UPDATE orders SET intended_at = intended_at - 60000000")


@doctor(judges.one_charge_for_one_order)
def one_charge_twice(story: Story) -> None:
    story.netts.books.charges.append(story.netts.charges[0])


@doctor(judges.intended_and_marked_first)
@doctor(judges.every_charge_is_in_the_ledger_and_no_other)
def a_charge_that_nobody_knows(story: Story) -> None:
    story.netts.books.charges.append(replace(story.netts.charges[0], idempotency_key="3" * 64))


@doctor(judges.every_charge_is_in_the_ledger_and_no_other)
def an_order_that_was_never_charged(story: Story) -> None:
    story.netts.books.charges.pop()


@doctor(judges.every_charge_is_in_the_ledger_and_no_other)
def a_charge_booked_as_refused(story: Story) -> None:
    _sql(story, "UPDATE orders SET state = 'refused'")


@doctor(judges.every_charge_is_in_the_ledger_and_no_other)
def a_charge_booked_with_another_cost(story: Story) -> None:
    _sql(story, "UPDATE orders SET cost_sun = 1")


@doctor(judges.budgets_hold)
def another_order_at_once_that_is_not_charged(story: Story) -> None:
    line = _first(story, "order.intended", address=made_up("one"))
    story.lines += [replace(line, fields={**line.fields, "order_key": key * 64}) for key in "56"]
    story.intended |= {"5" * 64: line.at + 1, "6" * 64: line.at + 2}


@doctor(judges.budgets_hold)
def a_smaller_budget(story: Story) -> None:
    _policy(story, "pay", per_hour=2, per_day=2)


@doctor(judges.no_price_is_above_its_limit)
def an_order_for_four_times_its_price(story: Story) -> None:
    line = _first(story, "order.intended", address=made_up("one"))
    story.lines.append(replace(line, fields={**line.fields, "cost_trx": line.fields["cost_trx"] * 4}))


@doctor(judges.no_price_is_above_its_limit)
def cycles_for_four_times_their_price(story: Story) -> None:
    line = _first(story, "order.intended", address=made_up("hosted"))
    story.lines.append(replace(line, fields={**line.fields, "cost_trx": line.fields["cost_trx"] * 4}))


@doctor(judges.orders_for_an_address_keep_their_distance)
def the_policy_wanted_more_distance(story: Story) -> None:
    _policy(story, "pay", cooldown=7200)


@doctor(judges.a_pause_is_kept)
def it_was_paused_all_the_time(story: Story) -> None:
    _sql(story, "INSERT INTO pauses (since, why) VALUES (0, '')")


@doctor(judges.cycles_are_bought_once_for_a_shortfall)
def fewer_cycles_are_wanted(story: Story) -> None:
    _policy(story, "host", cycles=(0, 1))


@doctor(judges.cycles_are_bought_once_for_a_shortfall)
def fewer_cycles_would_have_been_enough(story: Story) -> None:
    _policy(story, "host", cycles=(3, 3))


@doctor(judges.cycles_are_bought_only_on_a_count)
def nobody_told_a_count(story: Story) -> None:
    story.counted = [(at, host, b"{}") for at, host, _ in story.counted]


@doctor(judges.cycles_are_bought_only_on_a_count)
def two_counts_were_told(story: Story) -> None:
    entries = [{"address": made_up("hosted"), "cycles_remaining": number} for number in (1, 2)]
    body = json.dumps({"data": {"addresses": entries}}).encode()
    story.counted = [(at, host, body) for at, host, _ in story.counted]


@doctor(judges.cycles_are_bought_only_on_a_count)
def the_count_was_old(story: Story) -> None:
    story.counted = [(at - 400, host, body) for at, host, body in story.counted]


@doctor(judges.after_the_storm_there_are_cycles)
def more_cycles_are_wanted(story: Story) -> None:
    _policy(story, "host", cycles=(100, 100))


@doctor(judges.calls_after_the_storm_have_their_energy)
def a_call_needs_more(story: Story) -> None:
    _policy(story, "calls", calls=(CallPlan(650, 10_000_000),))


@doctor(judges.who_asks_gets_energy_of_its_own)
def nobody_told_the_asker(story: Story) -> None:
    story.asked[0].told_at = None


@doctor(judges.who_asks_gets_energy_of_its_own)
def another_was_told_the_same(story: Story) -> None:
    story.asked.append(story.asked[0])


@doctor(judges.one_unsettled_order_for_an_address)
def two_are_unsettled_at_once(story: Story) -> None:
    _sql(story, "UPDATE order_events SET state = 'sent'", "UPDATE order_events SET address = 'one'")


@doctor(judges.every_order_has_its_decision)
def an_order_for_more_than_was_decided(story: Story) -> None:
    _sql(story, "UPDATE orders SET energy = energy + 1")


@doctor(judges.the_file_is_whole)
def events_of_an_order_that_is_gone(story: Story) -> None:
    _sql(story, "DELETE FROM orders")


@doctor(judges.every_reason_is_known)
def a_new_reason(story: Story) -> None:
    line = _first(story, "decision")
    story.lines.append(replace(line, fields={**line.fields, "reason": "because"}))


@doctor(judges.no_belief_was_wrong)
def a_task_failed(story: Story) -> None:
    story.bugs.append("a task failed")


@doctor(judges.no_belief_was_wrong)
def the_daemon_met_a_step_that_cannot_be(story: Story) -> None:
    story.lines.append(Line(1.0, "a", {"event": "fault"}))


@doctor(judges.nobody_is_hammered)
def one_refused_order_after_the_other(story: Story) -> None:
    one = next(each for each in story.netts.received if each.endpoint == "time/order")
    story.netts.received.extend([replace(one, idempotency_key="4" * 64)] * 20)


@doctor(judges.alerts_are_raised_once)
def an_alert_is_raised_again(story: Story) -> None:
    raised = {"event": "alert.raised", "alert": "node_unavailable", "subject": ""}
    story.lines += [Line(1.0, "a", raised), Line(2.0, "a", raised)]


@doctor(judges.everything_is_settled)
def an_order_is_still_unresolved(story: Story) -> None:
    _sql(story, "UPDATE orders SET state = 'unresolved' WHERE key = (SELECT max(key) FROM orders)")


@doctor(judges.who_may_rent_is_above_the_floor)
def a_higher_floor(story: Story) -> None:
    _policy(story, "pay", floor=1_000_000, target=1_000_000, per_hour=None, per_day=None)


def _copied(story: Story) -> Story:
    twin = copy(story)
    for name in ("lines", "bugs", "ledgers", "left", "counted"):
        setattr(twin, name, list(getattr(story, name)))
    twin.intended, twin.marked, twin.asked = (
        dict(story.intended),
        dict(story.marked),
        [copy(asked) for asked in story.asked],
    )
    twin.netts = copy(story.netts)
    twin.netts.books = copy(story.netts.books)
    twin.netts.books.charges = list(story.netts.books.charges)
    twin.netts.books.received = story.netts.books.received.copy()
    return twin


def _sentences(story: Story) -> list[str]:
    """What all judges say about the true story, and which judge says something about each doctored one."""
    found = judges.verdict(story)
    for name, doctors in DOCTORS.items():
        judge = getattr(judges, name)
        for one in doctors:
            twin = _copied(story)
            one(twin)
            if list(judge(twin)):
                found.append(f"{name} hears of {one.__name__}")
            for file in story.ledgers:
                Path(file).with_name("doctored.db").unlink(missing_ok=True)
    return found


@pytest.fixture(scope="module")
def said() -> list[str]:
    async def timeline(_: Universe) -> None: ...

    return universe.run(PLAN, timeline, _sentences)[1]


def test_every_judge_has_its_doctor() -> None:
    assert {judge.__name__ for judge in judges.JUDGES} == set(DOCTORS)


@pytest.mark.parametrize(
    ("judge", "wrong"), [(name, one.__name__) for name, doctors in DOCTORS.items() for one in doctors]
)
def test_a_judge_hears_what_is_wrong(said: list[str], judge: str, wrong: str) -> None:
    assert f"{judge} hears of {wrong}" in said


def test_the_true_story_is_sound(said: list[str]) -> None:
    assert [sentence for sentence in said if " hears of " not in sentence] == []
