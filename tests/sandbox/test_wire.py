"""What is sent travels on; what is lost is lost where we said; the same seed gives the same trace."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import given, settings, strategies as st

from energyd.sandbox.virtual_time import VirtualLoop
from energyd.sandbox.wire import ConnectionDropped, Fault, Leg, What, Wire, WireEvent

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)
SHOP = "https://shop.example/order"
ONE_SECOND_A_LEG = (1.0, 1.0)
LIMITS = httpx.Timeout(connect=3.0, write=5.0, pool=7.0, read=10.0)


class Shop:
    """An ASGI application that counts what took effect, then answers after a while."""

    def __init__(self, wait_seconds: float = 0.0) -> None:
        self.orders: list[tuple[float, str, bytes]] = []
        self.wait_seconds = wait_seconds
        self.mood: Exception | None = None

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[..., Any]) -> None:
        body = (await receive())["body"]
        self.orders.append((asyncio.get_running_loop().time(), scope["client"][0], body))
        await asyncio.sleep(self.wait_seconds)
        if self.mood:
            raise self.mood
        headers = [(b"content-type", b"text/plain"), (b"x-number", str(len(self.orders)).encode())]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": b"you said ", "more_body": True})
        await send({"type": "http.response.body", "body": body})


class Net:
    """A wire to one shop, one client, and the trace of what happened."""

    def __init__(self, seed: int = 1, travel_seconds: tuple[float, float] = ONE_SECOND_A_LEG) -> None:
        self.shop = Shop()
        self.wire = Wire(Random(seed), {"shop.example": self.shop}, travel_seconds=travel_seconds)
        self.trace: list[WireEvent] = []
        self.wire.on_event(self.trace.append)
        self.client = self.new_client("host-1")

    def new_client(self, host: str, limits: httpx.Timeout = LIMITS) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self.wire.transport(host), timeout=limits)

    async def order(self, body: bytes = b"hello") -> httpx.Response:
        return await self.client.post(SHOP, content=body)

    def happened(self) -> list[What]:
        return [event.what for event in self.trace]


def run(main: Callable[[Net], Coroutine[Any, Any, Any]], **options: Any) -> Net:
    """Run a story on a new wire, then let everything arrive."""

    async def story() -> Net:
        net = Net(**options)
        await main(net)
        await net.wire.settle()
        return net

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(EPOCH)) as runner:
        return runner.run(story())


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_request_goes_there_and_back_with_body_headers_and_travel_time() -> None:
    async def story(net: Net) -> None:
        answer = await net.order()
        assert (answer.status_code, answer.text, answer.headers["x-number"]) == (201, "you said hello", "1")
        assert now() == 2.0

    net = run(story)
    assert net.shop.orders == [(1.0, "host-1", b"hello")]
    assert net.happened() == [What.SENT, What.ARRIVED, What.ANSWERED, What.DELIVERED]
    first = net.trace[0]
    assert (first.host, first.server, first.method, first.path) == ("host-1", "shop.example", "POST", "/order")


def test_routes_are_hosts_or_beginnings_of_urls_and_the_rest_of_the_world_is_refused() -> None:
    async def main() -> None:
        orders, rest = Shop(), Shop()
        wire = Wire(Random(1), {"https://shop.example/order": orders, "shop.example": rest})
        async with httpx.AsyncClient(transport=wire.transport("h")) as client:
            await client.get("https://shop.example/order/1?x=y")
            await client.get("http://shop.example:8080/prices")
            with pytest.raises(httpx.ConnectError):
                await client.get("https://elsewhere.example/")
        assert (len(orders.orders), len(rest.orders)) == (1, 1)

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(EPOCH)) as runner:
        runner.run(main())


@pytest.mark.parametrize(
    ("fault", "error", "seconds", "arrivals"),
    [
        (Fault.REFUSED, httpx.ConnectError, 1, 0),
        (Fault.UNREACHABLE, httpx.ConnectTimeout, 3, 0),
        (Fault.WRITE_STALLED, httpx.WriteTimeout, 5, 1),
        (Fault.POOL_FULL, httpx.PoolTimeout, 7, 0),
        (Fault.LOST_REQUEST, httpx.ReadTimeout, 10, 0),
        (Fault.LOST_REPLY, httpx.ReadTimeout, 10, 1),
        (Fault.LATE_REQUEST, httpx.ReadTimeout, 10, 1),
        (Fault.LATE_REPLY, httpx.ReadTimeout, 10, 1),
        (Fault.RESET, httpx.ReadError, 2, 1),
    ],
)
def test_each_fault_shows_the_error_httpx_would_after_its_own_timeout(
    fault: Fault, error: type[Exception], seconds: float, arrivals: int
) -> None:
    async def story(net: Net) -> None:
        net.wire.disturb(fault, count=1)
        with pytest.raises(error) as caught:
            await net.order()
        assert type(caught.value) is error
        assert now() == seconds
        assert (await net.order()).status_code == 201

    assert len(run(story).shop.orders) == 1 + arrivals


def test_asyncio_timeout_around_a_lost_reply_fires_at_its_virtual_second() -> None:
    async def story(net: Net) -> None:
        net.client = net.new_client("host-1", httpx.Timeout(None))
        net.wire.disturb(Fault.LOST_REPLY)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(42.5):
                await net.order()
        assert now() == 42.5

    assert len(run(story).shop.orders) == 1


def test_a_slow_answer_is_a_read_timeout_but_the_shop_works_on() -> None:
    async def story(net: Net) -> None:
        net.shop.wait_seconds = 60
        with pytest.raises(httpx.ReadTimeout):
            await net.order()

    assert run(story).happened() == [What.SENT, What.ARRIVED, What.FAILED, What.ANSWERED, What.UNHEARD]


@given(give_up=st.floats(0, 3), seed=st.integers(0, 2**32))
def test_a_request_that_was_sent_arrives_exactly_once_whenever_its_client_is_cancelled(
    give_up: float, seed: int
) -> None:
    async def story(net: Net) -> None:
        order = asyncio.create_task(net.order())
        await asyncio.sleep(0)
        await asyncio.sleep(give_up)
        order.cancel()
        await asyncio.gather(order, return_exceptions=True)

    net = run(story, seed=seed, travel_seconds=(0.1, 2.0))
    sent = net.happened().count(What.SENT)
    assert len(net.shop.orders) == sent == 1


def test_a_late_request_arrives_long_after_its_client_gave_up() -> None:
    async def story(net: Net) -> None:
        net.wire.disturb(Fault.LATE_REQUEST, count=1, late_seconds=(600, 600))
        with pytest.raises(httpx.ReadTimeout):
            await net.order()

    assert run(story).shop.orders == [(601.0, "host-1", b"hello")]


def test_a_duplicate_arrives_twice_and_is_answered_once() -> None:
    async def story(net: Net) -> None:
        net.wire.disturb(Fault.DUPLICATE, count=1)
        assert (await net.order()).status_code == 201

    net = run(story)
    assert len(net.shop.orders) == 2
    assert (net.happened().count(What.DELIVERED), net.happened().count(What.UNHEARD)) == (1, 1)


@pytest.mark.parametrize(("leg", "arrivals"), [(Leg.REQUEST, 0), (Leg.REPLY, 1)])
def test_a_one_way_cut_loses_one_leg_until_repaired(leg: Leg, arrivals: int) -> None:
    async def story(net: Net) -> None:
        net.wire.partition("host-1", "shop.example", legs=(leg,))
        with pytest.raises(httpx.ReadTimeout):
            await net.order()
        assert len(net.shop.orders) == arrivals
        net.wire.repair("host-1")
        assert (await net.order()).status_code == 201

    run(story)


def test_a_partition_concerns_its_host_and_place_only() -> None:
    async def story(net: Net) -> None:
        net.wire.partition("host-1", SHOP)
        with pytest.raises(httpx.ReadTimeout):
            await net.order()
        assert (await net.client.get("https://shop.example/prices")).status_code == 201
        async with net.new_client("host-2") as other:
            assert (await other.get(SHOP)).status_code == 201

    run(story)


def test_what_travels_when_a_partition_comes_still_arrives_and_its_reply_does_not() -> None:
    async def story(net: Net) -> None:
        order = asyncio.create_task(net.order())
        await asyncio.sleep(0.5)
        net.wire.partition()
        with pytest.raises(httpx.ReadTimeout):
            await order

    assert len(run(story).shop.orders) == 1


def test_held_messages_arrive_when_released() -> None:
    async def story(net: Net) -> None:
        net.wire.hold("host-1")
        order = asyncio.create_task(net.order())
        await asyncio.sleep(5)
        assert net.shop.orders == []
        net.wire.release()
        await order
        assert now() == 6.0

    assert run(story).shop.orders == [(5.0, "host-1", b"hello")]


def test_a_crashed_host_is_silent_what_it_sent_arrives_and_old_replies_never_reach_it() -> None:
    async def story(net: Net) -> None:
        before = asyncio.create_task(net.order(b"before"))
        await asyncio.sleep(0.5)
        net.wire.cut("host-1")
        during = asyncio.create_task(net.order(b"during"))
        await asyncio.sleep(0.1)
        net.wire.bounce("host-1")
        assert (await net.order(b"after")).status_code == 201
        for order in (before, during):
            with pytest.raises(httpx.ReadTimeout):
                await order

    assert [body for _, _, body in run(story).shop.orders] == [b"before", b"after"]


def test_a_connection_that_the_application_drops_is_a_protocol_error_after_the_effect() -> None:
    async def story(net: Net) -> None:
        net.shop.mood = ConnectionDropped()
        with pytest.raises(httpx.RemoteProtocolError):
            await net.order()

    assert len(run(story).shop.orders) == 1


def test_a_bug_of_the_application_is_a_500_to_the_client_and_loud_in_settle() -> None:
    async def story(net: Net) -> None:
        net.shop.mood = LookupError("a bug")
        assert (await net.order()).status_code == 500

    with pytest.raises(ExceptionGroup) as caught:
        run(story)
    assert caught.group_contains(LookupError, match="a bug")


def test_a_disturbance_ends_by_count_by_time_or_when_calmed() -> None:
    async def story(net: Net) -> None:
        async def refused() -> bool:
            try:
                await net.order()
            except httpx.ConnectError:
                return True
            return False

        net.wire.disturb(Fault.REFUSED, count=2)
        assert [await refused() for _ in range(3)] == [True, True, False]
        net.wire.disturb(Fault.REFUSED, for_seconds=1.5)
        assert [await refused() for _ in range(3)] == [True, True, False]
        lasting = net.wire.disturb(Fault.REFUSED)
        assert await refused()
        net.wire.calm(lasting)
        assert not await refused()

    run(story)


def test_settle_cancels_what_travels_longer_than_its_patience() -> None:
    async def main() -> None:
        net = Net()
        net.wire.disturb(Fault.LATE_REQUEST)
        with pytest.raises(httpx.ReadTimeout):
            await net.order()
        await net.wire.settle(patience_seconds=5)
        assert now() == 15.0
        assert net.shop.orders == []
        assert len(asyncio.all_tasks()) == 1

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(EPOCH)) as runner:
        runner.run(main())


def turbulent(seed: int) -> str:
    """The trace of two hosts that order every few seconds on a bad network, with a crash in the middle."""

    async def story(net: Net) -> None:
        for fault in Fault:
            net.wire.disturb(fault, share=0.1, late_seconds=(5, 50))

        async def host(name: str, pause_seconds: float) -> None:
            async with net.new_client(name) as client:
                for number in range(20):
                    await asyncio.gather(client.post(SHOP, content=str(number)), return_exceptions=True)
                    await asyncio.sleep(pause_seconds)

        hosts = [asyncio.create_task(host("host-1", 3)), asyncio.create_task(host("host-2", 3))]
        await asyncio.sleep(60)
        net.wire.cut("host-2")
        hosts.pop().cancel()
        await asyncio.gather(*hosts)

    return "\n".join(map(repr, run(story, seed=seed, travel_seconds=(0.02, 2)).trace))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_trace_to_the_byte(seed: int) -> None:
    assert turbulent(seed) == turbulent(seed)


def test_another_seed_gives_another_trace() -> None:
    assert turbulent(1) != turbulent(2)
