"""The calls to Netts. One of them spends, takes nothing but a `Sent`, and never repeats itself.

What httpx and httpcore do, as read in their source (0.28 and 1.0) and tried in tests/netts/test_client.py:

* Neither sends a request a second time. httpcore's `retries` repeats connecting only, and is 0.
* A server may close an idle connection at the very moment a request is written to it; that ends in RemoteProtocolError
  or ReadError, and nobody knows whether the request was seen. So no connection is used twice: at one request a second
  a handshake costs nothing that matters, an order of unclear fate does.
* A connection is opened inside the call, so the mark of sending is checked a second time from httpcore's own trace,
  when the request's first byte is about to leave.
* Their logs show URLs, statuses and the headers of answers, but not those of requests. The text of an error can quote a
  header that is not allowed in HTTP, so a key with such characters is turned away at the start.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from math import inf
from typing import Any, Literal

import httpx

from energyd import __version__
from energyd.errors import Impossible, NettsUnavailable
from energyd.model import (
    Cycles,
    CyclesKnown,
    Funds,
    HostAct,
    Order,
    OrderCheck,
    OrderKind,
    Outcome,
    Prices,
    Reason,
    Refused,
    Sent,
    Unclear,
)
from energyd.netts import answers, reads
from energyd.netts.body import MAX_BODY, tidy

Auth = Literal["body", "headers", "both"]
"""Where the calls below time/ carry the key. The generations of the documentation contradict each other."""

HOST_MODE_CALLS = 6
"""Calls below time/ in any 60 seconds (netts-api 12)."""
HOST_MODE_READS = 4
"""How many of those may be reads, so that an order finds a free one."""

LISTEN_LONGER = 60.0
"""Seconds for which an order's answer is still listened for after its outcome was called unclear."""

_NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
"""No connection came about, so the order cannot have been seen. After any other error it may have been."""
_ABOUT_TO_LEAVE = "http11.send_request_headers.started"
"""httpcore's name for the moment before the first byte of a request is written."""
_ACTS = {
    HostAct.ADD: ("time/add", "energy_threshold"),
    HostAct.INFINITY: ("time/infinitystart", "energy_amount"),
    HostAct.STOP: ("time/stop", None),
    HostAct.REMOVE: ("time/delete", None),
}
_PAGE_SIZE, _PAGES_AT_MOST = 100, 50
"""Of the list of addresses in Host Mode; 100 is the most that a page holds (netts-api 6.4)."""
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE)


