"""Was an unclear order placed? Case by case, and in a world where much else happens to the same account and address."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from energyd.core.evidence import After, judge
from energyd.model import (
    NEVER_CHARGED,
    UNSETTLED,
    Baseline,
    Cycles,
    CyclesKnown,
    Funds,
    Order,
    OrderKind,
    OrderState,
    Reading,
    Spend,
    Verdict,
)

from .situations import ADDRESS, NOW, TRX, a_reading, an_order, minutes

PLACED, NOT_PLACED = Verdict.PLACED, Verdict.NOT_PLACED
TOO_EARLY, CANNOT_TELL = Verdict.TOO_EARLY, Verdict.CANNOT_TELL
READ_AT = NOW + minutes(2)
ASKED, HEARD, ASKED_AGAIN = 100, 110, 200
"""Marks in the ledger: of the account in the baseline, and of the account as it was read after the order."""
BEFORE = Baseline(NOW, 10_000, balance_sun=100 * TRX, spent_total_sun=500 * TRX, asked_mark=ASKED, heard_mark=HEARD)


def unclear(**changes: Any) -> Order:
    """65,000 energy for at most 2 TRX, sent at `NOW`; nobody knows what came of it."""
    plain = an_order(state=OrderState.UNRESOLVED, cost_max_sun=2 * TRX)
    return replace(plain, **({"baseline": BEFORE} | changes))


def another(
    cost_sun: int | None = 3 * TRX,
    state: OrderState = OrderState.PLACED,
    *,
    sent: int = HEARD + 1,
    settled: int = ASKED_AGAIN,
    **changes: Any,
) -> Spend:
    """An order for another address. Its moments lie an hour back: the clock has been set since, and proves nothing."""
    plain = an_order(100_000, state, NOW - minutes(60), address="T-other", cost_sun=cost_sun, cost_max_sun=3 * TRX)
    return Spend(replace(plain, **changes), sent, None if state in UNSETTLED else settled)


def funds(charged: int = 0, deposited: int = 0, *, counted: bool = True) -> Funds:
    """The account after charges and deposits; `counted` where it tells its spent total."""
    spent_total = 500 * TRX + charged if counted else None
    return Funds(100 * TRX + deposited - charged, READ_AT, spent_total, asked_mark=ASKED_AGAIN, heard_mark=ASKED_AGAIN)


def after(reading: Reading | None = None, account: Funds | None = None, **changes: Any) -> After:
    return replace(After(flight_over=True, reading=reading, funds=account), **changes)


def verdict(order: Order, world: After, *spends: Spend, rentals: tuple[Order, ...] = ()) -> Verdict:
    return judge(order, world, rentals, spends)[0]


SAME, ROSE, HALF = a_reading(10_000, at=READ_AT), a_reading(75_050, at=READ_AT), a_reading(40_000, at=READ_AT)
LESS = a_reading(2_000, at=READ_AT)
UNCOUNTED = {"baseline": replace(BEFORE, spent_total_sun=None)}
SETTLED_LATE = {"settled": ASKED_AGAIN + 1}


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        # both witnesses
        (after(SAME, funds()), NOT_PLACED),
        (after(ROSE, funds(2 * TRX)), PLACED),
        (after(LESS, funds()), NOT_PLACED),
        # one of them is enough for placed
        (after(ROSE, funds()), PLACED),
        (after(SAME, funds(2 * TRX)), PLACED),
        (after(ROSE), PLACED),
        (after(None, funds(2 * TRX)), PLACED),
        # a charge that differs from the quote, and a deposit at the same time
        (after(SAME, funds(1 * TRX)), PLACED),
        (after(SAME, funds(3 * TRX)), PLACED),
        (after(SAME, funds(2 * TRX, deposited=2 * TRX)), PLACED),
        (after(SAME, funds(deposited=50 * TRX)), NOT_PLACED),
        # none is missing for not placed
        (after(SAME), CANNOT_TELL),
        (after(None, funds()), CANNOT_TELL),
        (after(), CANNOT_TELL),
        # neither yes nor no
        (after(HALF, funds()), CANNOT_TELL),
        # before the longest flight is over only placed is believed
        (after(SAME, funds(), flight_over=False), TOO_EARLY),
        (after(HALF, flight_over=False), TOO_EARLY),
        (after(ROSE, flight_over=False), PLACED),
        (after(None, funds(2 * TRX), flight_over=False), PLACED),
    ],
)
def test_two_witnesses_and_their_verdict(world: After, expected: Verdict) -> None:
    assert verdict(unclear(), world) is expected


@pytest.mark.parametrize(
    ("charged", "spends", "expected"),
    [
        (3 * TRX, [another()], NOT_PLACED),
        (5 * TRX, [another()], PLACED),
        (0, [another(None, OrderState.REFUSED)], NOT_PLACED),
        (2 * TRX, [another(None, OrderState.NOT_PLACED)], PLACED),
        # one whose fate is open: where nothing is missing neither was charged, otherwise it may have been the other
        (0, [another(None, OrderState.UNRESOLVED)], NOT_PLACED),
        (2 * TRX, [another(None, OrderState.UNRESOLVED)], CANNOT_TELL),
        (3 * TRX, [another(None, OrderState.SENT)], CANNOT_TELL),
        # one whose cost was not told has cost about its quote
        (3 * TRX, [another(None)], NOT_PLACED),
        (5 * TRX, [another(None)], CANNOT_TELL),
        # one that was settled after the account was read may not be in it
        (2 * TRX, [another(2 * TRX, **SETTLED_LATE)], CANNOT_TELL),
        (0, [another(2 * TRX, **SETTLED_LATE)], NOT_PLACED),
        (0, [another(None, OrderState.REFUSED, **SETTLED_LATE)], NOT_PLACED),
        # more is explained than has left: the account is behind
        (0, [another()], CANNOT_TELL),
        # one that was settled before the account was read for the baseline is in there and explains nothing
        (0, [another(sent=ASKED - 1, settled=ASKED)], NOT_PLACED),
        (2 * TRX, [another(2 * TRX, sent=ASKED - 1, settled=ASKED)], PLACED),
        # nobody knows whether one that was open then is in there
        (2 * TRX, [another(2 * TRX, sent=ASKED - 1, settled=ASKED + 1)], CANNOT_TELL),
        (2 * TRX, [another(2 * TRX, sent=HEARD)], CANNOT_TELL),
        (2 * TRX, [another(None, OrderState.UNRESOLVED, sent=ASKED)], CANNOT_TELL),
        (0, [another(2 * TRX, sent=HEARD)], NOT_PLACED),
        (4 * TRX, [another(2 * TRX, sent=HEARD)], CANNOT_TELL),
    ],
)
def test_our_other_orders_explain_what_left_the_account(charged: int, spends: list[Spend], expected: Verdict) -> None:
    assert verdict(unclear(), after(SAME, funds(charged)), *spends) is expected


@pytest.mark.parametrize(
    ("charged", "deposited", "expected"),
    [
        (0, 0, NOT_PLACED),
        (2 * TRX, 0, PLACED),
        (0, 50 * TRX, CANNOT_TELL),
        (2 * TRX, 50 * TRX, CANNOT_TELL),
        (2 * TRX, 2 * TRX + 1, CANNOT_TELL),
        (2 * TRX, 19 * TRX // 10, CANNOT_TELL),
    ],
)
def test_without_a_spent_total_money_that_came_in_may_hide_money_that_left(
    charged: int, deposited: int, expected: Verdict
) -> None:
    world = after(SAME, funds(charged, deposited, counted=False))
    assert verdict(unclear(), world) is expected
    assert verdict(unclear(**UNCOUNTED), after(SAME, funds(charged, deposited))) is expected


def test_without_a_baseline_nothing_is_known_not_to_have_happened() -> None:
    assert verdict(unclear(baseline=Baseline(NOW)), after(SAME, funds())) is CANNOT_TELL
    assert verdict(unclear(baseline=replace(BEFORE, energy_limit=None)), after(SAME, funds())) is CANNOT_TELL
    assert verdict(unclear(baseline=replace(BEFORE, energy_limit=None)), after(SAME, funds(2 * TRX))) is PLACED


def test_a_rental_that_ended_meanwhile_does_not_hide_the_new_one() -> None:
    old = an_order(10_000, OrderState.EXPIRED, NOW - timedelta(hours=1))
    order = unclear(baseline=replace(BEFORE, rentals=(old.key,)))
    late = NOW + minutes(5)
    came = after(a_reading(65_000, at=late), funds())
    assert verdict(order, came, rentals=(old,)) is PLACED
    gone = after(a_reading(0, at=late), funds())
    assert verdict(order, gone, rentals=(old,)) is NOT_PLACED


# --- Host Mode -------------------------------------------------------------------------------------------------------


def cycles(remaining: int | None, known: CyclesKnown = CyclesKnown.COUNTED) -> Cycles:
    return Cycles(ADDRESS, known, remaining, READ_AT)


@pytest.mark.parametrize(
    ("count", "charged", "expected"),
    [
        (cycles(5), 0, NOT_PLACED),
        (cycles(3), 0, NOT_PLACED),
        (cycles(15), 0, PLACED),
        (cycles(6), 0, PLACED),
        (replace(cycles(15), key="cycle_set"), 0, CANNOT_TELL),
        (cycles(5), 2 * TRX, PLACED),
        (cycles(3), 2 * TRX, PLACED),
        (cycles(None, CyclesKnown.UNKNOWN), 0, CANNOT_TELL),
        (cycles(None, CyclesKnown.INFINITE), 0, CANNOT_TELL),
        (cycles(None, CyclesKnown.NOT_IN_HOST_MODE), 0, CANNOT_TELL),
        (None, 0, CANNOT_TELL),
    ],
)
def test_for_cycles_the_count_is_the_witness(count: Cycles | None, charged: int, expected: Verdict) -> None:
    order = unclear(kind=OrderKind.CYCLES, energy=None, cycles=10, baseline=replace(BEFORE, cycles=5))
    assert verdict(order, after(ROSE, funds(charged), cycles=count)) is expected


def test_the_sentence_names_both_witnesses() -> None:
    _, said = judge(unclear(), after(SAME, funds(2 * TRX)), (), ())
    assert said == "the chain says not placed, the account says placed"


# --- a world in which much else happens ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Other:
    """Another order of the account: what we know of it, and what really left between the two readings for it."""

    known: Spend
    charged: int


def even(number: int) -> int:
    """Charges are even and deposits odd here: only a deposit that equals a charge to the sun hides it altogether."""
    return 2 * number


@st.composite
def other_orders(draw: st.DrawFn, number: int) -> Other:
    quote = draw(st.integers(1, 20 * TRX))
    state = draw(st.sampled_from(OrderState))
    real = draw(st.integers(-(-3 * quote // 8), quote).map(even))
    told = draw(st.sampled_from([None, real]))
    sent = draw(st.sampled_from([ASKED - 5, ASKED + 5, HEARD + 5]))
    settled = draw(st.sampled_from([sent + 1, ASKED_AGAIN - 1, ASKED_AGAIN + 1]))
    known = another(told, state, sent=sent, settled=settled, key=f"other-{number}", cost_max_sun=quote)
    return Other(known, draw(st.sampled_from(possible_charges(known, real))))


def possible_charges(known: Spend, real: int) -> list[int]:
    """What may have left the account between its two readings for another order that costs `real`."""
    if known.order.state in NEVER_CHARGED:
        return [0]
    if known.settled is not None and known.settled <= ASKED:
        return [0]
    if known.sent > HEARD and known.settled is not None and known.settled <= ASKED_AGAIN:
        return [real]
    return [0, real]


others = st.integers(0, 4).flatmap(lambda count: st.tuples(*map(other_orders, range(count))))
charges = st.integers(TRX // 2, 2 * TRX).map(even)
"""From half the quote to twice of it."""
limits = st.integers(0, 200_000)


@given(
    others,
    charges,
    st.just(0) | st.integers(0, 5 * TRX).map(lambda number: even(number) + 1),
    limits,
    st.booleans(),
    st.booleans(),
)
def test_an_order_that_was_charged_is_never_found_not_placed(  # noqa: PLR0917 - hypothesis gives them in order
    of_others: tuple[Other, ...],
    charge: int,
    deposit: int,
    limit: int,
    counted: bool,  # noqa: FBT001 - the same
    over: bool,  # noqa: FBT001 - the same
) -> None:
    """Whatever the chain shows: late delivery, drift, other people's delegations, a rental taken back."""
    charged = charge + sum(other.charged for other in of_others)
    world = after(a_reading(limit, at=READ_AT), funds(charged, deposit, counted=counted), flight_over=over)
    assert verdict(unclear(), world, *(other.known for other in of_others)) is not NOT_PLACED


