"""Every event of the log, with its fields, and how the log is written.

`LogEvent` is the whole catalogue; nothing else can be logged. A line is written whole or not at all, and a log that
cannot be written (a closed pipe, a full disk) never stops a decision or hides what became of money.

Nothing here reads a clock: the time of an event is given by `now`.
"""

import contextlib
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, BinaryIO, Literal

import orjson
import structlog

from energyd import units
from energyd.model import Alert, Call, Decision, Order

Level = Literal["debug", "info", "warning", "error"]
_LEVELS: dict[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}

Write = Callable[[Mapping[str, Any], bytes], bool]
"""Takes an event and the line that stands for it; False when it does not take it."""


class LogEvent(StrEnum):
    """The names of events. Users' alert rules depend on them."""

    DAEMON_STARTED = "daemon.started"
    DAEMON_READY = "daemon.ready"
    DAEMON_STOPPING = "daemon.stopping"
    DAEMON_STOPPED = "daemon.stopped"
    POLICIES_LOADED = "policies.loaded"
    POLICIES_REJECTED = "policies.rejected"
    DECISION = "decision"
    ORDER_INTENDED = "order.intended"
    ORDER_SENT = "order.sent"
    ORDER_PLACED = "order.placed"
    ORDER_REFUSED = "order.refused"
    ORDER_UNRESOLVED = "order.unresolved"
    ORDER_RESOLVED = "order.resolved"
    ENERGY_DELIVERED = "energy.delivered"
    ENERGY_LATE = "energy.late"
    RENTAL_EXPIRED = "rental.expired"
    CYCLES_ADDED = "cycles.added"
    CYCLES_MISSING = "cycles.missing"
    CYCLES_DOUBTED = "cycles.doubted"
    HOST_ACT = "host.act"
    CALL_DUE = "call.due"
    CALL_COVERED = "call.covered"
    CALL_MISSED = "call.missed"
    SPENDING_PAUSED = "spending.paused"
    SPENDING_RESUMED = "spending.resumed"
    NODE_FAILED = "node.failed"
    NODE_RECOVERED = "node.recovered"
    NETTS_FAILED = "netts.failed"
    NETTS_RECOVERED = "netts.recovered"
    ALERT_RAISED = "alert.raised"
    ALERT_CLEARED = "alert.cleared"
    NOTIFY_FAILED = "notify.failed"
    NOTIFY_RECOVERED = "notify.recovered"
    LEDGER_LOST = "ledger.lost"
    FAULT = "fault"
    """A belief of the program turned out wrong: a bug, told loudly, and never a crash in the middle of an order."""


_LEVEL_OF: dict[LogEvent, Level] = {
    LogEvent.POLICIES_REJECTED: "error",
    LogEvent.ORDER_REFUSED: "warning",
    LogEvent.ORDER_UNRESOLVED: "warning",
    LogEvent.ENERGY_LATE: "warning",
    LogEvent.CYCLES_MISSING: "warning",
    LogEvent.CYCLES_DOUBTED: "warning",
    LogEvent.CALL_MISSED: "warning",
    LogEvent.SPENDING_PAUSED: "warning",
    LogEvent.NODE_FAILED: "warning",
    LogEvent.NETTS_FAILED: "warning",
    LogEvent.ALERT_RAISED: "warning",
    LogEvent.NOTIFY_FAILED: "warning",
    LogEvent.LEDGER_LOST: "warning",
    LogEvent.FAULT: "error",
}


def level_of(event: LogEvent) -> Level:
    return _LEVEL_OF.get(event, "info")


