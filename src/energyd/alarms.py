"""Keeps the alerts: told once when they are raised, once when they are cleared, and remembered over restarts.

Which alerts stand is decided in core/alerts.py. What could not be written down is told all the same: the alert that the
ledger failed is the one that cannot be in it.
"""

import contextlib
from collections.abc import Callable
from datetime import datetime

from energyd.core import alerts
from energyd.errors import LedgerError
from energyd.ledger.ledger import Ledger
from energyd.model import Alert, AlertName
from energyd.notify import Notifier, Standing
from energyd.telemetry import Log, LogEvent


class Alarms:
    """The alerts that stand."""

    def __init__(self, ledger: Ledger, log: Log, now: Callable[[], datetime], notifier: Notifier) -> None:
        self._ledger, self._log, self._now, self._notifier = ledger, log, now, notifier
        self._standing: tuple[Alert, ...] = ()
        self._since: dict[tuple[str, str], datetime] = {}

    @property
    def standing(self) -> tuple[Alert, ...]:
        return self._standing

    def stands(self, name: AlertName) -> bool:
        return any(alert.name is name for alert in self._standing)

    async def recall(self) -> None:
        """Begin with what stood when the last daemon stopped."""
        stood = await self._ledger.standing_alerts()
        self._standing = tuple(alert for alert, _ in stood)
        self._since = {(alert.name, alert.subject): since for alert, since in stood}

    async def tell(self, facts: alerts.Facts) -> tuple[Alert, ...]:
        """Raise what stands now and did not, clear what stood and does not; returns what was raised."""
        stands = alerts.standing(facts)
        raised, cleared = alerts.changes(self._standing, stands)
        self._standing = stands
        now = self._now()
        self._since = {(each.name, each.subject): self._since.get((each.name, each.subject), now) for each in stands}
        for alert in raised:
            self._log.alert(LogEvent.ALERT_RAISED, alert)
            with contextlib.suppress(LedgerError):
                await self._ledger.raise_alert(alert, self._now())
        for alert in cleared:
            self._log.alert(LogEvent.ALERT_CLEARED, alert)
            with contextlib.suppress(LedgerError):
                await self._ledger.clear_alert(alert.name, alert.subject, self._now())
        self._notifier.show([self._dated(alert) for alert in stands])
        return raised

    def _dated(self, alert: Alert) -> Standing:
        return Standing(alert, self._since[alert.name, alert.subject])
