"""Reading through fallbacks, keys and pace, on virtual time: a node's failure is never a figure."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import given, settings, strategies as st

from energyd.chain import Chain, Head
from energyd.errors import ChainUnavailable
from energyd.model import NoReading, Reading, Reason
from energyd.sandbox.node import MOODS, Node
from energyd.sandbox.virtual_time import VirtualLoop
from energyd.sandbox.world import World

RECORDINGS = Path(__file__).parent.parent / "recordings" / "tron-wire"
EPOCH = datetime(2026, 11, 21, tzinfo=UTC)
ADDRESS = "TZ4UXDV5ZhNW7fb2AMSbgfAEZ7hWsnYS2g"
FIRST, SECOND = "https://first.example", "https://second.example"
ENERGY = {"TotalEnergyLimit": 180_000_000_000, "EnergyLimit": 65_000, "EnergyUsed": 5_000}
FREQUENCY = {"Error": "The key exceeds the frequency limit(15), and the query server is suspended for 30s"}
DAILY = {"Error": "Exceed the user daily usage (100000), the maximum query frequency is 1 time per second"}


def on_virtual_time(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(EPOCH)) as runner:
        runner.run(story())


def seconds() -> float:
    return asyncio.get_running_loop().time()


def now() -> datetime:
    return EPOCH + timedelta(seconds=seconds())


Answer = httpx.Response | Exception | dict[str, Any]


class Nodes(httpx.AsyncBaseTransport):
    """All nodes there are: a fresh head and an energetic account, unless told otherwise by host and call."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, str], Answer | Callable[[httpx.Request], Answer]] = {}
        self.requests: list[tuple[float, httpx.Request]] = []
        self.answer_seconds = 0.0
        self.silent: set[str] = set()
        self.in_flight = self.in_flight_max = 0
        self.clock_ahead = timedelta(0)
        self.blocks_stopped_at: int | None = None

    def tell(self, call: str, answer: Answer | Callable[[httpx.Request], Answer], url: str = FIRST) -> None:
        self.told[httpx.URL(url).host, call] = answer

    def well_again(self) -> None:
        self.told.clear()

    def asked(self, call: str = "", url: str = "") -> list[httpx.Request]:
        return [
            request
            for _, request in self.requests
            if request.url.path.endswith(call) and (not url or request.url.host == httpx.URL(url).host)
        ]

    def head(self) -> dict[str, Any]:
        number = self.blocks_stopped_at or 1_000 + int(seconds() // 3)
        timestamp = int((now() + self.clock_ahead).timestamp()) * 1000
        return {"block_header": {"raw_data": {"number": number, "timestamp": timestamp}}}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append((seconds(), request))
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight, self.in_flight_max)
        try:
            await asyncio.sleep(3600 if request.url.host in self.silent else self.answer_seconds)
            answer = self._answer(request)
        finally:
            self.in_flight -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def _answer(self, request: httpx.Request) -> Answer:
        call = request.url.path.rpartition("/")[2]
        usual: dict[str, Callable[[], Answer]] = {
            "getblock": self.head,
            "getnowblock": self.head,
            "getaccountresource": lambda: ENERGY,
        }
        for place in ((request.url.host, call), (request.url.host, "*")):
            if place in self.told:
                told = self.told[place]
                return told(request) if callable(told) else told
        return usual[call]()


def chain_to(
    nodes: httpx.AsyncBaseTransport,
    *urls: str,
    keys: tuple[str, ...] = (),
    max_rps: float = inf,
    clock: Callable[[], datetime] = now,
    **more: Any,
) -> Chain:
    return Chain(
        urls or (FIRST,), keys, max_rps=max_rps, timeout=timedelta(seconds=10), now=clock, transport=nodes, **more
    )


# --- readings -------------------------------------------------------------------------------------------------------


def test_a_reading_carries_the_figures_the_head_asked_before_and_the_node() -> None:
    async def story() -> None:
        nodes = Nodes()
        reading = await chain_to(nodes).reading(ADDRESS)
        assert reading == Reading(ADDRESS, 65_000, 5_000, read_at=EPOCH, block_at=EPOCH, node=FIRST)
        assert [request.url.path for request in nodes.asked()] == ["/wallet/getblock", "/wallet/getaccountresource"]
        assert json.loads(nodes.asked()[0].content) == {"detail": False}
        assert json.loads(nodes.asked()[1].content) == {"address": ADDRESS, "visible": True}

    on_virtual_time(story)


