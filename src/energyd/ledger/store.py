"""The file under the ledger: making it, holding it, keeping its shape, and saying plainly what is wrong with it."""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from energyd.errors import LedgerBusy, LedgerError, SchemaTooNew
from energyd.ledger.tables import REVISION

BUSY_TIMEOUT = 10.0
"""Seconds that a transaction waits for another process' transaction; ours take a few milliseconds."""

_RIGHTS = "do this as the user who runs the daemon, who needs the right to read and write it and its folder"
_OS_HINTS = {
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EROFS: "put it on a file system that can be written",
    errno.ENOSPC: "free some disk space",
    errno.EDQUOT: "free some disk space",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
}
_SQLITE_HINTS = {
    sqlite3.SQLITE_NOTADB: "it is no SQLite file; set `state` to another path, or put back a backup",
    sqlite3.SQLITE_CORRUPT: "it is damaged; put back a backup, or move it away and start with an empty ledger",
    sqlite3.SQLITE_FULL: "the disk is full; free some disk space",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written; look at its free space and its health",
    sqlite3.SQLITE_READONLY: "it cannot be written; look at the rights of the file, its folder and the file system",
    sqlite3.SQLITE_CANTOPEN: _RIGHTS,
    sqlite3.SQLITE_BUSY: "another process keeps it locked; stop the other one",
    sqlite3.SQLITE_PERM: _RIGHTS,
}


# --- errors ---------------------------------------------------------------------------------------------------------


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what the system and the store complain about into a LedgerError that names the file and what to do."""
    try:
        yield
    except (OSError, DBAPIError, sqlite3.Error) as error:
        why = "is a folder; `state` must name a file" if path.is_dir() else _explain(error)
        raise LedgerError(f"the ledger {path} {why}") from error


def _explain(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the low byte of an extended result code
        hint = _SQLITE_HINTS.get(code, "")
        return f"cannot be used: {cause}" + (f"; {hint}" if hint else "")
    if isinstance(cause, OSError):
        hint = _OS_HINTS.get(cause.errno or 0, "")
        return f"cannot be opened: {cause.strerror or cause}" + (f"; {hint}" if hint else "")
    return f"cannot be used: {cause}"


# --- the file -------------------------------------------------------------------------------------------------------


def create_folder(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)


def create(path: Path) -> None:
    """The file, for its owner alone; one that is there already keeps its rights."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def hold(path: Path) -> int:
    """The lock that makes this process the only daemon of a ledger, as an open file; closing it lets go.

    The kernel lets go by itself when the process ends in whatever way, so there is nothing to clean up after a crash.
    """
    held = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(held, 32).decode(errors="replace").strip()
        os.close(held)
        who = f"process {holder}" if holder.isdigit() else "another process"
        raise LedgerBusy(f"{who} holds the ledger {path}; one daemon works on a ledger, stop the other one") from None
    os.ftruncate(held, 0)
    os.write(held, f"{os.getpid()}\n".encode())
    return held


def holder(path: Path) -> int | None:
    """The process that holds a ledger as its daemon. It only looks: trying to lock would keep a starting daemon out."""
    try:
        lock = path.with_name(path.name + ".lock")
        place = f":{lock.stat().st_ino} "
        held = any("FLOCK" in line and place in line for line in Path("/proc/locks").read_text().splitlines())
        return int(lock.read_text()) if held else None
    except (OSError, ValueError):
        return None


# --- connections ----------------------------------------------------------------------------------------------------


def connect(path: Path, *, to_write: bool) -> Engine:
    """Connections to the file, without the driver's own handling of transactions. Never makes the file."""
    mode = "rw" if to_write else "ro"
    address = f"{path.absolute().as_uri()}?mode={mode}"
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            address, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
        ),
        poolclass=NullPool,
        hide_parameters=True,
    )
    event.listen(engine, "connect", _prepare_to_write if to_write else _prepare_to_read)
    return engine


def _prepare_to_write(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _prepare_to_read(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA query_only = ON")


@contextmanager
def transaction(connection: Connection, *, writing: bool) -> Iterator[None]:
    """One transaction.

    One that writes takes the write lock at once, so that writers follow one another and what it has read is still true
    when it writes. It is begun here: a listener of SQLAlchemy's would be asked again at each of its statements.
    """
    with connection.begin():
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
        yield


# --- its shape ------------------------------------------------------------------------------------------------------


def check_whole(connection: Connection, path: Path) -> None:
    """Refuses a damaged file before money depends on it."""
    found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if found != "ok":
        raise LedgerError(f"the ledger {path} is damaged ({found}); {_SQLITE_HINTS[sqlite3.SQLITE_CORRUPT]}")


def revision(connection: Connection, path: Path) -> str | None:
    """The revision of the tables; None for an empty file. Raises for a newer one and for somebody else's file."""
    tables = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    if not tables:
        return None
    found = None
    if {"alembic_version", "order_events"} <= tables:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if found is None or not found.isdigit():
        raise LedgerError(f"{path} is no ledger of energyd but another program's database; set `state` to another path")
    if int(found) > int(REVISION):
        raise SchemaTooNew(
            f"the ledger {path} was written by a newer energyd (revision {found}; this one knows {REVISION}); "
            "upgrade energyd"
        )
    return str(found)


def migrate(connection: Connection) -> None:
    """Brings the tables to the newest revision, in the connection's own transaction."""
    from alembic import command  # noqa: PLC0415 - half of a start's import time, needed once in a ledger's life
    from alembic.config import Config  # noqa: PLC0415 - the same

    config = Config()
    config.set_main_option("script_location", "energyd.ledger:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
