"""An order's answer that comes after its deadline, in virtual time over the pretend network."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from energyd.model import Accepted, Baseline, Order, OrderKind, OrderState, Outcome, Sent, Unclear
from energyd.netts.client import LISTEN_LONGER, Netts as Client
from energyd.sandbox.netts import Netts
from energyd.sandbox.netts_terms import API_KEY, REAL_IP
from energyd.sandbox.virtual_time import VirtualLoop
from energyd.sandbox.wire import Fault, Wire
from energyd.sandbox.world import World

ADDRESS = "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE"
EPOCH = datetime(2026, 11, 21, tzinfo=UTC)
KEY = "a" * 64
DEADLINE = 30


def sent(loop: VirtualLoop) -> Sent:
    order = Order(
        key=KEY,
        kind=OrderKind.RENTAL,
        address=ADDRESS,
        policy="p",
        decision_id="d",
        state=OrderState.SENT,
        cost_max_sun=10_000_000,
        baseline=Baseline(taken_at=EPOCH),
        host="h",
        intended_at=EPOCH,
        changed_at=EPOCH,
        energy=65_000,
    )
    return Sent(order, loop.time() + 10, loop.now() + timedelta(seconds=10))


def story(tell: Callable[[VirtualLoop, Client, Wire], Awaitable[None]]) -> Netts:
    """Runs a story with a client whose vendor is the sandbox's; returns the vendor."""

    async def main() -> Netts:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        rng = random.Random(1)
        netts = Netts(World(now=loop.now, rng=rng, activate_unknown=True))
        wire = Wire(rng, {"netts.test": netts})
        client = Client(
            url="https://netts.test",
            api_key=API_KEY,
            real_ip=REAL_IP,
            max_rps=1,
            timeout=timedelta(seconds=DEADLINE),
            now=loop.now,
            transport=wire.transport("h"),
        )
        await tell(loop, client, wire)
        await client.aclose()
        await wire.settle()
        return netts

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(EPOCH)) as runner:
        return runner.run(main())


def late(wire: Wire, seconds: float) -> None:
    wire.disturb(Fault.LATE_REPLY, count=1, late_seconds=(seconds, seconds))


def test_an_answer_after_the_deadline_is_unclear_at_first_and_heard_when_it_comes() -> None:
    heard: list[Outcome | None] = []

    async def tell(loop: VirtualLoop, client: Client, wire: Wire) -> None:
        late(wire, 50)
        heard.append(await client.order(sent(loop)))
        assert loop.time() < DEADLINE + 2
        heard.append(client.late_answer(KEY))
        await asyncio.sleep(25)
        heard.append(client.late_answer(KEY))

    netts = story(tell)
    assert len(netts.charges) == 1
    first, meanwhile, then = heard
    assert isinstance(first, Unclear)
    assert meanwhile is None
    assert isinstance(then, Accepted)
    assert then.netts_order_id == netts.charges[0].order_id


def test_an_answer_is_not_listened_for_without_end() -> None:
    async def tell(loop: VirtualLoop, client: Client, wire: Wire) -> None:
        late(wire, DEADLINE + LISTEN_LONGER + 30)
        assert isinstance(await client.order(sent(loop)), Unclear)
        await asyncio.sleep(LISTEN_LONGER + 1)
        assert isinstance(client.late_answer(KEY), Unclear)
        assert client.late_answer(KEY) is None

    story(tell)


def test_a_client_that_is_closed_stops_listening() -> None:
    async def tell(loop: VirtualLoop, client: Client, wire: Wire) -> None:
        late(wire, 50)
        assert isinstance(await client.order(sent(loop)), Unclear)
        await client.aclose()
        assert client.late_answer(KEY) is None

    story(tell)
