"""A machine of its own for tests: the real systemd as its first process, on loopback only, gone when it is left.

It needs root, and what Debian calls systemd-sysv, dbus, util-linux and iproute2.
"""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = "/usr/bin/python3"
"""The interpreter in the machine: one that everybody may run, as a service's own user has to."""
PREFIX = Path("/opt/energyd")
PATIENCE_SECONDS = 20.0
POWER_OFF = signal.SIGRTMIN + 4
_TOOLS = ("unshare", "nsenter", "ip", "systemctl", "systemd-run", "journalctl", "dbus-daemon", PYTHON)


def why_not() -> str | None:
    """Why no machine can be had here, if so."""
    missing = [tool for tool in _TOOLS if shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]
    if sys.platform != "linux" or os.geteuid() != 0:
        return "only root on Linux can boot a systemd of its own"
    if missing:
        return f"to boot a systemd of its own it lacks {', '.join(missing)}"
    spaces = ("--pid", "--mount", "--ipc", "--uts", "--net", "--cgroup", "--fork")
    if subprocess.run(["unshare", *spaces, "true"], capture_output=True, check=False).returncode:
        return "namespaces of its own are not allowed here, so it cannot boot a systemd"
    asked = [PYTHON, "-c", "import sys; print(*sys.version_info[:2])"]
    theirs = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    if theirs != [str(part) for part in sys.version_info[:2]]:
        return f"the packages here are for another Python than {PYTHON}, which is {'.'.join(theirs)}"
    return None


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str


@dataclass
class Machine:
    leader: int
    """The first process in it, as it is numbered outside."""

    def run(self, *command: str, stdin: str | None = None) -> Done:
        """One command in it, as root, to its end."""
        inside = ["nsenter", "-t", str(self.leader), "-a", "env", "-i"]
        inside += [
            "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "LANG=C.UTF-8",
            "SYSTEMD_COLORS=0",
            "SYSTEMD_PAGER=",
            "COLUMNS=120",
            *command,
        ]
        done = subprocess.run(inside, capture_output=True, text=True, check=False, timeout=120, input=stdin)
        return Done(done.returncode, done.stdout, done.stderr)

    def ask(self, *command: str) -> str:
        """What a command that succeeds prints."""
        done = self.run(*command)
        assert done.status == 0, f"{command}: {done.out}{done.err}"
        return done.out

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        wrote = self.run("sh", "-c", 'umask 077; cat >"$1" && chmod "$2" "$1"', "write", name, f"{mode:o}", stdin=text)
        assert wrote.status == 0, wrote.err


def until(happened: Callable[[], object], what: Callable[[], str] = lambda: "") -> None:
    """Wait for something that other processes do; there is nothing else to wait for than what they show."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < end, f"it did not happen: {what()}"
        time.sleep(0.05)


@contextmanager
def booted(folder: Path, files: Mapping[str, str], *, installed: bool = True) -> Iterator[Machine]:
    """A machine with these files, with those in FOLDER/files, and with energyd as it stands here in /opt/energyd."""
    packages = ""
    if installed:
        _install(folder / "files")
        packages = f"{ROOT / 'src'}:{sysconfig.get_path('purelib')}"
    for name, text in files.items():
        _write(folder / "files" / name.lstrip("/"), text)
    target = PREFIX / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    with (folder / "console").open("wb") as console:
        outside = subprocess.Popen(
            [str(HERE / "machine.sh"), str(folder), packages, str(target)],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        )
    try:
        yield _up(outside, folder)
    finally:
        _down(outside, folder)


def _install(files: Path) -> None:
    """What `python3 -m venv` and `pip install` leave behind, but for the packages, which are those of this run."""
    _write(files / PREFIX.relative_to("/") / "pyvenv.cfg", f"home = {Path(PYTHON).parent}\n")
    binaries = files / PREFIX.relative_to("/") / "bin"
    _write(binaries / "energyd", f"#!{PREFIX}/bin/python\nfrom energyd.__main__ import main\n\nmain()\n", 0o755)
    (binaries / "python").symlink_to(PYTHON)


def _write(file: Path, text: str, mode: int = 0o644) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)


def _up(outside: "subprocess.Popen[bytes]", folder: Path) -> Machine:
    def state() -> str:
        assert outside.poll() is None, (folder / "console").read_text()
        leader = _leader(outside.pid)
        return Machine(leader).run("systemctl", "is-system-running").out.strip() if leader else ""

    until(lambda: state() in ("running", "degraded"), (folder / "console").read_text)
    leader = _leader(outside.pid)
    assert leader is not None
    return Machine(leader)


def _leader(outside: int) -> int | None:
    """The child of `unshare`, once it has become systemd."""
    try:
        child = Path(f"/proc/{outside}/task/{outside}/children").read_text().split()[0]
        return int(child) if Path(f"/proc/{child}/comm").read_text() == "systemd\n" else None
    except (OSError, IndexError):
        return None


def _down(outside: "subprocess.Popen[bytes]", folder: Path) -> None:
    leader = _leader(outside.pid)
    if leader is not None:
        os.kill(leader, POWER_OFF)
    try:
        outside.wait(PATIENCE_SECONDS if leader else 0)
    except subprocess.TimeoutExpired:
        outside.kill()
        outside.wait()
    groups = (folder / "cgroups").read_text().split() if (folder / "cgroups").exists() else []
    until(lambda: all(_is_gone(Path(group)) for group in groups), lambda: f"a cgroup is left of {groups}")


def _is_gone(group: Path) -> bool:
    """Remove a cgroup with those below it, as far as their processes have ended."""
    for folder, _, _ in os.walk(group, topdown=False):
        try:
            Path(folder).rmdir()
        except OSError:
            return False
    return not group.exists()
