"""The chain's energy arithmetic against histories computed with java-tron's own code."""

import json
from pathlib import Path
from typing import Any

import pytest

from energyd.sandbox import energy
from energyd.sandbox.energy import Network, Stake

VECTORS = json.loads((Path(__file__).parents[1] / "recordings" / "tron-energy-vectors.json").read_text())


def stake_of(stored: dict[str, Any]) -> Stake:
    return Stake(
        own=stored["own_frozen"],
        acquired=stored["acquired"],
        usage=stored["energy_usage"],
        last_slot=stored["last_slot"],
        window_raw=stored["window_raw"],
        window_optimized=stored["window_optimized"],
    )


def view_of(stake: Stake, slot: int, network: Network) -> dict[str, int]:
    return {
        "EnergyLimit": energy.energy_limit(stake, network),
        "EnergyUsed": energy.energy_used(stake, slot),
        "getaccount_energy_window_size": energy.booked(stake, 0, slot).window_raw,
        "spendable": energy.spendable(stake, slot, network),
    }


def apply(step: dict[str, Any], provider: Stake, receiver: Stake, network: Network) -> tuple[Stake, Stake]:
    slot = step["head_slot"]
    match step["op"]:
        case "delegate":
            return energy.delegated(provider, receiver, step["balance"])
        case "undelegate":
            provider, receiver, moved = energy.reclaimed(provider, receiver, step["balance"], slot, network)
            assert moved == step["transferred_usage"]
        case "consume":
            drawn = min(step["energy_usage_total"], energy.spendable(receiver, slot, network))
            assert drawn == step["energy_usage"]
            assert step["energy_usage_total"] - drawn == step["burned_energy"]
            receiver = energy.after_call(receiver, drawn, slot, success=step["success"])
    return provider, receiver


@pytest.mark.parametrize("scenario", VECTORS["scenarios"], ids=lambda scenario: scenario["name"])
def test_every_step_leaves_the_state_and_the_view_of_java_tron(scenario: dict[str, Any]) -> None:
    provider, receiver = stake_of(scenario["provider_start"]), stake_of(scenario["receiver_start"])
    for step in scenario["steps"]:
        network = Network(scenario["total_energy_limit"], step["total_energy_weight"])
        provider, receiver = apply(step, provider, receiver, network)
        assert (provider, receiver) == (stake_of(step["provider"]), stake_of(step["receiver"]))
        assert view_of(provider, step["head_slot"], network) == step["provider_view"]
        assert view_of(receiver, step["head_slot"], network) == step["receiver_view"]


def test_all_the_vectors_are_there() -> None:
    assert len(VECTORS["scenarios"]) == 24
    assert sum(len(scenario["steps"]) for scenario in VECTORS["scenarios"]) == 319
