"""The application: its door (who may come in, how much may be carried in), and its answers to what goes wrong.

Every answer but the page is JSON with exact amounts. What is wrong is `{"error": …, "hint": …}` with a fitting status:
400 for what is no JSON, 401 without the token, 403 for what a page of another site asks, 404 for what is not there, 409
for what cannot be done as things are, 413 for too much, 422 for a value that is not understood, 503 while the daemon
stops or its ledger cannot be used. A traceback never leaves.
"""

import hmac
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from energyd import __version__
from energyd.api import asking, host_mode, overview, page, routes
from energyd.api.host import Exact, Host
from energyd.api.reading import BODY_BYTES_MAX, Wrong
from energyd.config.settings import is_loopback
from energyd.errors import LedgerError, NotPossible
from energyd.telemetry import LogEvent

NAME = "energyd"
"""What our own client calls the host at the other end of a Unix socket."""
PACKED_FROM_BYTES = 16 * 1024
_HINTS = {
    404: "GET /openapi.json lists what is here",
    405: "GET /openapi.json lists what can be done here",
}


def application(host: Host, *, token: str | None = None) -> ASGIApp:
    """The control API of a daemon; with a `token`, for those only who bring it."""
    app = FastAPI(
        title="energyd",
        version=__version__,
        summary="What people and programs on this machine can ask of a running energyd.",
        docs_url=None,
        redoc_url=None,
        default_response_class=Exact,
        exception_handlers={
            Wrong: _tell_wrong,
            NotPossible: _tell_not_possible,
            LedgerError: _tell_ledger_error,
            HTTPException: _tell_http,
            Exception: _tell_bug,
        },
    )
    app.state.host = host
    app.add_middleware(GZipMiddleware, minimum_size=PACKED_FROM_BYTES, compresslevel=1)
    app.include_router(page.router)
    app.include_router(overview.router)
    app.include_router(routes.router)
    app.include_router(asking.router)
    app.include_router(host_mode.router)
    return Door(app, host, token)


class Door:
    """In front of the application: knows who may ask, stops bodies that are too large, and tells bugs to the log.

    With a token, who brings it; everybody gets the page, which holds nothing. Without one, who can reach the socket,
    but not the pages of other sites in a browser that can, through a tunnel: neither by a name of theirs that leads
    here (DNS rebinding) nor by what the browser sends for them.
    """

    def __init__(self, app: FastAPI, host: Host, token: str | None) -> None:
        self.app, self._host = app, host
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        if self._token is None and _is_foreign(headers):
            await _problem(_foreign())(scope, receive, send)
        elif not self._knows(headers.get(b"authorization", b"")) and not _asks_for_the_page(scope):
            wrong = Wrong(
                401, "the bearer token is missing or wrong", "send `Authorization: Bearer …` with listen_token"
            )
            await _problem(wrong, {"www-authenticate": "Bearer"})(scope, receive, send)
        elif _length(headers) > BODY_BYTES_MAX:
            await _problem(_too_large(), {"connection": "close"})(scope, receive, send)
        else:
            await self._enter(scope, _Limited(receive), send)

    def _knows(self, authorization: bytes) -> bool:
        if self._token is None:
            return True
        scheme, _, given = authorization.partition(b" ")
        return hmac.compare_digest(given.strip(), self._token) and scheme.lower() == b"bearer"

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the answer was given by _tell_bug; a request must not hurt the daemon
            self._host.log.emit(LogEvent.FAULT, request=scope["path"], error=f"{type(error).__name__}: {error}")


class _Limited:
    """A body of unknown length, of which no more than the limit is taken."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._taken = receive, 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        if self._taken > BODY_BYTES_MAX:
            raise _too_large()
        return message


def _asks_for_the_page(scope: Scope) -> bool:
    return bool(scope["method"] == "GET" and scope["path"] == "/")


def _is_foreign(headers: dict[bytes, bytes]) -> bool:
    """Whether this host is called by a name that is not its own, or a page from elsewhere asks."""
    called, origin = headers.get(b"host", b"").decode("latin-1"), headers.get(b"origin", b"").decode("latin-1")
    try:
        name = urlsplit(f"//{called}").hostname or ""
    except ValueError:
        return True
    is_own = not called or name == NAME or is_loopback(name)
    return not is_own or origin not in ("", f"http://{called}")


def _foreign() -> Wrong:
    return Wrong(403, "this was asked by another site, or under another name", "call it 127.0.0.1 or localhost")


def _length(headers: dict[bytes, bytes]) -> int:
    text = headers.get(b"content-length", b"0")
    return int(text) if text.isdigit() and len(text) < 20 else 0  # noqa: PLR2004 - longer than any length that is meant


def _too_large() -> Wrong:
    return Wrong(413, f"the body is larger than {BODY_BYTES_MAX // 1024} KiB", "no request needs so much")


def _problem(wrong: Wrong, headers: dict[str, str] | None = None) -> Response:
    content: dict[str, Any] = {"error": wrong.error, "hint": wrong.hint or None}
    return Exact(content | wrong.more, status_code=wrong.status, headers=headers)


async def _tell_wrong(_request: Request, wrong: Exception) -> Response:
    assert isinstance(wrong, Wrong)
    return _problem(wrong)


async def _tell_not_possible(_request: Request, error: Exception) -> Response:
    problem, _, hint = str(error).partition("; ")
    return _problem(Wrong(409, problem, hint))


async def _tell_ledger_error(_request: Request, error: Exception) -> Response:
    return _problem(Wrong(503, str(error), "see the alert ledger_failed"))


async def _tell_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path}"
    said = {404: f"there is no {request.url.path} here", 405: f"{what} is not possible"}
    wrong = Wrong(error.status_code, said.get(error.status_code, str(error.detail)), _HINTS.get(error.status_code, ""))
    return _problem(wrong, dict(error.headers or {}))


async def _tell_bug(_request: Request, _error: Exception) -> Response:
    return _problem(Wrong(500, "this is a bug in energyd", "its log has an event `fault` about it; please report it"))
