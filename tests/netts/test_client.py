"""The calls, against real sockets: what leaves, what comes back, and what a broken answer does to an order."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from energyd.errors import Impossible, NettsUnavailable
from energyd.model import (
    Accepted,
    Baseline,
    CyclesKnown,
    Order,
    OrderKind,
    OrderState,
    Outcome,
    Prices,
    Reason,
    Refused,
    Sent,
    Unclear,
)
from energyd.netts.body import MAX_BODY
from energyd.netts.client import Auth, Netts

KEY = "0123456789abcdef0123456789abcdef"
ADDRESS = "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE"
THEN = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
DONE = {"detail": {"code": 10000, "msg": "ok", "data": {"orderId": "1H1", "paidTRX": 2.23, "energy": 71_050}}}
CYCLES_DONE = {"code": 0, "msg": "ok", "data": {"order_id": 5, "amount": 5.978}}


def order(kind: OrderKind = OrderKind.RENTAL, amount: int | None = 71_000) -> Order:
    return Order(
        key="k" * 64,
        kind=kind,
        address=ADDRESS,
        policy="payouts",
        decision_id="d1",
        state=OrderState.SENT,
        cost_max_sun=5_000_000,
        baseline=Baseline(taken_at=THEN),
        host="h",
        intended_at=THEN,
        changed_at=THEN,
        energy=amount if kind is OrderKind.RENTAL else None,
        cycles=amount if kind is OrderKind.CYCLES else None,
    )


def sent(kind: OrderKind = OrderKind.RENTAL, amount: int | None = 71_000) -> Sent:
    return Sent(order(kind, amount), asyncio.get_running_loop().time() + 10, THEN + timedelta(seconds=10))


def netts(url: str, **changes: Any) -> Netts:
    settings: dict[str, Any] = {
        "url": url,
        "api_key": KEY,
        "real_ip": "203.0.113.7",
        "max_rps": 1000,
        "timeout": timedelta(seconds=5),
        "now": lambda: THEN,
    }
    return Netts(**settings | changes)


# --- a raw server


@dataclass
class Seen:
    """What arrived at the server; one entry a request, with the number of its connection."""

    requests: list["Request"] = field(default_factory=list)
    connections: int = 0


@dataclass
class Request:
    line: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def reply(status: int, body: object, headers: str = "", length: int | None = None) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(content) if length is None else length}\r\n{headers}\r\n"
    return raw(head.encode() + content)


def raw(content: bytes) -> Answer:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()

    return write


async def drop(_writer: asyncio.StreamWriter) -> None:
    """The request was read, and what it asks for done; the connection ends without a word."""


async def hang(_writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def drip(writer: asyncio.StreamWriter) -> None:
    """An answer that is always on its way and never complete."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def read_request(reader: asyncio.StreamReader, connection: int) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *fields = head.strip().split("\r\n")
    headers = {name.lower(): value for name, value in (item.split(": ", 1) for item in fields)}
    return Request(line, headers, await reader.readexactly(int(headers.get("content-length", "0"))), connection)


@asynccontextmanager
async def serving(*answers: Answer) -> AsyncIterator[tuple[str, Seen]]:
    """Serve these answers, one a request; the last one again and again. Connections stay open after an answer."""
    seen, left = Seen(), list(answers)
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        seen.connections += 1
        number = seen.connections
        try:
            while True:
                seen.requests.append(await read_request(reader, number))
                answer = left.pop(0) if len(left) > 1 else left[0]
                await answer(writer)
                if answer is drop or getattr(answer, "closes", False):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}", seen
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def closing(answer: Answer) -> Answer:
    async def write(writer: asyncio.StreamWriter) -> None:
        await answer(writer)

    write.closes = True  # type: ignore[attr-defined]  # read by `connected` only
    return write


def ordering(answer: Answer, kind: OrderKind = OrderKind.RENTAL, **changes: Any) -> tuple[Outcome, Seen]:
    """One order against one answer."""

    async def run() -> tuple[Outcome, Seen]:
        async with serving(answer) as (url, seen):
            client = netts(url, **changes)
            try:
                return await client.order(sent(kind, 71_000 if kind is OrderKind.RENTAL else 8)), seen
            finally:
                await client.aclose()

    return asyncio.run(run())


# --- what leaves


