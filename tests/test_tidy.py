"""The house rules that a program can check: layers, doors to the world, linter, formatter, types."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "energyd"

VOCABULARY = {"units", "errors", "fields", "arguments", "policy", "model"}
EDGES = {"chain", "netts", "ledger", "telemetry", "notify", "systemd", "metrics", "rows"}
ENGINE = {"engine", "orders", "known", "calls", "hosting", "rounds", "alarms", "recall", "refresh"}

MAY_IMPORT: dict[str, set[str]] = {
    "units": set(),
    "errors": set(),
    "fields": {"units"},
    "arguments": {"fields"},
    "policy": {"fields", "units", "arguments"},
    "model": {"policy", "fields", "units"},
    "core": VOCABULARY,
    "chain": VOCABULARY | {"telemetry"},
    "netts": VOCABULARY | {"telemetry"},
    "ledger": VOCABULARY | {"telemetry", "core"},
    "telemetry": VOCABULARY,
    "notify": VOCABULARY | {"telemetry", "catalogue"},
    "systemd": VOCABULARY | {"telemetry"},
    "metrics": VOCABULARY | {"telemetry", "ledger"},
    "rows": VOCABULARY | {"telemetry"},
    "rounds": VOCABULARY,
    "alarms": VOCABULARY | EDGES | {"core"},
    "recall": VOCABULARY | EDGES,
    "known": VOCABULARY | EDGES | {"recall"},
    "orders": VOCABULARY | EDGES | {"core", "known"},
    "calls": VOCABULARY | EDGES | {"core"},
    "hosting": VOCABULARY | EDGES | {"core", "known", "orders"},
    "engine": VOCABULARY | EDGES | {"core", "recall", "known", "orders", "calls", "hosting"},
    "config": VOCABULARY | EDGES | ENGINE | {"core"},
    "api": VOCABULARY | EDGES | ENGINE | {"core", "config", "catalogue"},
    "swap": VOCABULARY | EDGES | {"config"},
    "refresh": VOCABULARY | EDGES | {"engine"},
    "reloading": VOCABULARY | EDGES | {"config"},
    "daemon": VOCABULARY | EDGES | ENGINE | {"core", "config", "api", "swap", "reloading"},
    "client": VOCABULARY | {"config"},
    "catalogue": VOCABULARY | {"telemetry"},
    "report": VOCABULARY | {"ledger"},
    "doctor": VOCABULARY | EDGES | {"config", "client"},
    "cli": VOCABULARY | EDGES | ENGINE | {"core", "config", "daemon", "client", "doctor", "report", "sandbox"},
    "sandbox": {"units"},
    "__main__": {"cli"},
}
"""Who may import whom (each may also import itself); a part that is not named here has no place yet."""

PURE_BANS = (
    r"\bdatetime\.(now|utcnow)",
    r"\bdate\.today",
    r"\btime\.",
    r"\brandom\.",
    r"\bopen\(",
    "logging",
    "structlog",
)


def _files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def _part(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def _imports(tree: ast.AST) -> Iterator[str]:
    """The parts of ours that a module imports."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module)) if module.startswith("energyd."):
                yield module.split(".")[1]
            case ast.ImportFrom(module="energyd", names=names):
                yield from (name.name for name in names if name.name != "__version__")
            case ast.Import(names=names):
                yield from (name.name.split(".")[1] for name in names if name.name.startswith("energyd."))


@pytest.mark.parametrize("file", _files(), ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_part_imports_only_what_its_layer_allows(file: Path) -> None:
    part = _part(file)
    if part == "__init__":
        return
    assert part in MAY_IMPORT, f"{part} has no place in the layers yet"
    assert set(_imports(ast.parse(file.read_text()))) <= MAY_IMPORT[part] | {part}


@pytest.mark.parametrize(
    "file",
    [file for file in _files() if _part(file) in VOCABULARY | {"core"}],
    ids=lambda file: str(file.relative_to(SOURCE)),
)
def test_the_vocabulary_and_the_core_know_no_clock_no_chance_and_no_io(file: Path) -> None:
    tree = ast.parse(file.read_text())
    code = ast.unparse(_without_docstrings(tree))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Await | ast.AsyncFunctionDef)]
    assert [ban for ban in PURE_BANS if re.search(ban, code)] == []


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined] # only nodes with a body come here
                part for part in body if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
            ] or [ast.Pass()]
    return tree


def test_only_the_ledger_makes_the_permission_to_send() -> None:
    makers = [
        str(file.relative_to(SOURCE))
        for file in _files()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Sent"
    ]
    assert {maker.split("/")[0] for maker in makers} == {"ledger"}


@pytest.mark.parametrize(
    "command",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",)],
    ids=["linter", "formatter", "types"],
)
def test_the_house_is_tidy(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_names_a_package_index_or_a_path_of_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    words = ["py" + "pi.org", "python" + "hosted", "npm" + "js", "deb." + "debian", "/wo" + "rk/", "/root/" + "."]
    found = [
        (name, word)
        for name in listed
        if (ROOT / name).is_file()
        for word in words
        if word in (ROOT / name).read_text(errors="replace")
    ]
    assert found == []
