"""Secrets that systemd hands to a service: files in a folder that only the service and root can read.

See systemd.exec(5), LoadCredential=. They are as good as variables of the environment: `${NAME}` in a file stands for
the credential of that name, too. Commands that root runs outside the service find them where systemd takes them from.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

CREDSTORE = Path("/etc/credstore")


def folder(environ: Mapping[str, str]) -> Path:
    """Where the credentials are."""
    given = environ.get("CREDENTIALS_DIRECTORY")
    return Path(given) if given else CREDSTORE


class Variables(Mapping[str, str]):
    """The environment, and where it does not have a name, the credential of that name, without the space around it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ, self._folder = environ, folder(environ)

    def __getitem__(self, name: str) -> str:
        if name in self._environ:
            return self._environ[name]
        try:
            return (self._folder / name).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)
