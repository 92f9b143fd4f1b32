"""What is shipped beside the unit is accepted by the real programs, and speaks of metrics and alerts that there are."""

import itertools
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from .own_rules import BEGIN, END, own_rules
from .shipped import (
    ALERTMANAGER_EXAMPLE,
    DASHBOARD,
    PROMETHEUS_EXAMPLE,
    ROOT,
    RULES,
    RULES_TEST,
    everywhere,
    judged,
    missing,
)

needs_promtool = pytest.mark.skipif(missing("promtool") is not None, reason=missing("promtool") or "")
needs_amtool = pytest.mark.skipif(missing("amtool") is not None, reason=missing("amtool") or "")
METRICS_PAGE = ROOT / "docs" / "metrics.md"
PARTS = re.compile("_(bucket|count|sum)$")
WIDTH = 24


def rules(group: str | None = None) -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for each in groups if group in {None, each["name"]} for rule in each["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def queries() -> list[str]:
    board = json.loads(DASHBOARD.read_text())
    shown = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return [everywhere(query) for query in [*shown, *(each["expr"] for each in board["annotations"]["list"])]]


# --- rules ----------------------------------------------------------------------------------------------------------


@needs_promtool
def test_promtool_accepts_the_rules_and_their_tests_hold() -> None:
    assert f"SUCCESS: {len(rules())} rules found" in judged("promtool", "check", "rules", RULES)
    judged("promtool", "test", "rules", RULES_TEST)


def test_every_alert_of_energyd_has_a_rule_that_says_what_to_do() -> None:
    anew = "write it anew: python -m tests.monitoring.own_rules"
    assert RULES.read_text().split(BEGIN)[1].split(END)[0] == own_rules(), anew


def test_every_rule_over_time_is_tried_in_a_unit_test() -> None:
    tried = RULES_TEST.read_text()
    assert [rule["alert"] for rule in rules("energyd-over-time") if rule["alert"] not in tried] == []


def test_rules_and_dashboard_speak_of_metrics_that_there_are() -> None:
    known = set(re.findall(r"(?m)^\| `(energyd_\w+)`", METRICS_PAGE.read_text()))
    wanted = re.findall(r"energyd_\w+", "\n".join([*queries(), *(rule["expr"] for rule in rules())]))
    assert sorted({name for name in wanted if not known & {name, PARTS.sub("", name)}}) == []


# --- examples -------------------------------------------------------------------------------------------------------


@needs_promtool
def test_promtool_accepts_the_example_of_a_configuration() -> None:
    assert "is valid" in judged("promtool", "check", "config", "--syntax-only", PROMETHEUS_EXAMPLE)


@needs_amtool
def test_amtool_accepts_the_example_of_a_configuration() -> None:
    judged("amtool", "check-config", ALERTMANAGER_EXAMPLE)


def test_the_example_names_only_alerts_that_there_are() -> None:
    named = re.findall(r"Energyd\w+", ALERTMANAGER_EXAMPLE.read_text())
    assert set(named) <= {rule["alert"] for rule in rules()}


# --- dashboard ------------------------------------------------------------------------------------------------------


@needs_promtool
def test_every_query_of_the_dashboard_and_of_the_documentation_is_promql(tmp_path: Path) -> None:
    written = re.findall(r"(?m)\? \| `(.+)` \|$", METRICS_PAGE.read_text())
    assert written
    recorded = [{"record": f"a_query:{number}", "expr": query} for number, query in enumerate([*queries(), *written])]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))
    judged("promtool", "check", "rules", file)


def test_every_panel_asks_the_data_source_that_a_person_chooses() -> None:
    board = json.loads(DASHBOARD.read_text())
    kinds = {variable["name"]: variable["type"] for variable in board["templating"]["list"]}
    assert kinds == {"datasource": "datasource", "instance": "query", "policy": "query"}
    parts = [*board["panels"], *(target for panel in board["panels"] for target in panel["targets"])]
    parts += [*board["templating"]["list"][1:], *board["annotations"]["list"]]
    assert {part["datasource"]["uid"] for part in parts} == {"${datasource}"}


def test_panels_have_numbers_of_their_own_and_do_not_lie_on_each_other() -> None:
    assert len({panel["id"] for panel in panels()}) == len(panels())
    cells = list(itertools.chain.from_iterable(_cells(**panel["gridPos"]) for panel in panels()))
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < WIDTH


def _cells(x: int, y: int, w: int, h: int) -> Iterable[tuple[int, int]]:
    return itertools.product(range(x, x + w), range(y, y + h))