def test_a_rental_is_posted_once_with_key_address_and_idempotency_key() -> None:
    outcome, seen = ordering(reply(200, DONE))
    assert outcome == Accepted(200, "1H1", 2_230_000, energy=71_050)
    (request,) = seen.requests
    assert request.line == "POST /apiv2/order1h HTTP/1.1"
    assert request.json == {"amount": 71_000, "receiveAddress": ADDRESS}
    assert request.headers["x-api-key"] == KEY
    assert request.headers["x-real-ip"] == "203.0.113.7"
    assert request.headers["x-idempotency-key"] == "k" * 64
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize(("auth", "in_body", "in_headers"), [("body", 1, 0), ("headers", 0, 1), ("both", 1, 1)])
def test_cycles_are_ordered_with_the_key_where_it_is_wanted(auth: Auth, in_body: int, in_headers: int) -> None:
    outcome, seen = ordering(reply(200, CYCLES_DONE), OrderKind.CYCLES, auth=auth)
    assert outcome == Accepted(200, "5", 5_978_000)
    (request,) = seen.requests
    assert request.line == "POST /apiv2/time/order HTTP/1.1"
    assert request.json == {"address": ADDRESS, "cycles": 8} | ({"api_key": KEY} if in_body else {})
    assert ("x-api-key" in request.headers) == bool(in_headers)


def test_a_key_in_the_body_only_is_still_sent_with_a_rental() -> None:
    _, seen = ordering(reply(200, DONE), auth="body", real_ip=None)
    assert seen.requests[0].headers["x-api-key"] == KEY
    assert "x-real-ip" not in seen.requests[0].headers


def test_an_order_that_says_no_amount_is_impossible() -> None:
    async def run() -> None:
        client = netts("http://127.0.0.1:9")
        with pytest.raises(Impossible):
            await client.order(sent(amount=None))
        await client.aclose()

    asyncio.run(run())


def test_no_connection_is_used_twice() -> None:
    async def run() -> None:
        async with serving(reply(200, DONE)) as (url, seen):
            client = netts(url)
            for _ in range(3):
                assert isinstance(await client.order(sent()), Accepted)
            await client.aclose()
            assert [request.connection for request in seen.requests] == [1, 2, 3]

    asyncio.run(run())


def test_a_server_that_closes_its_idle_connections_costs_no_unclear_order() -> None:
    async def run() -> None:
        async with serving(closing(reply(200, DONE))) as (url, _):
            client = netts(url)
            outcomes = [await client.order(sent()) for _ in range(20)]
            await client.aclose()
            assert all(isinstance(outcome, Accepted) for outcome in outcomes)

    asyncio.run(run())


def test_the_proxy_settings_of_the_environment_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    outcome, _ = ordering(reply(200, DONE))
    assert isinstance(outcome, Accepted)


# --- what comes back broken


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(drop, id="charged, then dropped"),
        pytest.param(hang, id="no answer"),
        pytest.param(drip, id="slow bytes"),
        pytest.param(closing(raw(b"HTTP/1.1 200 OK\r\nContent-Le")), id="cut in the headers"),
        pytest.param(closing(reply(200, DONE, length=500)), id="cut in the body"),
        pytest.param(closing(reply(400, {"code": -10}, length=500)), id="a refusal cut in the body"),
        pytest.param(reply(200, DONE, length=40), id="a length that is too short"),
        pytest.param(closing(raw(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}")), id="a length that is no number"),
        pytest.param(closing(raw(b"220 mail.example.org ESMTP\r\n\r\n")), id="not HTTP"),
        pytest.param(
            closing(raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}")), id="not gzip"
        ),
        pytest.param(reply(502, b"<html>Bad Gateway</html>"), id="502"),
        pytest.param(reply(200, b"<html>Welcome</html>"), id="a page"),
        pytest.param(reply(200, b'{"code": 10000, "x": "' + b"y" * 3 * MAX_BODY + b'"}'), id="3 MiB"),
        pytest.param(reply(303, b"", "Location: /elsewhere\r\n"), id="303"),
    ],
)
def test_an_answer_that_leaves_a_doubt_makes_the_order_unclear(answer: Answer) -> None:
    outcome, seen = ordering(answer, timeout=timedelta(seconds=3))
    assert isinstance(outcome, Unclear)
    assert len(seen.requests) == 1


def test_an_order_that_found_nobody_is_refused() -> None:
    async def run() -> Outcome:
        async with serving(hang) as (url, _):
            pass
        client = netts(url)
        try:
            return await client.order(sent())
        finally:
            await client.aclose()

    outcome = asyncio.run(run())
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.NETTS_UNAVAILABLE
    assert outcome.http_status is None


def test_a_redirect_is_not_followed() -> None:
    outcome, seen = ordering(reply(308, b"", "Location: /apiv2/order1h/\r\n"))
    assert isinstance(outcome, Refused)
    assert len(seen.requests) == 1


