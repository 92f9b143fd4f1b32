"""What a TRON node shows: the energy of an address, the price of burning, the head of the chain.

Failure is a value or an error, never a zero: tronpy's own methods would read a node's error as no energy.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from energyd.chain import estimate, readings
from energyd.chain.door import NodeFailed
from energyd.chain.estimate import NoConstantCalls
from energyd.chain.node import Node, NodeHealth, Pace
from energyd.chain.readings import Head, Unusable
from energyd.model import ContractCall, Estimate, NoEstimate, NoReading, Reading, Reason

__all__ = ["Chain", "Head", "NodeHealth", "takes_keys"]

T = TypeVar("T")

KEEP_ALIVE = 75.0
"""Seconds: longer than the time between two checks, so that a check does not have to connect anew."""


class Chain:
    """Reads from the first of several nodes that gives a believable answer, in their order.

    Nothing is believed from a node whose newest block is more than 30 seconds from `now()`, or has not changed for as
    long. At most `max_rps` requests a second and `max_in_flight` at once leave for all nodes together. `api_keys` are
    used in turn, for TronGrid's hosts only, or for the first node if none is TronGrid's. `on_health(url, error)` is
    called once when a node starts to fail, and once with None when it is well again; `url` holds no secret.
    `watch` may put something that sees every request around the transport.
    """

    def __init__(
        self,
        urls: Sequence[str],
        api_keys: Sequence[str] = (),
        *,
        max_rps: float,
        timeout: timedelta,
        now: Callable[[], datetime],
        transport: httpx.AsyncBaseTransport | None = None,
        max_in_flight: int = 8,
        on_health: Callable[[str, str | None], None] = lambda _url, _error: None,
        watch: Callable[[httpx.AsyncBaseTransport], httpx.AsyncBaseTransport] = lambda transport: transport,
    ) -> None:
        assert urls
        self._now = now
        self._transport = watch(transport or _aiohttp(max_in_flight))
        pace = Pace(max_rps, max_in_flight)
        keyed = takes_keys(urls)
        self._nodes = [
            Node(
                url,
                api_keys if url in keyed else (),
                transport=self._transport,
                pace=pace,
                timeout=timeout,
                now=now,
                on_health=on_health,
            )
            for url in urls
        ]

    async def reading(self, address: str, *, with_activity: bool = False) -> Reading | NoReading:
        """The energy of an address that was validated before; with `with_activity` also when it was last used."""
        try:
            return await self._first(partial(self._read, address, with_activity=with_activity))
        except NodeFailed as failure:
            return NoReading(address, failure.reason, failure.detail, self._now())

    async def lent_sun(self, address: str) -> int:
        """Sun of others' stake that gives the address energy now; rentals are such. Raises ChainUnavailable."""
        return await self._first(partial(_lent, address))

    async def estimate(self, call: ContractCall) -> Estimate | NoEstimate:
        """What calls would use now, with the address that makes them as caller.

        The same arguments are asked about once. One question after the other, so that readings find room between them.
        """
        try:
            used = {repr(each): await self._first(partial(_used, call, each)) for each in _unlike(call.arguments)}
        except NodeFailed as failure:
            return NoEstimate(failure.reason, failure.detail, self._now())
        for found in used.values():
            if isinstance(found, NoEstimate):
                return replace(found, at=self._now())
        figures = [found for each in call.arguments if isinstance(found := used[repr(each)], int)]
        times = call.count if len(call.arguments) == 1 else 1
        return Estimate(sum(figures) * times, max(figures), len(figures) * times, self._now())

    async def burn_price(self) -> int:
        """Sun that the chain burns for one unit of energy. Raises ChainUnavailable."""
        return await self._first(_burn_price)

    async def head(self) -> Head:
        """Number and time of the newest block. Raises ChainUnavailable, also when every node is stale."""
        return await self._first(_newest)

    def health(self) -> tuple[NodeHealth, ...]:
        return tuple(node.health for node in self._nodes)

    def down_for(self, least: timedelta) -> str | None:
        """What is wrong with the nodes when none of them has worked for that long, else None."""
        nodes = self.health()
        if any(node.since is None or self._now() - node.since < least for node in nodes):
            return None
        return "; ".join(f"{node.url}: {node.error}" for node in nodes)

    async def close(self) -> None:
        for node in self._nodes:
            await node.close()
        await self._transport.aclose()

    async def _first(self, question: Callable[[Node, Head], Awaitable[T]]) -> T:
        """The answer of the first node that has one. Raises NodeFailed with what each of them said."""
        failures: list[tuple[str, Reason]] = []
        for node in self._nodes:
            try:
                node.admit()
                answer = await question(node, await node.fresh_head())
            except NodeFailed as failure:
                node.failed(failure)
                failures.append((f"{node.url}: {failure.detail}", failure.reason))
            except NoConstantCalls as error:
                failures.append((f"{node.url}: {error}", Reason.NO_ESTIMATE))
            except Unusable as error:
                node.unusable(str(error))
                failures.append((f"{node.url}: {error}", Reason.NODE_UNREACHABLE))
            else:
                node.recovered()
                return answer
        reasons = {reason for _, reason in failures}
        told = next(
            (one for one in (Reason.READING_STALE, Reason.NODE_UNREACHABLE) if one in reasons), Reason.NO_ESTIMATE
        )
        raise NodeFailed("; ".join(detail for detail, _ in failures), reason=told)

    async def _read(self, address: str, node: Node, head: Head, *, with_activity: bool) -> Reading | NoReading:
        account = {"address": address, "visible": True}
        read_at = self._now()
        energy = readings.read_energy(await node.ask("wallet/getaccountresource", account))
        if energy is None:
            return NoReading(address, Reason.NOT_ACTIVATED, "the chain knows no such account", read_at)
        last_used_at = None
        if with_activity:
            last_used_at = readings.read_last_use(await node.ask("wallet/getaccount", account), address, head)
        return Reading(address, energy.limit, energy.used, read_at, head.block_at, node.url, last_used_at)


