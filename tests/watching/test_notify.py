"""Alerts reach people: once when raised, once when cleared, whatever fails in between, and nobody waits for them."""

import asyncio
import io
import itertools
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest
from hypothesis import given, strategies

from energyd.daemon import Daemon
from energyd.model import Alert, AlertName
from energyd.notify import PAUSE_MAX, Notifier, Standing, by_apprise
from energyd.sandbox.wire import Fault
from energyd.telemetry import Log

from ..engine.stage import EPOCH, Stage  # noqa: TID252 - the same stage

URL = "json://user:geheim@127.0.0.1:9/token-in-path"


class Service:
    """A notification service that may be down, or hang."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.texts: list[str] = []
        self.attempts = 0
        self.error: str | None = None
        self.up = asyncio.Event()
        self.up.set()

    async def deliver(self, _url: str, title: str, text: str) -> str | None:
        self.attempts += 1
        await self.up.wait()
        if self.error is None:
            self.titles.append(title)
            self.texts.append(text)
        return self.error


def a_daemon(stage: Stage, service: Service) -> Daemon:
    """The real daemon with a service of ours behind its notification URL."""
    stage.write(alerts=[URL])
    built = stage.build()
    built._notifier._make.keywords["deliver"] = service.deliver
    return built


async def test_an_alert_is_told_once_when_raised_and_once_when_cleared(stage: Stage) -> None:
    service = Service()
    task = stage.begin(built := a_daemon(stage, service))
    await asyncio.sleep(60)
    stage.wire.disturb(Fault.UNREACHABLE, where="node.sandbox")
    await asyncio.sleep(300)
    assert service.titles == ["energyd on host: node_unavailable"]
    assert "Since: 2026-01-05T00:" in service.texts[0]
    assert "What to do: see `energyd doctor`" in service.texts[0]
    stage.wire.calm()
    await asyncio.sleep(300)
    assert service.titles[1:] == ["energyd on host: node_unavailable is over"]
    built.stop()
    await task
    assert "geheim" not in stage.log.raw.decode()
    assert "token-in-path" not in stage.log.raw.decode()


async def test_a_restart_tells_nothing_twice_and_what_was_not_told(stage: Stage) -> None:
    service = Service()
    stage.wire.disturb(Fault.UNREACHABLE, where="node.sandbox")
    await stage.live(a_daemon(stage, service), minutes=2)
    await stage.live(a_daemon(stage, service), minutes=2)
    assert service.titles == ["energyd on host: node_unavailable"]
    stage.wire.calm()
    service.error = "down"
    await stage.live(a_daemon(stage, service), minutes=2)
    assert service.titles == ["energyd on host: node_unavailable"]
    service.error = None
    await stage.live(a_daemon(stage, service), minutes=2)
    assert service.titles[1:] == ["energyd on host: node_unavailable is over"]


async def test_a_service_that_is_down_is_tried_less_and_less_often_and_the_log_says_so_once(stage: Stage) -> None:
    service = Service()
    service.error = "down"
    stage.wire.disturb(Fault.UNREACHABLE, where="node.sandbox")
    task = stage.begin(built := a_daemon(stage, service))
    await asyncio.sleep(600)
    assert 6 <= service.attempts <= 8
    await asyncio.sleep(6 * PAUSE_MAX.total_seconds())
    assert service.attempts <= 16
    assert [line["service"] for line in stage.events("notify.failed")] == ["json"]
    assert b'energyd_notification_failing{service="json"} 1.0' in await built.metrics()
    service.error = None
    await asyncio.sleep(PAUSE_MAX.total_seconds())
    assert len(stage.events("notify.recovered")) == 1
    assert service.titles == ["energyd on host: node_unavailable"]
    assert b'energyd_notification_failing{service="json"} 0.0' in await built.metrics()
    built.stop()
    await task


async def test_what_came_and_went_while_nobody_could_be_told_is_not_told(stage: Stage) -> None:
    service = Service()
    service.error = "down"
    stage.wire.disturb(Fault.UNREACHABLE, where="node.sandbox")
    task = stage.begin(built := a_daemon(stage, service))
    await asyncio.sleep(120)
    stage.wire.calm()
    await asyncio.sleep(60)
    service.error = None
    await asyncio.sleep(2 * PAUSE_MAX.total_seconds())
    assert service.titles == []
    assert stage.events("notify.recovered") == [], "nobody has tried"
    built.stop()
    await task


async def test_what_is_told_late_says_when_it_was_over_and_not_when_it_was_told(stage: Stage) -> None:
    service = Service()
    stage.wire.disturb(Fault.UNREACHABLE, where="node.sandbox")
    task = stage.begin(built := a_daemon(stage, service))
    await asyncio.sleep(120)
    service.error = "down"
    stage.wire.calm()
    await asyncio.sleep(3600)
    service.error = None
    await asyncio.sleep(PAUSE_MAX.total_seconds())
    (cleared,) = stage.events("alert.cleared")
    assert f"Over at: {cleared['timestamp'][:16]}" in service.texts[1]
    built.stop()
    await task


async def test_a_service_that_hangs_holds_up_neither_looks_nor_orders_nor_the_end(stage: Stage) -> None:
    service = Service()
    service.up.clear()
    stage.netts.mood("internal", "userinfo")
    task = stage.begin(built := a_daemon(stage, service))
    await asyncio.sleep(300)
    assert 1 <= service.attempts <= 5
    assert [line["error"] for line in stage.events("notify.failed")] == ["no answer within 1m"]
    looks = [stage.seconds(line) for line in stage.events("decision")]
    assert max(later - earlier for earlier, later in itertools.pairwise(looks)) < 20
    began = stage.loop.time()
    built.stop()
    await task
    assert stage.loop.time() - began < 5


async def test_a_url_that_is_taken_away_by_a_reload_is_told_nothing_more_and_a_new_one_what_stands(
    stage: Stage,
) -> None:
    service = Service()
    task = stage.begin(built := a_daemon(stage, service))
    stage.write(alerts=[])
    await built.reload()
    stage.wire.disturb(Fault.UNREACHABLE, where="node.sandbox")
    await asyncio.sleep(120)
    assert service.titles == []
    stage.write(alerts=[URL])
    await built.reload()
    await asyncio.sleep(30)
    assert service.titles == ["energyd on host: node_unavailable"]
    built.stop()
    await task


# --- every history --------------------------------------------------------------------------------------------------


class Memory:
    """What a ledger remembers."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    async def get_meta(self, key: str) -> str | None:
        return self.kept.get(key)

    async def set_meta(self, key: str, value: str) -> None:
        self.kept[key] = value


