"""The file: who may open it, what is said about a broken one, and what survives a process that is killed."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from energyd.core.order import Event
from energyd.errors import LedgerBusy, LedgerError, SchemaTooNew
from energyd.ledger import Ledger
from energyd.model import OrderState

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
A_DAEMON = Path(__file__).with_name("a_daemon.py")


@contextmanager
def daemon(what: str, place: Path) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, str(A_DAEMON), what, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        try:
            yield child
        finally:
            child.kill()


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def open_it(place: Path) -> Ledger:
    return Ledger.open(place, now=NOW, host="north")


# --- opening ----------------------------------------------------------------------------------------------------------


def test_a_new_ledger_is_for_its_owner_alone(place: Path, ledger: Ledger) -> None:
    assert place.parent.stat().st_mode & 0o777 == 0o700
    for name in ("", ".lock", "-wal", "-shm"):
        assert place.with_name(place.name + name).stat().st_mode & 0o777 == 0o600, name


def test_commits_wait_for_the_disk(ledger: Ledger) -> None:
    with ledger._engine.connect() as connection:  # type: ignore[union-attr] # a look inside
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    assert found == ["wal", 2, 1, 10_000]


async def test_a_ledger_keeps_its_id(open_ledger: Callable[..., Ledger]) -> None:
    first = open_ledger()
    identity, born = await first.get_meta("ledger_id"), await first.get_meta("created_at")
    await first.close()
    again = open_ledger("south")
    assert (await again.get_meta("ledger_id"), await again.get_meta("created_at")) == (identity, born)
    assert born == NOW.isoformat()
    assert len(str(identity)) == 16


async def test_a_ledger_may_be_closed_twice_and_then_says_so(ledger: Ledger) -> None:
    await ledger.close()
    await ledger.close()
    ledger.cut()
    with pytest.raises(LedgerError, match="closed"):
        await ledger.orders()
    with pytest.raises(LedgerError, match="closed"):
        await ledger.set_meta("x", "1")


async def test_work_under_way_is_finished_before_closing(open_ledger: Callable[..., Ledger]) -> None:
    ledger = open_ledger()
    notes = [asyncio.create_task(ledger.set_meta(f"{number}", "x")) for number in range(20)]
    await asyncio.sleep(0)
    await ledger.close()
    await asyncio.gather(*notes)
    assert await open_ledger().get_meta("19") == "x"


# --- one daemon -------------------------------------------------------------------------------------------------------


def test_a_second_daemon_is_told_who_holds_the_ledger(place: Path) -> None:
    with daemon("hold", place) as first:
        assert line(first) == "open"
        with pytest.raises(LedgerBusy, match=f"process {first.pid} holds the ledger {place}"):
            open_it(place)
        with daemon("hold", place) as second:
            assert line(second).startswith(f"LedgerBusy: process {first.pid} holds")
        alias = place.with_name("alias.db")
        alias.symlink_to(place)
        with pytest.raises(LedgerBusy):
            open_it(alias)


def test_the_ledger_is_free_again_after_a_kill_and_after_a_close(place: Path) -> None:
    with daemon("hold", place) as first:
        assert line(first) == "open"
        first.kill()
        first.wait()
        ledger = open_it(place)
        ledger.cut()
        open_it(place).cut()


def test_a_ledger_that_could_not_be_opened_is_not_held(place: Path) -> None:
    place.parent.mkdir()
    place.write_bytes(b"x" * 5_000)
    with pytest.raises(LedgerError):
        open_it(place)
    place.unlink()
    open_it(place).cut()


def test_of_processes_that_race_for_one_address_one_intends(place: Path) -> None:
    open_it(place).cut()
    with daemon("race", place) as first, daemon("race", place) as second:
        assert [line(first), line(second)] == ["ready", "ready"]
        for child in (first, second):
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        said = sorted([line(first), line(second)])
    assert said[0] == "Conflict"
    assert said[1].startswith("o")


def test_processes_that_make_a_ledger_at_once_agree_on_it(place: Path) -> None:
    place.parent.mkdir()
    with daemon("race", place) as first, daemon("race", place) as second, daemon("race", place) as third:
        assert [line(child) for child in (first, second, third)] == ["ready"] * 3


# --- a crash ----------------------------------------------------------------------------------------------------------


async def test_what_was_committed_survives_a_kill(place: Path, open_ledger: Callable[..., Ledger]) -> None:
    with daemon("commit_and_wait", place) as child:
        key = line(child)
        child.send_signal(signal.SIGKILL)
        child.wait()
        async with Ledger.open_to_read(place) as reader:
            assert (await reader.order(key)).state is OrderState.INTENDED
    ledger = open_ledger()
    order = await ledger.order(key)
    assert (await ledger.record(order, Event.DROPPED, NOW)).state is OrderState.DROPPED


async def test_a_cut_loses_nothing_that_was_committed(story: Any, open_ledger: Callable[..., Ledger]) -> None:
    order = await story.send()
    story.ledger.cut()
    assert await open_ledger().open_orders(order.address) == (order,)


# --- a broken file ----------------------------------------------------------------------------------------------------


def expect_fault(place: Path, *says: str, kind: type[LedgerError] = LedgerError) -> None:
    for opened in (open_it, Ledger.open_to_read):
        with pytest.raises(kind) as caught:
            opened(place)
        for part in (str(place), *says):
            assert part in str(caught.value)


def test_a_folder_in_place_of_the_file_is_named(place: Path) -> None:
    place.mkdir(parents=True)
    with pytest.raises(LedgerError, match="`state` must name a file"):
        open_it(place)
    with pytest.raises(LedgerError, match="`state` must name a file"):
        Ledger.open_to_read(place)


def test_a_file_in_place_of_the_folder_is_named(place: Path) -> None:
    place.parent.write_text("x")
    with pytest.raises(LedgerError, match=str(place)):
        open_it(place)


def test_random_bytes_are_no_ledger(place: Path) -> None:
    place.parent.mkdir()
    place.write_bytes(Random(1).randbytes(20_000))
    expect_fault(place, "it is no SQLite file")


def test_somebody_elses_database_is_left_alone(place: Path) -> None:
    place.parent.mkdir()
    theirs = sqlite3.connect(place)
    theirs.execute("CREATE TABLE orders (id)")
    theirs.close()
    expect_fault(place, "another program's database")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
async def test_a_file_that_was_cut_short_is_refused(place: Path, tell: Any, share: float) -> None:
    ledger = open_it(place)
    story = tell(ledger)
    await ledger.note([story.decision(detail="x" * 500) for _ in range(200)])
    await ledger.close()
    with place.open("r+b") as file:
        file.truncate(int(file.seek(0, os.SEEK_END) * share))
    with pytest.raises(LedgerError, match=str(place)):
        open_it(place)


@pytest.mark.parametrize("seed", range(10))
async def test_a_file_with_overwritten_pages_is_refused(place: Path, tell: Any, seed: int) -> None:
    ledger = open_it(place)
    story = tell(ledger)
    await ledger.note([story.decision(f"address{number}", detail="x" * 500) for number in range(200)])
    await ledger.close()
    rng = Random(seed)
    with place.open("r+b") as file:
        pages = file.seek(0, os.SEEK_END) // 4_096
        file.seek(4_096 * rng.randrange(1, pages))
        file.write(rng.randbytes(4_096))
    with pytest.raises(LedgerError, match=r"damaged|malformed") as caught:
        open_it(place)
    assert "backup" in str(caught.value)


def test_a_newer_ledger_is_left_alone(place: Path) -> None:
    open_it(place).cut()
    theirs = sqlite3.connect(place)
    theirs.execute("UPDATE alembic_version SET version_num = '0999'")
    theirs.commit()
    theirs.close()
    expect_fault(place, "revision 0999", "upgrade energyd", kind=SchemaTooNew)


def test_a_ledger_that_cannot_be_written_says_what_to_look_at(tmp_path: Path) -> None:
    with _reachable_by_all(tmp_path) as folder:
        place = folder / "energyd.db"
        open_it(place).cut()
        place.chmod(0o444)
        folder.chmod(0o555)
        with daemon("open_as_nobody", place) as child:
            said = line(child)
        folder.chmod(0o755)
    assert said.startswith(f"LedgerError: the ledger {place} cannot be opened")
    assert "the user who runs the daemon" in said


@contextmanager
def _reachable_by_all(tmp_path: Path) -> Iterator[Path]:
    """pytest's own folders are closed to other users."""
    folder = Path("/tmp") / f"energyd-{os.getpid()}-{tmp_path.name}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def test_a_full_disk_is_named_and_loses_nothing(place: Path) -> None:
    with daemon("write_until_full", place) as child:
        assert "the disk cannot be" in line(child)
        assert line(child) == "True", "all that was reported as written is there, and nothing else"
        assert line(child) == "True", "and it goes on when there is room again"


