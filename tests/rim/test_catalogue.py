"""The page about the log says what the code says, about everything that there is."""

from pathlib import Path

import pytest

from energyd.catalogue import ALERTS, EVENTS, FIELDS, HEAD, REASONS, page
from energyd.model import AlertName, Reason
from energyd.telemetry import LogEvent

WRITTEN = Path(__file__).parents[2] / "docs" / "events.md"


def test_the_page_is_as_the_code_is() -> None:
    assert WRITTEN.read_text(encoding="utf-8") == page(), "write it anew: python -m energyd.catalogue > docs/events.md"


def test_every_event_reason_and_alert_is_explained() -> None:
    assert set(EVENTS) == set(LogEvent)
    assert set(REASONS) == set(Reason)
    assert set(ALERTS) == set(AlertName)


def test_every_field_of_an_event_is_explained_and_every_explained_field_stands_in_one() -> None:
    used = {name for entry in EVENTS.values() for name in (*entry.always, *entry.sometimes)}
    assert used | set(HEAD) == set(FIELDS)


@pytest.mark.parametrize("alert", AlertName)
def test_for_every_alert_there_is_something_to_do(alert: AlertName) -> None:
    assert ALERTS[alert].todo