class Log:
    """Writes events, to `journal` while it takes them, else to the stream. `listen` lets others see them too."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        stream: BinaryIO | None = None,
        form: Literal["json", "console"] = "json",
        level: Level = "info",
        journal: Write | None = None,
    ) -> None:
        self._now = now
        self._listeners: list[Callable[[Mapping[str, Any]], None]] = []
        self._stream, self._form, self._journal = sys.stdout.buffer if stream is None else stream, form, journal
        self.adopt(level)

    def adopt(self, level: Level) -> None:
        """Leave out what is less important than this from now on. Those who listen hear it all the same."""
        self._least = _LEVELS[level]
        render = _json if self._form == "json" else _console(self._stream)
        self._logger = structlog.wrap_logger(
            _UnstoppableLogger(self._stream, self._journal),
            processors=[self._complete, _beside(render)],
            wrapper_class=structlog.make_filtering_bound_logger(_LEVELS["debug"]),
        )

    def listen(self, listener: Callable[[Mapping[str, Any]], None]) -> None:
        self._listeners.append(listener)

    def emit(self, event: LogEvent, /, **fields: object) -> None:
        level = level_of(event)
        known = {name: value for name, value in fields.items() if value is not None}
        getattr(self._logger, level)(str(event), level=level, **known)

    def _complete(self, _logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        head = {"timestamp": units.moment_text(self._now()), "level": line.pop("level"), "event": line.pop("event")}
        line = head | dict(line)
        for listener in self._listeners:
            listener(line)
        if _LEVELS[line["level"]] < self._least:
            raise structlog.DropEvent
        return line

    # --- the events that have a shape of their own ---

    def decision(self, decision: Decision) -> None:
        self.emit(LogEvent.DECISION, **decision_fields(decision))

    def order(self, event: LogEvent, order: Order, **more: object) -> None:
        self.emit(event, **(order_fields(order) | more))

    def rental(self, event: LogEvent, order: Order, at: datetime | None = None) -> None:
        """What became of rented energy; `at` is when, to be told as seconds since the order was sent."""
        seconds = None if at is None else round((at - (order.sent_at or order.intended_at)).total_seconds(), 3)
        self.emit(
            event,
            policy=order.policy,
            address=order.address,
            order_key=order.key,
            energy=order.energy,
            seconds=seconds,
        )

    def call(self, event: LogEvent, call: Call, burn_sun: int | None = None) -> None:
        self.emit(event, **call_fields(call, burn_sun))

    def alert(self, event: LogEvent, alert: Alert) -> None:
        self.emit(event, alert=str(alert.name), subject=alert.subject or None, summary=alert.summary)


def decision_fields(decision: Decision) -> dict[str, Any]:
    """A decision as it is logged and shown: energy in units, prices in sun, costs in TRX."""
    return {
        "policy": decision.policy,
        "address": decision.address,
        "decision_id": decision.decision_id,
        "action": str(decision.action),
        "reason": str(decision.reason),
        "demand": decision.demand,
        "supply": decision.supply,
        "gap": decision.gap,
        "available": decision.available,
        "in_flight": decision.in_flight,
        "energy": decision.energy,
        "cycles": decision.cycles,
        "price_sun": decision.price_sun,
        "cost_trx": None if decision.cost_sun is None else units.trx(decision.cost_sun),
        "detail": decision.detail or None,
    }


def order_fields(order: Order) -> dict[str, Any]:
    """An order as it is logged: the cost is what was charged, or until that is known the most it can be."""
    return {
        "policy": order.policy,
        "address": order.address,
        "order_key": order.key,
        "netts_order_id": order.netts_order_id,
        "energy": order.energy,
        "cycles": order.cycles,
        "cost_trx": units.trx(order.cost_max_sun if order.cost_sun is None else order.cost_sun),
        "http_status": order.http_status,
        "outcome": order.outcome or None,
    }


def order_row(order: Order) -> dict[str, Any]:
    """An order as commands print it in JSON: the fields of its events, and its state."""
    row = order_fields(order)
    row |= {"state": str(order.state), "decision_id": order.decision_id, "kind": str(order.kind)}
    row |= {"intended_at": order.intended_at, "sent_at": order.sent_at, "delivered_at": order.delivered_at}
    row["until"] = order.until_at if order.sent_at else None
    return row


def call_fields(call: Call, burn_sun: int | None = None) -> dict[str, Any]:
    """A call as it is logged. `fee_limit_trx` is the least that its dearest transaction must allow (tron-energy B5)."""
    fee_limit = None if call.highest is None or burn_sun is None else units.cost_sun(call.highest, burn_sun)
    return {
        "policy": call.policy,
        "address": call.address,
        "call": call.name,
        "call_id": call.call_id,
        "energy": call.energy,
        "needed_by": call.needed_by,
        "at": call.at,
        "fee_limit_trx": None if fee_limit is None else units.trx(fee_limit),
        "detail": call.detail or None,
    }


def call_row(call: Call, burn_sun: int | None = None) -> dict[str, Any]:
    """A call as commands print it in JSON: the fields of its events, and its state."""
    row = call_fields(call, burn_sun) | {"state": str(call.state), "origin": str(call.origin)}
    return row | {"until": call.until, "used": call.used, "covered_at": call.covered_at}


def dump_json(value: object, *, indent: bool = False) -> bytes:
    """JSON with exact amounts: a Decimal is written with its own digits, a moment in RFC 3339 with milliseconds."""
    option = orjson.OPT_PASSTHROUGH_DATETIME | (orjson.OPT_INDENT_2 if indent else 0)
    return orjson.dumps(value, default=_plain, option=option)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value).encode())
    if isinstance(value, datetime):
        return units.moment_text(value)
    if isinstance(value, timedelta):
        return units.duration_text(value)
    return str(value)


def _beside(render: Callable[..., bytes]) -> structlog.typing.Processor:
    """What the logger is called with: the event, and its line."""

    def both(
        logger: object, method: str, event: structlog.typing.EventDict
    ) -> tuple[tuple[object, ...], dict[str, Any]]:
        return (event, render(logger, method, event)), {}

    return both


def _json(_logger: object, _method: str, line: structlog.typing.EventDict) -> bytes:
    return dump_json(line)


def _console(stream: BinaryIO) -> Callable[..., bytes]:
    render = structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=18, sort_keys=False)

    def to_bytes(logger: object, method: str, line: structlog.typing.EventDict) -> bytes:
        shown = {name: _shown(value) for name, value in line.items()}
        shown["timestamp"] = str(line["timestamp"])[11:19]
        return str(render(logger, method, shown)).encode()

    return to_bytes


def _shown(value: object) -> object:
    return value if isinstance(value, int | str) else str(value)


class _UnstoppableLogger:
    """Writes whole lines; a stream that cannot take them loses lines and nothing else."""

    def __init__(self, stream: BinaryIO, journal: Write | None) -> None:
        self._stream, self._journal = stream, journal

    def msg(self, event: Mapping[str, Any], line: bytes) -> None:
        if self._journal is not None and self._journal(event, line):
            return
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(line + b"\n")
            self._stream.flush()

    debug = info = warning = error = msg
