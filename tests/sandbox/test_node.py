"""The pretend node answers as real ones do, faults included."""

from itertools import pairwise
from typing import Any

import pytest

from energyd.sandbox import addresses
from energyd.sandbox.asgi import ConnectionDropped
from energyd.sandbox.contracts import USDT, transfer_data
from energyd.sandbox.node import Node
from energyd.sandbox.world import World

A, B = addresses.made_up("a"), addresses.made_up("b")
RESOURCE = "/wallet/getaccountresource"
SEEN = {"address": A, "visible": True}
TRX = 1_000_000


@pytest.fixture(autouse=True)
def account(world: World) -> None:
    world.add_account(A)


def test_an_account_without_energy_leaves_both_figures_out(node: Node, ask: Any) -> None:
    body = ask(node, "POST", RESOURCE, SEEN).json
    assert not {"EnergyLimit", "EnergyUsed"} & set(body)
    assert body["TotalEnergyLimit"] == 180_000_000_000


def test_a_rental_shows_as_limit_and_its_use_as_used(world: World, node: Node, ask: Any, clock: Any) -> None:
    world.rent(A, 131_000)
    clock.move(seconds=3)
    world.transfer(A, A)
    body = ask(node, "POST", RESOURCE, SEEN).json
    assert body["EnergyLimit"] >= 131_000
    assert body["EnergyUsed"] == 64_285


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ({"address": B, "visible": True}, {}),
        ({"adress": A, "visible": True}, {}),
        ({"address": A[:-1] + ("2" if A[-1] == "1" else "1"), "visible": True}, {}),
        ({"address": "TQnlxx", "visible": True}, "class java.lang.IllegalArgumentException : Illegal character l at 3"),
        ({"address": A}, "class org.bouncycastle.util.encoders.DecoderException : exception decoding Hex string"),
    ],
)
def test_what_is_no_account_is_empty_or_an_error(sent: Any, answer: Any, node: Node, ask: Any) -> None:
    reply = ask(node, "POST", RESOURCE, sent)
    assert reply.status == 200
    assert reply.json == answer if isinstance(answer, dict) else reply.json["Error"].startswith(answer)


@pytest.mark.parametrize(("release", "library"), [("4.8.1", "com.alibaba.fastjson"), ("4.8.2", "org.tron.json")])
def test_a_body_that_is_not_json_is_an_error_with_status_200(
    release: str, library: str, world: World, ask: Any
) -> None:
    reply = ask(Node(world, release=release), "POST", RESOURCE, raw=b"{oops")
    assert reply.status == 200
    assert reply.json["Error"].startswith(f"class {library}.JSONException")


def test_getaccount_has_its_own_errors(node: Node, ask: Any) -> None:
    bad = ask(node, "POST", "/wallet/getaccount", {"address": "TQnlxx", "visible": True}).json["Error"]
    assert "ParseException" in bad
    assert "INVALID base58 String" in bad
    wrong = A[:-1] + ("2" if A[-1] == "1" else "1")
    null = ask(node, "POST", "/wallet/getaccount", {"address": wrong, "visible": True}).json
    assert null == {"Error": "class java.lang.NullPointerException : null"}


def test_get_and_post_and_both_spellings_tell_the_same(world: World, node: Node, ask: Any, clock: Any) -> None:
    world.rent(A, 65_000)
    clock.move(seconds=3)
    posted = ask(node, "POST", RESOURCE, SEEN).json
    assert posted == ask(node, "GET", f"{RESOURCE}?address={A}&visible=true").json
    assert posted == ask(node, "GET", f"{RESOURCE}?address={addresses.hex_of(A)}").json


def test_a_delegation_shows_at_once_is_in_a_block_next_and_solid_later(
    world: World, node: Node, ask: Any, clock: Any
) -> None:
    delivery = world.delegate(world.lender, A, 7_000 * TRX)
    receipt = {"value": delivery.tx_id}
    solid = "/walletsolidity/getaccount"

    def seen() -> tuple[bool, bool, bool]:
        shown = "EnergyLimit" in ask(node, "POST", RESOURCE, SEEN).json
        included = ask(node, "POST", "/wallet/gettransactioninfobyid", receipt).json != {}
        return shown, included, "acquired_delegated" in str(ask(node, "POST", solid, SEEN).json)

    stages = [seen()]
    for seconds in (3, 40, 20):
        clock.move(seconds=seconds)
        stages.append(seen())
    assert stages == [(True, False, False), (True, True, False), (True, True, False), (True, True, True)]


def test_without_pending_calls_a_delegation_waits_for_its_block(world: World, node: Node, ask: Any, clock: Any) -> None:
    node.shows_pending = False
    world.delegate(world.lender, A, 7_000 * TRX)
    assert "EnergyLimit" not in ask(node, "POST", RESOURCE, SEEN).json
    clock.move(seconds=3)
    assert "EnergyLimit" in ask(node, "POST", RESOURCE, SEEN).json


def test_a_balancer_tells_older_things_after_newer_ones(world: World, node: Node, ask: Any) -> None:
    node.lags = (0, 3)
    world.delegate(world.lender, A, 7_000 * TRX)
    shown = ["EnergyLimit" in ask(node, "POST", RESOURCE, SEEN).json for _ in range(4)]
    assert sorted(shown) == [False, False, True, True]
    assert shown[0] != shown[1]


