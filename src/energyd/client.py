"""How commands ask a running daemon: HTTP over its Unix socket or loopback TCP."""

import json
import socket
from decimal import Decimal
from typing import Any, Self

import httpx

from energyd.config.settings import Settings, TcpSocket, UnixSocket
from energyd.errors import NoDaemon, NotPossible

CONNECT_WITHIN_SECONDS = 5.0
ANSWER_WITHIN_SECONDS = 30.0


class Client:
    """Asks the daemon of these settings. Use it as `with Client(settings) as client:`."""

    def __init__(self, settings: Settings) -> None:
        self._place, token = settings.listen, settings.token()
        transport = None if isinstance(self._place, TcpSocket) else httpx.HTTPTransport(uds=str(self._place.path))
        self._http = httpx.Client(
            base_url=f"http://{self._place}" if isinstance(self._place, TcpSocket) else "http://energyd",
            transport=transport,
            headers={} if token is None else {"authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(ANSWER_WITHIN_SECONDS, connect=CONNECT_WITHIN_SECONDS),
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, *, within: float = ANSWER_WITHIN_SECONDS) -> Any:
        """What can be read there. Raises NoDaemon and NotPossible."""
        return self._answer(self._ask("GET", path, within=within))

    def post(self, path: str, body: dict[str, Any], *, within: float = ANSWER_WITHIN_SECONDS) -> Any:
        """What was asked for. Raises NoDaemon and NotPossible."""
        return self._answer(self._ask("POST", path, body, within=within))

    def delete(self, path: str) -> Any:
        return self._answer(self._ask("DELETE", path))

    def ensure(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer of `ensure`, whether the energy came or not; it waits for as long as that takes."""
        response = self._ask("POST", "/v1/ensure", body, within=None)
        found = _json(response)
        return found if "call" in found and "ok" in found else self._answer(response)  # type: ignore[no-any-return] # JSON

    def reload(self) -> dict[str, Any]:
        """What was taken over, or `faults`."""
        response = self._ask("POST", "/v1/reload", {})
        found = _json(response)
        return found if "faults" in found else self._answer(response)  # type: ignore[no-any-return] # JSON

    def _ask(
        self, method: str, path: str, body: object = None, *, within: float | None = ANSWER_WITHIN_SECONDS
    ) -> httpx.Response:
        limits = httpx.Timeout(within, connect=CONNECT_WITHIN_SECONDS)
        try:
            self._knock()
            return self._http.request(method, path, json=body, timeout=limits)
        except (OSError, httpx.ConnectError, httpx.ConnectTimeout) as error:
            hint = "start it with `energyd run`"
            if "Permission" in str(error):
                hint = "its socket is for its own user and group; use sudo"
            raise NoDaemon(f"no daemon listens on {self._place}; {hint}") from None
        except httpx.TransportError as error:
            raise NoDaemon(
                f"the daemon on {self._place} went away without an answer ({type(error).__name__}); see its log"
            ) from None

    def _knock(self) -> None:
        """Raises OSError when nobody listens on the socket; httpcore would leave its own one open then."""
        if isinstance(self._place, UnixSocket):
            with socket.socket(socket.AF_UNIX) as knocking:
                knocking.settimeout(CONNECT_WITHIN_SECONDS)
                knocking.connect(str(self._place.path))

    def _answer(self, response: httpx.Response) -> Any:
        found = _json(response)
        if response.is_success:
            return found
        problem = found if isinstance(found, dict) else {}
        error = problem.get("error") or f"{self._place} answered {response.status_code}; is it energyd?"
        raise NotPossible(f"{error}; {problem['hint']}" if problem.get("hint") else error)


def _json(response: httpx.Response) -> Any:
    """The answer with exact amounts; nothing when it is no JSON."""
    try:
        return json.loads(response.content, parse_float=Decimal)
    except ValueError:
        return {}