def test_an_account_that_was_never_activated_is_no_reading() -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.tell("getaccountresource", {})
        reading = await chain_to(nodes).reading(ADDRESS)
        assert isinstance(reading, NoReading)
        assert reading.reason is Reason.NOT_ACTIVATED

    on_virtual_time(story)


def body_of(name: str) -> httpx.Response:
    recording = json.loads((RECORDINGS / f"{name}.json").read_text())
    return httpx.Response(recording.get("status", 200), json=recording["body"])


BROKEN: dict[str, Answer] = {
    "error": httpx.Response(200, json={"Error": "class java.lang.NullPointerException : null"}),
    "recorded invalid hex": body_of("mainnet-error-invalid-hex"),
    "recorded invalid address": body_of("nile-error-invalid-address-field"),
    "recorded daily limit": body_of("trongrid-403-daily"),
    "recorded frequency limit": body_of("trongrid-403-frequency-fullnode"),
    "error beside figures": httpx.Response(200, json=ENERGY | {"Error": ""}),
    "busy": httpx.Response(200, json={"Error": "class java.lang.IllegalAccessException : lack of computing resources"}),
    "lite": httpx.Response(200, text="this API is closed because this node is a lite fullnode"),
    "disabled": httpx.Response(404, json={"Error": "this API is unavailable due to config"}),
    "unknown key": httpx.Response(401, json={"Error": "ApiKey not exists"}),
    "forbidden": httpx.Response(403, html="<html>Forbidden</html>"),
    "too many": httpx.Response(429),
    "bad gateway": httpx.Response(502, html="<html><h1>502 Bad Gateway</h1></html>"),
    "unavailable": httpx.Response(503),
    "figures with an error status": httpx.Response(500, json=ENERGY),
    "created": httpx.Response(201, json=ENERGY),
    "redirect": httpx.Response(302, headers={"location": "https://elsewhere.example/"}),
    "empty": httpx.Response(200),
    "html": httpx.Response(200, html="<html>welcome</html>"),
    "truncated": httpx.Response(200, content=json.dumps(ENERGY).encode()[:-1]),
    "not utf-8": httpx.Response(200, content=b'{"TotalEnergyLimit": 1, "x": "\xff"}'),
    "too deep": httpx.Response(200, content=b"[" * 200_000),
    "too many digits": httpx.Response(200, content=b'{"TotalEnergyLimit": 1, "EnergyLimit": ' + b"9" * 5000 + b"}"),
    "nan": httpx.Response(200, content=b'{"TotalEnergyLimit": 180000000000, "EnergyLimit": NaN}'),
    "bad gzip": httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"not gzip")),
    "too large": httpx.Response(200, content=b" " * (4 * 2**20) + b"{}"),
    "a list": httpx.Response(200, json=[]),
    "null": httpx.Response(200, content=b"null"),
    "figure as text": httpx.Response(200, json=ENERGY | {"EnergyLimit": "65000"}),
    "negative": httpx.Response(200, json=ENERGY | {"EnergyUsed": -1}),
    "boolean": httpx.Response(200, json=ENERGY | {"EnergyLimit": True}),
    "without the total": httpx.Response(200, json={"EnergyLimit": 65_000}),
    "refused": httpx.ConnectError("Connection refused"),
    "disconnected": httpx.RemoteProtocolError("Server disconnected"),
    "an error of the transport's own": RuntimeError("out of sockets"),
    "an error of the system": OSError(24, "Too many open files"),
}


@pytest.mark.parametrize("call", ["getaccountresource", "*"])
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_answer_is_no_reading_and_says_why(broken: Answer, call: str) -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.tell(call, broken)
        reading = await chain_to(nodes).reading(ADDRESS)
        assert isinstance(reading, NoReading)
        assert reading.reason is Reason.NODE_UNREACHABLE
        assert reading.detail.startswith(f"{FIRST}: ")
        assert len(reading.detail) > len(f"{FIRST}: ")

    on_virtual_time(story)


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_after_a_broken_answer_the_fallback_is_read(broken: Answer) -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.tell("getaccountresource", broken)
        reading = await chain_to(nodes, FIRST, SECOND).reading(ADDRESS)
        assert isinstance(reading, Reading)
        assert (reading.node, reading.energy_limit) == (SECOND, 65_000)

    on_virtual_time(story)


