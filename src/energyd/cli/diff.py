"""`energyd check --diff`: what a reload would change."""

import os
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from energyd import units
from energyd.cli import printing
from energyd.config.difference import Difference, Moved, difference, said_of_budgets
from energyd.config.last_good import LastGood, kept_beside, recall
from energyd.errors import NotPossible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from energyd.config.load import Configuration
    from energyd.policy import Policy

LONGEST_TEXT = 60
"""Characters of a value in the text; JSON has all of it."""


def show(configuration: "Configuration", *, json: bool) -> None:
    """Print it. Raises NotPossible when there is nothing to compare with."""
    running = _running(configuration.settings.state)
    found = difference(running.policies, configuration.policies)
    if json:
        printing.print_json(_row(found, running.taken_at))
        return
    from rich.text import Text

    console = printing.console()
    for style, line in _lines(found, running, configuration.policies):
        console.print(Text(line, style=style), soft_wrap=True)


def _running(state: "Path") -> LastGood:
    """What the daemon with this ledger has taken over last."""
    place = kept_beside(state)
    try:
        place.open("rb").close()
    except FileNotFoundError:
        raise NotPossible("no daemon with this ledger has taken over policies yet; start it first") from None
    except OSError as error:
        raise NotPossible(
            f"{place} cannot be read: {error.strerror}; it is for the daemon's own user, use sudo"
        ) from None
    found = recall(state, os.environ)
    if found is None:
        raise NotPossible(
            f"{place} does not say any more what the daemon runs; variables of the environment may be others here"
        )
    return found


def _row(found: Difference, since: datetime) -> dict[str, Any]:
    return {
        "ok": True,
        "since": since,
        "added": found.added,
        "removed": found.removed,
        "changed": [
            {
                "policy": policy,
                "changes": [{"key": each.key, "before": each.before, "after": each.after} for each in changes],
            }
            for policy, changes in found.changed.items()
        ],
        "addresses": [
            {"address": each.address, "before": each.before, "after": each.after} for each in found.addresses
        ],
        "spend_a_day_max_trx": {"before": _most(found.spend_before), "after": _most(found.spend_after)},
        "detail": said_of_budgets(found),
    }


def _most(sun: int | None) -> object:
    return "unlimited" if sun is None else units.trx(sun)


def _lines(found: Difference, running: LastGood, policies: "Sequence[Policy]") -> Iterator[tuple[str, str]]:
    """Each line, and how it is coloured."""
    since = f"{running.taken_at:%Y-%m-%d %H:%M:%S} UTC"
    if found.is_none:
        yield "", f"nothing: these are the policies that were taken over at {since}"
        return
    yield "", f"a reload would change, of what was taken over at {since}:"
    for name in found.removed:
        yield "red", f"- {name}: its demands end, orders on their way are still followed"
    for policy in policies:
        if policy.name in found.added:
            yield "green", f"+ {policy.name}{'' if policy.enabled else ' (not enabled)'}"
    for name, changes in found.changed.items():
        yield "yellow", f"~ {name}"
        for change in (each for each in changes if each.key != "addresses" or not found.addresses):
            yield "", f"    {change.key}: {_shown(change.before)} → {_shown(change.after)}"
    for moved in found.addresses:
        yield _of_address(moved)
    yield _spending(found)
    budgets = said_of_budgets(found)
    if budgets:
        yield "yellow", f"note: {budgets}"


def _shown(text: str | None) -> str:
    if text is None:
        return "(nothing)"
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _of_address(moved: Moved) -> tuple[str, str]:
    if moved.before is None:
        return "green", f"+ {moved.address}, by {moved.after}"
    if moved.after is None:
        return "red", f"- {moved.address}, of {moved.before}"
    return "yellow", f"~ {moved.address}: {moved.before} → {moved.after}"


def _spending(found: Difference) -> tuple[str, str]:
    before, after = found.spend_before, found.spend_after
    if before == after:
        return "", f"it can spend {_amount(after)} in a day, as before"
    is_more = after is None or (before is not None and after > before)
    return "red" if is_more else "green", f"it can spend {_amount(after)} in a day; before: {_amount(before)}"


def _amount(sun: int | None) -> str:
    return "without limit" if sun is None else f"at most {units.trx_text(sun)}"
