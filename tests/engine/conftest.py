"""Tests that are coroutines run on the virtual time of their stage."""

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from .stage import Stage, a_stage


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    given = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    given["stage"].runner.run(pyfuncitem.obj(**given))
    return True


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with a_stage(tmp_path) as stage:
        yield stage
