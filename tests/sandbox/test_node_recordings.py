"""Two arms: what real nodes answered, and what the sandbox answers to the like of it, have one shape and meaning."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from energyd.sandbox import addresses, contracts
from energyd.sandbox.contracts import USDT
from energyd.sandbox.node import Node
from energyd.sandbox.world import World

FOLDER = Path(__file__).parents[1] / "recordings" / "tron-wire"
TRX = 1_000_000
HOLDER, FRESH = "TZ4UXDV5ZhNW7fb2AMSbgfAEZ7hWsnYS2g", addresses.made_up("fresh")

# TRC-10 tokens, bandwidth accounting, locks and the deployer's share are not part of the pretend chain.
NOT_MODELLED = {
    "assetNetUsed",
    "assetNetLimit",
    "assetV2",
    "free_asset_net_usageV2",
    "freeNetUsed",
    "latest_consume_time",
    "net_fee",
    "net_usage",
    "fee",
    "frozen_balance_for_bandwidth",
    "expire_time_for_energy",
    "origin_energy_usage",
    "energy_penalty",
    "energy_usage",
    "energy_factor",
    "consume_user_resource_percent",
    "Permission_id",
    "fee_limit",
    "version",
    "latest_consume_time_for_energy",
    "p2pVersion",
    "versionNum",
    "listenPort",
    "discoverEnable",
    "maxConnectCount",
    "machineInfo",
}
NOT_PRODUCED = {
    "mainnet-undelegateresource-none": "a transaction builder, which a watcher never calls",
    "nile-getcanwithdrawunfreezeamount-none": "about staking, which a watcher never asks",
    "testnet-gettransactioninfobyid-create-account": "activations are not recorded as transactions",
}


def recorded(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / f"{name}.json").read_text()))


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items() if key not in NOT_MODELLED}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@dataclass
class Arm:
    """How to bring the sandbox to answer like one recording: what happens first, then what is asked."""

    before: Callable[[World], object] = lambda _: None
    path: str | None = None
    json: dict[str, Any] | Callable[[World], dict[str, Any]] | None = None


def add(world: World, address: str = HOLDER, **figures: Any) -> None:
    world.add_account(address, **figures)


def add_one_trx(world: World) -> None:
    add(world)
    world.delegate(world.lender, HOLDER, TRX)


def spend(world: World, stake: int = 0) -> None:
    add(world, stake_energy=stake)
    world.transfer(HOLDER, FRESH)


def transfer_call(world: World) -> dict[str, Any]:
    add(world, tokens=0)
    words = contracts.transfer_data(FRESH, 1)[8:]
    selector = {"function_selector": "transfer(address,uint256)", "parameter": words}
    return {"owner_address": HOLDER, "contract_address": USDT, **selector, "visible": True}


def balance_call(world: World) -> dict[str, Any]:
    add(world)
    selector = {"function_selector": "balanceOf(address)", "parameter": addresses.word_of(HOLDER)}
    return {"owner_address": addresses.hex_of(HOLDER), "contract_address": addresses.hex_of(USDT), **selector}


def last_transaction(*, visible: bool) -> Callable[[World], dict[str, Any]]:
    return lambda world: {"value": list(world.event_of_transaction)[-1], "visible": visible}


def newest_block(world: World) -> dict[str, Any]:
    return {"num": world.head, "id_or_num": str(world.head), "startNum": world.head - 3, "endNum": world.head + 1}


ASKED_BY_HEX = {"address": addresses.hex_of(HOLDER)}
ARMS = {
    "mainnet-error-invalid-hex": Arm(path="/wallet/getaccount", json={"address": "(not hex)"}),
    "mainnet-getaccount-1trx-delegated": Arm(add_one_trx),
    "mainnet-getaccountresource-1trx-delegated": Arm(add_one_trx),
    "mainnet-getaccountresource-1trx-delegated-2026": Arm(add_one_trx),
    "mainnet-getaccountresource-no-energy": Arm(add, json=ASKED_BY_HEX),
    "mainnet-getblockbylimitnext-1-5": Arm(json=newest_block),
    "mainnet-gettransactioninfobyblocknum-84940364": Arm(lambda world: spend(world, stake=140_000), json=newest_block),
    "mainnet-gettransactioninfobyid-bandwidth-only": Arm(add_one_trx, json=last_transaction(visible=False)),
    "mainnet-gettransactioninfobyid-usdt-all-burned-visible": Arm(spend, json=last_transaction(visible=True)),
    "mainnet-gettransactioninfobyid-usdt-partial-stake-420sun": Arm(
        lambda world: spend(world, stake=4_700), json=last_transaction(visible=False)
    ),
    "mainnet-triggerconstantcontract-missing-owner": Arm(),
    "nile-error-invalid-address-field": Arm(add),
    "nile-estimateenergy-balanceof": Arm(json=balance_call),
    "nile-getaccountresource": Arm(add, json=ASKED_BY_HEX),
    "nile-getblock-header-only": Arm(json=lambda world: {**newest_block(world), "detail": False}),
    "nile-getcontractinfo-tether": Arm(json={"value": addresses.hex_of(USDT)}),
    "nile-getdelegatedresourceaccountindexv2-none": Arm(),
    "nile-getdelegatedresourcev2-locked": Arm(
        add_one_trx,
        json=lambda world: {"fromAddress": world.lender, "toAddress": HOLDER, "visible": True},
    ),
    "nile-getdelegatedresourcev2-none": Arm(),
    "nile-getenergyprices": Arm(),
    "nile-getnextmaintenancetime": Arm(),
    "nile-getnodeinfo": Arm(),
    "nile-triggerconstantcontract-balanceof": Arm(json=balance_call),
    "testnet-getaccount-solidity": Arm(lambda world: add(world, "TVSTZkvVosqh4YHLwHmmNuqeyn967aE2iv")),
    "testnet-getnowblock-solidity-empty": Arm(),
}
OWN_TESTS = {
    "mainnet-getblockbynum-60836289",
    "mainnet-gettransactioninfobyblocknum-30864600",
    "mainnet-triggerconstantcontract-revert-visible",
    "nile-gettransactioninfobyblocknum",
    "testnet-getchainparameters-full",
    "trongrid-403-daily",
    "trongrid-403-frequency-fullnode",
}


def test_every_recording_is_compared_or_named_as_not_produced() -> None:
    files = {path.stem for path in FOLDER.glob("*.json")}
    assert files == set(ARMS) | OWN_TESTS | set(NOT_PRODUCED)


@pytest.mark.parametrize("name", sorted(ARMS))
def test_the_answer_has_the_shape_of_the_recorded_one(name: str, world: World, ask: Any, clock: Any) -> None:
    arm, real = ARMS[name], recorded(name)
    arm.before(world)
    clock.move(seconds=3)
    world.advance()
    body = arm.json(world) if callable(arm.json) else arm.json
    node = Node(world, release="4.8.2" if "address-field" in name else "4.8.1", estimates=True)
    reply = ask(node, "POST", arm.path or real["request"]["path"], body or real["request"]["json"])
    assert reply.status == real.get("status", 200)
    assert shape(reply.json) == shape(real["body"])
    assert error_of(reply.json) == error_of(real["body"])


def error_of(body: Any) -> str | None:
    """An error without the place in the text, which differs from request to request."""
    text = body.get("Error") if isinstance(body, dict) else None
    head, _, problem = (text or "").partition(" : 1:")
    return f"{head}: {problem.partition(': ')[2]}" if problem else text


@pytest.mark.parametrize("name", ["", "-2026"])
def test_a_trx_of_stake_gives_the_recorded_energy(name: str, ask: Any, clock: Any) -> None:
    real = recorded(f"mainnet-getaccountresource-1trx-delegated{name}")
    world = World(now=clock, rng=Random(1), weight_trx=real["body"]["TotalEnergyWeight"])
    add_one_trx(world)
    reply = ask(Node(world), "POST", "/wallet/getaccountresource", real["request"]["json"])
    for key in ("EnergyLimit", "TotalEnergyLimit", "TotalEnergyWeight"):
        assert reply.json[key] == real["body"][key]


def test_transactions_of_a_block_look_like_recorded_ones_of_their_kind(world: World, ask: Any, clock: Any) -> None:
    real = recorded("mainnet-getblockbynum-60836289")["body"]
    add_one_trx(world)
    world.transfer(HOLDER, FRESH)
    world.undelegate(world.lender, HOLDER, TRX)
    clock.move(seconds=3)
    reply = ask(Node(world), "POST", "/wallet/getblockbynum", {"num": world.head + 1, "visible": True}).json

    def by_kind(body: Any) -> dict[str, Any]:
        return {made["raw_data"]["contract"][0]["type"]: shape(made) for made in body["transactions"]}

    assert by_kind(reply) == by_kind(real)
    assert {**shape(reply), "transactions": 0} == {**shape(real), "transactions": 0}


def test_receipts_look_like_recorded_ones_of_their_kind(world: World, ask: Any, clock: Any) -> None:
    add_one_trx(world)
    world.transfer(HOLDER, FRESH)
    clock.move(seconds=3)
    body = ask(Node(world), "POST", "/wallet/gettransactioninfobyblocknum", {"num": world.head + 1}).json
    plain, call = shape(body[0]), shape(body[1])
    call["receipt"].pop("energy_fee")
    old = recorded("mainnet-gettransactioninfobyblocknum-30864600")["body"]
    call["receipt"].pop("energy_penalty_total")
    assert call == shape(old[1])
    assert plain == shape(old[0]) == shape(recorded("nile-gettransactioninfobyblocknum")["body"][0])


def test_a_transfer_without_tokens_reverts_as_recorded(world: World, node: Node, ask: Any) -> None:
    real = recorded("mainnet-triggerconstantcontract-revert-visible")["body"]
    body = ask(node, "POST", "/wallet/triggerconstantcontract", transfer_call(world)).json
    assert {key: body[key] for key in ("result", "constant_result", "energy_used", "energy_penalty")} == {
        key: real[key] for key in ("result", "constant_result", "energy_used", "energy_penalty")
    }
    assert body["transaction"]["ret"] == real["transaction"]["ret"]
    hidden = transfer_call(world) | {
        "visible": False,
        "owner_address": addresses.hex_of(HOLDER),
        "contract_address": addresses.hex_of(USDT),
    }
    message = ask(node, "POST", "/wallet/triggerconstantcontract", hidden).json["result"]["message"]
    assert message == "524556455254206f70636f6465206578656375746564"


def test_chain_parameters_have_the_recorded_keys_and_no_zeros(node: Node, ask: Any) -> None:
    real = recorded("testnet-getchainparameters-full")["body"]["chainParameter"]
    body = ask(node, "POST", "/wallet/getchainparameters").json["chainParameter"]
    values = {entry["key"]: entry.get("value") for entry in body}
    assert {entry["key"] for entry in real} <= set(values)
    assert 0 not in values.values()
    assert values["getEnergyFee"] == 100


@pytest.mark.parametrize(("mood", "name"), [("daily", "daily"), ("frequency", "frequency-fullnode")])
def test_limits_of_trongrid_are_told_as_recorded(mood: str, name: str, node: Node, ask: Any) -> None:
    real = recorded(f"trongrid-403-{name}")
    node.mood(mood, times=1)
    reply = ask(node, "POST", real["request"]["path"], real["request"]["json"])
    assert (reply.status, reply.json) == (real["status"], real["body"])
    assert ask(node, "POST", "/wallet/getnextmaintenancetime").status == 200
