"""Money, energy and durations: exact, read back as written, and a fault that says what to write instead."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from energyd import units

amounts = st.integers(0, units.MAX_SUN)


@given(amounts)
def test_an_amount_of_sun_can_be_written_as_trx_and_read_back(sun: int) -> None:
    assert units.read_money(units.trx_text(sun)) == sun
    assert units.sun_from_trx(units.trx(sun)) == sun
    assert units.sun_from_trx(str(units.trx(sun))) == sun
    assert units.read_money(f"{sun} sun") == sun


@given(st.integers(-units.MAX_SUN, units.MAX_SUN))
def test_trx_is_exact_and_has_no_needless_zeros(sun: int) -> None:
    amount = units.trx(sun)
    assert Fraction(amount) == Fraction(sun, units.SUN_PER_TRX)
    assert "E" not in str(amount)
    assert not (("." in str(amount)) and str(amount).endswith("0"))


@given(st.decimals(min_value=0, max_value=10**11, allow_nan=False, allow_infinity=False, places=6))
def test_six_decimals_of_a_trx_are_read_exactly_in_every_form(amount: Decimal) -> None:
    expected = int(Fraction(amount) * units.SUN_PER_TRX)
    assert units.sun_from_trx(amount) == units.sun_from_trx(f" {amount} ") == expected


@given(st.integers(0, 10**9), st.integers(0, 999_999))
def test_a_number_of_json_means_what_its_text_says(whole: int, rest: int) -> None:
    text = f"{whole}.{rest:06d}"
    assert units.sun_from_trx(float(text)) == whole * units.SUN_PER_TRX + rest


@given(st.decimals(min_value=0, max_value=10**10, allow_nan=False, allow_infinity=False))
def test_a_fraction_of_a_sun_is_rounded_up(amount: Decimal) -> None:
    exact = Fraction(amount) * units.SUN_PER_TRX
    sun = units.sun_from_trx(amount)
    assert sun is not None
    assert exact <= sun < exact + 1


@pytest.mark.parametrize(
    ("value", "sun"),
    [
        (2.23, 2_230_000),
        ("2.535", 2_535_000),
        ("102.50", 102_500_000),
        (5.978, 5_978_000),
        (0, 0),
        ("0.0000001", 1),
        ("2.2300000000000000000000000000000000001", 2_230_001),
        (100_000_000_000, units.MAX_SUN),
        ("100000000000.0000000000000000000000001", None),
        (100_000_000_001, None),
        ("1e-999999", 1),
        ("1e999999", None),
        pytest.param("9" * 5000, None, id="a long text"),
        pytest.param(10**5000, None, id="a long number"),
        (-1, None),
        ("-0.000001", None),
        ("", None),
        ("12 TRX", None),
        ("nan", None),
        ("sNaN", None),
        ("inf", None),
        (float("inf"), None),
        (float("nan"), None),
        (True, None),
        (None, None),
        ([], None),
        ({}, None),
    ],
)
def test_an_amount_as_a_vendor_writes_it(value: object, sun: int | None) -> None:
    read = units.sun_from_trx(value)
    assert read == sun
    assert read is None or type(read) is int


@given(st.none() | st.booleans() | st.text() | st.floats() | st.integers() | st.binary() | st.lists(st.integers()))
def test_nothing_a_vendor_writes_makes_it_raise(value: object) -> None:
    sun = units.sun_from_trx(value)
    assert sun is None or (type(sun) is int and 0 <= sun <= units.MAX_SUN)


@pytest.mark.parametrize(
    ("text", "sun"),
    [
        ("60 sun", 60),
        ("60sun", 60),
        ("15 TRX", 15_000_000),
        ("15 trx", 15_000_000),
        (" 1.5  TRX ", 1_500_000),
        ("0.000001 TRX", 1),
        ("1.50000000000000000000000000000000 TRX", 1_500_000),
        ("1_000.25 TRX", 1_000_250_000),
        ("7.0 sun", 7),
        ("100000000000 TRX", units.MAX_SUN),
    ],
)
def test_money_is_read_exactly(text: str, sun: int) -> None:
    read = units.read_money(text)
    assert read == sun
    assert type(read) is int


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("15", "'15' is not an amount of money; write it with its unit, such as '15 TRX' or '60 sun'"),
        ("fifteen TRX", "is not an amount of money"),
        ("-1 TRX", "is not an amount of money"),
        ("1,5 TRX", "is not an amount of money"),
        ("1e3 TRX", "is not an amount of money"),
        ("٣ TRX", "is not an amount of money"),
        ("15 Sun", "is not an amount of money"),
        ("0.5 sun", "'0.5 sun' is finer than one sun; one TRX has six decimals"),
        ("0.0000001 TRX", "is finer than one sun"),
        ("15.0000000000000000000000000000000000001 TRX", "is finer than one sun"),
        ("0.9999999999999999999999999999999999999 TRX", "is finer than one sun"),
        ("100000000000.000001 TRX", "'100000000000.000001 TRX' is more than all TRX there is"),
    ],
)
def test_what_is_no_money_is_refused_with_what_to_write(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        units.read_money(text)
    assert problem in str(refused.value)


@given(st.integers(0, int(units.MAX_DURATION.total_seconds())))
def test_a_duration_can_be_written_and_read_back(count: int) -> None:
    duration = timedelta(seconds=count)
    assert units.read_duration(units.duration_text(duration)) == duration


@given(st.timedeltas(timedelta(0), units.MAX_DURATION))
def test_parts_of_a_second_are_dropped(duration: timedelta) -> None:
    assert timedelta(0) <= duration - units.read_duration(units.duration_text(duration)) < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("3m", timedelta(minutes=3)),
        ("1h30m", timedelta(minutes=90)),
        (" 2d ", timedelta(days=2)),
        ("0s", timedelta(0)),
        ("1d2h3m4s", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("366d", units.MAX_DURATION),
    ],
)
def test_a_duration_is_read(text: str, duration: timedelta) -> None:
    assert units.read_duration(text) == duration


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("90", "'90' is not a duration; write it like '90s', '3m', '1h30m' or '2d'"),
        ("", "is not a duration"),
        ("1.5h", "is not a duration"),
        ("-1m", "is not a duration"),
        ("30m1h", "is not a duration"),
        ("1m 30s", "is not a duration"),
        ("٣m", "is not a duration"),
        ("367d", "'367d' is longer than a year"),
        ("999999999999999999999999d", "is longer than a year"),
    ],
)
def test_what_is_no_duration_is_refused_with_what_to_write(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        units.read_duration(text)
    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(days=2, seconds=1), "2d1s"),
        (timedelta(seconds=-90), "-1m30s"),
        (timedelta(milliseconds=-500), "0s"),
        (timedelta(seconds=1.9), "1s"),
    ],
)
def test_a_duration_is_written_shortly(duration: timedelta, text: str) -> None:
    assert units.duration_text(duration) == text


@given(st.integers(0, 10**12), st.integers(0, 10**6))
def test_a_cost_is_an_exact_integer(energy: int, price: int) -> None:
    cost = units.cost_sun(energy, price)
    assert type(cost) is int
    assert Fraction(cost, price or 1) == (energy if price else 0)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 21, 9, 30, tzinfo=UTC), "2026-11-21T09:30:00.000Z"),
        (datetime(2026, 11, 21, 9, 30, 5, 999_999, tzinfo=UTC), "2026-11-21T09:30:05.999Z"),
    ],
)
def test_a_moment_is_written_with_milliseconds(moment: datetime, text: str) -> None:
    assert units.moment_text(moment) == text
    assert datetime.fromisoformat(text) <= moment