WHOLE = json.dumps(ENERGY).encode()
bodies = (
    st.binary(max_size=60)
    | st.integers(0, len(WHOLE)).map(lambda cut: WHOLE[:cut])
    | st.dictionaries(
        st.sampled_from([*ENERGY, "Error", "freeNetLimit"]),
        st.integers(-1, 10**13) | st.none() | st.booleans() | st.floats() | st.just("65000"),
    ).map(lambda body: json.dumps(body).encode())
)


@settings(deadline=None)
@given(status=st.just(200) | st.integers(200, 599), content=bodies)
def test_whatever_comes_back_only_figures_of_the_body_become_a_reading(status: int, content: bytes) -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.tell("getaccountresource", httpx.Response(status, content=content))
        reading = await chain_to(nodes).reading(ADDRESS)
        if isinstance(reading, NoReading):
            assert reading.detail
            return
        body = json.loads(content)
        assert status == 200
        assert "Error" not in body
        assert type(body["TotalEnergyLimit"]) is int
        assert (reading.energy_limit, reading.energy_used) == (body.get("EnergyLimit", 0), body.get("EnergyUsed", 0))

    on_virtual_time(story)


@pytest.mark.parametrize("mood", [mood for mood in MOODS if mood != "wrong_type"])
def test_no_mood_of_the_sandboxs_node_is_read_as_energy(mood: str) -> None:
    async def story() -> None:
        world = World(now=now, rng=Random(1))
        world.add_account(ADDRESS, stake_energy=65_000)
        node = Node(world)
        chain = chain_to(httpx.ASGITransport(node))
        before = await chain.reading(ADDRESS, with_activity=True)
        assert isinstance(before, Reading)
        assert before.energy_limit == pytest.approx(65_000, abs=10)
        node.mood(mood)
        await asyncio.sleep(10)
        assert isinstance(await chain.reading(ADDRESS), NoReading)
        node.moods.clear()
        await asyncio.sleep(400)
        assert isinstance(await chain.reading(ADDRESS), Reading)

    on_virtual_time(story)


def test_a_node_that_never_answers_is_given_up_at_the_deadline() -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.answer_seconds = 3600
        reading = await chain_to(nodes).reading(ADDRESS)
        assert isinstance(reading, NoReading)
        assert reading.detail == f"{FIRST}: no answer within 10s"
        assert seconds() == 10

    on_virtual_time(story)


def test_a_connection_that_was_closed_while_it_was_kept_is_tried_once_more() -> None:
    async def story() -> None:
        nodes = Nodes()
        answers: list[Answer] = [httpx.RemoteProtocolError("Server disconnected"), ENERGY]
        nodes.tell("getaccountresource", lambda _: answers.pop(0))
        assert isinstance(await chain_to(nodes).reading(ADDRESS), Reading)

    on_virtual_time(story)


# --- activity -------------------------------------------------------------------------------------------------------


def account(**resource: int) -> dict[str, Any]:
    return {"address": ADDRESS, "account_resource": resource}


def test_activity_is_asked_for_only_when_it_is_wanted() -> None:
    async def story() -> None:
        nodes = Nodes()
        used_at = EPOCH - timedelta(minutes=20)
        nodes.tell("getaccount", account(latest_consume_time_for_energy=int(used_at.timestamp() * 1000)))
        chain = chain_to(nodes)
        without = await chain.reading(ADDRESS)
        assert isinstance(without, Reading)
        assert without.last_used_at is None
        assert not nodes.asked("/getaccount")
        reading = await chain.reading(ADDRESS, with_activity=True)
        assert isinstance(reading, Reading)
        assert reading.last_used_at == used_at

    on_virtual_time(story)


def test_an_account_that_never_made_a_call_was_never_used() -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.tell("getaccount", account(energy_window_size=28_800_000))
        reading = await chain_to(nodes).reading(ADDRESS, with_activity=True)
        assert isinstance(reading, Reading)
        assert reading.last_used_at is None

    on_virtual_time(story)