async def test_a_full_database_is_named(story: Any) -> None:
    connection = story.ledger._connection  # what is set on it holds for it alone
    with connection.begin():
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerError, match="the disk is full; free some disk space"):
        await story.ledger.note([story.decision(detail="x" * 5_000) for _ in range(10)])
    assert await story.ledger.decisions() == ()


# --- reading ----------------------------------------------------------------------------------------------------------


def test_there_is_nothing_to_read_before_the_first_run(place: Path) -> None:
    with pytest.raises(LedgerError, match=r"there is no ledger at .*`energyd run` makes it"):
        Ledger.open_to_read(place)
    assert not place.parent.exists()


def test_an_empty_or_older_file_is_not_changed_by_reading(place: Path) -> None:
    place.parent.mkdir()
    place.touch()
    with pytest.raises(LedgerError, match="start the daemon once"):
        Ledger.open_to_read(place)
    assert place.stat().st_size == 0


async def test_a_ledger_is_read_while_a_daemon_writes(story: Any, place: Path) -> None:
    async with Ledger.open_to_read(place) as reader:
        assert await reader.orders() == ()
        order = await story.send()
        assert await reader.orders() == (order,)
        order = await story.ledger.record(order, Event.ACCEPTED, story.now)
        assert await reader.memory(order.address, "payouts", story.now) == await story.ledger.memory(
            order.address, "payouts", story.now
        )


