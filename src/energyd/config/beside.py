"""Files that a policy names beside itself."""

from pathlib import Path

from energyd.config.source import why

_BYTES_MAX = 1_000_000


def read_beside(folder: Path, name: str) -> str:
    """The text of a file; a relative name starts at `folder`. Raises ValueError with what is wrong with the file."""
    path = folder / name
    try:
        if not path.is_file():
            raise ValueError(f"{name} is no plain file" if path.exists() else f"there is no file {name}")
        with path.open("rb") as file:
            raw = file.read(_BYTES_MAX + 1)
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {why(error)}") from None
    if len(raw) > _BYTES_MAX:
        raise ValueError(f"{name} is larger than {_BYTES_MAX:,} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not UTF-8 text") from None
