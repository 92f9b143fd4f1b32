"""The life of an order: its table, every history, and why no shortfall is paid for twice."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from energyd.core.order import (
    FLIGHT_MARGIN,
    SEND_WITHIN,
    TABLE,
    Event,
    Inquire,
    Record,
    Rest,
    Watch,
    advance,
    longest_flight,
    next_step,
)
from energyd.errors import Impossible
from energyd.model import NEVER_CHARGED, OPEN, UNSETTLED, OrderState

from .situations import NOW, an_order, minutes, seconds

S, E = OrderState, Event

LIFE = """
intended    sending             sent
intended    dropped             dropped
sent        accepted            placed
sent        refused             refused
sent        unclear             unresolved
sent        interrupted         unresolved
unresolved  accepted            placed
unresolved  refused             refused
unresolved  shown_placed        placed
unresolved  shown_not_placed    not_placed
unresolved  settled_placed      placed
unresolved  settled_not_placed  not_placed
placed      seen                delivered
placed      hour_over           undelivered
placed      counted             added
placed      never_counted       undelivered
delivered   hour_over           expired
"""
LEGAL = {(state, event): after for state, event, after in map(str.split, LIFE.strip().splitlines())}
CLOSED = set(OrderState) - set(OPEN)


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("event", Event)
def test_every_pair_leads_where_the_table_says_or_is_impossible(state: OrderState, event: Event) -> None:
    if (state, event) in LEGAL:
        assert advance(state, event) == LEGAL[state, event]
    else:
        with pytest.raises(Impossible, match=f"an order that is {state} cannot be {event}"):
            advance(state, event)


# --- every history ---------------------------------------------------------------------------------------------------

History = tuple[tuple[Event, OrderState], ...]


def histories(state: OrderState = S.INTENDED, walked: History = ()) -> Iterator[History]:
    """Every history, finished or not. The table has no circle, so there are finitely many."""
    yield walked
    for event in Event:
        if (state, event) in TABLE:
            after = advance(state, event)
            yield from histories(after, (*walked, (event, after)))


ALL = list(histories())
ENDED = [history for history in ALL if history and history[-1][1] in CLOSED]
PAID = {E.ACCEPTED, E.SHOWN_PLACED, E.SETTLED_PLACED}


def test_the_histories_are_all_there() -> None:
    assert len(ALL) == len(set(ALL)) == 54
    assert max(map(len, ALL)) == 5
    assert {state for history in ALL for _, state in history} == set(OrderState) - {S.INTENDED}
    assert {event for history in ALL for event, _ in history} == set(Event)


def test_a_history_never_charged_has_no_sign_of_payment_and_every_other_one_has_exactly_one() -> None:
    for history in ENDED:
        signs = [event for event, _ in history if event in PAID]
        assert len(signs) == (0 if history[-1][1] in NEVER_CHARGED else 1)


def test_nothing_follows_once_an_order_is_closed() -> None:
    assert not [pair for pair in TABLE if pair[0] in CLOSED]


def test_an_order_is_settled_once_and_stays_settled() -> None:
    for history in ALL:
        unsettled = [state in UNSETTLED for _, state in history]
        assert unsettled == sorted(unsettled, reverse=True)


def test_an_order_that_was_sent_is_never_found_to_be_dropped() -> None:
    for history in ENDED:
        assert (history[-1][1] is S.DROPPED) == (E.SENDING not in [event for event, _ in history])


# --- what a tick does with an order that it finds --------------------------------------------------------------------

LAST_MOMENT, HOUR_OVER = NOW + timedelta(hours=1) - seconds(1), NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("state", "within_the_hour", "after_it"),
    [
        (S.INTENDED, Record(E.DROPPED), Record(E.DROPPED)),
        (S.SENT, Record(E.INTERRUPTED), Record(E.INTERRUPTED)),
        (S.UNRESOLVED, Inquire(), Inquire()),
        (S.PLACED, Watch(), Record(E.HOUR_OVER)),
        (S.DELIVERED, Rest(), Record(E.HOUR_OVER)),
        *((state, Rest(), Rest()) for state in sorted(CLOSED)),
    ],
)
def test_the_step_of_an_order_that_is_found(state: OrderState, within_the_hour: object, after_it: object) -> None:
    order = an_order(state=state)
    assert next_step(order, NOW) == next_step(order, LAST_MOMENT) == within_the_hour
    assert next_step(order, HOUR_OVER) == after_it


def test_every_step_that_records_something_is_legal() -> None:
    for state in OrderState:
        for now in (NOW - minutes(90), NOW, HOUR_OVER):
            step = next_step(an_order(state=state), now)
            if isinstance(step, Record):
                advance(state, step.event)


def test_the_hour_of_an_order_that_was_never_marked_counts_from_its_intent() -> None:
    assert an_order(sent_at=NOW).until_at == HOUR_OVER
    assert replace(an_order(), sent_at=None, intended_at=NOW - minutes(10)).until_at == HOUR_OVER - minutes(10)


def test_the_longest_flight_covers_the_mark_the_deadline_and_a_minute_on_the_way() -> None:
    assert longest_flight(seconds(30)) == SEND_WITHIN + seconds(30) + FLIGHT_MARGIN
    assert longest_flight(seconds(0)) >= seconds(60)


# --- one shortfall, one charge ---------------------------------------------------------------------------------------
#
# A small model of the world around one order. The host that intended it may be cut off, frozen and woken at any moment;
# another one (or the same after a restart) then finds the order. A request may be lost, late or answered into nothing.
# When the order is closed as never charged, the shortfall is ordered again, and that is charged: so a world in which
# the order is believed never to have been charged and is charged all the same has paid twice.


@dataclass(frozen=True)
class World:
    state: OrderState = S.INTENDED
    held: bool = False
    """The host that marked the order still holds the permission to send."""
    good: bool = False
    """The mark of sending is still good."""
    flying: bool = False
    charges: int = 0
    reply: str = ""
    """The answer on its way back: accepted, refused or none."""

    @property
    def paid_twice(self) -> bool:
        return self.charges > 1 or (self.state in NEVER_CHARGED and self.charges > 0)


@dataclass(frozen=True)
class Rules:
    """What can be taken away to see what it was there for."""

    intent_for_one_tick: bool = True
    mark_expires: bool = True
    flight_awaited: bool = True
    never_sent_again: bool = True


def told(world: World, event: Event) -> Iterator[World]:
    """The world after the ledger was told; what is not in the table is not written down."""
    if (world.state, event) in TABLE:
        yield replace(world, state=advance(world.state, event))


def moves(world: World, rules: Rules) -> Iterator[World]:
    yield from hosts_move(world, rules)
    yield from the_world_moves(world, rules)


def hosts_move(world: World, rules: Rules) -> Iterator[World]:
    for marked in told(world, E.SENDING):
        yield replace(marked, held=True, good=True)
    if world.held and (world.good or not rules.mark_expires):
        yield replace(world, held=False, flying=True)
    if world.held:
        yield replace(world, held=False)
    # a tick finds the order that it did not send itself
    if rules.intent_for_one_tick or world.held:
        yield from told(world, E.DROPPED)
    yield from told(world, E.INTERRUPTED)
    # evidence: what others do on the chain can look like our order, so "placed" may be wrong at any time
    yield from told(world, E.SHOWN_PLACED)
    if not world.charges and not (rules.flight_awaited and (world.good or world.flying)):
        yield from told(world, E.SHOWN_NOT_PLACED)
    if world.state is S.UNRESOLVED and not rules.never_sent_again:
        yield replace(world, flying=True)


def the_world_moves(world: World, rules: Rules) -> Iterator[World]:
    if world.good:
        yield replace(world, good=False)
    if world.flying:
        yield replace(world, flying=False)
        yield replace(world, flying=False, charges=world.charges + 1, reply="accepted")
        yield replace(world, flying=False, reply="refused")
        yield from told(world, E.UNCLEAR)
    if world.reply:
        yield replace(world, reply="")
        for after in told(world, Event(world.reply)):
            yield replace(after, reply="")
        yield from told(world, E.UNCLEAR)


def reachable(rules: Rules) -> dict[World, int]:
    """Every world that can come about, with the least number of moves to it."""
    found, edge, steps = {World(): 0}, [World()], 0
    while edge:
        steps += 1
        ahead = {after for world in edge for after in moves(world, rules) if after not in found and after.charges <= 2}
        found |= dict.fromkeys(ahead, steps)
        edge = [world for world in ahead if not world.paid_twice]
    return found


def shortest_to_paying_twice(rules: Rules) -> int | None:
    return min((steps for world, steps in reachable(rules).items() if world.paid_twice), default=None)


def test_with_all_rules_no_shortfall_is_paid_for_twice() -> None:
    assert shortest_to_paying_twice(Rules()) is None


@pytest.mark.parametrize(
    "rules",
    [Rules(mark_expires=False), Rules(flight_awaited=False), Rules(never_sent_again=False)],
    ids=["a mark that stays good", "a flight not awaited", "sent again when unclear"],
)
def test_without_one_of_these_rules_it_can_be_paid_for_twice(rules: Rules) -> None:
    steps = shortest_to_paying_twice(rules)
    assert steps is not None
    assert steps <= 6


def test_the_model_visits_every_state_and_every_event_but_those_of_a_person_and_of_the_hour() -> None:
    assert {world.state for world in reachable(Rules())} == {
        *UNSETTLED, S.PLACED, S.DROPPED, S.REFUSED, S.NOT_PLACED,
    }  # fmt: skip


def test_the_worlds_are_as_many_as_they_were() -> None:
    """A table or a rule that is changed shows here, so that somebody looks at the new worlds."""
    worlds = reachable(Rules())
    apart_from_time = {replace(world, good=False) for world in worlds}
    assert (len(worlds), len(apart_from_time)) == (43, 24)


def test_an_intent_that_lives_on_costs_no_second_charge_but_buys_what_was_wanted_long_ago() -> None:
    assert shortest_to_paying_twice(Rules(intent_for_one_tick=False)) is None
    left_behind = replace(World(), held=False)
    assert S.DROPPED in {world.state for world in moves(left_behind, Rules())}
    assert S.DROPPED not in {world.state for world in moves(left_behind, Rules(intent_for_one_tick=False))}
