"""Every error of ours, as a tree. What happened to money is never an exception: it is an `Outcome` (model.py).

EnergydError
├── ConfigFault        a configuration or policy file is wrong          fix the named place         exit 78
│   └── ConfigFaults   all faults of one run together
├── ChainUnavailable   the node gave no usable answer                   check `node.url`; it retries
├── NettsUnavailable   a read at Netts failed (never an order)          check the key; it retries
├── LedgerError        the ledger cannot be read or written             free the disk, fix the rights
│   ├── LedgerBusy     another daemon holds this ledger                 stop the other one
│   ├── Conflict       somebody else changed the row first              read again
│   ├── OverBudget     the order would break a budget window            nothing: the next tick re-decides
│   └── SchemaTooNew   written by a newer energyd                       upgrade energyd
├── NotPossible        what was asked for at run time cannot be done    ask for something else
├── CannotListen       the place of the control API cannot be had       free it, or choose another one
├── NoDaemon           no daemon answers where it should listen         start it: `energyd run`
└── Impossible         an illegal step in the life of an order: a bug   report it; the order is left as it is
"""

from collections.abc import Sequence
from dataclasses import dataclass


class EnergydError(Exception):
    """Something that energyd can name; its text is for the operator."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a file that a person wrote; lines and columns count from 1, 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class ConfigFault(EnergydError):
    """One thing that is wrong in a file: where, what, and what to write instead."""

    def __init__(self, place: Place, problem: str, hint: str = "") -> None:
        super().__init__(f"{place}: {problem}" + (f"; {hint}" if hint else ""))
        self.place = place
        self.problem = problem
        self.hint = hint


class ConfigFaults(EnergydError):
    """Everything that is wrong in a set of files."""

    def __init__(self, faults: Sequence[ConfigFault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class ChainUnavailable(EnergydError):
    """The node gave no answer that can be believed. Never to be read as zero energy."""


class NettsUnavailable(EnergydError):
    """A read at Netts gave no answer that can be believed. Never to be read as zero.

    `auth`: Netts does not take the API key, or the address that we come from; asking again does not mend that.
    """

    def __init__(self, problem: str, *, auth: bool = False) -> None:
        super().__init__(problem)
        self.auth = auth


class LedgerError(EnergydError):
    """The ledger cannot be read or written."""


class LedgerBusy(LedgerError):
    """Another process holds this ledger."""


class Conflict(LedgerError):
    """Somebody else changed the row first."""


class OverBudget(LedgerError):
    """The order would break a budget window."""


class SchemaTooNew(LedgerError):
    """The ledger was written by a newer energyd."""


class NotPossible(EnergydError):
    """What was asked for at run time cannot be done; the text says why and what can be asked instead."""


class CannotListen(EnergydError):
    """The control API cannot be where the settings say."""


class NoDaemon(EnergydError):
    """No daemon answers where the settings say that it listens."""


class Impossible(EnergydError):
    """An illegal step in the life of an order."""
