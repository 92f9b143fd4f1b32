"""Whose turn it is: fair, spread, never two looks at one address, and no address lost."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import given, settings, strategies as st

from energyd.rounds import Rounds
from energyd.sandbox.virtual_time import VirtualLoop

EPOCH = datetime(2026, 1, 5, tzinfo=UTC)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


class Notes:
    """A look that takes a while and writes down who was looked at when."""

    def __init__(self, again_in: float | None = 10, takes: float = 0) -> None:
        self.again_in, self.takes = again_in, takes
        self.looks: list[tuple[float, str]] = []
        self.running: Counter[str] = Counter()
        self.most_at_once = 0

    async def __call__(self, address: str) -> timedelta | None:
        self.looks.append((asyncio.get_running_loop().time(), address))
        self.running[address] += 1
        assert self.running[address] == 1, "two looks at one address"
        self.most_at_once = max(self.most_at_once, self.running.total())
        await asyncio.sleep(self.takes)
        self.running[address] -= 1
        return None if self.again_in is None else seconds(self.again_in)

    def of(self, address: str) -> list[float]:
        return [at for at, who in self.looks if who == address]


def run(story: Callable[[Rounds], Awaitable[None]], look: Any, at_once: int = 8) -> None:
    async def main() -> None:
        rounds = Rounds(look, at_once=at_once, rng=Random(3))
        going = asyncio.create_task(rounds.run())
        await story(rounds)
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        await rounds.finish(seconds(0))

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(EPOCH)) as runner:
        runner.run(main())


def test_an_address_is_looked_at_again_after_what_its_look_said_counted_from_its_beginning() -> None:
    notes = Notes(again_in=10, takes=3)

    async def story(rounds: Rounds) -> None:
        rounds.take_on(["a"])
        await asyncio.sleep(100)

    run(story, notes)
    assert notes.of("a") == [10.0 * turn for turn in range(10)]


def test_a_look_that_takes_longer_than_its_pace_is_followed_by_the_next_at_once() -> None:
    notes = Notes(again_in=2, takes=5)

    async def story(rounds: Rounds) -> None:
        rounds.take_on(["a"])
        await asyncio.sleep(24)

    run(story, notes)
    assert notes.of("a") == [0, 5, 10, 15, 20]


def test_first_looks_are_spread() -> None:
    notes = Notes(again_in=None)
    names = [f"a{number}" for number in range(200)]

    async def story(rounds: Rounds) -> None:
        rounds.take_on(names, spread=seconds(10))
        await asyncio.sleep(11)

    run(story, notes)
    moments = [at for at, _ in notes.looks]
    assert len(moments) == 200
    assert max(moments) <= 10
    assert sum(moment < 5 for moment in moments) in range(70, 131)


def test_when_there_is_more_to_do_than_can_be_done_everyone_has_the_same_number_of_turns() -> None:
    notes = Notes(again_in=1, takes=1)
    names = [f"a{number}" for number in range(20)]

    async def story(rounds: Rounds) -> None:
        rounds.take_on(names)
        await asyncio.sleep(200)

    run(story, notes, at_once=4)
    turns = Counter(address for _, address in notes.looks)
    assert notes.most_at_once == 4
    assert max(turns.values()) - min(turns.values()) <= 1
    assert max(later - earlier for earlier, later in pairwise(notes.of("a7"))) <= 6


def test_who_hurries_is_looked_at_now_and_not_twice() -> None:
    notes = Notes(again_in=100)

    async def story(rounds: Rounds) -> None:
        rounds.take_on(["a"])
        await asyncio.sleep(10)
        rounds.hurry(["a"])
        rounds.hurry(["a"])
        await asyncio.sleep(105)

    run(story, notes)
    assert notes.of("a") == [0, 10, 110]


def test_who_is_taken_on_twice_is_looked_at_once() -> None:
    notes = Notes(again_in=100)

    async def story(rounds: Rounds) -> None:
        rounds.take_on(["a", "a"], spread=seconds(5))
        rounds.take_on(["a"])
        await asyncio.sleep(50)

    run(story, notes)
    assert len(notes.looks) == 1


def test_an_address_that_is_not_wanted_any_more_is_left_alone_until_it_is_taken_on_again() -> None:
    notes = Notes(again_in=None)

    async def story(rounds: Rounds) -> None:
        rounds.take_on(["a"])
        await asyncio.sleep(50)
        rounds.take_on(["a"])
        await asyncio.sleep(50)

    run(story, notes)
    assert notes.of("a") == [0, 50]


def test_an_address_that_is_taken_on_again_while_its_last_look_is_under_way_is_not_lost() -> None:
    notes = Notes(again_in=None, takes=5)

    async def story(rounds: Rounds) -> None:
        rounds.take_on(["a"])
        await asyncio.sleep(2)
        rounds.take_on(["a"])
        await asyncio.sleep(50)

    run(story, notes)
    assert notes.of("a") == [0, 5]


def test_looks_that_have_begun_get_their_time_to_end_and_are_then_broken_off() -> None:
    ended: list[str] = []

    async def look(address: str) -> None:
        try:
            await asyncio.sleep(2 if address == "quick" else 60)
            ended.append(address)
        except asyncio.CancelledError:
            ended.append(f"{address} was broken off")
            raise

    async def main() -> None:
        rounds = Rounds(look, at_once=8, rng=Random(3))
        going = asyncio.create_task(rounds.run())
        rounds.take_on(["quick", "slow"])
        await asyncio.sleep(1)
        going.cancel()
        await rounds.finish(seconds(3))
        assert asyncio.get_running_loop().time() == 4

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(EPOCH)) as runner:
        runner.run(main())
    assert ended == ["quick", "slow was broken off"]


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(st.sampled_from(["take_on", "hurry", "wait"]), st.sampled_from("abcd"), st.floats(0, 20)), max_size=30
    ),
)
def test_nobody_who_was_taken_on_is_ever_lost(at_once: int, acts: list[tuple[str, str, float]]) -> None:
    notes = Notes(again_in=7, takes=1.5)
    taken_on: set[str] = set()

    async def story(rounds: Rounds) -> None:
        for act, address, amount in acts:
            if act == "wait":
                await asyncio.sleep(amount)
            elif act == "take_on":
                rounds.take_on([address], spread=seconds(amount))
                taken_on.add(address)
            else:
                rounds.hurry([address])
                taken_on.add(address)
        await asyncio.sleep(60)

    run(story, notes, at_once)
    end = max((at for at, _ in notes.looks), default=0)
    for address in taken_on:
        assert max(notes.of(address)) >= end - 10
        assert all(later - earlier <= 30 for earlier, later in pairwise(notes.of(address)))
