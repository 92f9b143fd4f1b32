"""How often calls leave, in virtual time: never more than allowed, orders first, and none after its mark ran out."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st

from energyd.errors import NettsUnavailable
from energyd.model import Baseline, Order, OrderKind, OrderState, Refused, Sent
from energyd.netts.client import HOST_MODE_CALLS, HOST_MODE_READS, Netts
from energyd.sandbox.virtual_time import VirtualLoop

ADDRESS = "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE"
EPOCH = datetime(2026, 11, 21, tzinfo=UTC)
SLACK = 1e-6
"""Seconds; what adding floats may lose."""


def sent(kind: OrderKind, good_for: float) -> Sent:
    order = Order(
        key="k",
        kind=kind,
        address=ADDRESS,
        policy="p",
        decision_id="d",
        state=OrderState.SENT,
        cost_max_sun=1,
        baseline=Baseline(taken_at=EPOCH),
        host="h",
        intended_at=EPOCH,
        changed_at=EPOCH,
        energy=1,
        cycles=1,
    )
    return Sent(order, asyncio.get_running_loop().time() + good_for, EPOCH + timedelta(days=1))


class Trace:
    """The calls that left, each with its moment of the loop's clock and its path; nothing they ask for works."""

    def __init__(self, max_rps: float) -> None:
        self.calls: list[tuple[float, str]] = []
        transport = httpx.MockTransport(self._fail)
        self.client = Netts(
            url="http://netts.test",
            api_key="k",
            real_ip=None,
            max_rps=max_rps,
            timeout=timedelta(seconds=30),
            now=lambda: EPOCH,
            transport=transport,
        )

    def _fail(self, request: httpx.Request) -> httpx.Response:
        self.calls.append((asyncio.get_running_loop().time(), request.url.path.removeprefix("/apiv2/")))
        return httpx.Response(500)

    async def funds(self) -> None:
        with pytest.raises(NettsUnavailable):
            await self.client.funds()

    async def cycles(self) -> None:
        with pytest.raises(NettsUnavailable):
            await self.client.cycles(ADDRESS)

    async def order(self, kind: OrderKind = OrderKind.RENTAL, good_for: float = 1e9) -> Any:
        return await self.client.order(sent(kind, good_for))

    def moments(self, start: str = "") -> list[float]:
        return [at for at, path in self.calls if path.startswith(start)]


def virtually(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await story()

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(EPOCH)) as runner:
        runner.run(main())


def test_calls_leave_no_faster_than_the_given_rate() -> None:
    async def story() -> None:
        trace = Trace(max_rps=2)
        await asyncio.gather(*(trace.funds() for _ in range(10)))
        moments = trace.moments()
        assert all(later - earlier >= 0.5 - SLACK for earlier, later in pairwise(moments))
        assert moments[-1] - moments[0] == pytest.approx(4.5)

    virtually(story)


def test_an_order_leaves_before_reads_that_have_waited_longer() -> None:
    async def story() -> None:
        trace = Trace(max_rps=1)
        await asyncio.gather(*(trace.funds() for _ in range(20)), trace.order(), trace.order())
        assert [path for _, path in trace.calls[:4]] == ["userinfo", "order1h", "order1h", "userinfo"]
        assert len(trace.calls) == 22

    virtually(story)


def test_host_mode_is_asked_a_few_times_a_minute_and_an_order_finds_a_free_turn() -> None:
    async def story() -> None:
        trace = Trace(max_rps=10)
        reads = asyncio.gather(*(trace.cycles() for _ in range(HOST_MODE_READS + 1)))
        await asyncio.sleep(5)
        assert len(trace.calls) == HOST_MODE_READS
        await trace.order(OrderKind.CYCLES, good_for=1)
        assert len(trace.moments("time/order")) == 1
        await trace.funds()
        await reads
        assert trace.moments("time/status")[-1] - trace.calls[0][0] >= 60 - SLACK

    virtually(story)


def test_an_order_that_would_wait_beyond_its_mark_does_not_leave_and_does_not_wait() -> None:
    async def story() -> None:
        trace = Trace(max_rps=0.1)
        loop = asyncio.get_running_loop()
        await trace.funds()
        began = loop.time()
        outcome = await trace.order(good_for=9)
        assert isinstance(outcome, Refused)
        assert "never left" in outcome.text
        assert loop.time() == began
        assert trace.moments("order1h") == []
        await trace.order(good_for=11)
        assert len(trace.moments("order1h")) == 1

    virtually(story)


def test_an_order_that_was_given_up_does_not_hold_back_reads() -> None:
    async def story() -> None:
        trace = Trace(max_rps=1)
        await trace.funds()
        order = asyncio.create_task(trace.order())
        await asyncio.sleep(0.1)
        order.cancel()
        await asyncio.sleep(0)
        await trace.funds()
        assert trace.moments()[-1] - trace.moments()[0] == pytest.approx(1)

    virtually(story)


@given(
    st.lists(st.tuples(st.floats(0, 200), st.sampled_from(["funds", "cycles", "rental", "host"])), max_size=40),
    st.sampled_from([0.2, 1.0, 3.0]),
)
def test_no_mix_of_calls_breaks_a_limit(plan: list[tuple[float, str]], max_rps: float) -> None:
    async def story() -> None:
        trace = Trace(max_rps)

        async def one(at: float, what: str) -> None:
            await asyncio.sleep(at)
            match what:
                case "funds":
                    await trace.funds()
                case "cycles":
                    await trace.cycles()
                case _:
                    await trace.order(OrderKind.RENTAL if what == "rental" else OrderKind.CYCLES)

        await asyncio.gather(*(one(at, what) for at, what in plan))
        assert len(trace.calls) == len(plan)
        assert all(later - earlier >= 1 / max_rps - SLACK for earlier, later in pairwise(trace.moments()))
        host_mode = trace.moments("time/")
        rest = host_mode[HOST_MODE_CALLS:]
        assert all(later - earlier >= 60 - SLACK for earlier, later in zip(host_mode, rest, strict=False))

    virtually(story)
