"""The command `energyd`, also as `python -m energyd`."""

import sys
from contextlib import suppress

from energyd import __version__


def main() -> None:
    """Run the command line; the version alone is told before the heavy parts of it are imported."""
    if sys.argv[1:] in (["version"], ["--version"]):
        with suppress(OSError):  # the whole program says what is wrong
            print(__version__, flush=True)  # noqa: T201 - silent where standard output is closed, which `sys.stdout` is not
            return
    from energyd.cli.main import main as run_command_line  # noqa: PLC0415 - takes ten times as long as Python's own start

    run_command_line()


if __name__ == "__main__":
    main()
