"""The benchmarks are no tests: nothing here asserts a time. But their command must not rot."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_command_measures_everything_and_prints_json() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "--tiny", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert {row["benchmark"] for row in rows} == {"watching", "deciding", "ordering", "starting", "addresses"}
    assert all(row["ratio"] > 0 for row in rows)
