"""The help of every command on one page: docs/commands.md.

`python -m energyd.cli.reference > docs/commands.md` writes it anew; a test compares the two.
"""

import sys
from collections.abc import Iterator
from typing import Any

import typer

WIDTH = 78
_HEAD = """\
# Commands

What `--help` prints for every command. Results go to standard output, with `--json` as JSON; what went
wrong goes to standard error.

"""


def contexts() -> Iterator[Any]:
    """The program, and every command below it, each as if it had been named without options."""
    from energyd.cli.main import app

    yield from _below(typer.main.get_command(app), "energyd", None)


def _below(command: Any, name: str, parent: Any) -> Iterator[Any]:
    with command.make_context(name, [], parent=parent, resilient_parsing=True, terminal_width=WIDTH) as context:
        yield context
        for below in getattr(command, "commands", ()):
            yield from _below(command.commands[below], below, context)


def reference() -> str:
    found = list(contexts())
    contents = [f"* [`{each.command_path}`](#{each.command_path.replace(' ', '-')})" for each in found]
    parts = [f"## {each.command_path}\n\n```text\n{each.get_help()}\n```\n" for each in found]
    return _HEAD + "\n".join(contents) + "\n\n" + "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(reference())
