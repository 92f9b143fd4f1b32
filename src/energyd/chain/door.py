"""The door of one node: the last step before the network and the first one after it.

A request takes this way: tronpy writes it, an httpx client carries it, the Door adds what is secret (the path, query
and credentials of the configured URL, an API key) and limits what comes back, and a transport that all nodes share
sends it. So nothing above the Door, neither a log line nor an error, can show a secret.
"""

import asyncio
import re
from base64 import b64encode
from collections import deque
from collections.abc import Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import SplitResult, unquote, urlsplit

import httpx

from energyd.chain.readings import Unusable
from energyd.errors import ChainUnavailable
from energyd.model import Reason

SUSPENDED = 30.0
"""Seconds for which a limited key rests when the answer does not say how long."""
REFUSED = 60.0
"""Seconds for which a key that is not accepted rests: only a person can mend that."""
SUSPENDED_MAX = 300.0
ANSWER_MAX = 4 * 2**20
"""Bytes of one answer, unpacked."""

API_KEY_HEADER = b"TRON-PRO-API-KEY"
LIMITED = re.compile(
    r"suspended for|frequency limit|daily usage|rate exceeded|allowed_rps|lack of computing resources", re.IGNORECASE
)
"""What a node says when it is asked too often (tron-energy D1, D3)."""
_SUSPENDED_FOR = re.compile(r"suspended for (\d{1,9}) ?s", re.IGNORECASE)
_SSL_CONTEXT = re.compile(r" ssl:(default|<.*?>)")
"""aiohttp tells of it whenever it cannot connect; it helps nobody."""
_TEXT_MAX = 200
_SECRET_MIN = 8
_NETWORK = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout)
"""A connection that was not made, or broke. httpx-aiohttp says ConnectTimeout to both; the text tells them apart."""


def loop_time() -> float:
    return asyncio.get_running_loop().time()


class NodeFailed(ChainUnavailable):
    """The node as a whole cannot be used now. `rest` is how many seconds it asked to be left alone."""

    def __init__(self, detail: str, *, reason: Reason = Reason.NODE_UNREACHABLE, rest: float = 0.0) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason
        self.rest = rest


class KeyRefused(ChainUnavailable):
    """The node does not take this key, now or at all."""


class Keys:
    """The API keys of one node, in rotation. Without any, the one nameless key stands for the node itself."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._rotation = deque(key for key in keys if key)
        if not self._rotation:
            self._rotation.append("")
        self._suspended_until = dict.fromkeys(self._rotation, 0.0)

    def __len__(self) -> int:
        return len(self._rotation)

    def take(self) -> str | None:
        """The next key that is not suspended."""
        now = loop_time()
        for _ in range(len(self)):
            key = self._rotation[0]
            self._rotation.rotate(-1)
            if self._suspended_until[key] <= now:
                return key
        return None

    def suspend(self, key: str, seconds: float) -> None:
        self._suspended_until[key] = max(self._suspended_until[key], loop_time() + seconds)

    def wait(self) -> float:
        """Seconds until a key can be used; 0 when one can be now."""
        return max(min(self._suspended_until.values()) - loop_time(), 0.0)


class Door(httpx.AsyncBaseTransport):
    def __init__(self, url: str, keys: Sequence[str], transport: httpx.AsyncBaseTransport) -> None:
        parts = urlsplit(url)
        self.shown = shown_url(url)
        self.keys = Keys(keys)
        prefix, query = self.shown + parts.path.rstrip("/"), f"?{parts.query}" if parts.query else ""
        self._url = lru_cache(lambda path: httpx.URL(f"{prefix}{path}{query}"))
        self._credentials = _credentials(parts)
        self._secrets = _secrets(parts, keys)
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Lets only an HTTP 200 through. Raises KeyRefused, Unusable or NodeFailed."""
        key = self.keys.take()
        if key is None:
            raise KeyRefused("every key is suspended")
        response = await self._carry(request, key)
        status = response.status_code
        if status == HTTPStatus.OK:
            return response
        text = self.readable(response.text)
        detail = f"HTTP {status}" + (f": {text}" if text else "")
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS):
            self.keys.suspend(key, _suspension(status, response.headers, text))
            raise KeyRefused(detail)
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unusable(detail)
        raise NodeFailed(detail)

    async def _carry(self, request: httpx.Request, key: str) -> httpx.Response:
        """A kept connection may close just as it is used again, so it is tried twice: reading twice does no harm."""
        for last in (False, True):
            try:
                return await self._exchange(request, key)
            except NodeFailed:
                raise
            except Exception as error:  # noqa: BLE001 - transports raise their library's own errors too; none is an answer
                if last or not isinstance(error, _NETWORK):
                    raise NodeFailed(self._broken(error)) from None
        raise AssertionError

    async def _exchange(self, request: httpx.Request, key: str) -> httpx.Response:
        response = await self._transport.handle_async_request(self._addressed(request, key))
        try:
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > ANSWER_MAX:
                    raise NodeFailed(f"the answer is larger than {ANSWER_MAX} bytes")
        finally:
            await response.aclose()
        headers = None if response.status_code == HTTPStatus.OK else _kept(response.headers)
        return httpx.Response(response.status_code, headers=headers, content=bytes(body))

    def _addressed(self, request: httpx.Request, key: str) -> httpx.Request:
        headers = [*request.headers.raw, *self._credentials]
        if key:
            headers.append((API_KEY_HEADER, key.encode()))
        url = self._url(request.url.path)
        return httpx.Request(request.method, url, headers=headers, content=request.content)

    def _broken(self, error: Exception) -> str:
        """The network's errors say what happened; of any other only the kind is sure to hold no secret."""
        text = self.readable(_SSL_CONTEXT.sub("", str(error))) if isinstance(error, _NETWORK) else ""
        return text or f"the connection broke ({type(error).__name__})"

    def readable(self, text: str) -> str:
        """What a node said, as one short line without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = "".join(letter if letter.isprintable() else " " for letter in text)
        return " ".join(text.split())[:_TEXT_MAX]


def shown_url(url: str) -> str:
    """Scheme, host and port: paths, queries and credentials can hold keys and are never shown."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _credentials(parts: SplitResult) -> list[tuple[bytes, bytes]]:
    if parts.username is None:
        return []
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return [(b"Authorization", b"Basic " + b64encode(pair.encode()))]


def _secrets(parts: SplitResult, keys: Sequence[str]) -> list[str]:
    pieces = [*keys, *re.split(r"[/&=]", f"{parts.path}&{parts.query}"), parts.username or "", parts.password or ""]
    return sorted({piece for piece in pieces if len(piece) >= _SECRET_MIN}, key=len, reverse=True)


def _kept(headers: httpx.Headers) -> dict[str, str]:
    return {name: headers[name] for name in ("content-type", "retry-after") if name in headers}


def _suspension(status: int, headers: Mapping[str, str], text: str) -> float:
    """For how many seconds a refused key rests: what the answer says, else by what the refusal means."""
    said = _SUSPENDED_FOR.search(text) or re.fullmatch(r"(\d{1,9})", headers.get("retry-after", ""))
    if said:
        return min(max(float(said[1]), 1.0), SUSPENDED_MAX)
    limited = status == HTTPStatus.TOO_MANY_REQUESTS or LIMITED.search(text)
    return SUSPENDED if limited else REFUSED
