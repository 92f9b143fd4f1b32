"""A host of its own for every test, and one served sandbox for all that need one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .program import Done, Host, Sandbox, a_sandbox


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with a_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host on which `energyd run --once` has placed one order and ended, in a world that no other test changes."""
    with a_sandbox(tmp_path_factory.mktemp("sandbox-of-lived")) as sandbox:
        host = Host(tmp_path_factory.mktemp("lived") / "host", sandbox.url)
        done: Done = host.run("run", "--once")
        assert done.status == 0, done.err
        yield host
