"""The settings that the daemon runs with, kept beside the ledger for `energyd check --diff`.

A secret, and what may hold one, is not kept; only what scrypt makes of it and a salt, to tell whether it has changed.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, SecretStr

from energyd.config.difference import AFTER_A_RESTART, Change, written
from energyd.config.last_good import write
from energyd.config.settings import Settings

FROM_ELSEWHERE = ("netts.api_key", "listen_token")
"""Secrets that may be where only the daemon finds them: in a systemd credential."""


@dataclass(frozen=True, slots=True)
class Running:
    """Settings by their keys, as a person would write them; of secrets what `_concealed` makes of them."""

    plain: Mapping[str, str]
    secret: Mapping[str, str]
    salt: bytes
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class SettingsDifference:
    """What other settings are. Secrets have neither before nor after: they have changed, and nobody says to what."""

    by_reload: tuple[Change, ...]
    by_restart: tuple[Change, ...]
    secrets: frozenset[str]
    """The keys among both that are secret."""
    not_compared: tuple[str, ...]
    """Secrets that the daemon has and that cannot be found here."""

    @property
    def is_none(self) -> bool:
        return not (self.by_reload or self.by_restart)


def kept_beside(state: Path) -> Path:
    """Where the daemon with this ledger keeps the settings that it runs with."""
    return state.with_name(f"{state.stem}.running.json")


def keep(settings: Settings, at: datetime) -> str | None:
    """Keep what the daemon runs with; why that could not be, else None."""
    salt = os.urandom(16)
    plain, secret = _told(settings, salt)
    kept = {"taken_at": at.isoformat(), "salt": salt.hex(), "settings": plain, "secrets": secret}
    try:
        write(kept_beside(settings.state), json.dumps(kept, indent=1))
    except OSError as error:
        return f"the settings were not kept for `energyd check --diff`: {error}"
    return None


def recall(state: Path) -> Running | None:
    """What the daemon with this ledger runs with; None when it has not said so."""
    try:
        kept = json.loads(kept_beside(state).read_text(encoding="utf-8"))
        taken_at = datetime.fromisoformat(kept["taken_at"])
        return Running(dict(kept["settings"]), dict(kept["secrets"]), bytes.fromhex(kept["salt"]), taken_at)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def settings_difference(running: Running, settings: Settings) -> SettingsDifference:
    plain, secret = _told(settings, running.salt)
    hidden = tuple(key for key in FROM_ELSEWHERE if key in running.secret and key not in secret)
    found = [
        Change(key, running.plain.get(key), plain.get(key))
        for key in dict.fromkeys((*running.plain, *plain))
        if running.plain.get(key) != plain.get(key)
    ]
    secrets = [key for key in dict.fromkeys((*running.secret, *secret)) if running.secret.get(key) != secret.get(key)]
    found += [Change(key, None, None) for key in secrets if key not in hidden]
    return SettingsDifference(
        by_reload=tuple(change for change in found if change.key not in AFTER_A_RESTART),
        by_restart=tuple(change for change in found if change.key in AFTER_A_RESTART),
        secrets=frozenset(secrets),
        not_compared=hidden,
    )


def _told(settings: Settings, salt: bytes) -> tuple[dict[str, str], dict[str, str]]:
    """What may be shown, and what is secret, each by its key."""
    secrets = dict(_secrets(settings, ""))
    plain = {key: text for key, text in written(settings) if key not in secrets}
    return plain, {key: _concealed(text, salt) for key, text in secrets.items()}


def _secrets(shape: BaseModel, path: str) -> Iterator[tuple[str, str]]:
    """Every secret, and what the settings themselves keep out of sight, as the URL of a node with a key in its path."""
    for name, field in type(shape).model_fields.items():
        value, key = getattr(shape, name), f"{path}{name}"
        if isinstance(value, BaseModel):
            yield from _secrets(value, f"{key}.")
        elif value and (isinstance(value, SecretStr | tuple) or not field.repr):
            yield key, "\n".join(map(_plain, value if isinstance(value, tuple) else (value,)))


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _concealed(secret: str, salt: bytes) -> str:
    return hashlib.scrypt(secret.encode(), salt=salt, n=2**14, r=8, p=1, dklen=16).hex()
