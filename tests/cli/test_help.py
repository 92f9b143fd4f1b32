"""Help says what a command does, from which data, with examples that work and the exit statuses that it has."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from energyd.cli.exits import Exit
from energyd.cli.manual import MANUAL
from energyd.cli.reference import contexts, reference

from .program import Host

ROOT = Path(__file__).parents[2]
HELP = {context.command_path.removeprefix("energyd").strip(): context for context in contexts()}
SECTIONS = ["Data", "Examples", "Exit status"]
OFFLINE = ("check policies/", "check --offline", "schema", "demo --hours", "version", "calls list --address")
"""How the examples begin that need no node, no Netts and no daemon."""


def text_of(path: str) -> str:
    return str(HELP[path].get_help())


def examples() -> Iterator[str]:
    """Each command of each example, with the lines that it was broken into put together."""
    for manual in MANUAL.values():
        for _, shown in manual.examples:
            yield from (part.strip() for part in shown.replace("\\\n", " ").split("&&"))


EXAMPLES = sorted({example for example in examples() if example.startswith("energyd ")})


def test_every_command_has_its_part_of_the_manual_and_there_are_no_others() -> None:
    assert HELP.keys() == MANUAL.keys()


@pytest.mark.parametrize("path", HELP)
def test_help_ends_with_data_examples_and_exit_status(path: str) -> None:
    assert re.findall(r"^(\w[\w ]*):$", text_of(path), re.MULTILINE)[-3:] == SECTIONS


@pytest.mark.parametrize("path", HELP)
def test_help_fits_80_columns_and_lists_no_command_in_part(path: str) -> None:
    text = text_of(path)
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert "...\n" not in text.partition("\nCommands:\n")[2].partition("\n\n")[0] + "\n"


@pytest.mark.parametrize("path", HELP)
def test_every_argument_and_option_says_what_it_means_and_how_its_value_is_written(path: str) -> None:
    for param in HELP[path].command.params:
        assert param.help, param.name
        assert param.param_type_name == "argument" or param.is_flag or param.metavar, param.name


@pytest.mark.parametrize("path", HELP)
def test_the_exit_statuses_are_those_of_the_program_each_with_what_it_means_here(path: str) -> None:
    said = text_of(path).split("Exit status:\n")[1]
    shown = [int(number) for number in re.findall(r"^  (\d+) ", said, re.MULTILINE)]
    assert set(shown) <= set(Exit)
    assert shown == sorted(MANUAL[path].exits)
    assert {Exit.DONE, Exit.USAGE} <= set(shown)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_understood_as_it_stands(example: str) -> None:
    context, words = HELP[""], shlex.split(re.split(r" [>|] ", example)[0])[1:]
    while (below := getattr(context.command, "commands", {})) and words and words[0] in below:
        context = HELP[" ".join((context.command_path.removeprefix("energyd").strip(), words.pop(0))).strip()]
    if words != ["--help"]:
        command: Any = context.command
        command.make_context(context.info_name, words, parent=context.parent).close()


@pytest.mark.parametrize("example", [each for each in EXAMPLES if each[8:].startswith(OFFLINE)])
def test_an_example_that_needs_nobody_works_with_the_policies_of_the_repository(example: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    shutil.copy(ROOT / "energyd.example.yaml", tmp_path / "energyd.yaml")
    program = shlex.join(Host.program())
    done = subprocess.run(
        ["sh", "-c", f'energyd() {{ {program} "$@"; }}\n{example}'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_page_of_all_commands_is_current() -> None:
    assert (ROOT / "docs" / "commands.md").read_text() == reference()


@pytest.mark.parametrize("columns", ["20", "80", "200"])
def test_help_is_plain_text_on_every_terminal(host: Host, columns: str) -> None:
    shown = host.run("ensure", "--help", columns=columns)
    assert (shown.status, shown.err) == (0, "")
    assert "\x1b" not in shown.out
    assert "energyd ensure TBNkMVstgu62GzcDGsEnnr8aFgj5jtEoWA --energy 65_000 --for 20m\n" in shown.out
