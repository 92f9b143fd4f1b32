"""Writes the rules for energyd's own alerts as src/energyd/catalogue.py explains them.

python -m tests.monitoring.own_rules puts them into systemd/monitoring/energyd.rules.yml anew.
"""

import json

from energyd.catalogue import ALERTS
from energyd.model import AlertName

from .shipped import RULES

BEGIN, END = "  - name: energyd\n    rules:\n", "\n  # What only Prometheus can see"
WARNINGS = {
    AlertName.DELIVERY_LATE,
    AlertName.CALL_MISSED,
    AlertName.CYCLES_LOW,
    AlertName.CYCLES_DOUBTED,
    AlertName.POLICIES_REJECTED,
    AlertName.CHARGED_ABOVE_QUOTE,
}
"""What can wait for the day; everything else keeps energy from being bought, or money unexplained."""


def own_rules() -> str:
    return "\n".join(map(_rule, AlertName))


def _rule(name: AlertName) -> str:
    severity = "warning" if name in WARNINGS else "critical"
    return f"""\
      - alert: Energyd{name.title().replace("_", "")}
        expr: energyd_alert{{alert="{name}"}} > 0
        labels: {{severity: {severity}}}
        annotations:
          summary: {json.dumps(ALERTS[name].text)}
          description: {json.dumps(ALERTS[name].todo)}
"""


def main() -> None:
    before, rest = RULES.read_text().split(BEGIN)
    RULES.write_text(before + BEGIN + own_rules() + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
