"""`python -m tests.benchmarks`: what energyd costs, as ratios that are measured in one run.

Figures of different runs or machines say little; the ratio of two that took turns in one run does. The ledgers are put
where temporary files go, so TMPDIR should name a folder on the disk that is to be judged.
"""

import argparse
import json
import sys
from dataclasses import asdict

from . import processes, running
from .parts import Row, Size

BENCHMARKS = {
    "watching": running.watching,
    "deciding": running.deciding,
    "ordering": running.ordering,
    "starting": processes.starting,
    "addresses": processes.many_addresses,
}
FULL = Size(turns=7, readings=1_000, decisions=10_000, orders=200, starts=15, addresses=10_000)
TINY = Size(turns=1, readings=10, decisions=100, orders=3, starts=1, addresses=20)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("only", nargs="*", choices=[[], *BENCHMARKS], help="which of them; default: all")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    parser.add_argument("--tiny", action="store_true", help="only show that they run; the figures mean nothing")
    wanted = parser.parse_args()
    size = TINY if wanted.tiny else FULL
    rows = []
    for name in wanted.only or BENCHMARKS:
        for row in BENCHMARKS[name](size):
            rows.append(asdict(row) | {"benchmark": name, "ratio": row.ratio})
            if not wanted.json:
                _print(row)
    if wanted.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")


def _print(row: Row) -> None:
    figures = f"{row.figure:9,.2f} {row.unit:2} against {row.its_figure:,.2f} {row.unit}, {row.against}"
    sys.stdout.write(f"{row.name:46} {row.ratio:7.2f} x  {figures}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