ALERTS = [Alert(name, subject, "something") for name in list(AlertName)[:2] for subject in ("", "one")]
STEPS = strategies.lists(
    strategies.tuples(strategies.sets(strategies.sampled_from(ALERTS)), strategies.booleans(), strategies.booleans()),
    max_size=8,
)


@given(STEPS)
def test_in_every_history_people_know_in_the_end_what_stands(
    steps: list[tuple[set[Alert], bool, bool]],
) -> None:
    """Each step: what stands, whether the service works, whether the daemon is started anew before."""
    asyncio.run(_live_through([*steps, (set(), True, False)]))


async def _live_through(steps: list[tuple[set[Alert], bool, bool]]) -> None:
    memory, service, known = Memory(), Service(), set[str]()
    notifier = _notifier(memory, service)
    for standing, works, restarts in steps:
        if restarts:
            notifier = _notifier(memory, service)
        service.error = None if works else "down"
        notifier.show([Standing(alert, EPOCH) for alert in standing])
        (channel,) = notifier._channels.values()
        if works:
            channel._task.cancel()  # type: ignore[union-attr] # it has one since `show`; a pause is not waited for
            await asyncio.gather(channel._task, return_exceptions=True)  # type: ignore[arg-type] # the same
            await channel._catch_up()
        else:
            await asyncio.sleep(0)
            await notifier.close(PAUSE_MAX * 0)
        for title, text in zip(service.titles, service.texts, strict=True):
            what = f"{title.removesuffix(' is over')} {'About: one' in text}"
            assert (what in known) == title.endswith(" is over"), "told twice"
            known ^= {what}
        service.titles.clear()
        service.texts.clear()
        if works:
            assert known == {f"energyd on host: {alert.name} {alert.subject == 'one'}" for alert in standing}


def _notifier(memory: Memory, service: Service) -> Notifier:
    log = Log(now=lambda: EPOCH, stream=io.BytesIO())
    notifier = Notifier(meta=memory, log=log, now=lambda: EPOCH, host="host", deliver=service.deliver)
    notifier.adopt([URL])
    return notifier


# --- Apprise itself -------------------------------------------------------------------------------------------------


class Box(BaseHTTPRequestHandler):
    """Takes what Apprise posts."""

    status = 200
    posted: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.posted.append(json.loads(body))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def box() -> Iterator[int]:
    Box.posted, Box.status = [], 200
    with HTTPServer(("127.0.0.1", 0), Box) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


APPRISE_IMPORTS = pytest.mark.filterwarnings("ignore:.* is deprecated and slated for removal:DeprecationWarning")


@APPRISE_IMPORTS
def test_apprise_delivers_title_and_text(box: int) -> None:
    assert asyncio.run(by_apprise(f"json://user:geheim@127.0.0.1:{box}/token", "a title", "a text")) is None
    (posted,) = Box.posted
    assert (posted["title"], posted["message"]) == ("a title", "a text")


@APPRISE_IMPORTS
@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("json://user:geheim@127.0.0.1:{port}/token", 500),
        ("json://user:geheim@127.0.0.1:9/token", 200),
        ("nosuch://geheim/token", 200),
    ],
    ids=["it refuses", "nobody listens", "unknown"],
)
def test_what_apprise_cannot_deliver_is_told_without_the_url(
    box: int, url: str, status: int, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    Box.status = status
    with caplog.at_level(logging.INFO):
        error = asyncio.run(by_apprise(url.format(port=box), "a title", "a text"))
    told = (
        f"{error} {capfd.readouterr()} {[record.getMessage() for record in caplog.records if record.name != 'asyncio']}"
    )
    assert error
    assert "geheim" not in told
    assert "/token" not in told
