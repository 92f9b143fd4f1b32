"""Tests that are coroutines run on the virtual time of their stage; its files live in memory where that can be had."""

import inspect
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .stage import Stage, a_stage


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if "stage" not in pyfuncitem.funcargs or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    given = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    given["stage"].runner.run(pyfuncitem.obj(**given))
    return True


MEMORY = Path("/dev/shm")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Thousands of commits wait for a disk here or for none."""
    with tempfile.TemporaryDirectory(prefix="energyd-", dir=MEMORY if MEMORY.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture
def stage(folder: Path) -> Iterator[Stage]:
    with a_stage(folder) as stage:
        yield stage
