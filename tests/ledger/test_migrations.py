"""The shape of the file: however old a ledger is, it ends as a new one begins."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from energyd.ledger import Ledger, store, tables

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
CONFIG = Config()
CONFIG.set_main_option("script_location", "energyd.ledger:migrations")
REVISIONS = [step.revision for step in ScriptDirectory.from_config(CONFIG).walk_revisions()]


def shape(place: Path) -> dict[str, str]:
    """Tables and indexes by name, without regard for white space and quotes."""
    with sqlite3.connect(place) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL").fetchall()
    connection.close()
    return {name: "".join(sql.replace('"', "").split()) for name, sql in rows if name != "alembic_version"}


def test_the_newest_step_is_the_one_that_the_program_expects() -> None:
    assert REVISIONS[0] == tables.REVISION
    assert sorted(REVISIONS, key=int, reverse=True) == REVISIONS


def test_the_steps_lead_to_the_tables_as_they_are_declared(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "migrated.db", now=NOW, host="north").cut()
    (tmp_path / "declared.db").touch()
    engine = store.connect(tmp_path / "declared.db", to_write=True)
    tables.metadata.create_all(engine)
    engine.dispose()
    assert shape(tmp_path / "migrated.db") == shape(tmp_path / "declared.db")


def test_a_change_of_the_tables_without_a_step_would_be_seen(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "energyd.db", now=NOW, host="north").cut()
    engine = store.connect(tmp_path / "energyd.db", to_write=False)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    engine.dispose()


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_ledger_of_any_age_ends_as_a_new_one_begins(tmp_path: Path, revision: str) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    old.touch()
    engine = store.connect(old, to_write=True)
    with engine.connect() as connection, store.transaction(connection, writing=True):
        CONFIG.attributes["connection"] = connection
        command.upgrade(CONFIG, revision)
    engine.dispose()
    for place in (old, new):
        Ledger.open(place, now=NOW, host="north").cut()
    assert shape(old) == shape(new)


def test_a_step_that_fails_leaves_the_ledger_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "energyd.db"

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("energyd.ledger.writes.introduce", fails)
    with pytest.raises(Exception, match="free some disk space"):
        Ledger.open(place, now=NOW, host="north")
    assert shape(place) == {}
    monkeypatch.undo()
    Ledger.open(place, now=NOW, host="north").cut()
