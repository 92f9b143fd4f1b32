"""The little of ASGI that the sandbox needs: a request, an answer, and moods that spoil them.

A dropped connection is an exception, ConnectionDropped, that leaves the application. A transport without sockets turns
it into its own kind of broken connection; `over_tcp` does the same for a real server.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

ANYWHERE = "*"


class ConnectionDropped(Exception):
    """The connection ends without an answer. What the request did before that stays done."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    source: str

    def header(self, name: str) -> str | None:
        return self.headers.get(name.lower())


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"


def json_answer(body: object, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    return Answer(status, json.dumps(body, separators=(",", ":")).encode(), tuple(headers))


def text_answer(text: str, status: int = 200, content_type: str = "text/plain") -> Answer:
    return Answer(status, text.encode(), (), content_type)


@dataclass(frozen=True, slots=True)
class Mood:
    """How an endpoint misbehaves. Waits are in seconds.

    With `answer` or `drop` the request has no effect, unless `carried_out` is set: then it is done first, money and
    all, and only its answer is lost. `reshape` spoils the true answer.
    """

    answer: Answer | None = None
    drop: bool = False
    carried_out: bool = False
    reshape: Callable[[Answer], Answer] | None = None
    wait_before: float = 0.0
    wait_after: float = 0.0


GOOD = Mood()


class Moods:
    """Which mood stands at which endpoint, for the next so many requests or until cleared.

    Moods of one endpoint wait for their turn in the order of setting; its own come before those of ANYWHERE.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, list[list[Any]]] = {}

    def set(self, mood: Mood, endpoint: str = ANYWHERE, *, times: int | None = None) -> None:
        self._waiting.setdefault(endpoint, []).append([mood, times])

    def clear(self, endpoint: str | None = None) -> None:
        """Good again at one endpoint, or everywhere."""
        if endpoint is None:
            self._waiting.clear()
        else:
            self._waiting.pop(endpoint, None)

    def take(self, endpoint: str) -> Mood:
        """The mood for one request, which is thereby used up once."""
        for place in (endpoint, ANYWHERE):
            waiting = self._waiting.get(place)
            if waiting:
                return self._use(place, waiting)
        return GOOD

    def _use(self, place: str, waiting: list[list[Any]]) -> Mood:
        mood, left = waiting[0]
        if left is not None:
            waiting[0][1] = left - 1
            if left <= 1:
                waiting.pop(0)
        if not waiting:
            del self._waiting[place]
        assert isinstance(mood, Mood)
        return mood


async def perform(mood: Mood, act: Callable[[], Answer]) -> Answer:
    """Answers a request in a mood. Raises ConnectionDropped where the mood says so."""
    if mood.wait_before:
        await asyncio.sleep(mood.wait_before)
    replaced = mood.drop or mood.answer is not None
    answer = act() if mood.carried_out or not replaced else None
    if mood.wait_after:
        await asyncio.sleep(mood.wait_after)
    if mood.drop:
        raise ConnectionDropped
    answer = mood.answer or answer
    assert answer is not None
    return mood.reshape(answer) if mood.reshape else answer


async def read_request(scope: Scope, receive: Receive) -> Request:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionDropped
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=body,
        source=(scope.get("client") or ("",))[0],
    )


async def send_answer(send: Send, answer: Answer) -> None:
    headers = [("content-type", answer.content_type), ("content-length", str(len(answer.body))), *answer.headers]
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    await send({"type": "http.response.body", "body": answer.body})


async def accept_lifespan(receive: Receive, send: Send) -> None:
    """A server's start and stop; the sandbox has nothing to do at either."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def over_tcp(application: Application) -> Application:
    """The application for a real server: ConnectionDropped becomes an answer that breaks off after its head.

    ASGI has no word for closing a connection; a server that is left with an unfinished answer closes it.
    """

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await accept_lifespan(receive, send)
            return
        try:
            await application(scope, receive, send)
        except ConnectionDropped:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})

    return served


def reshaped_json(change: Callable[[Any], Any]) -> Callable[[Answer], Answer]:
    """A reshape that works on the parsed body."""

    def reshape(answer: Answer) -> Answer:
        return json_answer(change(json.loads(answer.body)), answer.status, answer.headers)

    return reshape


def cut_short(answer: Answer) -> Answer:
    return Answer(answer.status, answer.body[: len(answer.body) // 2], answer.headers, answer.content_type)


def as_html(answer: Answer) -> Answer:
    """The true body under a wrong content type."""
    return Answer(answer.status, answer.body, answer.headers, "text/html")


BAD_GATEWAY = text_answer("<html><body><h1>502 Bad Gateway</h1></body></html>", 502, "text/html")
COMMON_MOODS = {
    "html_502": Mood(answer=BAD_GATEWAY),
    "drop": Mood(drop=True),
    "empty_body": Mood(answer=Answer(200, b"")),
    "truncated": Mood(reshape=cut_short),
    "wrong_type": Mood(reshape=as_html),
    "slow": Mood(wait_after=20.0),
    "too_slow": Mood(wait_after=120.0),
}
