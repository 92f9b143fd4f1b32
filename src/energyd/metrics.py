"""What Prometheus is shown.

Most figures are read at the scrape from what the engine and the ledger know, so that they are right after a restart,
too; what has to be counted is heard from the log.

Labels are bounded: addresses and policies are those that are configured, every other label has a closed list of words.
Money is in TRX, printed with its exact digits; what Prometheus reckons from it is floating, so books are kept with
`energyd report`.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from energyd import __version__, units
from energyd.errors import LedgerError
from energyd.ledger.queries import Total
from energyd.ledger.reads import Reader
from energyd.model import (
    NEVER_CHARGED,
    Alert,
    AlertName,
    Cycles,
    Decision,
    Funds,
    Mode,
    OrderKind,
    OrderState,
    Prices,
    Reading,
)
from energyd.policy import Policy
from energyd.telemetry import Log

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # it takes and returns nothing

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SECONDS = (1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 600)
"""Buckets of deliveries; they normally take less than 10 s (netts-api 13.1)."""
ANSWERS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
ADDRESS = ("address", "policy")
LEDGER_EVERY = 10.0
"""Seconds for which what was read from the ledger is good enough for the next scrape."""
ENDPOINTS = {
    "node": (
        *("getblock", "getnowblock", "getaccountresource", "getaccount", "getchainparameters", "getenergyprices"),
        "triggerconstantcontract",
    ),
    "netts": (
        *("pricing", "prices", "userinfo", "order1h", "order_check", "time/order", "time/status"),
        *("time/add", "time/infinitystart", "time/stop", "time/delete"),
    ),
}
"""What is asked of whom; anything else counts as `other`."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the daemon knows at the moment of a scrape."""

    mode: Mode
    policies: Mapping[str, Policy]
    """The policy of each watched address."""
    readings: Mapping[str, Reading]
    cycles: Mapping[str, Cycles]
    decisions: Mapping[str, Decision]
    prices: Prices
    funds: Funds | None
    alerts: tuple[Alert, ...]
    notifications: Mapping[str, bool]
    """By notification service: whether the last attempt failed."""
    late_seconds: float
    """How long the address waits that should have been looked at first."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the ledger said, `at` this moment of the event loop's clock, in sun."""

    at: float = 0.0
    policies: Sequence[str] = ()
    mark: int = 0
    """The newest event of an order: without a newer one the totals, which are read from all orders, are the same."""
    totals: Sequence[Total] = ()
    spent: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By policy and window."""
    is_known: bool = False

    @property
    def spent_day_sun(self) -> int:
        return sum(sun for (_, window), sun in self.spent.items() if window == "day")


class Metrics(Collector):
    """The figures of one daemon, in a registry of its own."""

    def __init__(self, *, ledger: Reader, log: Log, now: Callable[[], datetime]) -> None:
        self._ledger, self._now = ledger, now
        self._written = Written()
        self._scraping = asyncio.Lock()
        self._families: tuple[Metric, ...] = ()
        self._registry = CollectorRegistry()
        registry = self._registry
        self._decided = Counter(
            "energyd_decisions", "Decisions by what they do and why.", ("action", "reason"), registry=registry
        )
        self._delivery = Histogram(
            "energyd_delivery_seconds",
            "From an order to its energy on chain.",
            buckets=SECONDS,
            registry=registry,
        )
        self._answers = Histogram(
            "energyd_request_seconds",
            "How long the node and Netts take to answer.",
            ("service", "endpoint"),
            buckets=ANSWERS,
            registry=registry,
        )
        self._errors = Counter(
            "energyd_request_errors",
            "Requests that got no HTTP 2xx answer.",
            ("service", "endpoint"),
            registry=registry,
        )
        self._loads = Counter("energyd_policy_loads", "Times that the files were read.", ("result",), registry=registry)
        self._loaded_at = Gauge(
            "energyd_policies_loaded_timestamp_seconds", "When the files were taken over last.", registry=registry
        )
        ProcessCollector(registry=registry)
        self._registry.register(self)
        self._hears: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "decision": self._hear_decision,
            "energy.delivered": self._hear_delivered,
            "policies.loaded": self._hear_loaded,
            "policies.rejected": lambda _line: self._loads.labels("rejected").inc(),
        }
        log.listen(self._hear)

    def watch(self, service: str) -> Callable[[httpx.AsyncBaseTransport], httpx.AsyncBaseTransport]:
        """What has to be put around a transport so that its requests are seen; `service` is a key of ENDPOINTS."""
        return lambda transport: _Watched(transport, service, self)

    def answered(self, service: str, path: str, seconds: float, *, usable: bool) -> None:
        """One request to the node or to Netts."""
        endpoint = next((each for each in ENDPOINTS[service] if _is(each, path)), "other")
        self._answers.labels(service, endpoint).observe(seconds)
        self._errors.labels(service, endpoint).inc(0 if usable else 1)  # 0 shows that none has failed yet

    async def exposition(self, known: Known) -> bytes:
        """Everything in Prometheus' text format. What the ledger says is left out while it cannot be read."""
        names = sorted({policy.name for policy in known.policies.values()})
        async with self._scraping:
            written = await self._read(names)
            self._families = tuple(
                _families(
                    (
                        *_of_addresses(known),
                        *_of_budgets(known, written),
                        *_of_ledger(known, written),
                        *_of_account(known, written),
                        *_of_daemon(known, written),
                    )
                )
            )
            # Of ten thousand addresses the text takes half a second to write, in which the rounds go on.
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(None, prometheus_client.generate_latest, self._registry)

    async def _read(self, policies: Sequence[str]) -> Written:
        """What the ledger says, not older than LEDGER_EVERY."""
        at = asyncio.get_running_loop().time()
        if self._written.policies != policies or at - self._written.at >= LEDGER_EVERY:
            try:
                self._written = await self._read_now(policies, at)
            except LedgerError:
                return Written()
        return self._written

    async def _read_now(self, policies: Sequence[str], at: float) -> Written:
        now = self._now()
        spent = {
            (name, window): await self._ledger.spent(name, now - length)
            for name in policies
            for window, length in (("hour", HOUR), ("day", DAY))
        }
        before, mark = self._written, await self._ledger.mark()
        totals = before.totals if before.is_known and before.mark == mark else await self._ledger.totals()
        return Written(at, policies, mark, totals, spent, is_known=True)

    def collect(self) -> Iterable[Metric]:
        return self._families

    # --- what is heard ------------------------------------------------------------------------------------------------

    def _hear(self, line: Mapping[str, Any]) -> None:
        hears = self._hears.get(line["event"])
        if hears is not None:
            hears(line)

    def _hear_decision(self, line: Mapping[str, Any]) -> None:
        self._decided.labels(line["action"], line["reason"]).inc()

    def _hear_delivered(self, line: Mapping[str, Any]) -> None:
        if "seconds" in line:
            self._delivery.observe(line["seconds"])

    def _hear_loaded(self, _line: Mapping[str, Any]) -> None:
        self._loads.labels("loaded").inc()
        self._loaded_at.set(self._now().timestamp())


