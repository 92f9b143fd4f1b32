"""Secrets are put into every place from which they could leak, and looked for in all that energyd writes or answers."""

import gc
import json
import socket
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ..cli.program import ALICE, POLICY, Host, Running, Sandbox, a_sandbox  # noqa: TID252 - the same program
from ..engine.stage import Stage  # noqa: TID252 - the same stage

HEAD, TAIL = "sesamopen", "nepomases"
"""Every secret begins and ends so: a part of one shows, too."""

NETTS_KEY, NODE_KEY, OTHER_NODE_KEY, TOKEN, PATH, PASSWORD = (
    f"{HEAD}-{name}-{TAIL}" for name in ("netts", "node", "fallback", "token", "path", "password")
)
COMMANDS = (
    ("doctor",),
    ("doctor", "--json"),
    ("check",),
    ("check", "--json"),
    ("check", "--diff"),
    ("check", "--diff", "--json"),
    ("status", "--json"),
    ("decisions", "--json"),
    ("explain", ALICE, "--json"),
    ("orders", "--json"),
    ("report", "--json"),
    ("plan", "--json"),
    ("calls", "list", "--json"),
    ("host", "list", "--json"),
    ("ensure", ALICE, "--energy", "70000", "--timeout", "1s", "--json"),
    ("pause", "--reason", "a look round"),
    ("reload", "--json"),
)


class Echo(BaseHTTPRequestHandler):
    """Repeats whatever it was sent, now as success and now as a failure."""

    statuses = (200, 401, 400, 500, 429, 403)
    asked = 0
    heard = ""

    def do_POST(self) -> None:
        Echo.asked += 1
        said = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        text = f"Invalid key: {self.path} {said} {dict(self.headers)}"
        Echo.heard += text
        body = json.dumps({"Error": text, "detail": text, "msg": text, "message": text, "error": {"message": text}})
        self.send_response(self.statuses[Echo.asked % len(self.statuses)])
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST  # noqa: N815 - its name in the base class

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Say nothing."""


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with a_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


class Keeper(Host):
    """A host whose secrets are all in the environment."""

    port: int = 0

    @property
    def environment(self) -> dict[str, str]:
        own = {"NETTS_API_KEY": NETTS_KEY, "NODE_KEY": NODE_KEY, "OTHER_KEY": OTHER_NODE_KEY, "TOKEN": TOKEN}
        return super().environment | own | {"PATH_KEY": PATH, "PASSWORD": PASSWORD}

    def settle_in(self, node: str, netts: str, alerts: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.write(
            "energyd.yaml",
            f"""\
mode: live
node:
  url: "http://{node}/${{PATH_KEY}}"
  fallbacks: ["http://{node}/other/${{PATH_KEY}}"]
  api_keys: ["${{NODE_KEY}}", "${{OTHER_KEY}}"]
  max_rps: 100
  timeout: 2s
netts: {{url: "http://{netts}", api_key: "${{NETTS_API_KEY}}", real_ip: 203.0.113.7, max_rps: 20, timeout: 2s}}
policies: policies/
state: energyd.db
listen: 127.0.0.1:{self.port}
listen_token: "${{TOKEN}}"
log: {{level: debug}}
alerts: ["json://user:${{PASSWORD}}@{alerts}/${{PATH_KEY}}?+X-Token=${{PATH_KEY}}"]
""",
        )

    def answer(self, path: str, token: str = TOKEN, body: dict[str, Any] | None = None) -> str:
        """What the control API says, headers and faults included."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return f"{reply.headers}\n{reply.read().decode()}"
        except urllib.error.HTTPError as error:
            with error:
                return f"{error.headers}\n{error.read().decode()}"


def _paths(host: Keeper) -> list[str]:
    described = json.loads(host.answer("/openapi.json").split("\n\n", 1)[1])
    gets = [path for path, methods in described["paths"].items() if "get" in methods]
    assert len(gets) > 8
    return [path.replace("{address}", ALICE).replace("{call_id}", "none") for path in [*gets, "/", "/openapi.json"]]


def _everything_said(host: Keeper, daemon: Running) -> Iterator[tuple[str, str]]:
    """Each thing that energyd says, with its name."""
    for command in COMMANDS:
        done = host.run(*command)
        yield f"energyd {' '.join(command)}", done.out + done.err
    for path in _paths(host):
        yield path, host.answer(path)
    yield "a wrong token", host.answer("/v1/status", token=f"{TOKEN}x")
    yield "no such path", host.answer(f"/v1/{ALICE}")
    yield "a faulty body", host.answer("/v1/ensure", body={"address": ALICE, "energy": -1})
    host.write("policies/payouts.yaml", POLICY.replace("policy:", "polcy:").replace("65_000", "${NODE_KEY}"))
    for command in (("reload",), ("reload", "--json"), ("check",), ("check", "--json"), ("doctor",)):
        done = host.run(*command)
        yield f"broken policies, energyd {' '.join(command)}", done.out + done.err
    daemon.until_event("policies.rejected")
    good = (host.folder / "energyd.yaml").read_text()
    host.write("energyd.yaml", good.replace("mode: live", "mode: ${NODE_KEY}").replace("2s", "${TOKEN}"))
    for command in (("check",), ("check", "--json"), ("doctor", "--json"), ("reload",), ("run",)):
        done = host.run(*command)
        yield f"broken settings, energyd {' '.join(command)}", done.out + done.err
    host.write("energyd.yaml", good)
    process = Path(f"/proc/{daemon.process.pid}")
    yield "the arguments", (process / "cmdline").read_text()
    yield "the name of the process", (process / "comm").read_text()