@pytest.mark.parametrize("answer", [{}, {"Error": "class java.lang.NullPointerException : null"}, {"address": "T"}])
def test_activity_that_cannot_be_read_is_no_reading_instead_of_never_used(answer: Answer) -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.tell("getaccount", answer)
        assert isinstance(await chain_to(nodes).reading(ADDRESS, with_activity=True), NoReading)

    on_virtual_time(story)


# --- the head -------------------------------------------------------------------------------------------------------


def test_addresses_share_a_head_for_three_seconds() -> None:
    async def story() -> None:
        nodes = Nodes()
        chain = chain_to(nodes)
        await asyncio.gather(*(chain.reading(ADDRESS) for _ in range(20)))
        await asyncio.sleep(2.9)
        await chain.reading(ADDRESS)
        assert len(nodes.asked("getblock")) == 1
        await asyncio.sleep(0.2)
        await chain.reading(ADDRESS)
        assert len(nodes.asked("getblock")) == 2

    on_virtual_time(story)


def test_all_who_wait_for_a_head_fail_with_it() -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.answer_seconds = 3600
        chain = chain_to(nodes)
        found = await asyncio.gather(*(chain.reading(ADDRESS) for _ in range(20)))
        assert all(isinstance(reading, NoReading) for reading in found)
        assert seconds() == 10
        assert len(nodes.requests) == 1

    on_virtual_time(story)


@pytest.mark.parametrize(("ahead_seconds", "word"), [(-31, "31s old"), (33, "ahead of this host's clock")])
def test_a_head_far_from_our_clock_is_stale_and_its_account_is_not_asked(ahead_seconds: int, word: str) -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.clock_ahead = timedelta(seconds=ahead_seconds)
        reading = await chain_to(nodes).reading(ADDRESS)
        assert isinstance(reading, NoReading)
        assert reading.reason is Reason.READING_STALE
        assert word in reading.detail
        assert not nodes.asked("getaccountresource")

    on_virtual_time(story)


def test_a_head_within_thirty_seconds_of_our_clock_is_fresh() -> None:
    async def story() -> None:
        for seconds_ahead in (-30, 30):
            nodes = Nodes()
            nodes.clock_ahead = timedelta(seconds=seconds_ahead)
            assert isinstance(await chain_to(nodes).reading(ADDRESS), Reading)

    on_virtual_time(story)


def test_a_head_that_has_not_moved_for_thirty_seconds_is_stale_whatever_its_time_says() -> None:
    async def story() -> None:
        nodes = Nodes()
        chain = chain_to(nodes)
        nodes.blocks_stopped_at = 77
        assert isinstance(await chain.reading(ADDRESS), Reading)
        await asyncio.sleep(30)
        assert isinstance(await chain.reading(ADDRESS), Reading)
        await asyncio.sleep(5)
        reading = await chain.reading(ADDRESS)
        assert isinstance(reading, NoReading)
        assert reading.reason is Reason.READING_STALE
        assert "77 for 35s" in reading.detail
        nodes.blocks_stopped_at = 78
        await asyncio.sleep(5)
        assert isinstance(await chain.reading(ADDRESS), Reading)

    on_virtual_time(story)


def test_a_stale_node_gives_way_to_a_fresh_one() -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.tell("getblock", {"block_header": {"raw_data": {"number": 5, "timestamp": 1_700_000_000_000}}})
        reading = await chain_to(nodes, FIRST, SECOND).reading(ADDRESS)
        assert isinstance(reading, Reading)
        assert reading.node == SECOND

    on_virtual_time(story)


@pytest.mark.parametrize(
    "unknown",
    [
        httpx.Response(404, html="<html>Error 404 Not Found</html>"),
        httpx.Response(405),
        httpx.Response(200, json={"Error": "class java.lang.NullPointerException : null"}),
        httpx.Response(200, json={}),
        httpx.Response(200, text="this API is closed because this node is a lite fullnode"),
    ],
)
def test_a_node_that_does_not_know_headers_is_asked_for_whole_blocks_and_that_is_remembered(unknown: Answer) -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.tell("getblock", unknown)
        chain = chain_to(nodes)
        for _ in range(5):
            assert isinstance(await chain.reading(ADDRESS), Reading)
            await asyncio.sleep(15)
        assert len(nodes.asked("getblock")) == 1
        assert len(nodes.asked("getnowblock")) == 5
        await asyncio.sleep(600)
        await chain.reading(ADDRESS)
        assert len(nodes.asked("getblock")) == 2

    on_virtual_time(story)