class _TooLate(Exception):
    """The mark of sending ran out before the request left."""


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Netts:
    """Netts for one API key. Reads raise NettsUnavailable; what happened to money is an Outcome, never an error.

    `timeout` is the whole time of one call from its turn until the last byte; a third of it may go into each step of
    connecting. At most `max_rps` calls a second leave, an order before any read. The environment's proxy settings are
    not followed: the key is bound to the address that calls come from. `transport` is closed with the client;
    `watch` may put something around it that sees every request.
    """

    def __init__(
        self,
        *,
        url: str,
        api_key: str,
        real_ip: str | None,
        max_rps: float,
        timeout: timedelta,
        now: Callable[[], datetime],
        auth: Auth = "both",
        transport: httpx.AsyncBaseTransport | None = None,
        watch: Callable[[httpx.AsyncBaseTransport], httpx.AsyncBaseTransport] = lambda transport: transport,
    ) -> None:
        """Raises ValueError for a URL or a key that no request can carry; it does not quote the key."""
        self._url, self._key, self._real_ip, self._auth, self._now = _checked(url), api_key, real_ip, auth, now
        if not re.fullmatch(r"[\x21-\x7e]+", api_key):
            raise ValueError("the API key of Netts is empty or has a character that no HTTP header can carry")
        self._seconds = timeout.total_seconds()
        self._late: dict[str, asyncio.Task[Outcome]] = {}
        self._pace = _Pace(max_rps)
        self._client = httpx.AsyncClient(
            base_url=f"{self._url}/apiv2/",
            headers={"User-Agent": f"energyd/{__version__}", "Accept-Encoding": "identity"},
            transport=watch(transport or httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))),
            follow_redirects=False,
            trust_env=False,
        )

    def __repr__(self) -> str:
        return f"Netts({self._url!r})"

    async def wind_down(self) -> None:
        """Close when the answers that are listened for have come. They can still be had; nothing new may be asked."""
        if self._late:
            await asyncio.wait(self._late.values())
        await self._client.aclose()

    @property
    def may_know(self) -> bool:
        """Whether an order's answer came late, or may come, that nobody has asked for."""
        return bool(self._late)

    async def aclose(self) -> None:
        late = list(self._late.values())
        self._late.clear()
        for call in late:
            call.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await self._client.aclose()

    # --- the one call that spends

    async def order(self, sent: Sent) -> Outcome:
        """Buy what was marked as being sent, once. Cancelling it leaves the order's fate open, as a crash does.

        Without an answer in time the outcome is unclear, and the answer is listened for a while longer: see
        `late_answer`. Raises Impossible for an order that does not say how much; nothing has left then.
        """
        path, body = self._purchase(sent.order)
        if not await self._pace.turn(host_mode=_is_host_mode(path), order_until=sent.good_until):
            return _stayed("it would have had to wait too long for its turn")
        call = asyncio.create_task(self._buy(sent, path, body), name=f"order {sent.order.key[:12]}")
        try:
            await asyncio.wait([call], timeout=self._seconds)
        except asyncio.CancelledError:
            call.cancel()
            raise
        if call.done():
            return call.result()
        self._late[sent.order.key] = call
        return Unclear(f"no answer within {self._seconds:g} seconds")

    def late_answer(self, order_key: str) -> Outcome | None:
        """What an order's answer says that came after `order` had given it up; None while there is none."""
        call = self._late.get(order_key)
        if call is None or not call.done():
            return None
        del self._late[order_key]
        return call.result()

    async def _buy(self, sent: Sent, path: str, body: dict[str, Any]) -> Outcome:
        async def before_the_first_byte(event: str, _info: Mapping[str, Any]) -> None:
            if event == _ABOUT_TO_LEAVE:
                self._still_good(sent)

        try:
            self._still_good(sent)
            reply = await self._exchange(
                "POST",
                path,
                json=body,
                headers={"X-Idempotency-Key": sent.order.key},
                extensions={"trace": before_the_first_byte},
                seconds=self._seconds + LISTEN_LONGER,
            )
        except _TooLate:
            return _stayed("too much time passed since it was marked as being sent")
        except _NEVER_LEFT as error:
            return Refused(Reason.NETTS_UNAVAILABLE, self._told(error))
        except Exception as error:  # noqa: BLE001 - whatever broke after it was handed over, money may have moved
            return Unclear(self._told(error))
        return answers.order_outcome(sent.order.kind, reply.status, reply.headers, reply.body, hide=self._key)

    def _purchase(self, order: Order) -> tuple[str, dict[str, Any]]:
        amount = order.energy if order.kind is OrderKind.RENTAL else order.cycles
        if amount is None:
            raise Impossible(f"order {order.key} does not say how much to buy")
        if order.kind is OrderKind.RENTAL:
            return "order1h", {"amount": amount, "receiveAddress": order.address}
        return "time/order", self._with_key({"address": order.address, "cycles": amount})

    def _still_good(self, sent: Sent) -> None:
        if asyncio.get_running_loop().time() > sent.good_until or self._now() > sent.wall_good_until:
            raise _TooLate

    # --- reads

    async def prices(self, *, cycles: bool) -> Prices:
        """What energy and, if asked for, cycles cost; `burn_sun` left open. What stands in no answer is None.

        `pricing` knows the price of energy, the older `prices` that of cycles and, where the former is gone or cannot
        be used, that of energy, too.
        """
        asked_at = self._now()
        newer = await self._reply("GET", "pricing", params={"services": "energy_1h"})
        rent = None if newer.status in _GONE else reads.rent_price_sun(self._body("pricing", newer))
        if rent is not None and not cycles:
            return Prices(rent_sun=rent, rent_read_at=asked_at)
        try:
            older = await self._read("prices")
        except NettsUnavailable:
            if rent is None:
                raise
            return Prices(rent_sun=rent, rent_read_at=asked_at)
        rent, cycle = rent or reads.rent_price_sun(older), reads.cycle_price_sun(older)
        if rent is None and cycle is None:
            raise NettsUnavailable("Netts: neither pricing nor prices holds a price that can be used")
        return Prices(rent_sun=rent, cycle_sun=cycle, rent_read_at=asked_at)

    async def funds(self) -> Funds:
        """The prepaid balance and its counters; `read_at` is the moment of asking, before the answer was made."""
        asked_at = self._now()
        body = await self._read("userinfo")
        known = reads.funds(body, asked_at)
        if known is None:
            raise self._unusable("userinfo", HTTPStatus.OK, body, "no balance")
        return known

    async def cycles(self, address: str) -> Cycles:
        """The Host Mode cycles left for one address, which may be unknown; see reads.cycles."""
        return (await self.cycles_of([address]))[address]

    async def cycles_of(self, addresses: Collection[str]) -> dict[str, Cycles]:
        """The Host Mode cycles left for addresses, which may be unknown; see reads.cycles.

        One answer lists all of them, or a few do in pages. Where that path is gone each address is asked for by itself.
        """
        asked_at = self._now()
        reply = await self._reply("POST", "time/status", json=self._with_key({}))
        if reply.status in _GONE and not reads.says_not_hosted(reply.body):
            return {address: await self._cycles_at(address) for address in addresses}
        pages = [self._body("time/status", reply)]
        if reads.has_further_pages(pages):
            pages = await self._pages_of_status()
        return {address: reads.cycles(pages, address, asked_at) for address in addresses}

    async def act(self, act: HostAct, address: str, *, energy: int | None = None) -> Outcome:
        """Change how an address stands in Host Mode, once. What came of an unclear one is read from its state.

        `energy` is what older generations of the documents want beside the address: the threshold below which Netts
        delegates, or the energy of unlimited cycles.
        """
        path, field = _ACTS[act]
        wanted = {} if energy is None or field is None else {field: energy}
        await self._pace.turn(host_mode=True, order_until=inf)
        try:
            reply = await self._exchange("POST", path, json=self._with_key({"address": address} | wanted))
        except _NEVER_LEFT as error:
            return Refused(Reason.NETTS_UNAVAILABLE, self._told(error))
        except Exception as error:  # noqa: BLE001 - whatever broke after it was handed over, it may have been done
            return Unclear(self._told(error))
        return answers.order_outcome(OrderKind.CYCLES, reply.status, reply.headers, reply.body, hide=self._key)

    async def _pages_of_status(self) -> list[bytes]:
        pages: list[bytes] = []
        while len(pages) < _PAGES_AT_MOST and (not pages or reads.has_further_pages(pages)):
            asked = self._with_key({"page": len(pages) + 1, "page_size": _PAGE_SIZE})
            pages.append(self._body("time/status", await self._reply("POST", "time/status", json=asked)))
        return pages

    async def _cycles_at(self, address: str) -> Cycles:
        asked_at = self._now()
        reply = await self._reply("GET", f"time/status/{address}")
        if reply.status == HTTPStatus.NOT_FOUND and reads.says_not_hosted(reply.body):
            return Cycles(address, CyclesKnown.NOT_IN_HOST_MODE, None, asked_at)
        return reads.cycles([self._body("time/status", reply)], address, asked_at)

    async def order_check(self, netts_order_id: str) -> OrderCheck | None:
        """What Netts knows of the order that it gave this id. None when it knows none, which is no proof."""
        reply = await self._reply("GET", "order_check", params={"order_id": netts_order_id})
        if reply.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
            return None
        found = reads.order_check(self._body("order_check", reply))
        if found is not None and found.netts_order_id != netts_order_id:
            raise NettsUnavailable("Netts: order_check answered about another order")
        return found

    async def _read(self, path: str) -> bytes:
        """GET, and POST where an older generation of the endpoint does not know GET."""
        reply = await self._reply("GET", path)
        if reply.status == HTTPStatus.METHOD_NOT_ALLOWED:
            reply = await self._reply("POST", path, json={})
        return self._body(path, reply)

    async def _reply(self, method: str, path: str, **parts: Any) -> _Reply:
        await self._pace.turn(host_mode=_is_host_mode(path))
        try:
            return await self._exchange(method, path, **parts)
        except Exception as error:
            raise NettsUnavailable(f"Netts: {path}: {self._told(error)}") from error

    def _body(self, path: str, reply: _Reply) -> bytes:
        if reply.status not in range(200, 300):
            raise self._unusable(path, reply.status, reply.body, "no reason given")
        return reply.body

    def _unusable(self, path: str, status: int, body: bytes, otherwise: str) -> NettsUnavailable:
        said = reads.problem(body, hide=self._key) or otherwise
        return NettsUnavailable(f"Netts: {path}: HTTP {status}: {said}", auth=reads.blames_key(status, body))

    # --- the wire

    async def _exchange(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        extensions: dict[str, Any] | None = None,
        seconds: float | None = None,
    ) -> _Reply:
        """One request and its whole answer within the deadline, also over a transport that knows no timeouts."""
        carried = {**self._identity(path, has_body=json is not None), **(headers or {})}
        within = seconds or self._seconds
        async with (
            asyncio.timeout(within),
            self._client.stream(
                method,
                path,
                json=json,
                params=params,
                headers=carried,
                extensions=extensions,
                timeout=httpx.Timeout(within, connect=self._seconds / 3, pool=self._seconds / 3),
            ) as response,
        ):
            return _Reply(response.status_code, response.headers, await _bounded(response))

    def _identity(self, path: str, *, has_body: bool) -> dict[str, str]:
        key = {} if _is_host_mode(path) and has_body and self._auth == "body" else {"X-API-KEY": self._key}
        return key | ({"X-Real-IP": self._real_ip} if self._real_ip else {})

    def _with_key(self, body: dict[str, Any]) -> dict[str, Any]:
        return body if self._auth == "headers" else {"api_key": self._key, **body}

    def _told(self, error: Exception) -> str:
        """What an error of the network says, in one short line."""
        if isinstance(error, TimeoutError):
            return f"no answer within {self._seconds:g} seconds"
        return tidy(": ".join(filter(None, (type(error).__name__, str(error)))), self._key)