def _files(host: Keeper) -> Iterator[tuple[str, str]]:
    for file in sorted(host.folder.rglob("*")):
        if file.is_file():
            yield str(file.relative_to(host.folder)), file.read_bytes().decode("latin-1")


def _leaks(said: Iterator[tuple[str, str]]) -> list[str]:
    return [
        f"{name}: …{text[max(at - 100, 0) : at + 60]!r}"
        for name, text in said
        for at in (text.find(HEAD), text.find(TAIL))
        if at >= 0
    ]


def _live(host: Keeper, *events: str) -> None:
    with host.started("run") as daemon:
        for event in events:
            daemon.until_event(event)
        assert _leaks(_everything_said(host, daemon)) == []
        daemon.until_event("notify.failed")
        assert _leaks(_files(host)) == []
        daemon.stop()
    assert _leaks(_files(host)) == []
    assert {"energyd.db", "energyd.last-good.json", "out", "err"} <= {name for name, _ in _files(host)}


def test_no_secret_shows_anywhere_while_node_netts_and_notifications_repeat_what_they_are_sent(
    tmp_path: Path, echo: str
) -> None:
    host = Keeper(tmp_path / "host")
    host.settle_in(echo, echo, echo)
    _live(host, "node.failed", "netts.failed")
    repeated = {secret for secret in (NETTS_KEY, NODE_KEY, OTHER_NODE_KEY, PATH) if secret in Echo.heard}
    assert repeated == {NETTS_KEY, NODE_KEY, OTHER_NODE_KEY, PATH}


def test_no_secret_shows_anywhere_while_netts_refuses_the_key(tmp_path: Path, sandbox: Sandbox, echo: str) -> None:
    host = Keeper(tmp_path / "host")
    host.settle_in(sandbox.url.removeprefix("http://"), echo, echo)
    _live(host, "netts.failed")


def test_no_secret_shows_in_an_object_of_the_daemon(stage: Stage) -> None:
    secrets = {"api_keys": [NODE_KEY], "url": f"http://node.sandbox/{PATH}", "max_rps": 1000}
    stage.write(
        node=secrets,
        netts={"url": "https://netts.sandbox", "api_key": NETTS_KEY, "real_ip": "203.0.113.7"},
        listen="127.0.0.1:8480",
        listen_token=TOKEN,
        alerts=[f"json://user:{PASSWORD}@alerts.example.org/{PATH}"],
    )
    built = stage.build()
    assert built is not None
    own = [one for one in gc.get_objects() if _is_of_energyd(str(type(one).__module__))]
    assert len({type(one) for one in own}) > 20
    assert _leaks((type(one).__name__, f"{one!r}\n{one!s}") for one in own) == []


def _is_of_energyd(module: str) -> bool:
    return module.startswith("energyd.") and not module.startswith("energyd.sandbox")


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_what_it_keeps_is_for_its_own_user_whatever_the_umask(tmp_path: Path, sandbox: Sandbox, mask: int) -> None:
    host = Host(tmp_path / "host", sandbox.url)
    host.write("energyd.yaml", (host.folder / "energyd.yaml").read_text().replace("energyd.db", "state/energyd.db"))
    with _masked(host, mask) as daemon:
        daemon.until_event("decision")
        kept = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (host.folder / "state").iterdir()}
        names = {f"energyd.{end}" for end in ("db", "db-wal", "db-shm", "db.lock", "last-good.json", "running.json")}
        assert kept == dict.fromkeys(names, 0o600)
        assert stat.S_IMODE((host.folder / "energyd.sock").stat().st_mode) == 0o660
        assert stat.S_IMODE((host.folder / "state").stat().st_mode) == 0o700


def _masked(host: Host, mask: int) -> Any:
    """The daemon, started by a parent with this umask."""
    host.program = lambda *arguments: ["sh", "-c", f'umask {mask:o}; exec "$@"', "sh", *Host.program(*arguments)]  # type: ignore[method-assign] # of this host only
    return host.started("run")


@pytest.mark.parametrize("place", ["0.0.0.0:8480", "203.0.113.7:8480", "[::]:8480", ":8480"])
def test_it_listens_to_nobody_beyond_this_machine_even_with_a_token(tmp_path: Path, place: str) -> None:
    host = Host(tmp_path / "host")
    settings = (host.folder / "energyd.yaml").read_text()
    host.write("energyd.yaml", settings.replace("unix:energyd.sock", f'"{place}"\nlisten_token: {TOKEN}'))
    done = host.run("check", "--offline")
    assert done.status == 78
    assert "energyd.yaml:6:9" in done.err
    assert TOKEN not in done.err
