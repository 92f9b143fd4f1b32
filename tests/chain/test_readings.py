"""What bodies mean: recorded answers of real nodes, and bodies that must not be believed."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from energyd.chain.readings import (
    Energy,
    Head,
    Unusable,
    read_burn_price,
    read_energy,
    read_head,
    read_last_use,
    read_newest_price,
)

RECORDINGS = Path(__file__).parent.parent / "recordings" / "tron-wire"
ADDRESS = "TZ4UXDV5ZhNW7fb2AMSbgfAEZ7hWsnYS2g"
HEAD = Head(68_000_000, datetime(2024, 12, 20, tzinfo=UTC))
NETWORK = {"TotalEnergyLimit": 180_000_000_000, "TotalEnergyWeight": 18_971_780_957}


def recorded(name: str) -> Any:
    return json.loads((RECORDINGS / f"{name}.json").read_text())["body"]


@pytest.mark.parametrize(
    ("name", "energy"),
    [
        ("mainnet-getaccountresource-1trx-delegated-2026", Energy(9, 0)),
        ("mainnet-getaccountresource-1trx-delegated", Energy(10, 0)),
        ("mainnet-getaccountresource-no-energy", Energy(0, 0)),
        ("nile-getaccountresource", Energy(0, 0)),
    ],
)
def test_recorded_resources_are_read(name: str, energy: Energy) -> None:
    assert read_energy(recorded(name)) == energy


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("nile-getblock-header-only", Head(66_987_565, datetime(2026, 4, 29, 6, 45, 21, tzinfo=UTC))),
        ("testnet-getnowblock-solidity-empty", Head(52_799_248, datetime(2025, 3, 17, 4, 3, 15, tzinfo=UTC))),
        ("mainnet-getblockbynum-60836289", Head(60_836_289, datetime(2024, 4, 15, 3, 8, 27, tzinfo=UTC))),
    ],
)
def test_recorded_blocks_give_number_and_time(name: str, head: Head) -> None:
    assert read_head(recorded(name)) == head


def test_a_recorded_account_tells_when_its_energy_was_last_used() -> None:
    used_at = read_last_use(recorded("mainnet-getaccount-1trx-delegated"), ADDRESS, HEAD)
    assert used_at == datetime(2024, 12, 19, 9, 35, 27, tzinfo=UTC)


def test_a_recorded_account_that_never_made_a_call_was_never_used() -> None:
    assert read_last_use(recorded("testnet-getaccount-solidity"), "TVSTZkvVosqh4YHLwHmmNuqeyn967aE2iv", HEAD) is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"address": "TVSTZkvVosqh4YHLwHmmNuqeyn967aE2iv"},
        {"address": ADDRESS, "account_resource": []},
        {"address": ADDRESS, "account_resource": {"latest_consume_time_for_energy": "1734600927000"}},
        {"address": ADDRESS, "account_resource": {"latest_consume_time_for_energy": -1}},
        {"address": ADDRESS, "account_resource": {"latest_consume_time_for_energy": 10**18}},
        {"address": ADDRESS, "account_resource": {"latest_consume_time_for_energy": 1_800_000_000_000}},
    ],
)
def test_an_account_that_is_garbled_or_another_does_not_count_as_never_used(body: Any) -> None:
    with pytest.raises(Unusable):
        read_last_use(body, ADDRESS, HEAD)


def test_an_empty_object_is_an_account_that_was_never_activated() -> None:
    assert read_energy({}) is None


WRONG_KINDS = ["65000", -1, True, 65000.0, 6.5e4, None, [], {}, 10**30]


@pytest.mark.parametrize("value", [*WRONG_KINDS, 180_000_000_001])
def test_a_limit_of_the_wrong_kind_or_above_the_networks_is_not_believed(value: Any) -> None:
    with pytest.raises(Unusable, match="EnergyLimit"):
        read_energy({**NETWORK, "EnergyLimit": value})


@pytest.mark.parametrize("value", WRONG_KINDS)
def test_a_total_of_the_wrong_kind_is_not_believed(value: Any) -> None:
    with pytest.raises(Unusable, match="TotalEnergyLimit"):
        read_energy({"TotalEnergyLimit": value})


@pytest.mark.parametrize("value", ["1", -1, False, 1.0, None, 1_800_000_000_001])
def test_usage_of_the_wrong_kind_is_not_believed(value: Any) -> None:
    with pytest.raises(Unusable, match="EnergyUsed"):
        read_energy({**NETWORK, "EnergyUsed": value})


def test_usage_above_the_limit_is_normal() -> None:
    assert read_energy({**NETWORK, "EnergyLimit": 10, "EnergyUsed": 65_000}) == Energy(10, 65_000)


@pytest.mark.parametrize(
    "body",
    [
        {"EnergyLimit": 65_000},
        {"freeNetLimit": 600, "TotalNetLimit": 43_200_000_000},
        {"TotalEnergyLimit": 0},
        {"result": {"code": "OTHER_ERROR"}},
        {"success": False, "statusCode": 400},
    ],
)
def test_without_the_networks_total_nothing_missing_counts_as_zero(body: Any) -> None:
    with pytest.raises(Unusable, match="TotalEnergyLimit"):
        read_energy(body)


@pytest.mark.parametrize("body", [None, [], "", "this API is closed", 0, 65_000, True])
@pytest.mark.parametrize("read", [read_energy, read_head, read_burn_price, read_newest_price])
def test_a_body_that_is_no_object_is_not_believed(read: Any, body: Any) -> None:
    with pytest.raises(Unusable):
        read(body)


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"number": 1},
        {"timestamp": 1_777_445_121_000},
        {"number": "1", "timestamp": 1_777_445_121_000},
        {"number": 1, "timestamp": 1_777_445_121.5},
        {"number": 1, "timestamp": 10**17},
        {"number": 0, "timestamp": 1_777_445_121_000},
    ],
)
def test_a_block_without_a_sound_number_and_time_is_no_head(raw: Any) -> None:
    with pytest.raises(Unusable):
        read_head({"block_header": {"raw_data": raw}})


def test_the_burn_price_is_found_by_its_key() -> None:
    assert read_burn_price(recorded("testnet-getchainparameters-full")) == 420


def test_the_newest_of_the_energy_prices_is_the_burn_price() -> None:
    assert read_newest_price(recorded("nile-getenergyprices")) == 100


@pytest.mark.parametrize("entry", [{}, {"value": 0}, {"value": -1}, {"value": "100"}, {"value": 10**9}])
def test_a_missing_or_absurd_burn_price_is_unknown_and_not_zero(entry: dict[str, Any]) -> None:
    with pytest.raises(Unusable):
        read_burn_price(
            {"chainParameter": [{"key": "getTransactionFee", "value": 1000}, {"key": "getEnergyFee"} | entry]}
        )


@pytest.mark.parametrize(
    "prices", [None, "", "0", "0:", ":100", "0:100,", "0:0", "0:1e2", "0:-1", "0:²", "0:1" + "0" * 40]
)
def test_energy_prices_that_do_not_end_in_a_price_are_not_believed(prices: Any) -> None:
    with pytest.raises(Unusable):
        read_newest_price({"prices": prices})


words = st.text("energy:0,", max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
field_names = st.sampled_from(["EnergyLimit", "EnergyUsed", "TotalEnergyLimit", "Error", "energyLimit", "freeNetLimit"])


@given(st.dictionaries(field_names, json_values | st.integers(0, 200_000), max_size=5))
def test_energy_is_only_read_from_figures_that_stand_in_the_body(body: dict[str, Any]) -> None:
    try:
        energy = read_energy(body)
    except Unusable:
        return
    if energy is None:
        assert body == {}
        return
    assert type(body["TotalEnergyLimit"]) is int
    for key, figure in (("EnergyLimit", energy.limit), ("EnergyUsed", energy.used)):
        assert type(body.get(key, 0)) is int
        assert figure == body.get(key, 0) >= 0


@given(json_values)
def test_no_body_makes_a_reader_fail_in_another_way(body: Any) -> None:
    for read in (read_energy, read_head, read_burn_price, read_newest_price):
        try:
            read(body)
        except Unusable:
            continue


@given(st.integers(min_value=1, max_value=4_102_444_800_000))
def test_a_blocks_time_is_exact_to_the_millisecond(ms: int) -> None:
    head = read_head({"block_header": {"raw_data": {"number": 7, "timestamp": ms}}})
    assert (head.block_at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1) == ms