def _checked(url: str) -> str:
    parts = httpx.URL(url)
    if parts.scheme not in ("http", "https") or not parts.host or parts.userinfo:
        raise ValueError("the URL of Netts is not of the form https://netts.io")
    return url.rstrip("/")


def _is_host_mode(path: str) -> bool:
    return path.startswith("time/")


def _stayed(why: str) -> Refused:
    return Refused(Reason.REFUSED, f"the order never left: {why}")


async def _bounded(response: httpx.Response) -> bytes:
    """The body, or as much of it as shows that it is too long to be looked at."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_BODY:
            break
    return bytes(body)


class _Pace:
    """Gives turns: at most `max_rps` a second, few below time/, and orders before reads."""

    def __init__(self, max_rps: float) -> None:
        self._gap = 1 / max_rps
        self._last = -inf
        self._host_mode: deque[float] = deque(maxlen=HOST_MODE_CALLS)
        self._orders_waiting = 0

    async def turn(self, *, host_mode: bool, order_until: float | None = None) -> bool:
        """Wait for a turn. An order whose turn cannot come by `order_until` (loop time) gets none: False."""
        loop, is_order = asyncio.get_running_loop(), order_until is not None
        self._orders_waiting += is_order
        try:
            while (at := self._free_at(loop.time(), host_mode=host_mode, is_order=is_order)) > loop.time():
                if order_until is not None and at > order_until:
                    return False
                await asyncio.sleep(at - loop.time())
        finally:
            self._orders_waiting -= is_order
        self._last = loop.time()
        if host_mode:
            self._host_mode.append(self._last)
        return True

    def _free_at(self, now: float, *, host_mode: bool, is_order: bool) -> float:
        free = self._last + self._gap
        allowed = HOST_MODE_CALLS if is_order else HOST_MODE_READS
        if host_mode and len(self._host_mode) >= allowed:
            free = max(free, self._host_mode[-allowed] + 60)
        return max(free, now + self._gap) if self._orders_waiting and not is_order else free
