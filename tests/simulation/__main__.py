"""Thousands of universes over all cores, or one again.

python -m tests.simulation --universes 10000          run many; a failure prints the command that repeats it
python -m tests.simulation --seed 4711                one universe with its whole trace
python -m tests.simulation --broken NAME --universes 100
                                                      a daemon broken on purpose: how many seeds does it survive?
"""

import argparse
import multiprocessing
import sys
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from . import faults, judges, universe
from .broken import BROKEN
from .universe import Story

AT_ONCE = 5.0
"""Seconds within which an order that met no fault is answered."""


@dataclass(slots=True)
class Sum:
    """Of one universe, or of many: how much happened in it."""

    charges: int = 0
    settled_by_a_person: int = 0
    orders: int = 0
    troubled: int = 0
    """Orders that met a fault: no good answer came at once."""

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(*(getattr(self, name) + getattr(other, name) for name in Sum.__slots__))

    def __str__(self) -> str:
        return (
            f"{self.orders} orders, of which {self.troubled} met a fault; {self.charges} charges; "
            f"{self.settled_by_a_person} orders settled by a person"
        )


Outcome = tuple[int, list[str], Sum]
"""Seed, what the judges say, and what happened."""


def live(seed: int, broken: str = "") -> tuple[Story, list[str]]:
    with BROKEN[broken]() if broken else nullcontext():
        return universe.run(faults.draw(seed), faults.storm, judges.verdict)


def _outcome(broken: str, seed: int) -> Outcome:
    try:
        story, said = live(seed, broken)
    except Exception as error:  # noqa: BLE001 - one universe that breaks must not hide the others
        return seed, [f"the universe broke: {error!r}"], Sum()
    return seed, said, _sum(story)


def _sum(story: Story) -> Sum:
    intended = {line.fields["order_key"]: line.at for line in story.lines if line.event == "order.intended"}
    answered = {
        line.fields["order_key"]
        for line in story.lines
        if line.event == "order.placed" and line.at < intended.get(line.fields["order_key"], 0.0) + AT_ONCE
    }
    return Sum(len(story.netts.charges), story.settled_by_a_person, len(intended), len(intended.keys() - answered))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Pretend universes of energyd.")
    parser.add_argument("--universes", type=int, default=100, metavar="N", help="how many seeds to run (100)")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first of them (0)")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count(), metavar="N")
    parser.add_argument("--seed", type=int, help="run this one universe and print its trace")
    parser.add_argument("--broken", choices=sorted(BROKEN), default="", metavar="NAME", help=", ".join(sorted(BROKEN)))
    asked = parser.parse_args()
    return _one(asked.seed, asked.broken) if asked.seed is not None else _many(asked)


def _one(seed: int, broken: str) -> int:
    story, said = live(seed, broken)
    sys.stdout.buffer.write(b"\n".join(story.trace) + b"\n")
    sys.stdout.flush()
    sys.stderr.write("\n".join([f"{story.plan}", *(said or ["nothing to complain about"]), ""]))
    return 1 if said else 0


def _many(asked: argparse.Namespace) -> int:
    seeds = range(asked.first, asked.first + asked.universes)
    happened = Sum()
    failed: Counter[str] = Counter()
    failures = 0
    with multiprocessing.Pool(asked.processes) as pool, _progress() as progress:
        bar = progress.add_task(asked.broken or "universes", total=len(seeds), failed=0)
        for seed, said, sum_of_one in pool.imap_unordered(partial(_outcome, asked.broken), seeds):
            happened, failures = happened + sum_of_one, failures + bool(said)
            failed.update({sentence.partition(":")[0] for sentence in said})
            if said and not asked.broken:
                progress.console.print(_failure(seed, said), markup=False, highlight=False, soft_wrap=True)
            progress.update(bar, advance=1, failed=failures)
    told = [f"{len(seeds)} universes, {failures} failed; {happened}"]
    told += [f"  {name} in {count}" for name, count in failed.most_common()]
    if asked.broken:
        told.append(f"{asked.broken} survived {len(seeds) - failures} of {len(seeds)} seeds")
    sys.stdout.write("\n".join([*told, ""]))
    return int(failures == 0) if asked.broken else int(failures > 0)


def _failure(seed: int, said: list[str]) -> str:
    more = f"\n  and {len(said) - 3} more" if len(said) > 3 else ""
    told = "\n  ".join(sentence[:400] for sentence in said[:3])
    return f"seed {seed} failed; again with: python -m tests.simulation --seed {seed}\n  {told}{more}"


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TimeRemainingColumn(),
    )


if __name__ == "__main__":
    sys.exit(main())
