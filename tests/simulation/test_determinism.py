"""One seed is one universe: the same trace byte for byte, in the same process or with another hash seed."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from . import faults, judges, universe
from .universe import Plan

SEED = 58
ROOT = Path(__file__).parents[2]


def short(seed: int) -> Plan:
    return replace(faults.draw(seed), storm=timedelta(minutes=20), calm=timedelta(minutes=5))


def digest(seed: int = SEED) -> str:
    story, _ = universe.run(short(seed), faults.storm, lambda _: [])
    assert len(story.trace) > 500
    return hashlib.sha256(b"\n".join(story.trace)).hexdigest()


def test_the_same_seed_gives_the_same_trace_twice() -> None:
    assert digest() == digest()


def test_the_same_seed_gives_the_same_trace_in_a_process_with_another_hash_seed() -> None:
    program = "from tests.simulation.test_determinism import digest; print(digest())"
    environment = os.environ | {"PYTHONHASHSEED": "4711", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == digest()


def test_another_seed_gives_another_trace() -> None:
    assert digest() != digest(SEED + 1)


def test_the_judges_have_something_to_judge() -> None:
    assert len(judges.JUDGES) >= 12
