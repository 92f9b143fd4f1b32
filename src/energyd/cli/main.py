"""The command `energyd`: its table of commands, and how errors become exit statuses.

Exit status: 0 done; 1 it failed; 2 wrong usage; 78 a configuration or policy fault. No traceback reaches a user: what
energyd can name is printed as one line, what it cannot is a bug and is printed as one too.
"""

import os
import sys
from typing import Annotated

import typer

from energyd import __version__
from energyd.cli import asking, control, doctor, files, host, orders, pausing, planning, report, views
from energyd.cli.exits import Exit
from energyd.cli.help import Command, Group
from energyd.errors import ConfigFaults, EnergydError

app = typer.Typer(
    name="energyd",
    help="Keeps TRON addresses supplied with rented energy, by policy, and says why.",
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    control.run,
    files.check,
    files.schema,
    control.demo,
    control.sandbox,
    views.status,
    views.decisions,
    views.explain,
    planning.plan,
    report.report,
    doctor.doctor,
    asking.ensure,
    pausing.pause,
    pausing.resume,
    asking.reload,
):
    app.command(cls=Command)(command)
app.add_typer(orders.app, name="orders", cls=Group)
app.add_typer(planning.app, name="calls", cls=Group)
app.add_typer(host.app, name="host", cls=Group)


@app.command(cls=Command)
def version() -> None:
    """Print the version."""
    print(__version__)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Keeps TRON addresses supplied with rented energy, by policy, and says why."""


def main() -> None:
    """Run the command line and exit."""
    try:
        app()
    except ConfigFaults as faults:
        for fault in faults.faults:
            print(fault, file=sys.stderr)
        count = len(faults.faults)
        print(f"energyd: {count} fault{'' if count == 1 else 's'} in the configuration", file=sys.stderr)
        sys.exit(Exit.CONFIG)
    except EnergydError as error:
        sys.exit(_fail(str(error)))
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        _print_no_more()  # the reader of our output went away, as `head` does
        sys.exit(Exit.FAILED)
    except OSError as error:
        _print_no_more()
        sys.exit(_fail(f"this machine does not let it go on: {error}"))
    except Exception as error:  # noqa: BLE001 - the last place where a bug can still become one readable line
        sys.exit(_fail(f"this is a bug in energyd, please report it: {type(error).__name__}: {error}"))


def _print_no_more() -> None:
    """Python must not complain while exiting about what it could not write."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(text: str) -> int:
    print(f"energyd: {text}", file=sys.stderr)
    return Exit.FAILED
