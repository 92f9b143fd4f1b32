"""Sees that the files of a configuration are not the ones that were read.

They are looked at every few seconds: that works on every file system, with links that are exchanged as a whole, and
with files that are not there yet. A change counts once two looks have found the same, so that half a copied folder is
not read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from energyd.config.load import receivers_of, sources

LOOK_EVERY_SECONDS = 1.5

Stamp = tuple[int, int, int] | None
"""What becomes another when a file does; None: it is not there."""


class Watch:
    """The files of one configuration, as they were when `look` was called last."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self.path, self._environ = path, environ
        self._known: dict[Path, Stamp] = {}
        self._before: dict[Path, Stamp] = {}
        self._receivers: dict[tuple[Path, Stamp], tuple[Path, ...]] = {}

    def look(self) -> None:
        """Take the files as they are for known; to be called before they are read."""
        self._known = self._before = self._stamps()

    def is_to_be_read(self) -> bool:
        """Whether a file is another one than it was, and all are as they were at the last question."""
        now = self._stamps()
        is_quiet, self._before = now == self._before, now
        return is_quiet and now != self._known

    def _stamps(self) -> dict[Path, Stamp]:
        found = sources(self.path, self._environ, with_receivers=False)
        stamps = {file: _stamp(file) for file in (*found.settings, *found.policies)}
        self._receivers = {(file, stamps[file]): self._named_in(file, stamps[file]) for file in found.policies}
        return stamps | {file: _stamp(file) for files in self._receivers.values() for file in files}

    def _named_in(self, file: Path, stamp: Stamp) -> tuple[Path, ...]:
        known = self._receivers.get((file, stamp))
        return receivers_of(file, self._environ) if known is None else known


def _stamp(file: Path) -> Stamp:
    try:
        status = file.stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


async def follow(watch: Watch, reload: Callable[[], Awaitable[object]], *, wanted: Callable[[], bool]) -> None:
    """Reload whenever files have changed and then stayed as they are, until cancelled. `reload` calls `watch.look`."""
    while True:
        await asyncio.sleep(LOOK_EVERY_SECONDS)
        if wanted() and await asyncio.to_thread(watch.is_to_be_read):
            await reload()
