"""The exit statuses of every command."""

from enum import IntEnum


class Exit(IntEnum):
    DONE = 0
    FAILED = 1
    """What was asked for did not come about; standard error says why."""
    USAGE = 2
    """The command line is not understood. Also what the parser of the command line itself exits with."""
    CONFIG = 78
    """A fault in energyd.yaml or in a policy file (EX_CONFIG of sysexits.h)."""
    INTERRUPTED = 130
    """Ended with Ctrl-C."""
