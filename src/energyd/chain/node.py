"""One TRON node: its turn in the pace, its answers as parsed bodies, its head, its health."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

from energyd import units
from energyd.chain.door import LIMITED, Door, KeyRefused, NodeFailed, loop_time
from energyd.chain.readings import Head, Unusable, read_head
from energyd.model import Reason

HEAD_GOOD_FOR = 3.0
"""Seconds for which all addresses share a head: the time of one block."""
HEAD_STALE = timedelta(seconds=30)
"""Ten missed blocks (tron-energy D3)."""
FULL_HEAD_FOR = 600.0
"""Seconds until a node that did not know `getblock` is asked for it again; `getnowblock` sends the whole block."""
UNUSABLE_MAX = 3
"""So many answers in a row that cannot be believed are a failure of the node."""
PAUSE_MIN, PAUSE_MAX = 5.0, 60.0
"""Seconds between two attempts at a failing node, doubling."""


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """`error` is None while the node is well. `url` shows scheme, host and port only."""

    url: str
    error: str | None = None
    since: datetime | None = None
    reason: Reason = Reason.NODE_UNREACHABLE


class Pace:
    """Turns for requests: first come, first served, at most `max_rps` a second and `max_in_flight` at once."""

    def __init__(self, max_rps: float, max_in_flight: int) -> None:
        assert max_rps > 0
        self._gap = 1 / max_rps
        self._next = 0.0
        self._places = asyncio.Semaphore(max_in_flight)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        async with self._places:
            now = loop_time()
            start = max(now, self._next)
            self._next = start + self._gap
            if start > now:
                await asyncio.sleep(start - now)
            yield


class Node:
    """One node and what is known of it.

    A failing node is tried again at growing distances, by one caller at a time; all others get its failure at once.
    """

    def __init__(
        self,
        url: str,
        keys: Sequence[str],
        *,
        transport: httpx.AsyncBaseTransport,
        pace: Pace,
        timeout: timedelta,
        now: Callable[[], datetime],
        on_health: Callable[[str, str | None], None],
    ) -> None:
        self._door = Door(url, keys, transport)
        self.url = self._door.shown
        self._unusable = 0
        self.health = NodeHealth(self.url)
        self._tron = _tron(self.url, self._door)
        self._pace = pace
        self._timeout = timeout
        self._now = now
        self._on_health = on_health
        self._pause = 0.0
        self._rest_until = 0.0
        self._head: Head | None = None
        self._head_asked = 0.0
        self._head_moved = 0.0
        self._head_failure: NodeFailed | None = None
        self._head_lock = asyncio.Lock()
        self._full_head_until = 0.0

    # --- asking -----------------------------------------------------------------------------------------------------

    async def ask(self, path: str, params: Mapping[str, Any]) -> Any:
        """The parsed body of an answer that is no error. Raises Unusable or NodeFailed."""
        refusal = ""
        for _ in range(len(self._door.keys)):
            try:
                return self._without_error(await self._request(path, params))
            except KeyRefused as error:
                refusal = str(error)
        raise NodeFailed(refusal, rest=self._door.keys.wait())

    async def _request(self, path: str, params: Mapping[str, Any]) -> Any:
        async with self._pace.turn():
            try:
                async with asyncio.timeout(self._timeout.total_seconds()):
                    return await self._tron.provider.make_request(path, dict(params))
            except TimeoutError:
                raise NodeFailed(f"no answer within {units.duration_text(self._timeout)}") from None
            except (ValueError, RecursionError) as error:
                text = self._door.readable(getattr(error, "doc", ""))
                raise Unusable(f"the answer is not JSON: {text}" if text else "the answer is not JSON") from None

    def _without_error(self, body: Any) -> Any:
        """A node reports nearly every failure as HTTP 200 with an `Error` (tron-energy D4)."""
        if not isinstance(body, dict) or "Error" not in body:
            return body
        text = self._door.readable(str(body["Error"]))
        raise NodeFailed(text) if LIMITED.search(text) else Unusable(f"the node reports an error: {text}")

    # --- the head ---------------------------------------------------------------------------------------------------

    async def fresh_head(self) -> Head:
        """The newest block as it was at most HEAD_GOOD_FOR seconds ago. Raises NodeFailed, also when it is stale."""
        head = await self._shared_head()
        age = self._now() - head.block_at
        if age < -HEAD_STALE:
            ahead = units.duration_text(-age)
            raise _stale(f"block {head.number} is {ahead} ahead of this host's clock; check the clock")
        if age > HEAD_STALE:
            old = units.duration_text(age)
            raise _stale(f"block {head.number} is {old} old: the node is behind, or this host's clock is ahead")
        still = self._head_asked - self._head_moved
        if still > HEAD_STALE.total_seconds():
            raise _stale(f"the newest block has been {head.number} for {still:.0f}s")
        return head

    async def _shared_head(self) -> Head:
        failure = self._head_failure
        async with self._head_lock:
            if self._head_failure is not failure and self._head_failure is not None:
                raise NodeFailed(self._head_failure.detail, rest=self._head_failure.rest)
            if self._head is None or loop_time() - self._head_asked >= HEAD_GOOD_FOR:
                await self._renew_head()
            assert self._head is not None
            return self._head

    async def _renew_head(self) -> None:
        asked = loop_time()
        try:
            head = await self._ask_head()
        except Unusable as error:
            self._head_failure = NodeFailed(f"no usable head: {error}")
            raise self._head_failure from None
        except NodeFailed as failure:
            self._head_failure = failure
            raise
        if self._head is None or head.number != self._head.number:
            self._head_moved = asked
        self._head, self._head_asked, self._head_failure = head, asked, None

    async def _ask_head(self) -> Head:
        if loop_time() >= self._full_head_until:
            try:
                return read_head(await self.ask("wallet/getblock", {"detail": False}))
            except Unusable:
                pass
        head = read_head(await self.ask("wallet/getnowblock", {}))
        if loop_time() >= self._full_head_until:
            self._full_head_until = loop_time() + FULL_HEAD_FOR
        return head

    # --- health -----------------------------------------------------------------------------------------------------

    def admit(self) -> None:
        """Raises NodeFailed while the node is left alone."""
        if self.health.error is None:
            return
        if loop_time() < self._rest_until:
            raise NodeFailed(self.health.error, reason=self.health.reason)
        self._pause = min(self._pause * 2, PAUSE_MAX)
        self._rest_until = loop_time() + self._pause

    def failed(self, failure: NodeFailed) -> None:
        since = self.health.since
        if since is None:
            since, self._pause = self._now(), PAUSE_MIN
            self._rest_until = loop_time() + self._pause
            self._on_health(self.url, failure.detail)
        self._rest_until = max(self._rest_until, loop_time() + failure.rest)
        self.health = NodeHealth(self.url, failure.detail, since, failure.reason)

    def unusable(self, problem: str) -> None:
        """An answer that cannot be believed: once it may be about its account, again and again it is the node."""
        self._unusable += 1
        if self._unusable >= UNUSABLE_MAX:
            self.failed(NodeFailed(problem))

    def recovered(self) -> None:
        self._unusable = 0
        if self.health.error is not None:
            self.health = NodeHealth(self.url)
            self._on_health(self.url, None)

    async def close(self) -> None:
        await self._tron.close()


def _stale(detail: str) -> NodeFailed:
    return NodeFailed(detail, reason=Reason.READING_STALE)


def _tron(url: str, door: Door) -> Any:
    """A tronpy client that talks through the door. It must not add keys: without any it would take built-in ones."""
    from tronpy import AsyncTron  # noqa: PLC0415 - takes a quarter of a second; most commands never ask a node
    from tronpy.providers.async_http import AsyncHTTPProvider  # noqa: PLC0415 - the same

    client = httpx.AsyncClient(transport=door, timeout=None)  # noqa: S113 - every request has a deadline in _request
    provider = AsyncHTTPProvider(f"{url}/", client=client)
    provider.use_api_key = False
    return AsyncTron(provider)