class _Watched(httpx.AsyncBaseTransport):
    """A transport whose requests are seen. Only HTTP 2xx counts as usable, and a request that is given up does not."""

    def __init__(self, transport: httpx.AsyncBaseTransport, service: str, metrics: Metrics) -> None:
        self._transport, self._service, self._metrics = transport, service, metrics

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        loop, usable = asyncio.get_running_loop(), False
        began = loop.time()
        try:
            response = await self._transport.handle_async_request(request)
            usable = response.is_success
        finally:
            self._metrics.answered(self._service, request.url.path, loop.time() - began, usable=usable)
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()


def _is(endpoint: str, path: str) -> bool:
    return path.endswith(f"/{endpoint}") or f"/{endpoint}/" in path


# --- what is read at the scrape -------------------------------------------------------------------------------------

HELP: dict[str, tuple[str, tuple[str, ...]]] = {
    "energyd_energy_available": ("Energy that an address can spend now.", ADDRESS),
    "energyd_energy_limit": ("Its energy limit on chain: rented and staked.", ADDRESS),
    "energyd_energy_floor": ("The floor that its policy keeps.", ADDRESS),
    "energyd_energy_demand": ("What its last decision found to be needed: floor, calls and ensures.", ADDRESS),
    "energyd_reading_timestamp_seconds": ("When it was read last.", ADDRESS),
    "energyd_cycles_remaining": ("Host Mode cycles left, where they could be counted.", ADDRESS),
    "energyd_budget_used_trx": ("Spent in the last hour and day, and what open orders may cost.", ("policy", "window")),
    "energyd_budget_limit_trx": ("The budget of an order, an hour and a day.", ("policy", "window")),
    "energyd_policy_spends": ("0 where a policy may only observe, or the whole daemon.", ("policy",)),
    "energyd_orders": ("Orders in the ledger by what became of them.", ("policy", "kind", "state")),
    "energyd_spent_trx": ("All that a policy has spent, as the ledger has it; the most it can be.", ("policy",)),
    "energyd_saved_trx": (
        "What burning all delivered energy would cost more at today's burn price than renting it did.",
        ("policy",),
    ),
    "energyd_price_sun": ("Sun for one unit of energy, rented and burned, or for one cycle.", ("what",)),
    "energyd_balance_trx": ("The balance at Netts.", ()),
    "energyd_balance_runway_seconds": ("How long the balance lasts at the spending of the last day.", ()),
    "energyd_alert": ("How many alerts of this name stand.", ("alert",)),
    "energyd_notification_failing": ("1 while a notification service does not take alerts.", ("service",)),
    "energyd_look_late_seconds": ("How late the look at the address is that waits longest.", ()),
    "energyd_ledger_readable": ("0 while the ledger cannot be read, and its figures are left out.", ()),
    "energyd_build_info": ("The version and the mode that runs.", ("version", "mode")),
}
"""Every figure that is read at the scrape: what it means and its labels."""