async def _lent(address: str, node: Node, _head: Head) -> int:
    return readings.read_lent(await node.ask("wallet/getaccount", {"address": address, "visible": True}), address)


def _unlike(arguments: Sequence[tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
    return {repr(each): each for each in arguments}.values()


async def _used(call: ContractCall, arguments: tuple[Any, ...], node: Node, head: Head) -> int | NoEstimate:
    try:
        return estimate.read_used(await node.ask(estimate.PATH, estimate.question(call, arguments)))
    except estimate.CannotSay as error:
        account = {"address": call.owner, "visible": True}
        if readings.read_energy(await node.ask("wallet/getaccountresource", account)) is None:
            return NoEstimate(Reason.NOT_ACTIVATED, "the chain knows no such account", head.block_at)
        return NoEstimate(Reason.NO_ESTIMATE, str(error), head.block_at)


async def _burn_price(node: Node, _head: Head) -> int:
    try:
        return readings.read_burn_price(await node.ask("wallet/getchainparameters", {}))
    except Unusable:
        return readings.read_newest_price(await node.ask("wallet/getenergyprices", {}))


async def _newest(_node: Node, head: Head) -> Head:
    return head


def takes_keys(urls: Sequence[str]) -> Sequence[str]:
    """Of the nodes of a configuration those that its API keys are for; no other may see them."""
    return [url for url in urls if _is_trongrid(url)] or urls[:1]


def _is_trongrid(url: str) -> bool:
    return f".{urlsplit(url).hostname}".endswith(".trongrid.io")


def _aiohttp(max_in_flight: int) -> httpx.AsyncBaseTransport:
    """Connections by aiohttp: a reading costs a small part of the processor time that httpx' own pool takes."""
    from httpx_aiohttp import AiohttpTransport  # noqa: PLC0415 - heavy; a simulated network does not need it

    return AiohttpTransport(limits=httpx.Limits(max_connections=max_in_flight, keepalive_expiry=KEEP_ALIVE))
