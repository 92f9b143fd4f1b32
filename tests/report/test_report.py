"""Reports: their sums are the ledger's, and what they call used was delivered before."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st

from energyd import report
from energyd.ledger.history import Fall
from energyd.model import NEVER_CHARGED, Baseline, Order, OrderKind, OrderState
from energyd.report import By

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
DAY = NOON.replace(hour=0)
BURN = 100


def an_order(key: str = "o", minutes: float = 0, energy: int = 100_000, **parts: object) -> Order:
    at = NOON + timedelta(minutes=minutes)
    order = Order(
        key=key,
        kind=OrderKind.RENTAL,
        address="A",
        policy="payouts",
        decision_id=f"d-{key}",
        state=OrderState.EXPIRED,
        cost_max_sun=30 * energy,
        baseline=Baseline(at),
        host="h",
        intended_at=at,
        changed_at=at,
        energy=energy,
        cost_sun=30 * energy,
        sent_at=at,
        delivered_at=at + timedelta(seconds=3),
    )
    return replace(order, **parts)  # type: ignore[arg-type] # fields of an order


def a_fall(minutes: float, energy: int, available: int = 100_000, every: float = 0.25) -> Fall:
    at = NOON + timedelta(minutes=minutes)
    return Fall("A", at - timedelta(minutes=every), at, available, energy)


def made(
    *orders: Order, falls: tuple[Fall, ...] | None = (), by: By = By.POLICY, since: datetime = DAY, days: int = 1
) -> report.Report:
    burn_prices = {order.key: BURN for order in orders}
    return report.make(orders, falls, burn_prices, since=since, until=since + timedelta(days=days), by=by)


def used(*falls: Fall, orders: tuple[Order, ...] = (an_order(),)) -> int:
    total = made(*orders, falls=falls, days=2).total.energy_used
    assert total is not None
    return total


# --- money ----------------------------------------------------------------------------------------------------------


def test_a_charge_that_is_not_known_stands_apart_with_the_most_that_it_can_be() -> None:
    total = made(
        an_order("a"),
        an_order("b", cost_sun=None, state=OrderState.PLACED, delivered_at=None),
        an_order("c", cost_sun=None, state=OrderState.UNRESOLVED, delivered_at=None),
    ).total
    assert (total.charged_sun, total.unconfirmed_sun) == (3_000_000, 6_000_000)
    assert (total.orders, total.energy_rented, total.energy_delivered) == (3, 300_000, 100_000)


def test_what_was_never_charged_is_no_order_of_a_report() -> None:
    assert made(*(an_order(state, state=state, cost_sun=None) for state in NEVER_CHARGED)).total.orders == 0


def test_a_charge_above_the_quote_counts_as_charged() -> None:
    assert made(an_order(cost_sun=9_999_999)).total.charged_sun == 9_999_999


def test_an_order_counts_when_its_money_left_and_the_end_of_the_period_does_not() -> None:
    orders = [an_order(str(minutes), minutes) for minutes in (-12 * 60 - 0.01, -12 * 60, 12 * 60 - 0.01, 12 * 60)]
    assert made(*orders).total.orders == 2


def test_saved_is_what_burning_would_have_cost_less_what_renting_did() -> None:
    total = made(an_order(), falls=(a_fall(10, 65_000),)).total
    assert (total.burning_sun, total.saved_sun) == (6_500_000, 3_500_000)
    assert (total.burning_all_sun, total.saved_max_sun) == (10_000_000, 7_000_000)


def test_an_idle_rental_is_a_loss() -> None:
    assert made(an_order()).total.saved_sun == -3_000_000


def test_cycles_are_charged_and_left_out_of_what_was_saved() -> None:
    cycles = replace(an_order(kind=OrderKind.CYCLES, cycles=10, cost_sun=10), energy=None)
    total = made(cycles).total
    assert (total.cycles, total.charged_sun, total.saved_sun) == (10, 10, 0)


def test_what_is_not_known_is_not_zero() -> None:
    forgotten = made(an_order(), falls=None).total
    assert (forgotten.energy_used, forgotten.burning_sun, forgotten.saved_sun) == (None, None, None)
    assert forgotten.saved_max_sun == 7_000_000
    no_price = report.make([an_order()], (), {}, since=DAY, until=DAY + timedelta(days=1), by=By.DAY).total
    assert (no_price.burning_all_sun, no_price.saved_max_sun) == (None, None)


@given(
    st.lists(
        st.tuples(
            st.floats(-2000, 2000),
            st.sampled_from(OrderState),
            st.none() | st.integers(0, 10**9),
            st.sampled_from("AB"),
        )
    ),
    st.sampled_from(By),
)
def test_the_sums_are_what_the_ledger_has_booked_however_they_are_grouped(
    drawn: list[tuple[float, OrderState, int | None, str]], by: By
) -> None:
    orders = [
        an_order(str(number), minutes, state=state, cost_sun=cost, address=address, policy=address)
        for number, (minutes, state, cost, address) in enumerate(drawn)
    ]
    shown = made(*orders, by=by)
    booked = sum(order.booked_sun for order in orders if DAY <= report.moment_of(order) < DAY + timedelta(days=1))
    assert shown.total.charged_sun + shown.total.unconfirmed_sun == booked
    for name in ("orders", "energy_rented", "charged_sun", "unconfirmed_sun", "burning_all_sun"):
        assert sum(getattr(row, name) for row in shown.rows.values()) == getattr(shown.total, name)


# --- used energy ----------------------------------------------------------------------------------------------------


def test_energy_that_leaves_while_a_rental_is_there_was_used() -> None:
    assert used(a_fall(5, 20_000), a_fall(30, 50_000, 80_000)) == 70_000


def test_energy_that_leaves_with_the_end_of_a_rental_was_not() -> None:
    assert used(a_fall(60.2, 100_000)) == 0


def test_a_rental_takes_with_it_its_share_of_what_is_left() -> None:
    """Two of 100,000; 100,000 are used; the first ends and takes 50,000 with it."""
    orders = (an_order("a"), an_order("b", 30))
    assert used(a_fall(40, 100_000, 200_000), a_fall(60.2, 50_000, 100_000), orders=orders) == 100_000


def test_energy_that_was_there_before_any_rental_is_not_counted() -> None:
    assert used(a_fall(-10, 65_000)) == 0


def test_more_than_was_delivered_is_never_used() -> None:
    assert used(a_fall(10, 300_000, 400_000)) == 100_000


def test_use_counts_for_the_day_in_which_it_was_seen() -> None:
    late = an_order("a", 12 * 60 - 10)
    shown = made(late, falls=(a_fall(12 * 60 + 5, 65_000),), by=By.DAY, days=2)
    assert [(key, row.orders, row.energy_used) for key, row in shown.rows.items()] == [
        ("2026-01-05", 1, 0),
        ("2026-01-06", 0, 65_000),
    ]


@given(
    st.lists(st.integers(-60, 120), max_size=6),
    st.lists(st.tuples(st.integers(-60, 240), st.integers(1, 300_000), st.integers(0, 400_000)), max_size=20),
)
def test_used_is_never_more_than_delivered_nor_than_what_fell(
    sent: list[int], fell: list[tuple[int, int, int]]
) -> None:
    orders = tuple(an_order(str(number), minutes) for number, minutes in enumerate(sent))
    falls = [a_fall(minutes, min(energy, available), available) for minutes, energy, available in fell]
    amount = used(*falls, orders=orders)
    assert 0 <= amount <= min(100_000 * len(orders), sum(fall.energy for fall in falls))