@given(others, limits, st.integers(0, 10 * TRX))
def test_not_placed_is_never_said_before_the_flight_is_over(
    of_others: tuple[Other, ...], limit: int, charged: int
) -> None:
    world = after(a_reading(limit, at=READ_AT), funds(charged), flight_over=False)
    assert verdict(unclear(), world, *(other.known for other in of_others)) in (PLACED, TOO_EARLY)


@given(limits, st.integers(0, 10 * TRX), st.booleans())
def test_not_placed_needs_every_witness(limit: int, charged: int, reading_is_there: bool) -> None:  # noqa: FBT001 - the same
    reading = a_reading(limit, at=READ_AT)
    world = after(reading) if reading_is_there else after(None, funds(charged))
    assert verdict(unclear(), world) in (PLACED, CANNOT_TELL)


@given(st.integers(0, 10 * TRX), st.integers(-84, 10))
def test_in_a_quiet_world_an_order_that_was_not_charged_is_found_not_placed(deposit: int, drift: int) -> None:
    world = after(a_reading(10_000 + max(drift, -10_000), at=READ_AT), funds(0, deposit))
    assert verdict(unclear(), world) is NOT_PLACED


@given(st.integers(64_000, 10**9))
def test_what_others_delegate_may_pass_for_ours_which_is_the_safe_side(foreign: int) -> None:
    assert verdict(unclear(), after(a_reading(10_000 + foreign, at=READ_AT), funds())) in (PLACED, CANNOT_TELL)
