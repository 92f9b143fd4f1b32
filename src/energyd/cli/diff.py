"""`energyd check --diff`: what a reload, and what a restart, would change."""

import os
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from energyd import units
from energyd.cli import printing
from energyd.config import running
from energyd.config.difference import Change, Difference, Moved, difference, said_of_budgets
from energyd.config.last_good import LastGood, kept_beside, recall
from energyd.config.running import SettingsDifference, settings_difference
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
    taken = _taken_over(configuration.settings.state)
    found = difference(taken.policies, configuration.policies)
    known = running.recall(configuration.settings.state)
    settings = None if known is None else settings_difference(known, configuration.settings)
    if json:
        printing.print_json(_row(found, taken.taken_at) | _settings_row(settings))
        return
    from rich.text import Text

    console = printing.console()
    for style, line in _lines(found, settings, taken, configuration.policies):
        console.print(Text(line, style=style), soft_wrap=True)


def _taken_over(state: "Path") -> LastGood:
    """The policies that the daemon with this ledger has taken over last."""
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


def _settings_row(found: SettingsDifference | None) -> dict[str, Any]:
    """`settings` is null where it is not known what the daemon runs with."""
    if found is None:
        return {"settings": None, "settings_not_compared": []}
    rows = [
        {
            "key": each.key,
            "before": each.before,
            "after": each.after,
            "secret": each.key in found.secrets,
            "acts_with": acts_with,
        }
        for acts_with, changes in (("reload", found.by_reload), ("restart", found.by_restart))
        for each in changes
    ]
    return {"settings": rows, "settings_not_compared": found.not_compared}


def _most(sun: int | None) -> object:
    return "unlimited" if sun is None else units.trx(sun)


def _lines(
    found: Difference, settings: SettingsDifference | None, taken: LastGood, policies: "Sequence[Policy]"
) -> Iterator[tuple[str, str]]:
    """Each line, and how it is coloured."""
    since = f"{taken.taken_at:%Y-%m-%d %H:%M:%S} UTC"
    if found.is_none and (settings is None or settings.is_none):
        what = "policies" if settings is None else "policies and settings"
        yield "", f"nothing: these are the {what} that were taken over at {since}"
    else:
        yield "", f"different from what was taken over at {since}:"
    if not found.is_none:
        yield from _policy_lines(found, policies)
    if settings is None:
        yield "yellow", "note: settings were not compared: the daemon has not said which it runs with"
    else:
        yield from _settings_lines(settings)


def _settings_lines(found: SettingsDifference) -> Iterator[tuple[str, str]]:
    for acts_with, changes in (("a reload", found.by_reload), ("a restart", found.by_restart)):
        if changes:
            yield "yellow", f"~ settings that act with {acts_with}"
        for change in changes:
            yield "", f"    {change.key}: {_changed(change, found.secrets)}"
    if any(change.key in found.secrets for change in found.by_reload):
        yield (
            "yellow",
            "note: what stands in ${NAME} or in a systemd credential, a daemon reads when it starts: restart it",
        )
    for key in found.not_compared:
        yield "yellow", f"note: {key} was not compared: the daemon has one, and it is not found here"


def _changed(change: Change, secrets: frozenset[str]) -> str:
    return "changed" if change.key in secrets else f"{_shown(change.before)} → {_shown(change.after)}"


def _policy_lines(found: Difference, policies: "Sequence[Policy]") -> Iterator[tuple[str, str]]:
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
