"""The policy files that were taken over last, kept beside the ledger: what may run while those on disk are broken.

The text of the files is kept as it is written, with `${NAME}` and not what that stands for. energyd.yaml is not kept,
since a key may stand in it and it says itself whether the last good set may be used. What is kept counts only if it
still means the same: a variable of the environment may have another value now.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from energyd.config.load import Configuration, load, load_policies, load_settings, policies_digest, sources
from energyd.errors import ConfigFaults
from energyd.policy import Policy


@dataclass(frozen=True, slots=True)
class LastGood:
    """A set of policies that ran, and since when."""

    policies: tuple[Policy, ...]
    taken_at: datetime


def kept_beside(state: Path) -> Path:
    """Where the last good set of the daemon with this ledger is kept."""
    return state.with_name(f"{state.stem}.last-good.json")


def keep(configuration: Configuration, environ: Mapping[str, str], at: datetime) -> str | None:
    """Keep the policy files of what was taken over; why that could not be, else None.

    Files that are not the ones that were loaded any more are not kept; the set before them stays.
    """
    file = kept_beside(configuration.settings.state)
    digest = policies_digest(configuration.policies)
    try:
        found = sources(configuration.file, environ)
        kept: dict[str, Any] = {"taken_at": at.isoformat(), "digest": digest}
        kept |= {"policies": _texts(found.policies), "receivers": _texts(found.receivers)}
        if _loaded(kept, environ) is None:
            return "the policies were not kept as the last good ones: their files have changed meanwhile"
        write(file, json.dumps(kept, indent=1))
    except (OSError, ValueError) as error:
        return f"the policies were not kept as the last good ones: {error}"
    return None


def recall(state: Path, environ: Mapping[str, str]) -> LastGood | None:
    """The last good set of the daemon with this ledger; None when there is none that still means the same."""
    try:
        kept = json.loads(kept_beside(state).read_text(encoding="utf-8"))
        policies = _loaded(kept, environ)
        return None if policies is None else LastGood(policies, datetime.fromisoformat(kept["taken_at"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def load_or_last_good(path: Path, environ: Mapping[str, str]) -> tuple[Configuration, ConfigFaults | None]:
    """What a daemon starts with, and what is wrong with its files when that is the last good set.

    Raises ConfigFaults when the settings are broken, or do not allow the last good set, or when there is none.
    """
    try:
        return load(path, environ), None
    except ConfigFaults as faults:
        try:
            settings = load_settings(path, environ, need_key=True)
        except ConfigFaults:
            raise faults from None
        found = recall(settings.state, environ) if settings.on_broken_policies == "last_good" else None
        if found is None:
            raise
        return Configuration.of(settings, found.policies, path), faults


def _loaded(kept: dict[str, Any], environ: Mapping[str, str]) -> tuple[Policy, ...] | None:
    """The policies of kept files; None when they are not the ones that ran."""
    with tempfile.TemporaryDirectory(prefix="energyd-") as folder:
        for name, text in (kept["policies"] | kept["receivers"]).items():
            copy = _below(Path(folder), name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text, encoding="utf-8")
        files = [_below(Path(folder), name) for name in kept["policies"]]
        try:
            policies = load_policies(files, environ).policies
        except ConfigFaults:
            return None
    return policies if policies_digest(policies) == kept["digest"] else None


def _texts(files: Iterable[Path]) -> dict[str, str]:
    return {os.path.normpath(file.absolute()): file.read_text(encoding="utf-8") for file in files}


def _below(folder: Path, name: str) -> Path:
    return folder / name.lstrip("/")


def write(file: Path, text: str) -> None:
    """The whole file or nothing, for nobody else to read, and on the disk when this returns."""
    new = file.with_name(file.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(descriptor)
    new.replace(file)
