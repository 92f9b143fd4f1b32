"""Serves the API in the daemon's own event loop, on a Unix socket or on loopback TCP.

The permissions of the socket's file are its access control: its owner and group may connect, nobody else. The file of a
process that is gone is replaced; of one that listens it is left alone.
"""

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from energyd.config.settings import TcpSocket, UnixSocket
from energyd.errors import CannotListen

SOCKET_MODE = 0o660
HEAD_BYTES_MAX = 16 * 1024
CONNECTIONS_MAX = 256
WHOLE_REQUEST_WITHIN_SECONDS = 10.0
"""How long a client may take to send what it began to send."""
STOP_WITHIN_SECONDS = 2


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, place: UnixSocket | TcpSocket) -> AsyncIterator[None]:
    """Listens at a place for as long as the context lasts. Raises CannotListen."""
    with _listener(place) as listener:
        server = _Server(_config(app))
        task = asyncio.create_task(server.serve(sockets=[listener]), name="api")
        try:
            yield
        finally:
            server.should_exit = True
            await asyncio.gather(task, return_exceptions=True)


class _Server(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override] # the daemon has its own signals
        return contextlib.nullcontext()


class Patient(H11Protocol):
    """Closes connections on which a request begins and does not come as a whole."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._relax()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._relax()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(WHOLE_REQUEST_WITHIN_SECONDS, self.transport.abort)

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _config(app: ASGIApp) -> uvicorn.Config:
    logger = logging.getLogger("uvicorn")  # energyd's log is the only one, and knows no request lines
    logger.propagate, logger.handlers = False, [logging.NullHandler()]
    return uvicorn.Config(
        app,
        http=Patient,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=STOP_WITHIN_SECONDS,
    )


# --- the place ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _listener(place: UnixSocket | TcpSocket) -> Iterator[socket.socket]:
    with contextlib.ExitStack() as until_the_end:
        try:
            bound = _bound_file(place.path) if isinstance(place, UnixSocket) else _bound_port(place)
            listener = until_the_end.enter_context(bound)
            listener.listen()
        except OSError as error:
            hint = "choose another place with `listen` in energyd.yaml"
            raise CannotListen(f"cannot listen on {place}: {error.strerror or error}; {hint}") from None
        listener.settimeout(0)
        yield listener


@contextlib.contextmanager
def _bound_file(path: Path) -> Iterator[socket.socket]:
    path.parent.mkdir(mode=0o755, exist_ok=True)
    _clear(path)
    with socket.socket(socket.AF_UNIX) as listener:
        os.fchmod(listener.fileno(), stat.S_IRUSR | stat.S_IWUSR)  # before it has a name: nobody else can ever connect
        listener.bind(str(path))
        path.chmod(SOCKET_MODE)
        own = path.stat().st_ino
        try:
            yield listener
        finally:
            with contextlib.suppress(OSError):
                if path.stat().st_ino == own:
                    path.unlink()


def _clear(path: Path) -> None:
    """Removes the socket of a process that is gone. Raises CannotListen for anything else that is there."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise CannotListen(f"cannot listen on unix:{path}: there is a file that is no socket; move it away")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise CannotListen(f"cannot listen on unix:{path}: another process listens there; stop it first")


@contextlib.contextmanager
def _bound_port(place: TcpSocket) -> Iterator[socket.socket]:
    family, kind, protocol, _, address = _resolved(place)
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        yield listener


def _resolved(place: TcpSocket) -> tuple[Any, ...]:
    return socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0]