def test_a_cancelled_order_is_left_open() -> None:
    async def run() -> None:
        arrived = asyncio.Event()

        async def arrive_and_hang(writer: asyncio.StreamWriter) -> None:
            arrived.set()
            await hang(writer)

        async with serving(arrive_and_hang) as (url, _):
            client = netts(url)
            task = asyncio.create_task(client.order(sent()))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await client.aclose()

    asyncio.run(run())


NEVER_LEFT = {
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
}


def every_kind(base: type[Exception]) -> set[type[Exception]]:
    return {base} | {kind for child in base.__subclasses__() for kind in every_kind(child)}


@pytest.mark.parametrize(
    "error",
    [
        *sorted(every_kind(httpx.RequestError), key=str),
        httpx.InvalidURL,
        httpx.StreamClosed,
        ConnectionResetError,
        TimeoutError,
        RuntimeError,
        UnicodeError,
    ],
)
def test_every_error_of_the_network_has_its_outcome(error: type[Exception]) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise error() if error is httpx.StreamClosed else error(f"{KEY} was not liked")

    async def run() -> Outcome:
        return await netts("http://netts.test", transport=httpx.MockTransport(fail)).order(sent())

    outcome = asyncio.run(run())
    assert KEY not in repr(outcome)
    if error in NEVER_LEFT | {httpx.InvalidURL}:
        assert isinstance(outcome, Refused)
        assert outcome.reason is Reason.NETTS_UNAVAILABLE
    else:
        assert isinstance(outcome, Unclear)


# --- the mark of sending


@pytest.mark.parametrize(
    "change",
    [
        lambda mark: replace(mark, good_until=mark.good_until - 20),
        lambda mark: replace(mark, wall_good_until=THEN - timedelta(seconds=1)),
    ],
    ids=["loop clock", "wall clock"],
)
def test_an_order_whose_mark_ran_out_does_not_leave(change: Callable[[Sent], Sent]) -> None:
    async def run() -> None:
        async with serving(reply(200, DONE)) as (url, seen):
            client = netts(url)
            outcome = await client.order(change(sent()))
            await client.aclose()
            assert isinstance(outcome, Refused)
            assert outcome.reason is Reason.REFUSED
            assert "never left" in outcome.text
            assert seen.connections == 0

    asyncio.run(run())


def test_a_host_that_freezes_while_it_connects_does_not_send_on_waking() -> None:
    async def run() -> None:
        moments = iter([THEN, THEN + timedelta(minutes=5)])
        async with serving(reply(200, DONE)) as (url, seen):
            client = netts(url, now=lambda: next(moments))
            outcome = await client.order(sent())
            await client.aclose()
            assert isinstance(outcome, Refused)
            assert "never left" in outcome.text
            await asyncio.sleep(0)
            assert seen.requests == []

    asyncio.run(run())


# --- reads

PRICING = {"success": True, "data": {"services": {"energy_1h": {"unit": "sun", "price": 27}}}}
OLD_PRICES = {
    "host_price": 2.989,
    "periods": [{"is_active": True, "prices": {"less_than_200k": {"price_sun": 17}}}],
}


def reading(call: Callable[[Netts], Awaitable[Any]], *answers: Answer, **changes: Any) -> tuple[Any, Seen]:
    """The result of a read, or the error that it raised."""

    async def run() -> tuple[Any, Seen]:
        async with serving(*answers) as (url, seen):
            client = netts(url, **changes)
            try:
                return await call(client), seen
            except NettsUnavailable as error:
                return error, seen
            finally:
                await client.aclose()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([reply(200, PRICING), reply(200, OLD_PRICES)], Prices(27, 2_989_000, rent_read_at=THEN)),
        ([reply(404, {}), reply(200, OLD_PRICES)], Prices(17, 2_989_000, rent_read_at=THEN)),
        ([reply(405, b""), reply(405, b""), reply(200, OLD_PRICES)], Prices(17, 2_989_000, rent_read_at=THEN)),
        ([reply(200, b"{}"), reply(200, OLD_PRICES)], Prices(17, 2_989_000, rent_read_at=THEN)),
        ([reply(200, PRICING), reply(404, {})], Prices(27, rent_read_at=THEN)),
        ([reply(200, PRICING), reply(200, b"{}")], Prices(27, rent_read_at=THEN)),
        ([reply(200, PRICING), drop], Prices(27, rent_read_at=THEN)),
        ([reply(404, {}), reply(200, {"host_price": 3})], Prices(None, 3_000_000, rent_read_at=THEN)),
    ],
)
def test_prices_come_from_wherever_they_stand(answers: list[Answer], expected: Prices) -> None:
    found, _ = reading(lambda client: client.prices(cycles=True), *answers)
    assert found == expected