def test_a_busy_node_is_not_asked_for_whole_blocks() -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.tell("getblock", BROKEN["busy"])
        reading = await chain_to(nodes).reading(ADDRESS)
        assert isinstance(reading, NoReading)
        assert "lack of computing resources" in reading.detail
        assert not nodes.asked("getnowblock")

    on_virtual_time(story)


def test_the_head_is_told_or_chain_unavailable_raised() -> None:
    async def story() -> None:
        nodes = Nodes()
        chain = chain_to(nodes)
        assert await chain.head() == Head(1_000, EPOCH)
        nodes.tell("*", httpx.Response(502))
        await asyncio.sleep(3)
        with pytest.raises(ChainUnavailable, match="HTTP 502"):
            await chain.head()

    on_virtual_time(story)


# --- the price of burning -------------------------------------------------------------------------------------------


def test_the_burn_price_comes_from_the_chain_parameters() -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.tell("getchainparameters", body_of("testnet-getchainparameters-full"))
        assert await chain_to(nodes).burn_price() == 420
        assert not nodes.asked("getenergyprices")

    on_virtual_time(story)


@pytest.mark.parametrize(
    "parameters",
    [httpx.Response(404), {"chainParameter": [{"key": "getEnergyFee"}]}, {"Error": "class java.lang.Exception : null"}],
)
def test_without_the_parameter_the_newest_energy_price_is_taken(parameters: Answer) -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.tell("getchainparameters", parameters)
        nodes.tell("getenergyprices", body_of("nile-getenergyprices"))
        assert await chain_to(nodes).burn_price() == 100

    on_virtual_time(story)


def test_a_burn_price_that_nobody_knows_is_an_error_and_not_zero() -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.tell("getchainparameters", {"chainParameter": [{"key": "getEnergyFee"}]})
        nodes.tell("getenergyprices", {})
        with pytest.raises(ChainUnavailable, match="no energy prices"):
            await chain_to(nodes).burn_price()

    on_virtual_time(story)


# --- fallbacks and health -------------------------------------------------------------------------------------------


def test_a_failing_node_is_tried_again_at_growing_distances_and_then_taken_back() -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.tell("*", httpx.Response(502))
        chain = chain_to(nodes, FIRST, SECOND)
        for _ in range(200):
            reading = await chain.reading(ADDRESS)
            assert isinstance(reading, Reading)
            assert reading.node == SECOND
            await asyncio.sleep(1)
        tries = [at for at, request in nodes.requests if request.url.host == "first.example"]
        assert tries == [0, 5, 15, 35, 75, 135, 195]
        nodes.well_again()
        await asyncio.sleep(60)
        reading = await chain.reading(ADDRESS)
        assert isinstance(reading, Reading)
        assert reading.node == FIRST

    on_virtual_time(story)


def test_only_one_caller_waits_for_a_failing_node_while_it_is_tried_again() -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.silent.add("first.example")
        chain = chain_to(nodes, FIRST, SECOND)
        await chain.reading(ADDRESS)
        await asyncio.sleep(5)
        began = seconds()
        waited: list[float] = []

        async def read() -> None:
            assert isinstance(await chain.reading(ADDRESS), Reading)
            waited.append(seconds() - began)

        await asyncio.gather(*(read() for _ in range(8)))
        assert sorted(waited) == [0, 0, 0, 0, 0, 0, 0, 10]

    on_virtual_time(story)


def test_a_failing_node_is_reported_once_and_its_recovery_once() -> None:
    async def story() -> None:
        nodes, events = Nodes(), []
        chain = chain_to(nodes, on_health=lambda url, error: events.append((url, error)))
        nodes.tell("*", httpx.Response(502))
        for _ in range(100):
            assert isinstance(await chain.reading(ADDRESS), NoReading)
            await asyncio.sleep(1)
        assert events == [(FIRST, "HTTP 502")]
        assert chain.health()[0].since == EPOCH
        nodes.well_again()
        await asyncio.sleep(60)
        for _ in range(3):
            assert isinstance(await chain.reading(ADDRESS), Reading)
        assert events == [(FIRST, "HTTP 502"), (FIRST, None)]
        assert chain.health()[0].error is None

    on_virtual_time(story)


