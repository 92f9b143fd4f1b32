"""Breaks a node and Netts in front of a real Prometheus and a real Alertmanager: `python -m tests.monitoring`.

The daemon runs against a served sandbox, as it is shipped; Prometheus scrapes it with the shipped rules, Alertmanager
tells a webhook, and the daemon tells another one by itself. Then the node and Netts fail, recover, and the daemon ends.
It takes about seven minutes and needs `apt-get install prometheus prometheus-alertmanager`.
"""

import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ..cli.program import Host, Sandbox, a_sandbox  # noqa: TID252 - the same program
from .shipped import (
    ALERTMANAGER_EXAMPLE,
    ALERTMANAGER_PLACE,
    DASHBOARD,
    PROMETHEUS_EXAMPLE,
    RULES,
    SCRAPED_PLACE,
    TOKEN_PLACE,
    WEBHOOK_PLACE,
    everywhere,
    missing,
)

TOKEN = "a-token-of-the-scrape"
LOOPBACK = "127.0.0.1"
PATIENCE_SECONDS = 300.0
BROKEN = ("EnergydNodeUnavailable", "EnergydNettsUnavailable")
BEGAN = time.monotonic()


def say(text: str) -> None:
    sys.stdout.write(f"{time.monotonic() - BEGAN:6.1f} s  {text}\n")
    sys.stdout.flush()


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as server:
        return int(server.getsockname()[1])


def until(happened: Callable[[], object], what: str) -> None:
    """Wait for what another program does."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < end, f"not seen: {what}"
        time.sleep(0.2)
    say(what)


class Webhook:
    """Takes what is posted to it, by Alertmanager or by the daemon."""

    def __init__(self) -> None:
        self.alerts: list[tuple[str, str]] = []
        """Of Alertmanager: name and status."""
        self.titles: list[str] = []
        """Of the daemon."""
        self.refused = 0
        self.refuses_titles = False
        self._server = ThreadingHTTPServer((LOOPBACK, 0), self._handler())
        self.place = f"{LOOPBACK}:{self._server.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                taken = webhook.take(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200 if taken else 503)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        return Handler

    def take(self, body: dict[str, Any]) -> bool:
        if self.refuses_titles and "title" in body:
            self.refused += 1
            return False
        self.alerts += [(alert["labels"]["alertname"], alert["status"]) for alert in body.get("alerts", [])]
        self.titles += [body["title"]] if "title" in body else []
        return True

    def has(self, status: str, names: Iterable[str]) -> bool:
        return {(name, status) for name in names} <= set(self.alerts)

    @contextmanager
    def serving(self) -> Iterator[None]:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()


@contextmanager
def program(folder: Path, *command: str) -> Iterator[None]:
    with (folder / command[0]).open("w") as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        try:
            yield
        finally:
            process.terminate()


class Prometheus:
    """A real one, with an Alertmanager beside it. Both have the shipped files, only places and pace are others."""

    def __init__(self, folder: Path, *, daemon: str, webhook: str) -> None:
        self.folder, self.place, self._alerts = folder, f"{LOOPBACK}:{free_port()}", f"{LOOPBACK}:{free_port()}"
        (folder / "token").write_text(TOKEN)
        (folder / RULES.name).write_text(RULES.read_text())
        config = re.sub(r"_interval: 15s", "_interval: 1s", PROMETHEUS_EXAMPLE.read_text())
        for old, new in (
            (SCRAPED_PLACE, daemon),
            (ALERTMANAGER_PLACE, self._alerts),
            (TOKEN_PLACE, f"{folder / 'token'}"),
        ):
            config = config.replace(old, new)
        (folder / "prometheus.yml").write_text(config)
        told = ALERTMANAGER_EXAMPLE.read_text().replace(WEBHOOK_PLACE, webhook)
        (folder / "alertmanager.yml").write_text(told.replace("group_interval: 1m", "group_interval: 1s"))

    @contextmanager
    def running(self) -> Iterator[None]:
        with (
            program(
                self.folder,
                "prometheus-alertmanager",
                f"--config.file={self.folder}/alertmanager.yml",
                f"--storage.path={self.folder}/alerts",
                f"--web.listen-address={self._alerts}",
                "--cluster.listen-address=",
            ),
            program(
                self.folder,
                "prometheus",
                f"--config.file={self.folder}/prometheus.yml",
                f"--storage.tsdb.path={self.folder}/data",
                f"--web.listen-address={self.place}",
            ),
        ):
            yield

    def found(self, query: str) -> list[Any]:
        """What a query finds now; nothing while Prometheus does not answer yet."""
        asked = urllib.parse.urlencode({"query": query})
        try:
            with urllib.request.urlopen(f"http://{self.place}/api/v1/query?{asked}", timeout=10) as reply:
                found: list[Any] = json.load(reply)["data"]["result"]
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise AssertionError(f"{query}: {error.read().decode()}") from None
            return []
        except urllib.error.URLError:
            return []
        return found


class Shipped(Host):
    """A daemon in the environment of a service: Apprise's plugins warn of what they themselves use."""

    @property
    def environment(self) -> dict[str, str]:
        return {name: value for name, value in super().environment.items() if name != "PYTHONWARNINGS"}


