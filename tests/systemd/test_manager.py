"""What systemd is told, by a real daemon on virtual time, over a real socket."""

import asyncio
import math
import os
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from energyd.sandbox.wire import Fault
from energyd.systemd import Manager

from ..engine.stage import ALICE, BOB, Stage, a_policy  # noqa: TID252 - the same stage
from .ears import Ears

WATCHDOG_SECONDS = 30


@pytest.fixture
def ears(folder: Path) -> Iterator[Ears]:
    ears = Ears(folder / "notify")
    yield ears
    ears.close()


@pytest.fixture
def manager(folder: Path, ears: Ears) -> Manager:
    return Manager({"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": str(WATCHDOG_SECONDS * 1_000_000)})


def _without_beats(told: list[dict[str, str]]) -> list[dict[str, str]]:
    return [message for message in told if "WATCHDOG" not in message]


async def test_a_life_is_told_from_ready_to_stopping(stage: Stage, manager: Manager, ears: Ears) -> None:
    await stage.live(stage.build(a_policy("payouts", ALICE, BOB), manager=manager), seconds=30)
    first, *later, last = _without_beats(ears.told())
    assert first["READY"] == "1"
    assert first["STATUS"].startswith("live, 2 addresses of 1 policy;")
    assert last["STOPPING"] == "1"
    assert later[-1] == {"STATUS": "live, 2 addresses of 1 policy; 2 open orders; no alert"}


async def test_what_is_wrong_stands_in_the_status(stage: Stage, manager: Manager, ears: Ears) -> None:
    stage.wire.disturb(Fault.UNREACHABLE)
    await stage.live(stage.build(manager=manager), minutes=2)
    status = _without_beats(ears.told())[-2]["STATUS"]
    assert status.endswith("; no open orders; alerts: node_unavailable, netts_unavailable")


async def test_a_reload_is_told_with_its_moment_and_its_end(stage: Stage, manager: Manager, ears: Ears) -> None:
    task = stage.begin(built := stage.build(manager=manager))
    await asyncio.sleep(12)
    ears.told()
    await built.reload()
    (stage.folder / "policies" / "payouts.yaml").write_text("policy: payouts\n")
    await built.reload()
    told = _without_beats(ears.told())
    assert told[0] == {"RELOADING": "1", "MONOTONIC_USEC": str(int(stage.loop.time() * 1e6))}
    assert told[1]["READY"] == told[3]["READY"] == "1"
    assert "refused" not in told[1]["STATUS"]
    assert "the files as they are now are refused: 2 faults, the first: " in told[3]["STATUS"]
    built.stop()
    await task


async def test_it_is_told_three_times_in_its_time_that_the_rounds_go_on(
    stage: Stage, manager: Manager, ears: Ears
) -> None:
    beats = []
    task = stage.begin(built := stage.build(a_policy(check_every="1h"), manager=manager))
    for second in range(120):
        await asyncio.sleep(1)
        beats += [second for message in ears.told() if "WATCHDOG" in message]
    built.stop()
    await task
    assert len(beats) == 12
    assert max(later - earlier for earlier, later in pairwise(beats)) == WATCHDOG_SECONDS / 3


HEARS_EVERY = 20


async def _silent_from(stage: Stage, ears: Ears, seconds: float) -> bool:
    """Whether no beat is heard during the next seconds; ears that are full would hold the daemon up."""
    ears.told()
    heard = []
    for _ in range(math.ceil(seconds / HEARS_EVERY)):
        await asyncio.sleep(HEARS_EVERY)
        heard += [message for message in ears.told() if "WATCHDOG" in message]
    return not heard


async def test_rounds_that_break_off_end_the_daemon(
    stage: Stage, manager: Manager, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = stage.begin(built := stage.build(manager=manager))
    await asyncio.sleep(20)
    monkeypatch.setattr(built._rounds, "_start_due", None)
    with pytest.raises(TypeError):
        await task
    assert stage.names("daemon.")[-2:] == ["daemon.stopping", "daemon.stopped"]


async def test_a_look_that_hangs_is_told_in_the_log_and_ends_the_beats(
    stage: Stage, manager: Manager, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = stage.build(a_policy("payouts", ALICE, BOB), manager=manager)
    tick = built.engine.tick

    async def hang(address: str) -> timedelta | None:
        return await (stage.loop.create_future() if address == BOB else tick(address))

    monkeypatch.setattr(built.engine, "tick", hang)
    task = stage.begin(built)
    assert not await _silent_from(stage, ears, 300)
    await _silent_from(stage, ears, 320)
    assert await _silent_from(stage, ears, 2 * WATCHDOG_SECONDS)
    assert {line["address"] for line in stage.events("fault") if "hangs" in line["error"]} == {BOB}
    built.stop()
    await task


async def test_a_look_that_waits_for_answers_as_slow_as_the_settings_allow_does_not_hang(stage: Stage) -> None:
    stage.write(node={"url": "http://node.sandbox", "timeout": "10m"})
    assert stage.build()._hangs_after > timedelta(minutes=100)


@pytest.mark.parametrize(
    ("environ", "every"),
    [
        ({"WATCHDOG_USEC": "30000000"}, None),
        ({"NOTIFY_SOCKET": "@x"}, None),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000"}, 10),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 10),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "soon"}, None),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "0"}, None),
    ],
)
def test_it_beats_only_when_it_is_asked_to(environ: dict[str, str], every: float | None) -> None:
    assert Manager(environ).beat_every == every


def test_a_message_reaches_an_abstract_socket_and_keeps_to_one_line_for_a_word() -> None:
    name = f"energyd-test-{os.getpid()}"
    ears = Ears(f"\0{name}")
    Manager({"NOTIFY_SOCKET": f"@{name}"}).status("one\nMAINPID=1")
    assert ears.heard() == [b"STATUS=one MAINPID=1"]
    ears.close()


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/no/such/socket"}])
def test_nobody_who_listens_is_no_error(environ: dict[str, Any]) -> None:
    Manager(environ).ready("live")