def test_the_chain_is_down_when_every_node_has_failed_for_so_long() -> None:
    async def story() -> None:
        nodes = Nodes()
        chain = chain_to(nodes, FIRST, SECOND)
        least = timedelta(seconds=30)
        nodes.tell("*", httpx.Response(502))
        await chain.reading(ADDRESS)
        await asyncio.sleep(60)
        assert chain.down_for(least) is None
        nodes.tell("*", httpx.Response(503), SECOND)
        await chain.reading(ADDRESS)
        await asyncio.sleep(29)
        assert chain.down_for(least) is None
        await asyncio.sleep(1)
        assert chain.down_for(least) == f"{FIRST}: HTTP 502; {SECOND}: HTTP 503"
        nodes.well_again()
        await asyncio.sleep(60)
        await chain.reading(ADDRESS)
        assert chain.down_for(least) is None

    on_virtual_time(story)


def test_one_account_that_cannot_be_read_does_not_keep_the_others_from_their_node() -> None:
    async def story() -> None:
        nodes, events = Nodes(), []
        answers: list[Answer] = [{"Error": "class java.lang.IllegalArgumentException : Illegal character"}, ENERGY]
        nodes.tell("getaccountresource", lambda _: answers.pop(0))
        chain = chain_to(nodes, on_health=lambda url, error: events.append((url, error)))
        assert isinstance(await chain.reading(ADDRESS), NoReading)
        assert isinstance(await chain.reading(ADDRESS), Reading)
        assert events == []

    on_virtual_time(story)


def test_answers_that_cannot_be_believed_again_and_again_are_a_failure_of_the_node() -> None:
    async def story() -> None:
        nodes, events = Nodes(), []
        chain = chain_to(nodes, on_health=lambda url, error: events.append((url, error is None)))
        nodes.tell("getaccountresource", {"Error": "class java.lang.NullPointerException : null"})
        for _ in range(20):
            assert isinstance(await chain.reading(ADDRESS), NoReading)
            await asyncio.sleep(15)
        assert events == [(FIRST, False)]
        assert chain.down_for(timedelta(seconds=30)) is not None
        nodes.well_again()
        await asyncio.sleep(60)
        assert isinstance(await chain.reading(ADDRESS), Reading)
        assert events == [(FIRST, False), (FIRST, True)]

    on_virtual_time(story)


def test_while_every_node_is_stale_that_is_the_reason_also_when_they_are_left_alone() -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.clock_ahead = timedelta(hours=-1)
        chain = chain_to(nodes, FIRST, SECOND)
        for _ in range(10):
            reading = await chain.reading(ADDRESS)
            assert isinstance(reading, NoReading)
            assert reading.reason is Reason.READING_STALE
            assert reading.detail.count("1h old") == 2
            await asyncio.sleep(1)

    on_virtual_time(story)


# --- keys -----------------------------------------------------------------------------------------------------------

TRONGRID = "https://api.trongrid.io"


def keys_sent(nodes: Nodes) -> list[str | None]:
    return [request.headers.get("TRON-PRO-API-KEY") for request in nodes.asked()]


def test_keys_are_used_in_turn() -> None:
    async def story() -> None:
        nodes = Nodes()
        chain = chain_to(nodes, TRONGRID, keys=("one", "two", "three"))
        for _ in range(5):
            await chain.reading(ADDRESS)
        assert keys_sent(nodes) == ["one", "two", "three", "one", "two", "three"]

    on_virtual_time(story)


@pytest.mark.parametrize("keys", [(), ("",)])
def test_without_keys_none_is_sent_and_the_built_in_ones_of_tronpy_never_are(keys: tuple[str, ...]) -> None:
    async def story() -> None:
        nodes = Nodes()
        await chain_to(nodes, TRONGRID, keys=keys).reading(ADDRESS)
        assert keys_sent(nodes) == [None, None]

    on_virtual_time(story)


