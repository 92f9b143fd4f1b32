"""What the daemon runs on, and how that is exchanged: as a whole, or not at all.

All files are read and judged before anything is touched. What has passed is taken over in one step of the event loop,
in which nothing else runs: a look that is under way goes on by what it knows, and finds out before it orders anything.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from energyd.config.difference import acting, difference, said_of_budgets, said_of_restart
from energyd.config.load import Configuration
from energyd.config.source import file_name
from energyd.errors import ConfigFault, ConfigFaults, Place
from energyd.model import Mode
from energyd.policy import Policy
from energyd.telemetry import Log, LogEvent

Read = Callable[[], Configuration]
"""Loads the files again. Raises ConfigFaults."""
Keep = Callable[[Configuration], str | None]
"""Keeps what runs: the settings, and the policies as the last good ones; says why they could not be kept."""
TakeOver = Callable[[Configuration], None]

Reloaded = dict[str, Any] | ConfigFaults | None
"""What was taken over, as the event `policies.loaded` tells it, or what is wrong; None: the daemon reads no files."""


class Reloading:
    """The configuration of now. `error` is what is wrong with the files while they are not what runs."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        read: Read | None,
        keep: Keep | None,
        rejected: ConfigFaults | None,
        mode: Mode,
        log: Log,
    ) -> None:
        """With `rejected`, the files are broken for these faults, and the configuration has the last good policies."""
        self.current = configuration
        self.error: str | None = None
        self._started_with = configuration.settings
        self._read, self._keep, self._rejected, self._mode, self._log = read, keep, rejected, mode, log

    async def begin(self, take_over: TakeOver) -> None:
        """Take over what the daemon was started with."""
        if self._rejected is not None:
            self._reject(self._rejected)
        take_over(self.current)
        await self._tell(())

    async def again(self, take_over: TakeOver) -> Reloaded:
        """Take over what the files say now, or say why that cannot be."""
        if self._read is None:
            return None
        try:
            configuration = await asyncio.get_running_loop().run_in_executor(None, self._read)
            take_over(configuration)
        except ConfigFaults as faults:
            self._reject(faults)
            return faults
        except Exception as error:  # noqa: BLE001 - whatever it is, the daemon goes on by what it has, and says so
            place = Place(file_name(self.current.file))
            unusable = ConfigFaults([ConfigFault(place, f"this cannot be taken over: {type(error).__name__}: {error}")])
            self._reject(unusable)
            return unusable
        before, self.current, self.error = self.current.policies, configuration, None
        return await self._tell(before)

    def _reject(self, faults: ConfigFaults) -> None:
        count = f"{len(faults.faults)} fault{'' if len(faults.faults) == 1 else 's'}"
        self.error = f"{count}, the first: {faults.faults[0]}"
        self._log.emit(LogEvent.POLICIES_REJECTED, faults=[str(fault) for fault in faults.faults])

    async def _tell(self, before: tuple[Policy, ...]) -> dict[str, Any]:
        configuration = self.current
        found = difference(before, configuration.policies)
        words = [
            said_of_budgets(found),
            said_of_restart(self._started_with, configuration.settings, mode=self._mode),
            await self._kept(configuration),
        ]
        taken_over = {
            "digest": configuration.digest,
            "added": list(found.added),
            "removed": list(found.removed),
            "changed": list(found.changed),
            "detail": "; ".join(word for word in words if word) or None,
        }
        self._log.emit(LogEvent.POLICIES_LOADED, **taken_over)
        return taken_over

    async def _kept(self, configuration: Configuration) -> str | None:
        runs = replace(configuration, settings=acting(self._started_with, configuration.settings))
        said = None
        if self._keep is not None:
            said = await asyncio.get_running_loop().run_in_executor(None, self._keep, runs)
        return said if self.error is None else "these are the last good policies: the files are broken"
