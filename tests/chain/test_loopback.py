"""The whole way over real connections: aiohttp's transport, a server on loopback, HTTP as servers speak it."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from energyd.chain import Chain
from energyd.model import NoReading, Reading

ADDRESS = "TZ4UXDV5ZhNW7fb2AMSbgfAEZ7hWsnYS2g"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
HEAD = {"block_header": {"raw_data": {"number": 5, "timestamp": int(NOW.timestamp()) * 1000}}}
ENERGY = {"TotalEnergyLimit": 180_000_000_000, "EnergyLimit": 65_000}
BY_CALL = {"getblock": HEAD, "getaccountresource": ENERGY}


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def usual(call: str) -> bytes:
    return http(json.dumps(BY_CALL[call]).encode(), "content-type: application/json")


class Server:
    """A node on an ephemeral port that answers bytes. `closes`: it drops the connection after each answer, unsaid."""

    def __init__(self) -> None:
        self.answer: Callable[[str], bytes | Awaitable[bytes]] = usual
        self.closes = False
        self.connections = 0
        self.heads: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._answer_one(reader, writer) and not self.closes:
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lengths = [line for line in head.lower().splitlines() if line.startswith("content-length:")]
        await reader.readexactly(int(lengths[0].partition(":")[2]))
        self.heads.append(head)
        answer = self.answer(head.split()[1].partition("?")[0].rpartition("/")[2])
        whole = answer if isinstance(answer, bytes) else await answer
        writer.write(whole)
        await writer.drain()
        return whole != b""


def with_server(story: Callable[[Server, Chain], Awaitable[None]], path: str = "", **more: Any) -> Server:
    server = Server()

    @asynccontextmanager
    async def listening() -> Any:
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        settings: dict[str, Any] = {"max_rps": 10_000, "timeout": timedelta(seconds=10), "now": lambda: NOW} | more
        chain = Chain([server.url + path], **settings)
        try:
            yield chain
        finally:
            await chain.close()
            listener.close()

    async def run() -> None:
        async with listening() as chain:
            await story(server, chain)

    asyncio.run(run())
    return server


async def detail_of(chain: Chain) -> str:
    reading = await chain.reading(ADDRESS)
    assert isinstance(reading, NoReading)
    return reading.detail


@pytest.mark.parametrize("path", ["/v1/the-key", "/v1/the-key/"])
def test_a_path_with_a_key_inside_survives_with_and_without_a_trailing_slash(path: str) -> None:
    async def story(_server: Server, chain: Chain) -> None:
        assert isinstance(await chain.reading(ADDRESS), Reading)

    server = with_server(story, path)
    assert [head.split()[1] for head in server.heads] == [
        "/v1/the-key/wallet/getblock",
        "/v1/the-key/wallet/getaccountresource",
    ]


def test_keys_and_credentials_travel_in_headers() -> None:
    async def story(server: Server, chain: Chain) -> None:
        assert isinstance(await chain.reading(ADDRESS), Reading)
        assert "tron-pro-api-key: one" in server.heads[0].lower()
        assert "tron-pro-api-key: two" in server.heads[1].lower()

    with_server(story, api_keys=["one", "two"])


def test_one_connection_is_kept_for_all_readings() -> None:
    async def story(_server: Server, chain: Chain) -> None:
        for _ in range(5):
            assert isinstance(await chain.reading(ADDRESS), Reading)

    assert with_server(story).connections == 1


def test_connections_that_the_server_closes_cost_no_reading() -> None:
    async def story(server: Server, chain: Chain) -> None:
        server.closes = True
        for _ in range(20):
            assert isinstance(await chain.reading(ADDRESS), Reading)

    with_server(story)


def test_a_connection_closed_just_as_it_is_used_again_costs_no_reading() -> None:
    async def story(server: Server, chain: Chain) -> None:
        answers = [usual("getblock"), b"", usual("getaccountresource")]
        server.answer = lambda _: answers.pop(0)
        assert isinstance(await chain.reading(ADDRESS), Reading)
        assert server.connections == 2

    with_server(story)


def test_a_packed_answer_is_unpacked() -> None:
    async def story(server: Server, chain: Chain) -> None:
        server.answer = lambda call: http(gzip.compress(json.dumps(BY_CALL[call]).encode()), "content-encoding: gzip")
        reading = await chain.reading(ADDRESS)
        assert isinstance(reading, Reading)
        assert reading.energy_limit == 65_000

    with_server(story)


def test_an_answer_that_unpacks_to_more_than_is_allowed_is_given_up() -> None:
    async def story(server: Server, chain: Chain) -> None:
        bomb = gzip.compress(b" " * 2**26)
        server.answer = lambda _: http(bomb, "content-encoding: gzip")
        assert "larger than 4194304 bytes" in await detail_of(chain)

    with_server(story)


def test_a_silent_server_is_given_up_at_the_deadline() -> None:
    async def story(server: Server, chain: Chain) -> None:
        async def never(_call: str = "") -> bytes:
            await asyncio.get_running_loop().create_future()
            return b""

        server.answer = never
        assert "no answer within" in await detail_of(chain)

    with_server(story, timeout=timedelta(milliseconds=50))


def test_a_server_that_sends_half_an_answer_and_waits_is_given_up_at_the_deadline() -> None:
    async def story(server: Server, chain: Chain) -> None:
        server.answer = lambda _: usual("getblock")[:-5]
        assert "no answer within" in await detail_of(chain)

    with_server(story, timeout=timedelta(milliseconds=50))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000,
        http(b"{}")[:-1],
        http(b"not gzip", "content-encoding: gzip"),
        http(b"", "location: https://elsewhere.example/", status="301 Moved Permanently"),
        http(json.dumps(HEAD).encode(), status="500 Internal Server Error"),
    ],
)
def test_a_broken_exchange_is_no_reading_and_says_why(answer: bytes) -> None:
    async def story(server: Server, chain: Chain) -> None:
        server.answer = lambda _: answer
        server.closes = True
        assert len(await detail_of(chain)) > len(f"{server.url}: ")

    with_server(story)


def test_a_host_that_nobody_serves_is_named_with_the_reason() -> None:
    async def story(_server: Server, _chain: Chain) -> None:
        closed = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = closed.sockets[0].getsockname()[1]
        closed.close()
        await closed.wait_closed()
        url = f"http://127.0.0.1:{port}"
        nobody = Chain([url], max_rps=10_000, timeout=timedelta(seconds=10), now=lambda: NOW)
        detail = await detail_of(nobody)
        await nobody.close()
        assert detail.startswith(f"{url}: ")
        assert "Connect call failed" in detail

    with_server(story)


def test_the_suspended_key_is_passed_over_for_the_next() -> None:
    async def story(server: Server, chain: Chain) -> None:
        limit = b'{"Error":"The key exceeds the frequency limit(15), and the query server is suspended for 30s"}'
        answers = [http(limit, status="403 Forbidden"), usual("getblock"), usual("getaccountresource")]
        server.answer = lambda _: answers.pop(0)
        assert isinstance(await chain.reading(ADDRESS), Reading)
        keys = [line for head in server.heads for line in head.lower().splitlines() if "api-key" in line]
        assert [key.rpartition(" ")[2] for key in keys] == ["one", "two", "two"]

    with_server(story, api_keys=["one", "two"])


def test_a_chain_that_was_never_asked_closes_quietly() -> None:
    async def story(_server: Server, _chain: Chain) -> None:
        return

    assert with_server(story).connections == 0