@pytest.mark.parametrize(
    ("urls", "keyed"),
    [
        ((TRONGRID, SECOND), [TRONGRID]),
        ((FIRST, TRONGRID), [TRONGRID]),
        ((TRONGRID, "https://nile.trongrid.io"), [TRONGRID, "https://nile.trongrid.io"]),
        ((FIRST, SECOND), [FIRST]),
        (("https://trongrid.io.example", TRONGRID), [TRONGRID]),
    ],
)
def test_keys_go_to_no_stranger(urls: tuple[str, ...], keyed: list[str]) -> None:
    async def story() -> None:
        nodes = Nodes()
        for url in urls:
            nodes.tell("*", httpx.Response(502), url)
        await chain_to(nodes, *urls, keys=("one",)).reading(ADDRESS)
        for url in urls:
            sent = {request.headers.get("TRON-PRO-API-KEY") for request in nodes.asked(url=url)}
            assert sent == ({"one"} if url in keyed else {None})

    on_virtual_time(story)


def test_a_suspended_key_rests_for_as_long_as_the_answer_says_and_the_others_go_on() -> None:
    async def story() -> None:
        nodes, events = Nodes(), []

        def limited(request: httpx.Request) -> Answer:
            if request.headers["TRON-PRO-API-KEY"] == "one" and seconds() < 30:
                return httpx.Response(403, json=FREQUENCY)
            return ENERGY

        nodes.tell("getaccountresource", limited, TRONGRID)
        nodes.tell("getblock", lambda _: nodes.head(), TRONGRID)
        chain = chain_to(nodes, TRONGRID, keys=("two", "one"), on_health=lambda *event: events.append(event))
        for _ in range(40):
            assert isinstance(await chain.reading(ADDRESS), Reading)
            await asyncio.sleep(1)
        used = [at for at, request in nodes.requests if request.headers["TRON-PRO-API-KEY"] == "one"]
        assert used[0] == 0
        assert 30 <= used[1] <= 31
        assert events == []

    on_virtual_time(story)


@pytest.mark.parametrize(
    ("answer", "rest_seconds"),
    [
        (httpx.Response(403, json=FREQUENCY), 30),
        (httpx.Response(403, json={"Error": "request rate exceeded the allowed_rps(10) ... suspended for 7 s"}), 7),
        (httpx.Response(403, json=DAILY), 30),
        (httpx.Response(429), 30),
        (httpx.Response(429, headers={"retry-after": "12"}), 12),
        (httpx.Response(429, headers={"retry-after": "86400"}), 300),
        (httpx.Response(401, json={"Error": "ApiKey not exists"}), 60),
        (httpx.Response(403, html="<html>Forbidden</html>"), 60),
    ],
)
def test_a_refused_node_is_left_alone_for_as_long_as_its_answer_means(answer: Answer, rest_seconds: int) -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.tell("*", answer)
        chain = chain_to(nodes, keys=("one", "two"))
        while seconds() < rest_seconds:
            assert isinstance(await chain.reading(ADDRESS), NoReading)
            await asyncio.sleep(1)
        assert len(nodes.requests) == 2
        nodes.well_again()
        assert isinstance(await chain.reading(ADDRESS), Reading)

    on_virtual_time(story)


def test_a_daily_limit_prints_nothing_and_does_not_lose_the_key(capfd: pytest.CaptureFixture[str]) -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.tell("*", httpx.Response(403, json=DAILY), TRONGRID)
        chain = chain_to(nodes, TRONGRID, keys=("one",))
        for _ in range(100):
            await chain.reading(ADDRESS)
            await asyncio.sleep(10)
        nodes.well_again()
        await asyncio.sleep(60)
        assert isinstance(await chain.reading(ADDRESS), Reading)
        assert set(keys_sent(nodes)) == {"one"}

    on_virtual_time(story)
    assert capfd.readouterr() == ("", "")


# --- secrets --------------------------------------------------------------------------------------------------------


