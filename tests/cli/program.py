"""The real program in processes of its own, and the sandbox it talks to."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from energyd.sandbox import addresses
from energyd.sandbox.netts_terms import API_KEY, REAL_IP

PATIENCE_SECONDS = 30.0
ALICE, BOB = addresses.made_up("alice"), addresses.made_up("bob")
POLICY = f"""\
policy: payouts
addresses: [{{address: {ALICE}, label: hot}}]
energy: {{floor: 65_000, check_every: 1s, renew_before: 90s}}
budget: {{per_order: 15 TRX, per_hour: 60 TRX, per_day: 400 TRX}}
"""


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Host:
    """A folder with a configuration, in which commands are run."""

    folder: Path
    url: str = "http://127.0.0.1:9"

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "policies").mkdir()
        self.write("policies/payouts.yaml", POLICY)
        self.write(
            "energyd.yaml",
            f'mode: live\nnode: {{url: "{self.url}", max_rps: 100}}\n'
            f'netts: {{url: "{self.url}", api_key: "${{NETTS_API_KEY}}", real_ip: {REAL_IP}, max_rps: 20}}\n'
            "policies: policies/\nstate: energyd.db\nlisten: unix:energyd.sock\n",
        )

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.write_text(text)
        return file

    @staticmethod
    def program(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "energyd", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ENERGYD", "COV"))}
        return kept | {"NETTS_API_KEY": API_KEY, "COLUMNS": "120", "NO_COLOR": "1", "PYTHONWARNINGS": "error"}

    def run(self, *arguments: str, columns: str = "120") -> Done:
        """One command, to its end. Whatever it does, it prints no traceback and no key."""
        done = subprocess.run(
            self.program(*arguments),
            cwd=self.folder,
            env=self.environment | {"COLUMNS": columns},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        assert API_KEY not in done.stdout + done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def started(self, *arguments: str) -> Iterator["Running"]:
        """A command that goes on until it is stopped."""
        with (
            (self.folder / "out").open("w") as out,
            (self.folder / "err").open("w") as err,
            subprocess.Popen(
                [sys.executable, "-m", "energyd", *arguments],
                cwd=self.folder,
                env=self.environment,
                stdout=out,
                stderr=err,
            ) as process,
        ):
            running = Running(process, self.folder)
            try:
                yield running
            finally:
                process.kill()
        assert "Traceback" not in running.out + running.err
        assert API_KEY not in running.err
        assert API_KEY not in running.out or arguments[0] == "sandbox", "only the sandbox shows its pretend key"


@dataclass
class Running:
    process: "subprocess.Popen[bytes]"
    folder: Path

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines(keepends=True) if line.endswith("\n")]

    def names(self) -> list[str]:
        return [line["event"] for line in self.events]

    def until(self, happened: Callable[[], bool]) -> None:
        """Wait for something that another process does; there is nothing else to wait for than its output."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not happened():
            assert self.process.poll() is None, f"it ended: {self.err}"
            assert time.monotonic() < end, f"it did not happen: {self.out}"
            time.sleep(0.05)

    def until_event(self, name: str, times: int = 1) -> None:
        self.until(lambda: self.names().count(name) >= times)

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Ask it to end; the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(PATIENCE_SECONDS)
        return time.monotonic() - began


@dataclass
class Sandbox:
    """A served sandbox."""

    url: str

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/sandbox/{path}", data)
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as reply:
            return json.load(reply)

    def charges(self, address: str = ALICE) -> list[Any]:
        return [charge for charge in self.ask("books")["charges"] if charge["address"] == address]


@contextmanager
def a_sandbox(folder: Path) -> Iterator[Sandbox]:
    host = Host(folder)
    with host.started("sandbox", "--port", "0", "--delivery", "1s") as running:
        running.until(lambda: "curl" in running.out)
        url = running.out.split(" on ", 1)[1].split(";", 1)[0]
        yield Sandbox(url)
