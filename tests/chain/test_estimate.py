"""What calls would use: believed only of a run that came to its end, asked of the first node that can say."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from energyd.chain import Chain
from energyd.chain.estimate import CannotSay, NoConstantCalls, question, read_used
from energyd.chain.readings import Unusable
from energyd.model import ContractCall, Estimate, NoEstimate, Reason
from energyd.sandbox import addresses
from energyd.sandbox.contracts import USDT
from energyd.sandbox.node import Node
from energyd.sandbox.virtual_time import VirtualLoop
from energyd.sandbox.wire import Wire
from energyd.sandbox.world import World

EPOCH = datetime(2026, 1, 5, tzinfo=UTC)
ALICE, BOB, FRESH, NOBODY = (addresses.made_up(name) for name in ("alice", "bob", "fresh", "nobody"))
TRANSFER = "transfer(address,uint256)"
DONE: dict[str, Any] = {"result": {"result": True}, "energy_used": 64_285, "transaction": {"ret": [{}]}}
REVERTED_SAYING = "08c379a0" + f"{32:064x}{6:064x}" + b"paused".hex().ljust(64, "0")


def test_a_run_that_came_to_its_end_says_what_it_used() -> None:
    assert read_used(DONE) == 64_285
    assert read_used(DONE | {"energy_penalty": 49_635}) == 64_285


REVERT = {"result": True, "message": "REVERT opcode executed"}
FAILED = {"ret": [{"ret": "FAILED"}]}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (DONE | {"result": REVERT, "transaction": FAILED, "energy_used": 8_624}, "REVERT opcode executed"),
        (DONE | {"result": {"result": True, "message": b"REVERT opcode executed".hex()}}, "REVERT opcode"),
        (DONE | {"transaction": FAILED}, "it failed"),
        (DONE | {"result": REVERT, "constant_result": [REVERTED_SAYING]}, r"\(paused\)"),
        ({"result": {"code": "OTHER_ERROR", "message": "class org.tron.OutOfTime : CPU timeout"}}, "CPU timeout"),
        (
            {"result": {"code": "CONTRACT_VALIDATE_ERROR", "message": "Smart contract is not exist."}},
            "no such contract",
        ),
    ],
)
def test_a_call_that_would_fail_has_no_estimate(body: object, problem: str) -> None:
    with pytest.raises(CannotSay, match=problem):
        read_used(body)


def test_a_node_without_constant_calls_is_told_apart() -> None:
    with pytest.raises(NoConstantCalls):
        read_used({"result": {"code": "CONTRACT_VALIDATE_ERROR", "message": "this node does not support constant"}})


@pytest.mark.parametrize(
    "body",
    [
        {},
        None,
        [],
        {"result": True},
        DONE | {"result": {}},
        {key: value for key, value in DONE.items() if key != "energy_used"},
        DONE | {"energy_used": 0},
        DONE | {"energy_used": "64285"},
        DONE | {"energy_used": True},
        DONE | {"transaction": {}},
        DONE | {"transaction": {"ret": []}},
    ],
)
def test_what_is_no_whole_answer_is_never_an_estimate(body: object) -> None:
    with pytest.raises(Unusable):
        read_used(body)


def test_the_question_has_the_real_caller_and_words_without_a_prefix() -> None:
    asked = question(ContractCall(ALICE, USDT, TRANSFER), (BOB, 5))
    assert asked["owner_address"] == ALICE
    assert asked["parameter"] == addresses.word_of(BOB) + f"{5:064x}"


# --- over the wire --------------------------------------------------------------------------------------------------

Asked = Callable[..., Estimate | NoEstimate]


@pytest.fixture
def asked() -> Iterator[Asked]:
    """Asks a pretend node, and with `first` another one before it."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(EPOCH)) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        world = World(now=loop.now, rng=Random(1))
        for address in (ALICE, BOB):
            world.add_account(address)
        nodes = {"first.sandbox": Node(world), "second.sandbox": Node(world)}
        wire = Wire(Random(2), nodes)

        async def ask(call: ContractCall, mood: str | None) -> Estimate | NoEstimate:
            if mood:
                nodes["first.sandbox"].mood(mood, "triggerconstantcontract")
            chain = Chain(
                [f"http://{name}" for name in nodes],
                max_rps=100,
                timeout=timedelta(seconds=5),
                now=loop.now,
                transport=wire.transport("host"),
            )
            try:
                return await chain.estimate(call)
            finally:
                await chain.close()

        yield lambda call, mood=None: runner.run(ask(call, mood))
        runner.run(wire.settle())


def transfers(*receivers: str, count: int = 1, amount: int = 5, owner: str = ALICE) -> ContractCall:
    return ContractCall(owner, USDT, TRANSFER, tuple((each, amount) for each in receivers), count)


def test_equal_calls_are_asked_about_once_and_counted_each(asked: Asked) -> None:
    found = asked(transfers(BOB, count=40))
    assert isinstance(found, Estimate)
    assert (found.energy, found.highest, found.calls) == (40 * 64_285, 64_285, 40)


def test_a_transfer_to_somebody_without_tokens_takes_twice_as_much(asked: Asked) -> None:
    found = asked(transfers(BOB, FRESH, BOB))
    assert isinstance(found, Estimate)
    assert (found.energy, found.highest, found.calls) == (2 * 64_285 + 130_285, 130_285, 3)


@pytest.mark.parametrize(
    ("call", "reason", "detail"),
    [
        (transfers(BOB, amount=10**15), Reason.NO_ESTIMATE, "REVERT"),
        (ContractCall(ALICE, BOB, TRANSFER, ((BOB, 5),)), Reason.NO_ESTIMATE, "no such contract"),
        (transfers(BOB, owner=NOBODY), Reason.NOT_ACTIVATED, "no such account"),
        (ContractCall(ALICE, USDT, TRANSFER, ((BOB,),)), Reason.NO_ESTIMATE, "do not fit"),
    ],
)
def test_a_call_that_cannot_be_made_has_no_estimate(
    asked: Asked, call: ContractCall, reason: Reason, detail: str
) -> None:
    found = asked(call)
    assert isinstance(found, NoEstimate)
    assert (found.reason, detail in found.detail) == (reason, True)


@pytest.mark.parametrize("mood", ["html_502", "no_constant_calls"])
def test_the_next_node_is_asked_when_the_first_cannot_say(asked: Asked, mood: str) -> None:
    assert isinstance(asked(transfers(BOB), mood), Estimate)