def test_a_stale_node_stays_where_it_was(node: Node, ask: Any, clock: Any) -> None:
    def head() -> int:
        return int(ask(node, "GET", "/wallet/getblock").json["block_header"]["raw_data"]["timestamp"])

    before = head()
    node.stale = True
    clock.move(minutes=5)
    assert head() == before
    node.stale = False
    assert head() == before + 300_000


def test_blocks_are_chained_and_list_what_happened_in_them(world: World, node: Node, ask: Any, clock: Any) -> None:
    world.transfer(A, A)
    clock.move(seconds=6)
    world.advance()
    asked = {"startNum": world.head - 2, "endNum": world.head + 1}
    blocks = ask(node, "POST", "/wallet/getblockbylimitnext", asked).json["block"]
    for older, newer in pairwise(blocks):
        assert newer["block_header"]["raw_data"]["parentHash"] == older["blockID"]
    kinds = [len(block.get("transactions", [])) for block in blocks]
    assert kinds == [0, 1, 0]
    by_id = ask(node, "POST", "/wallet/getblock", {"id_or_num": blocks[1]["blockID"], "detail": True}).json
    assert by_id == blocks[1]


@pytest.mark.parametrize("number", [0, -1, 10**12, "x"])
def test_a_block_that_is_not_there_is_empty(number: Any, node: Node, ask: Any) -> None:
    assert ask(node, "POST", "/wallet/getblockbynum", {"num": number}).json == {}
    assert ask(node, "POST", "/wallet/gettransactioninfobyblocknum", {"num": number}).json in ({}, [])


def test_a_call_is_measured_by_selector_and_by_data_alike(world: World, node: Node, ask: Any) -> None:
    data = transfer_data(B, 5)
    asked = {"owner_address": A, "contract_address": USDT, "visible": True}
    selected = {"function_selector": "transfer(address,uint256)", "parameter": data[8:]}
    by_data = ask(node, "POST", "/wallet/triggerconstantcontract", asked | {"data": data}).json
    assert by_data == ask(node, "POST", "/wallet/triggerconstantcontract", asked | selected).json
    assert (by_data["energy_used"], by_data["energy_penalty"]) == (130_285, 100_635)
    world.transfer(A, B)
    again = ask(node, "POST", "/wallet/triggerconstantcontract", asked | selected).json
    assert again["energy_used"] == 64_285


def test_estimates_are_off_unless_switched_on_and_overshoot(world: World, ask: Any) -> None:
    asked = {"owner_address": A, "contract_address": USDT, "visible": True, "data": transfer_data(A, 5)}
    off = ask(Node(world), "POST", "/wallet/estimateenergy", asked).json
    assert off["result"]["message"] == "this node does not support estimate energy"
    assert ask(Node(world, estimates=True), "POST", "/wallet/estimateenergy", asked).json["energy_required"] == 72_321
    world.set_burn_price(210)
    assert ask(Node(world, estimates=True), "POST", "/wallet/estimateenergy", asked).json["energy_required"] == 68_303


@pytest.mark.parametrize("path", ["/wallet/nothing", "/walletsolidity/getaccountresource", "/elsewhere", "/"])
def test_what_a_node_does_not_offer_is_not_found(path: str, node: Node, ask: Any) -> None:
    assert ask(node, "POST", path).status == 404


@pytest.mark.parametrize(
    ("mood", "status", "body"),
    [
        ("empty", 200, b"{}"),
        ("busy", 200, b'{"Error":"class java.lang.IllegalAccessException : lack of computing resources"}'),
        ("lite", 200, b"this API is closed because this node is a lite fullnode"),
        ("disabled", 404, b'{"Error":"this API is unavailable due to config"}'),
        ("empty_body", 200, b""),
        ("too_many", 429, b""),
        ("html_502", 502, b"<html><body><h1>502 Bad Gateway</h1></body></html>"),
    ],
)
def test_a_mood_lasts_as_long_as_it_was_set_for(mood: str, status: int, body: bytes, node: Node, ask: Any) -> None:
    node.mood(mood, "getaccountresource", times=1)
    assert ask(node, "GET", "/wallet/getnodeinfo").json["totalFlow"] == 0
    reply = ask(node, "POST", RESOURCE, SEEN)
    assert (reply.status, reply.body) == (status, body)
    assert ask(node, "POST", RESOURCE, SEEN).json["TotalEnergyLimit"]


def test_moods_take_turns_and_are_cleared(node: Node, ask: Any) -> None:
    node.mood("empty", times=1)
    node.mood("too_many")
    assert [ask(node, "POST", RESOURCE, SEEN).status for _ in range(3)] == [200, 429, 429]
    node.moods.clear()
    assert ask(node, "POST", RESOURCE, SEEN).json["TotalEnergyLimit"]


def test_truncated_json_cannot_be_read_and_a_drop_is_no_answer(node: Node, ask: Any) -> None:
    node.mood("truncated", times=1)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        _ = ask(node, "POST", RESOURCE, SEEN).json
    node.mood("drop", times=1)
    with pytest.raises(ConnectionDropped):
        ask(node, "POST", RESOURCE, SEEN)
