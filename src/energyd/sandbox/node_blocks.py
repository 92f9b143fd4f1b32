"""Blocks, transactions and receipts of a World in the shapes of a TRON node.

`raw_data_hex` stands for the transaction's bytes but is not protobuf: nobody can decode it. Ids are the World's.
"""

import hashlib
import json
from typing import Any

from energyd.sandbox import addresses
from energyd.sandbox.history import Delivery, Event, Reclaim, Use
from energyd.sandbox.world import World

_EMPTY_ROOT = "0" * 64
_WITNESSES = tuple(addresses.made_up(f"witness {number}") for number in range(27))
_BLOCK_VERSION = 32
_CALL_BYTES, _DELEGATION_BYTES = 345, 283
_TRANSFER_TOPIC = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
_TRANSFER_DATA_LENGTH = 136


def spelled(address: str, *, visible: bool) -> str:
    return address if visible else addresses.hex_of(address)


def drop_zeros(fields: dict[str, Any]) -> dict[str, Any]:
    """As protobuf does: a figure of zero, an empty text and an empty list are not there."""
    return {name: value for name, value in fields.items() if value or isinstance(value, dict)}


def header(world: World, block: int, *, visible: bool) -> dict[str, Any]:
    """A block without its transactions."""
    root = hashlib.sha256(f"root:{block}".encode()).hexdigest() if block in world.events_of_block else _EMPTY_ROOT
    raw: dict[str, Any] = {
        "number": block,
        "txTrieRoot": root,
        "witness_address": spelled(_WITNESSES[block % len(_WITNESSES)], visible=visible),
        "parentHash": world.block_id(block - 1),
        "version": _BLOCK_VERSION,
        "timestamp": world.block_time_ms(block),
    }
    signature = hashlib.sha512(world.block_id(block).encode()).hexdigest() + "00"
    return {"blockID": world.block_id(block), "block_header": {"raw_data": raw, "witness_signature": signature}}


def whole_block(world: World, block: int, *, visible: bool) -> dict[str, Any]:
    events = world.events_of_block.get(block, ())
    transactions = [_transaction_of(world, event, visible=visible) for event in events]
    return header(world, block, visible=visible) | ({"transactions": transactions} if transactions else {})


def transaction(
    world: World, kind: str, value: dict[str, Any], block: int, ret: dict[str, str], **more: Any
) -> dict[str, Any]:
    """An unsigned transaction around one contract value, as `triggerconstantcontract` returns it."""
    reference = world.block_id(block)
    parameter = {"value": value, "type_url": f"type.googleapis.com/protocol.{kind}"}
    raw: dict[str, Any] = {
        "contract": [{"parameter": parameter, "type": kind}],
        "ref_block_bytes": reference[12:16],
        "ref_block_hash": reference[16:32],
        "expiration": world.block_time_ms(block) + 60_000,
        **more,
        "timestamp": world.block_time_ms(block),
    }
    raw_bytes = json.dumps(raw, separators=(",", ":")).encode()
    tx_id = hashlib.sha256(raw_bytes).hexdigest()
    return {"ret": [ret], "txID": tx_id, "raw_data": raw, "raw_data_hex": raw_bytes.hex()}


def _transaction_of(world: World, event: Event, *, visible: bool) -> dict[str, Any]:
    kind, value, more = _contract_value(event, visible=visible)
    result = event.result if isinstance(event, Use) else "SUCCESS"
    made = transaction(world, kind, value, event.block - 1, {"contractRet": result}, **more)
    signature = hashlib.sha512(event.tx_id.encode()).hexdigest() + "00"
    return made | {"signature": [signature], "txID": event.tx_id}


def _contract_value(event: Event, *, visible: bool) -> tuple[str, dict[str, Any], dict[str, Any]]:
    if isinstance(event, Use):
        call = {
            "data": event.data,
            "owner_address": spelled(event.address, visible=visible),
            "contract_address": spelled(event.contract, visible=visible),
        }
        return "TriggerSmartContract", call, {"fee_limit": 100_000_000}
    kind = "DelegateResourceContract" if isinstance(event, Delivery) else "UnDelegateResourceContract"
    value = {
        "balance": event.balance_sun,
        "resource": "ENERGY",
        "receiver_address": spelled(event.receiver, visible=visible),
        "owner_address": spelled(event.owner, visible=visible),
    }
    return kind, value, {}


def receipt(world: World, event: Event, *, visible: bool) -> dict[str, Any]:
    """The info of a transaction that is in a block: what it used and what it burned."""
    common = {"id": event.tx_id, "blockNumber": event.block, "blockTimeStamp": world.block_time_ms(event.block)}
    if isinstance(event, Delivery | Reclaim):
        return common | {"contractResult": [""], "receipt": {"net_usage": _DELEGATION_BYTES}}
    figures = {
        "energy_usage": event.from_stake,
        "energy_fee": event.burned_sun,
        "energy_usage_total": event.energy,
        "net_usage": _CALL_BYTES,
        "result": event.result,
        "energy_penalty_total": event.penalty,
    }
    succeeded = event.result == "SUCCESS"
    return drop_zeros(
        common
        | {"fee": event.burned_sun, "contractResult": ["0" * 64 if succeeded else ""]}
        | {"contract_address": spelled(event.contract, visible=visible), "receipt": drop_zeros(figures)}
        | ({} if succeeded else {"result": "FAILED", "resMessage": event.result})
        | {"log": _log(event, visible=visible) if succeeded else []}
    )


def _log(use: Use, *, visible: bool) -> list[dict[str, Any]]:
    if len(use.data) != _TRANSFER_DATA_LENGTH:
        return []
    address = use.contract if visible else addresses.hex_of(use.contract)[2:]
    topics = [_TRANSFER_TOPIC, addresses.word_of(use.address), use.data[8:72]]
    return [{"address": address, "topics": topics, "data": use.data[72:]}]
