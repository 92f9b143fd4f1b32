"""Tells people of alerts, through Apprise: every alert once when it is raised and once when it is cleared.

Nothing is queued. Each notification URL has a memory of what was told through it, kept in the ledger, and what stands
now is compared with that until the two are the same. So a service that was down, a restart and a new URL are no special
cases, and an alert that came and went while nobody could be told is not told at all. An alert is remembered after the
service took it: a crash in between tells it twice rather than never.

A URL is a secret. Logs name its scheme only, and the ledger a digest.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from energyd import units
from energyd.catalogue import ALERTS
from energyd.errors import LedgerError
from energyd.model import Alert, AlertName
from energyd.telemetry import Log, LogEvent

PAUSE_MIN, PAUSE_MAX = timedelta(seconds=5), timedelta(minutes=10)
"""Between two attempts while a service fails: at first, and after it has grown."""
PATIENCE = timedelta(minutes=1)
"""For one attempt. A service that takes a message later than this is given it twice."""
NOT_TAKEN = "the notification service did not take it"

Deliver = Callable[[str, str, str], Awaitable[str | None]]
"""Takes a URL, a title and a text; what went wrong, without secrets, or None."""


class Meta(Protocol):
    """Where what was told is remembered: the ledger."""

    async def get_meta(self, key: str) -> str | None: ...

    async def set_meta(self, key: str, value: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """An alert, and since when it stands."""

    alert: Alert
    since: datetime


_Known = Mapping[tuple[str, str], Standing]
"""By name and subject."""


class Notifier:
    """Keeps every notification URL informed. Without any it does nothing.

    `show` only sets things in motion. Deliveries run beside everything else, one at a time for each URL.
    """

    def __init__(
        self, *, meta: Meta, log: Log, now: Callable[[], datetime], host: str, deliver: Deliver | None = None
    ) -> None:
        self._make = partial(_Channel, meta=meta, log=log, now=now, host=host, deliver=deliver or by_apprise)
        self._channels: dict[str, _Channel] = {}

    def adopt(self, urls: Iterable[str]) -> None:
        """Tell through these URLs from now on."""
        before = self._channels
        wanted = dict.fromkeys(urls)
        self._channels = {url: before.pop(url) if url in before else self._make(url) for url in wanted}
        for channel in before.values():
            channel.end()

    def show(self, standing: Sequence[Standing]) -> None:
        """What stands now; people are told of the difference to what they were told."""
        known = {_key(each.alert): each for each in standing}
        for channel in self._channels.values():
            channel.show(known)

    def failing(self) -> dict[str, bool]:
        """By the scheme of their URLs, whether the last attempt to reach a service failed."""
        services = sorted({channel.service for channel in self._channels.values()})
        failing = {channel.service for channel in self._channels.values() if channel.fails}
        return {service: service in failing for service in services}

    async def close(self, within: timedelta) -> None:
        """Give what is under way some time to arrive. What does not is told by the next daemon."""
        await asyncio.gather(*(channel.close(within) for channel in self._channels.values()))


class _Channel:
    """One URL, and what was told through it."""

    def __init__(
        self, url: str, *, meta: Meta, log: Log, now: Callable[[], datetime], host: str, deliver: Deliver
    ) -> None:
        self._url, self._meta, self._log, self._now = url, meta, log, now
        self._host, self._deliver = host, deliver
        self.service = url.partition("://")[0].lower()
        self._standing: _Known = {}
        self._told: dict[tuple[str, str], Standing] | None = None
        self._over_at: dict[tuple[str, str], datetime] = {}
        self._memory = ""
        self.fails = False
        self._task: asyncio.Task[None] | None = None

    def show(self, standing: _Known) -> None:
        self._standing, now = standing, self._now()
        self._over_at = {key: self._over_at.get(key, now) for key in self._told or () if key not in standing}
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._catch_up(), name=f"notify {self.service}")

    def end(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def close(self, within: timedelta) -> None:
        if self._task is None:
            return
        if not self.fails:
            await asyncio.wait([self._task], timeout=within.total_seconds())
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _catch_up(self) -> None:
        """Tell until there is nothing left to tell, however long the service fails."""
        if self._told is None:
            self._told = await self._recall()
        pause = PAUSE_MIN
        while (change := self._next(self._told)) is not None:
            error = await self._try(*self._message(*change))
            self._hear(error)
            if error is None:
                pause = PAUSE_MIN
                await self._remember(self._told, *change)
            else:
                await asyncio.sleep(pause.total_seconds())
                pause = min(2 * pause, PAUSE_MAX)

    async def _try(self, title: str, text: str) -> str | None:
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                return await self._deliver(self._url, title, text)
        except TimeoutError:
            return f"no answer within {units.duration_text(PATIENCE)}"

    def _next(self, told: _Known) -> tuple[Standing, bool] | None:
        """What to tell next, and whether it stands; what is over comes first, then the oldest."""
        over = [each for key, each in told.items() if key not in self._standing]
        new = [each for key, each in self._standing.items() if key not in told]
        oldest = sorted(over or new, key=lambda each: each.since)
        return (oldest[0], not over) if oldest else None

    def _message(self, what: Standing, stands: bool) -> tuple[str, str]:  # noqa: FBT001 - as `_next` gives it
        """Title and text: what, where, since when, and what to do."""
        alert = what.alert
        lines = [alert.summary]
        if alert.subject and alert.subject not in alert.summary:
            lines.append(f"About: {alert.subject}")
        lines.append(f"Since: {units.moment_text(what.since)}")
        if stands:
            lines.append(f"What to do: {ALERTS[alert.name].todo}")
        else:
            lines.append(f"Over at: {units.moment_text(self._over_at.get(_key(alert), self._now()))}")
        return f"energyd on {self._host}: {alert.name}" + ("" if stands else " is over"), "\n".join(lines)

    def _hear(self, error: str | None) -> None:
        if (error is not None) != self.fails:
            self.fails = not self.fails
            event = LogEvent.NOTIFY_FAILED if self.fails else LogEvent.NOTIFY_RECOVERED
            self._log.emit(event, service=self.service, error=error)

    # --- memory -----------------------------------------------------------------------------------------------------

    async def _recall(self) -> dict[tuple[str, str], Standing]:
        """What was told before; nothing, when the ledger cannot be read."""
        with contextlib.suppress(LedgerError, ValueError, KeyError):  # and what a newer energyd wrote
            salt = await self._meta.get_meta("ledger_id")
            self._memory = f"told:{hashlib.sha256(f'{salt} {self._url}'.encode()).hexdigest()[:32]}"
            kept = json.loads(await self._meta.get_meta(self._memory) or "[]")
            return {_key(each.alert): each for each in map(_read, kept)}
        return {}

    async def _remember(self, told: dict[tuple[str, str], Standing], what: Standing, stands: bool) -> None:  # noqa: FBT001 - as `_next` gives it
        if stands:
            told[_key(what.alert)] = what
        else:
            del told[_key(what.alert)]
        if self._memory:
            with contextlib.suppress(LedgerError):
                await self._meta.set_meta(self._memory, json.dumps([_written(each) for each in told.values()]))


def _key(alert: Alert) -> tuple[str, str]:
    return str(alert.name), alert.subject


def _written(each: Standing) -> dict[str, str]:
    alert = each.alert
    return {
        "name": str(alert.name),
        "subject": alert.subject,
        "summary": alert.summary,
        "since": each.since.isoformat(),
    }


def _read(kept: Mapping[str, str]) -> Standing:
    alert = Alert(AlertName(kept["name"]), kept["subject"], kept["summary"])
    return Standing(alert, datetime.fromisoformat(kept["since"]))


# --- Apprise --------------------------------------------------------------------------------------------------------


async def by_apprise(url: str, title: str, body: str) -> str | None:
    """Deliver by Apprise, which waits for the network, in a thread that does not keep the process from ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[str | None] = loop.create_future()

    def settle(error: str | None) -> None:
        if not done.done():
            done.set_result(error)

    def work() -> None:
        error = _notify(url, title, body)
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=work, name="notify", daemon=True).start()
    return await done


def _notify(url: str, title: str, body: str) -> str | None:
    try:
        from apprise import Apprise, NotifyType  # noqa: PLC0415 - slow to import, and most daemons tell nobody

        logger = logging.getLogger("apprise")  # it quotes URLs
        logger.propagate, logger.handlers = False, [logging.NullHandler()]
        service = Apprise()
        if not service.add(url):
            return "Apprise knows no such notification URL"
        return None if service.notify(body=body, title=title, notify_type=NotifyType.WARNING) else NOT_TAKEN
    except Exception as error:  # noqa: BLE001 - plugins of many hands; their errors may quote the URL, their names do not
        return f"{NOT_TAKEN} ({type(error).__name__})"