def test_what_is_secret_in_a_url_is_sent_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        nodes = Nodes()
        url = "https://node-user:pass%40word@first.example:8443/v1/path-secret?apikey=query-secret"
        echo = "you said /v1/path-secret/wallet?apikey=query-secret as node-user with header-secret-too"
        nodes.tell("getaccountresource", httpx.Response(200, json={"Error": echo}))
        chain = chain_to(nodes, url, keys=("header-secret", "header-secret-too"))
        unread = await chain.reading(ADDRESS)
        request = nodes.asked("getaccountresource")[0]
        assert str(request.url) == (
            "https://first.example:8443/v1/path-secret/wallet/getaccountresource?apikey=query-secret"
        )
        assert request.headers["authorization"] == httpx.BasicAuth("node-user", "pass@word")._auth_header
        assert isinstance(unread, NoReading)
        nodes.tell("*", httpx.ConnectError(f"cannot connect to {url}"))
        nodes.tell("getaccountresource", httpx.InvalidURL(url))
        await asyncio.sleep(10)
        unconnected = await chain.reading(ADDRESS)
        shown = f"{unread!r} {unconnected!r} {chain.health()!r} {chain!r} {vars(chain)!r} {caplog.text}"
        assert "https://first.example:8443" in shown
        for secret in ("path-secret", "query-secret", "header-secret", "-too", "node-user", "pass@word", "pass%40word"):
            assert secret not in shown

    with caplog.at_level("DEBUG"):
        on_virtual_time(story)


def test_a_nodes_words_are_shown_as_one_short_line() -> None:
    async def story() -> None:
        nodes = Nodes()
        text = json.dumps({"Error": "a\nb\x1b[31m\ud800" + "c" * 10_000})
        nodes.tell("getaccountresource", httpx.Response(200, content=text.encode()))
        reading = await chain_to(nodes).reading(ADDRESS)
        assert isinstance(reading, NoReading)
        assert reading.detail.isprintable()
        assert len(reading.detail.encode()) < 300

    on_virtual_time(story)


# --- pace -----------------------------------------------------------------------------------------------------------


def test_requests_to_all_nodes_together_keep_the_pace_first_come_first_served() -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.answer_seconds = 0.3
        nodes.tell("getaccountresource", httpx.Response(502))
        chain = chain_to(nodes, FIRST, SECOND, max_rps=10)
        names = [f"T{number:033d}" for number in range(30)]
        await asyncio.gather(*(chain.reading(name) for name in names))
        times = [at for at, _ in nodes.requests]
        assert all(later - earlier > 0.0999 for earlier, later in pairwise(times))
        served = [json.loads(request.content)["address"] for request in nodes.asked("getaccountresource", SECOND)]
        assert served == names
        assert len(times) > 30

    on_virtual_time(story)


@settings(deadline=None, max_examples=30)
@given(max_rps=st.integers(1, 50), answer_ms=st.integers(0, 2_000), readings=st.integers(1, 40))
def test_no_second_holds_more_requests_than_allowed_and_no_moment_more_than_fit(
    max_rps: int, answer_ms: int, readings: int
) -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.answer_seconds = answer_ms / 1000
        chain = chain_to(nodes, max_rps=max_rps, max_in_flight=4)
        await asyncio.gather(*(chain.reading(ADDRESS) for _ in range(readings)))
        times = [at for at, _ in nodes.requests]
        assert all(sum(start <= at < start + 0.9999 for at in times) <= max_rps for start in times)
        assert nodes.in_flight_max <= 4
        assert len(nodes.asked("getaccountresource")) == readings

    on_virtual_time(story)


def test_waiting_for_a_turn_does_not_count_against_the_deadline() -> None:
    async def story() -> None:
        nodes = Nodes()
        chain = chain_to(nodes, max_rps=1)
        found = await asyncio.gather(*(chain.reading(ADDRESS) for _ in range(20)))
        assert all(isinstance(reading, Reading) for reading in found)
        assert seconds() == 20

    on_virtual_time(story)


def test_whoever_gives_up_leaves_the_head_and_the_turns_to_the_others() -> None:
    async def story() -> None:
        nodes = Nodes()
        nodes.answer_seconds = 1
        chain = chain_to(nodes, max_in_flight=1)
        impatient = asyncio.create_task(chain.reading(ADDRESS))
        patient = asyncio.create_task(chain.reading(ADDRESS))
        await asyncio.sleep(0.5)
        impatient.cancel()
        assert isinstance(await patient, Reading)

    on_virtual_time(story)