@pytest.mark.parametrize(
    "answers", [[reply(404, {}), reply(404, {})], [reply(200, b"{}"), reply(200, b"{}")], [drop], [reply(500, b"")]]
)
def test_prices_that_stand_nowhere_are_an_error(answers: list[Answer]) -> None:
    found, _ = reading(lambda client: client.prices(cycles=True), *answers)
    assert isinstance(found, NettsUnavailable)
    assert not found.auth


def test_older_endpoints_are_posted_to_only_where_get_is_not_allowed() -> None:
    found, seen = reading(
        lambda client: client.funds(), reply(405, b""), reply(200, {"code": 0, "data": {"balance": "1.5"}})
    )
    assert found.balance_sun == 1_500_000
    assert found.read_at == THEN
    assert [request.line.split()[0] for request in seen.requests] == ["GET", "POST"]


@pytest.mark.parametrize(
    ("answer", "auth"),
    [
        (reply(401, {"status": "error", "code": 401, "message": "Invalid API key or IP not in whitelist"}), True),
        (reply(403, b"<html></html>"), True),
        (reply(200, {"status": "error", "code": 401, "message": f"bad key {KEY}"}), True),
        (reply(200, {"code": -1, "msg": "IP not in whitelist"}), True),
        (reply(200, {"status": "success", "data": {}}), False),
        (reply(429, {"message": "API rate limit exceeded"}), False),
        (reply(500, b"<html></html>"), False),
        (drop, False),
        (hang, False),
    ],
)
def test_funds_that_cannot_be_read_are_an_error_that_says_whether_the_key_is_wrong(answer: Answer, auth: bool) -> None:  # noqa: FBT001 - a column of the table
    found, _ = reading(lambda client: client.funds(), answer, timeout=timedelta(seconds=0.2))
    assert isinstance(found, NettsUnavailable)
    assert found.auth is auth
    assert "userinfo" in str(found)
    assert KEY not in str(found)


def test_cycles_are_asked_for_with_the_key_in_the_body() -> None:
    listed = {"code": 0, "data": {"addresses": [{"address": ADDRESS, "cycles_remaining": 4}]}}
    found, seen = reading(lambda client: client.cycles(ADDRESS), reply(200, listed))
    assert (found.known, found.remaining, found.read_at) == (CyclesKnown.COUNTED, 4, THEN)
    assert seen.requests[0].line == "POST /apiv2/time/status HTTP/1.1"
    assert seen.requests[0].json == {"api_key": KEY}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(200, {"success": True, "code": 10000, "order": {"id": "1H1", "cost": 2.5}}), 2_500_000),
        (reply(200, {"success": False, "msg": "no such order"}), None),
        (reply(404, {"success": False}), None),
        (reply(200, {"success": True, "code": 10000, "order": {"id": "1H2"}}), NettsUnavailable),
        (reply(500, b""), NettsUnavailable),
    ],
)
def test_an_order_is_looked_up_by_its_id(answer: Answer, expected: object) -> None:
    found, seen = reading(lambda client: client.order_check("1H1"), answer)
    assert seen.requests[0].line == "GET /apiv2/order_check?order_id=1H1 HTTP/1.1"
    if isinstance(expected, type):
        assert isinstance(found, expected)
    else:
        assert (found and found.cost_sun) == expected


# --- the key


def test_the_key_is_in_no_log_line_error_or_representation(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = reply(500, {"msg": f"you sent {KEY}", "orderId": KEY})
    for kind in OrderKind:
        for answer in (reply(200, DONE), echo, drop):
            outcome, _ = ordering(answer, kind)
            assert KEY not in repr(outcome)
    for call in (lambda netts: netts.prices(cycles=True), Netts.funds):
        found, _ = reading(call, echo)
        assert KEY not in repr(found)
    assert len(caplog.records) > 50
    assert KEY not in caplog.text
    assert KEY not in repr(netts("http://netts.test", transport=httpx.MockTransport(lambda _: httpx.Response(200))))


@pytest.mark.parametrize("key", ["", f"{KEY}\n", f"{KEY} ", f"{KEY}é"])
def test_a_key_that_no_request_can_carry_is_turned_away_without_being_quoted(key: str) -> None:
    with pytest.raises(ValueError, match="API key") as caught:
        netts("http://netts.test", api_key=key)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("url", ["netts.io", "ftp://netts.io", "https://", f"https://user:{KEY}@netts.io"])
def test_a_url_that_leads_nowhere_is_turned_away_without_being_quoted(url: str) -> None:
    with pytest.raises(ValueError, match="URL") as caught:
        netts(url)
    assert KEY not in str(caught.value)
