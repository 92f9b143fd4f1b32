"""A handful of universes; `python -m tests.simulation` runs thousands."""

import pytest

from . import faults, judges, universe

SEEDS = (14, 23, 33, 58)
"""Quick ones with many faults."""


@pytest.mark.parametrize("seed", SEEDS)
def test_a_universe_stays_safe_in_its_storm_and_settles_afterwards(seed: int) -> None:
    _, said = universe.run(faults.draw(seed), faults.storm, judges.verdict)
    assert said == [], f"again with: python -m tests.simulation --seed {seed}"


def test_every_fault_is_drawn_sooner_or_later() -> None:
    drawn = {name for seed in range(400) for name in faults.draw(seed).faults}
    assert drawn == set(faults.FAULTS)