async def test_a_ledger_is_read_while_no_daemon_runs(story: Any, place: Path) -> None:
    order = await story.send()
    await story.ledger.close()
    async with Ledger.open_to_read(place) as reader:
        assert await reader.orders() == (order,)


async def test_a_reader_cannot_write(ledger: Ledger, place: Path) -> None:
    async with Ledger.open_to_read(place) as reader:
        assert not isinstance(reader, Ledger)
        with pytest.raises(LedgerError, match="readonly"):
            await reader._read(lambda connection: connection.exec_driver_sql("DELETE FROM meta"))


async def test_readers_leave_no_files_that_the_daemon_cannot_write(place: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can leave files that others cannot write")
    open_it(place).cut()
    for each in (place, place.parent):
        os.chown(each, 65_534, 65_534)
    async with Ledger.open_to_read(place) as reader:
        await reader.orders()
        assert {file.stat().st_uid for file in place.parent.glob("energyd.db*") if file.suffix != ".lock"} == {65_534}


def test_reading_does_not_load_what_only_migrations_need(place: Path) -> None:
    open_it(place).cut()
    looks = f"""
import asyncio, sys
from pathlib import Path
from energyd.ledger import Ledger
async def look():
    async with Ledger.open_to_read(Path({str(place)!r})) as ledger:
        await ledger.orders()
asyncio.run(look())
print([name for name in ("alembic", "mako", "tronpy", "httpx") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", looks], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
