"""What Prometheus is shown: right figures, few labels, no secrets."""

import asyncio
import re
from decimal import Decimal
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from energyd.daemon import Daemon
from energyd.metrics import ENDPOINTS, HELP, Metrics
from energyd.model import AlertName, Reason
from energyd.sandbox.netts_terms import API_KEY
from energyd.sandbox.wire import Fault
from energyd.telemetry import Log, LogEvent

from ..engine.stage import ALICE, BOB, TRX, Stage, a_policy  # noqa: TID252 - the same stage

ROOT = Path(__file__).parents[2]
SOURCE, METRICS_PAGE = ROOT / "src" / "energyd", ROOT / "docs" / "metrics.md"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scraped(built: Daemon) -> Samples:
    text = (await built.metrics()).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def named(samples: Samples, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    return {labels: value for (each, labels), value in samples.items() if each == name}


def one(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


async def test_the_figures_are_those_of_the_chain_and_the_ledger(stage: Stage) -> None:
    built = stage.build(a_policy("payouts", ALICE, target=131_000))
    task = stage.begin(built)
    await asyncio.sleep(120)
    samples = await scraped(built)
    alice = {"address": ALICE, "policy": "payouts"}
    (charge,) = stage.charged()
    assert one(samples, "energyd_energy_available", **alice) == stage.world.available(ALICE)
    assert one(samples, "energyd_energy_floor", **alice) == 65_000
    assert one(samples, "energyd_policy_spends", policy="payouts") == 1
    assert one(samples, "energyd_spent_trx", policy="payouts") == charge.cost_sun / TRX
    assert one(samples, "energyd_budget_used_trx", policy="payouts", window="day") == charge.cost_sun / TRX
    assert one(samples, "energyd_budget_limit_trx", policy="payouts", window="hour") == 60
    assert one(samples, "energyd_orders", policy="payouts", kind="rental", state="delivered") == 1
    assert one(samples, "energyd_saved_trx", policy="payouts") == (charge.amount * 100 - charge.cost_sun) / TRX
    assert one(samples, "energyd_delivery_seconds_count") == 1
    assert one(samples, "energyd_decisions_total", action="rent", reason="below_floor") == 1
    assert set(named(samples, "energyd_request_errors_total").values()) == {0}
    assert not [key for key in named(samples, "energyd_request_seconds_count") if ("endpoint", "other") in key]
    built.stop()
    await task


async def test_what_the_ledger_knows_survives_a_restart_to_the_sun(stage: Stage) -> None:
    await stage.live(stage.build(), minutes=80)
    built = await stage.prepared()
    text = (await built.metrics()).decode()
    spent = re.search(r'^energyd_spent_trx\{policy="payouts"\} (\S+)$', text, re.MULTILINE)
    assert spent is not None
    assert Decimal(spent[1]) * TRX == sum(charge.cost_sun for charge in stage.charged())
    assert len(stage.charged()) == 2


async def test_what_is_not_configured_any_more_is_not_shown_any_more(stage: Stage) -> None:
    task = stage.begin(built := stage.build(a_policy("one", ALICE), a_policy("two", BOB)))
    await asyncio.sleep(60)
    assert BOB in (await built.metrics()).decode()
    stage.write(a_policy("one", ALICE))
    await built.reload()
    await asyncio.sleep(60)
    text = (await built.metrics()).decode()
    assert BOB not in text
    assert '"two"' not in text
    assert 'energyd_policy_loads_total{result="loaded"} 2.0' in text
    built.stop()
    await task


async def test_a_policy_that_only_observes_is_shown_as_one_that_does_not_spend(stage: Stage) -> None:
    built = await stage.prepared(a_policy("one", ALICE), a_policy("two", BOB, mode="observe"))
    samples = await scraped(built)
    assert one(samples, "energyd_policy_spends", policy="one") == 1
    assert one(samples, "energyd_policy_spends", policy="two") == 0


async def test_an_unknown_figure_is_left_out_and_never_zero(stage: Stage) -> None:
    stage.wire.disturb(Fault.UNREACHABLE)
    task = stage.begin(built := stage.build())
    await asyncio.sleep(60)
    samples = await scraped(built)
    for name in ("energyd_energy_available", "energyd_energy_limit", "energyd_balance_trx", "energyd_price_sun"):
        assert named(samples, name) == {}
    assert named(samples, "energyd_saved_trx") == {}
    assert one(samples, "energyd_alert", alert="node_unavailable") == 1
    assert one(samples, "energyd_request_errors_total", service="node", endpoint="getblock") > 0
    assert one(samples, "energyd_request_errors_total", service="netts", endpoint="userinfo") > 0
    built.stop()
    await task


async def test_a_ledger_that_cannot_be_read_leaves_its_figures_out_and_shows_the_others(stage: Stage) -> None:
    built = await stage.prepared()
    await built._look(ALICE)
    stage.crash()
    samples = await scraped(built)
    assert named(samples, "energyd_spent_trx") == {}
    assert one(samples, "energyd_ledger_readable") == 0
    assert one(samples, "energyd_energy_limit", address=ALICE, policy="payouts") >= 0


async def test_many_scrapes_at_once_read_the_ledger_once(stage: Stage) -> None:
    built = await stage.prepared()
    reads = 0
    totals = stage.ledgers[-1].totals

    async def counted() -> object:
        nonlocal reads
        reads += 1
        return await totals()

    stage.ledgers[-1].totals = counted  # type: ignore[method-assign,assignment] # counts and does the same
    await asyncio.gather(*(built.metrics() for _ in range(20)))
    assert reads == 1
    await asyncio.sleep(11)
    await built.metrics()
    assert reads == 1, "no order has changed"
    await built._look(ALICE)
    await asyncio.sleep(11)
    await built.metrics()
    assert reads == 2


def test_every_request_that_there_is_has_an_endpoint_of_its_own() -> None:
    sources = {"node": SOURCE / "chain", "netts": SOURCE / "netts"}
    asked = {
        "node": r'"wallet/(\w+)"',
        "netts": r'"(time/\w+)"|_reply\("\w+", "(\w+)"|_read\("(\w+)"|return "(order\w+)"',
    }
    for service, folder in sources.items():
        text = "".join(file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.py")))
        found = {part for parts in re.finditer(asked[service], text) for part in parts.groups() if part}
        assert found == set(ENDPOINTS[service])


async def test_no_secret_and_only_bounded_labels_are_shown(stage: Stage) -> None:
    stage.write(node={"url": "http://node.sandbox/secret-path", "api_keys": ["node-key-1234"]})
    task = stage.begin(built := stage.build())
    await asyncio.sleep(60)
    text = (await built.metrics()).decode()
    for secret in (API_KEY, "secret-path", "node-key-1234", "sandbox"):
        assert secret not in text
    samples = await scraped(built)
    assert {dict(labels)["reason"] for labels in named(samples, "energyd_decisions_total")} <= set(Reason)
    assert {dict(labels)["alert"] for labels in named(samples, "energyd_alert")} == set(AlertName)
    built.stop()
    await task


async def test_what_the_log_leaves_out_is_counted_all_the_same(stage: Stage) -> None:
    heard: list[str] = []
    log = Log(now=stage.loop.now, stream=stage.log, level="warning")  # type: ignore[arg-type] # a file as far as it is used
    log.listen(lambda line: heard.append(line["event"]))
    log.emit(LogEvent.NODE_RECOVERED, url="http://node")
    log.emit(LogEvent.NODE_FAILED, url="http://node", error="none")
    assert heard == ["node.recovered", "node.failed"]
    assert stage.names() == ["node.failed"]


def described(metrics: Metrics) -> list[str]:
    """The rows of the page's table, from what is registered."""
    registry = metrics._registry
    named = {family.name: family for family in registry.collect() if family.name.startswith("energyd_")}
    rows = []
    for name, family in named.items():
        collector = registry._names_to_collectors.get(name)
        labels = HELP[name][1] if name in HELP else collector._labelnames  # type: ignore[union-attr] # it has some
        ending = "_total" if family.type == "counter" else ""
        listed = ", ".join(f"`{label}`" for label in labels)
        rows.append(f"| `{name}{ending}` | {family.type} | {listed} | {family.documentation} |")
    return rows


async def test_every_metric_is_in_the_documentation_as_it_is(stage: Stage) -> None:
    built = await stage.prepared()
    await built.metrics()
    written = METRICS_PAGE.read_text(encoding="utf-8").splitlines()
    assert [line for line in written if line.startswith("| `energyd_")] == described(built._metrics)