def is_accepted(daemon: str) -> None:
    """What the daemon shows is as promtool would have it."""
    request = urllib.request.Request(f"http://{daemon}/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=10) as reply:
        shown = reply.read()
    done = subprocess.run(["promtool", "check", "metrics"], input=shown, capture_output=True, check=False)
    say(
        f"promtool check metrics: status {done.returncode}, {(done.stdout + done.stderr).decode().strip() or 'content'}"
    )


def is_on_the_dashboard(prometheus: Prometheus) -> None:
    queries = {
        panel["title"]: [everywhere(target["expr"]) for target in panel["targets"]]
        for panel in json.loads(DASHBOARD.read_text())["panels"]
    }
    empty = [title for title, asked in queries.items() if not any(map(prometheus.found, asked))]
    say(f"panels without a line while all is well: {', '.join(empty) or 'none'}")


def disturb(sandbox: Sandbox) -> None:
    sandbox.ask("mood", {"side": "node", "mood": "html_502"})
    sandbox.ask("mood", {"side": "netts", "mood": "html_502"})
    say("the node and Netts fail")


def mend(sandbox: Sandbox) -> None:
    for side in ("node", "netts"):
        sandbox.ask("mood", {"side": side, "clear": True})
    say("both work again")


def walk(stack: ExitStack, folder: Path) -> None:
    webhook, place = Webhook(), f"{LOOPBACK}:{free_port()}"
    stack.enter_context(webhook.serving())
    sandbox = stack.enter_context(a_sandbox(folder / "sandbox"))
    host = Shipped(folder / "host", sandbox.url)
    settings = (folder / "host" / "energyd.yaml").read_text().replace("unix:energyd.sock", place)
    host.write("energyd.yaml", f'{settings}listen_token: {TOKEN}\nalerts: ["json://{webhook.place}/"]\n')
    daemon = stack.enter_context(host.started("run"))
    prometheus = Prometheus(folder, daemon=place, webhook=webhook.place)
    stack.enter_context(prometheus.running())

    until(lambda: prometheus.found('up{job="energyd"} == 1'), "Prometheus scrapes the daemon")
    until(lambda: prometheus.found("energyd_delivery_seconds_count > 0"), "a delivery is measured")
    is_accepted(place)
    time.sleep(60)  # so that rates have something to go by
    is_on_the_dashboard(prometheus)
    assert not webhook.alerts, webhook.alerts
    webhook.refuses_titles = True
    disturb(sandbox)
    until(lambda: webhook.has("firing", BROKEN), f"Alertmanager tells of {' and '.join(BROKEN)}")
    assert not webhook.titles
    webhook.refuses_titles = False
    say(f"the daemon has tried to tell {webhook.refused} times a webhook that is down, and is heard from now on")
    until(lambda: {"node", "netts"} <= spoken(webhook), "it tells of both")
    mend(sandbox)
    until(lambda: webhook.has("resolved", BROKEN), "Alertmanager tells that both are over")
    until(lambda: sum("is over" in title for title in webhook.titles) >= 2, "so does the daemon")
    daemon.stop()
    say("the daemon is stopped")
    until(lambda: webhook.has("firing", ["EnergydDown"]), "Alertmanager tells of EnergydDown")
    say(f"all that Alertmanager told: {webhook.alerts}")
    say(f"all that the daemon told: {webhook.titles}")


def spoken(webhook: Webhook) -> set[str]:
    """Of whom the daemon has told that they are unavailable."""
    return {who for who in ("node", "netts") for title in webhook.titles if title.endswith(f"{who}_unavailable")}


def main() -> None:
    reason = missing("promtool", "prometheus", "prometheus-alertmanager")
    if reason:
        sys.exit(reason)
    with tempfile.TemporaryDirectory(prefix="energyd-") as name, ExitStack() as stack:
        walk(stack, Path(name))


if __name__ == "__main__":
    main()