Sample = tuple[str, tuple[str, ...], float]


def _families(samples: Iterable[Sample]) -> Iterable[Metric]:
    families = {name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in HELP.items()}
    for name, labels, value in samples:
        families[name].add_metric(labels, value)
    return families.values()


def _of_addresses(known: Known) -> Iterator[Sample]:
    for address, policy in known.policies.items():
        labels = (address, policy.name)
        if policy.energy is not None:
            yield "energyd_energy_floor", labels, policy.energy.floor
        if (reading := known.readings.get(address)) is not None:
            yield "energyd_energy_available", labels, reading.available
            yield "energyd_energy_limit", labels, reading.energy_limit
            yield "energyd_reading_timestamp_seconds", labels, reading.read_at.timestamp()
        decision = known.decisions.get(address)
        if decision is not None and decision.demand is not None:
            yield "energyd_energy_demand", labels, decision.demand
        counted = known.cycles.get(address)
        if counted is not None and counted.remaining is not None:
            yield "energyd_cycles_remaining", labels, counted.remaining


def _of_budgets(known: Known, written: Written) -> Iterator[Sample]:
    for (name, window), sun in written.spent.items():
        yield "energyd_budget_used_trx", (name, window), _trx(sun)
    for policy in {policy.name: policy for policy in known.policies.values()}.values():
        yield "energyd_policy_spends", (policy.name,), known.mode is Mode.LIVE and policy.mode is None
        if policy.limits is not None:
            budget = {"order": policy.limits.per_order, "hour": policy.limits.per_hour, "day": policy.limits.per_day}
            yield from (("energyd_budget_limit_trx", (policy.name, each), _trx(sun)) for each, sun in budget.items())


def _of_ledger(known: Known, written: Written) -> Iterator[Sample]:
    spent = dict.fromkeys(written.policies, 0)
    saved = {} if known.prices.burn_sun is None else dict(spent)
    for total in written.totals:
        if total.policy not in spent:
            continue
        yield "energyd_orders", (total.policy, str(total.kind), str(total.state)), total.orders
        if total.state not in NEVER_CHARGED:
            spent[total.policy] += total.sun
        delivered = total.state in (OrderState.DELIVERED, OrderState.EXPIRED) and total.kind is OrderKind.RENTAL
        if delivered and known.prices.burn_sun is not None:
            burned = units.cost_sun(total.energy, known.prices.burn_sun)
            saved[total.policy] += burned - total.sun
    yield from (("energyd_spent_trx", (policy,), _trx(sun)) for policy, sun in spent.items())
    yield from (("energyd_saved_trx", (policy,), _trx(sun)) for policy, sun in saved.items())


def _of_account(known: Known, written: Written) -> Iterator[Sample]:
    prices = known.prices
    for what, price in (("rent", prices.rent_sun), ("burn", prices.burn_sun), ("cycle", prices.cycle_sun)):
        if price is not None:
            yield "energyd_price_sun", (what,), price
    if known.funds is not None:
        yield "energyd_balance_trx", (), _trx(known.funds.balance_sun)
        if a_day := written.spent_day_sun:
            yield "energyd_balance_runway_seconds", (), known.funds.balance_sun / a_day * DAY.total_seconds()


def _of_daemon(known: Known, written: Written) -> Iterator[Sample]:
    standing = [alert.name for alert in known.alerts]
    yield from (("energyd_alert", (str(name),), standing.count(name)) for name in AlertName)
    yield from (("energyd_notification_failing", (name,), float(bad)) for name, bad in known.notifications.items())
    yield "energyd_look_late_seconds", (), known.late_seconds
    yield "energyd_ledger_readable", (), float(written.is_known)
    yield "energyd_build_info", (__version__, str(known.mode)), 1


def _trx(sun: int) -> float:
    return sun / units.SUN_PER_TRX
