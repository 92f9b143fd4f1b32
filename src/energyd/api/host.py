"""What the API is given of the daemon, and the form of its answers."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import JSONResponse

from energyd.api.past import Past
from energyd.engine import Engine
from energyd.errors import ConfigFaults
from energyd.ledger.ledger import Ledger
from energyd.model import Mode
from energyd.policy import Policy
from energyd.telemetry import Log, dump_json


@dataclass(frozen=True, slots=True)
class Host:
    """A running daemon, as far as the API has to do with it."""

    mode: Mode
    began_at: datetime
    """When the daemon was started."""
    engine: Engine
    ledger: Ledger
    past: Past
    log: Log
    now: Callable[[], datetime]
    policies: Callable[[], Iterable[Policy]]
    """All that are loaded, enabled or not."""
    ailments: Callable[[], dict[str, str]]
    """What keeps the daemon from its work: why, by `policies`, `node` and `ledger`."""
    look_at: Callable[[Iterable[str]], None]
    """Has addresses looked at now."""
    reload: Callable[[], Awaitable[dict[str, Any] | ConfigFaults | None]]
    """Reads the files again: what was taken over, or what is wrong with them."""
    stopping: asyncio.Event
    """Set when the daemon begins to stop."""
    metrics: Callable[[], Awaitable[bytes]] | None = None
    """Everything that is measured, in Prometheus' text format."""

    def enabled(self) -> list[Policy]:
        return [policy for policy in self.policies() if policy.enabled]


class Exact(JSONResponse):
    """JSON with exact amounts."""

    def render(self, content: Any) -> bytes:
        return dump_json(content) + b"\n"
