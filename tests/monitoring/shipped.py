"""The files for Prometheus and its friends, and the programs that judge them."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "systemd" / "monitoring"
RULES, RULES_TEST = SHIPPED / "energyd.rules.yml", SHIPPED / "energyd.rules.test.yml"
DASHBOARD = SHIPPED / "energyd.dashboard.json"
PROMETHEUS_EXAMPLE, ALERTMANAGER_EXAMPLE = SHIPPED / "prometheus.example.yml", SHIPPED / "alertmanager.example.yml"

TOKEN_PLACE, SCRAPED_PLACE = "/etc/prometheus/energyd.token", "127.0.0.1:8480"
ALERTMANAGER_PLACE, WEBHOOK_PLACE = "127.0.0.1:9093", "127.0.0.1:9000"
"""What the examples say, to be replaced where they are tried."""


def missing(*programs: str) -> str | None:
    """Why nothing can be tried here."""
    absent = [program for program in programs if shutil.which(program) is None]
    names = ", ".join(absent)
    return f"{names} not found; apt-get install prometheus prometheus-alertmanager" if absent else None


def judged(*command: str | Path) -> str:
    """What a program says of a file; it must be content."""
    done = subprocess.run([*command], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def everywhere(query: str) -> str:
    """A query of the dashboard as Grafana sends it with every variable at All."""
    for name, value in {"$__rate_interval": "1m", "$instance": ".*", "$policy": ".*"}.items():
        query = query.replace(name, value)
    return query
