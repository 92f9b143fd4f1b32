"""What the answers to questions show, and that the unknown stays unknown."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from energyd.model import Cycles, CyclesKnown, Funds, OrderCheck
from energyd.netts import reads

RECORDINGS = Path(__file__).parent.parent / "recordings" / "netts-wire"
ADDRESS = "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE"
OTHER = "TGiPJbaP5at8cigWcRHmCDkyKjUGb71fGd"
THEN = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def raw(value: object) -> bytes:
    return json.dumps(value).encode()


def recorded(name: str) -> bytes:
    return raw(json.loads((RECORDINGS / f"{name}.json").read_text())["body"])


# --- prices


@pytest.mark.parametrize(
    ("name", "rent", "cycle"),
    [
        ("pricing-partial-energy-1h", 27, None),
        ("prices-get-success-2025-09", 17, 2_989_000),
        ("prices-post-success-2025-08", None, None),
        ("api-generic-success", None, None),
        ("api-generic-error-401", None, None),
    ],
)
def test_the_prices_of_a_recorded_answer(name: str, rent: int | None, cycle: int | None) -> None:
    assert reads.rent_price_sun(recorded(name)) == rent
    assert reads.cycle_price_sun(recorded(name)) == cycle


def pricing(service: object) -> bytes:
    return raw({"success": True, "data": {"services": {"energy_1h": service}}})


@pytest.mark.parametrize(
    ("service", "price"),
    [
        ({"price": 27}, 27),
        ({"unit": "SUN", "price": "27.2"}, 28),
        ({"unit": "sun", "price": 27.000001}, 28),
        ({"unit": "TRX", "price": 27}, None),
        ({"price": 0}, None),
        ({"price": -3}, None),
        ({"price": 10**9}, None),
        ({"price": True}, None),
        ({"price": None}, None),
        ({"price": [27]}, None),
        ({"price": "1e999999999"}, None),
        ({"periods": []}, None),
        ({"periods": [{"price": 27}], "price": 27}, None),
        ({"periods": [{"is_current": False, "price": 27}]}, None),
        ({"periods": [{"is_current": True, "price": 27}, {"is_current": False, "price": 99}]}, 27),
        ({"periods": [{"is_current": True, "price": 27}, {"is_current": 1, "price": 31}]}, 31),
        ({"periods": [{"is_current": True, "price": 27}, {"is_current": True}]}, None),
        ({"periods": "27"}, None),
        ([27], None),
    ],
)
def test_the_price_is_the_current_one_or_unknown(service: object, price: int | None) -> None:
    assert reads.rent_price_sun(pricing(service)) == price


def test_an_answer_that_says_it_failed_has_no_price() -> None:
    failed = {"success": False, "data": {"services": {"energy_1h": {"price": 27}}}, "host_price": 3}
    assert reads.rent_price_sun(raw(failed)) is None
    assert reads.cycle_price_sun(raw(failed)) is None


@pytest.mark.parametrize(
    ("bands", "price"),
    [
        (
            {"less_than_200k": {"price_sun": 22}, "equal_131k": {"price_sun": 17}, "more_than_200k": {"price_sun": 19}},
            22,
        ),
        ({"less_than_200k": {"price_sun": 17.1}, "note": "per unit"}, 18),
        ({"less_than_200k": {"price_sun": 17}, "more_than_200k": {"price_sun": -1}}, None),
        ({}, None),
    ],
)
def test_the_dearest_band_stands_for_all(bands: object, price: int | None) -> None:
    assert reads.rent_price_sun(raw({"periods": [{"is_active": True, "prices": bands}]})) == price
    assert reads.rent_price_sun(raw({"periods": [{"is_active": False, "prices": bands}]})) is None


# --- funds


def test_the_funds_of_both_recorded_forms() -> None:
    assert reads.funds(recorded("userinfo-get-success"), THEN) == Funds(
        balance_sun=28_361_150_000,
        read_at=THEN,
        spent_total_sun=832_181_950_000,
        delegations=96_756,
        energy_total=21_687_058_023,
    )
    assert reads.funds(recorded("userinfo-post-success-2025-08"), THEN) == Funds(150_500_000, THEN)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"stats": {}},
        {"stats": {"balance": None}, "data": {"balance": None}},
        {"stats": {"balance": "soon"}},
        {"stats": {"balance": -1}},
        {"status": "error", "stats": {"balance": 5}},
        {"code": -1, "data": {"balance": "5"}},
        {"code": 401, "balance": 5},
        [],
    ],
)
def test_a_balance_that_cannot_be_read_is_unknown_and_not_zero(body: object) -> None:
    assert reads.funds(raw(body), THEN) is None


def test_a_balance_of_zero_is_zero() -> None:
    known = reads.funds(raw({"stats": {"balance": 0}}), THEN)
    assert known is not None
    assert known.balance_sun == 0
    assert known.spent_total_sun is None


# --- cycles


def left(body: object, address: str = ADDRESS) -> tuple[CyclesKnown, int | None]:
    found = reads.cycles([body if isinstance(body, bytes) else raw(body)], address, THEN)
    assert found.address == address
    return found.known, found.remaining


def entries(*entry: object, **beside: object) -> dict[str, Any]:
    return {"code": 0, "data": {"addresses": list(entry), **beside}}


UNKNOWN = (CyclesKnown.UNKNOWN, None)
INFINITE = (CyclesKnown.INFINITE, None)
OUTSIDE = (CyclesKnown.NOT_IN_HOST_MODE, None)


def test_the_cycles_of_the_recorded_answers() -> None:
    counted = reads.cycles([recorded("time-status-partial-cycle-set")], ADDRESS, THEN)
    assert counted == Cycles(ADDRESS, CyclesKnown.COUNTED, 15, THEN, key="cycle_set")
    assert left(recorded("time-status-partial-cycle-set"), OTHER) == OUTSIDE
    assert left(recorded("time-status-success-2025-08")) == UNKNOWN
    assert left(recorded("api-generic-error-401")) == UNKNOWN


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"cycles_remaining": 3, "cycle_set": 15}, (CyclesKnown.COUNTED, 3)),
        ({"remaining_cycles": "4"}, (CyclesKnown.COUNTED, 4)),
        ({"cycles_left": 0}, (CyclesKnown.COUNTED, 0)),
        ({"cycles_remaining": None, "cycle_set": 15}, (CyclesKnown.COUNTED, 15)),
        ({"cycles_remaining": "many", "cycle_set": 15}, UNKNOWN),
        ({"cycle_set": -1}, UNKNOWN),
        ({"cycle_set": 1.5}, UNKNOWN),
        ({"cycle_set": True}, UNKNOWN),
        ({"cycle_set": {}}, UNKNOWN),
        ({}, UNKNOWN),
        ({"total_cycles": 9}, UNKNOWN),
        ({"mode": "infinity", "cycle_set": -1}, INFINITE),
        ({"infinity_mode": True}, INFINITE),
        ({"is_infinite": 1}, INFINITE),
        ({"infinity_mode": False, "cycle_set": 2}, (CyclesKnown.COUNTED, 2)),
        ({"infinity_mode": None, "cycle_set": 2}, (CyclesKnown.COUNTED, 2)),
        ({"cycles_remaining": "infinite"}, INFINITE),
    ],
)
def test_an_entry_is_counted_infinite_or_unknown(entry: dict[str, object], expected: object) -> None:
    own = {"address": ADDRESS, **entry}
    assert left(entries({"address": OTHER, "cycle_set": 99}, own)) == expected
    assert left({"code": 0, "data": [own]}) == expected
    assert left({"code": 0, "data": own}) == expected
    assert left({"detail": {"code": 0, "data": {"addresses": [own]}}}) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (entries(), OUTSIDE),
        (entries({"address": OTHER}), OUTSIDE),
        (entries({"address": OTHER}, total_addresses=1), OUTSIDE),
        (entries({"address": OTHER}, total_addresses=2), UNKNOWN),
        (entries({"address": OTHER}, total="1"), OUTSIDE),
        (entries({"address": OTHER}, total_pages=2), UNKNOWN),
        (entries({"address": OTHER}, has_more=True), UNKNOWN),
        (entries({"address": OTHER}, has_more=False), OUTSIDE),
        (entries({"address": OTHER}, next_page=2), UNKNOWN),
        (entries({"address": "TQn9…cbLSE"}), UNKNOWN),
        (entries({"id": 5}), UNKNOWN),
        (entries("x"), UNKNOWN),
        ({"code": -1, "data": {"addresses": []}}, UNKNOWN),
        ({"data": {"addresses": []}}, UNKNOWN),
        ({"code": 0, "data": None}, UNKNOWN),
        ({"code": 0, "data": {"addresses": {ADDRESS: {"cycle_set": 5}}}}, UNKNOWN),
        ({"code": -1, "data": {"addresses": [{"address": ADDRESS, "cycle_set": 0}]}}, UNKNOWN),
        (b"<html></html>", UNKNOWN),
    ],
)
def test_an_address_is_outside_host_mode_only_when_a_complete_list_lacks_it(body: object, expected: object) -> None:
    assert left(body) == expected


def test_two_entries_that_disagree_are_unknown() -> None:
    one, two = {"address": ADDRESS, "cycle_set": 1}, {"address": ADDRESS, "cycle_set": 2}
    assert left(entries(one, one)) == (CyclesKnown.COUNTED, 1)
    assert left(entries(one, two)) == UNKNOWN


# --- one order


def test_a_recorded_order_is_found_with_its_figures() -> None:
    assert reads.order_check(recorded("order-check-partial")) == OrderCheck(
        netts_order_id="1Ha1b2c3d4e5",
        address=ADDRESS,
        energy=65_000,
        cost_sun=2_535_000,
        activation_sun=None,
        delegated=False,
    )


@pytest.mark.parametrize(
    "body",
    [
        {"success": False, "msg": "not found"},
        {"success": False, "code": 10000, "order": {"id": "1H1"}},
        {"success": True, "code": 404, "order": {"id": "1H1"}},
        {"success": True, "code": 10000, "order": {}},
        {"success": True, "code": 10000, "order": None},
        {},
    ],
)
def test_an_order_that_is_not_shown_is_not_found(body: object) -> None:
    assert reads.order_check(raw(body)) is None


def test_what_an_order_leaves_out_is_unknown() -> None:
    assert reads.order_check(raw({"success": True, "order": {"id": 5}})) == OrderCheck("5")


# --- properties

anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10), st.just(ADDRESS)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "code",
                    "data",
                    "detail",
                    "services",
                    "energy_1h",
                    "periods",
                    "is_current",
                    "is_active",
                    "price",
                    "prices",
                    "price_sun",
                    "host_price",
                    "stats",
                    "balance",
                    "addresses",
                    "address",
                    "cycle_set",
                    "mode",
                    "order",
                    "id",
                    "cost",
                    "success",
                ]
            ),
            inner,
            max_size=6,
        ),
    ),
    max_leaves=15,
)


@given(st.one_of(st.binary(max_size=60), anything.map(raw)))
def test_no_answer_breaks_a_reader_and_no_figure_is_absurd(body: bytes) -> None:
    rent, cycle = reads.rent_price_sun(body), reads.cycle_price_sun(body)
    assert rent is None or 0 < rent <= reads.MAX_PRICE_SUN
    assert cycle is None or cycle > 0
    known = reads.funds(body, THEN)
    assert known is None or known.balance_sun >= 0
    counted = reads.cycles([body], ADDRESS, THEN)
    assert (counted.known is CyclesKnown.COUNTED) == (counted.remaining is not None)
    reads.order_check(body)
    assert isinstance(reads.problem(body), str)
    assert isinstance(reads.blames_key(200, body), bool)
