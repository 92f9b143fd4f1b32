"""What facts mean: a table of what can be found, and its state."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from energyd import __version__
from energyd.chain import Head
from energyd.doctor import findings
from energyd.doctor.findings import ChainFacts, DaemonFacts, Finding, LedgerFacts, NettsFacts, NodeFacts, State
from energyd.errors import ChainUnavailable, NettsUnavailable
from energyd.model import Cycles, CyclesKnown, Funds, NoEstimate, NoReading, OrderLimits, Prices, Reading, Reason
from energyd.policy import Policy

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
ADDRESS = "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE"
MIB = 2**20


def a_policy(calls: object = (), **energy: object) -> Policy:
    budget = {"per_order": "15 TRX", "per_hour": "60 TRX", "per_day": "400 TRX"}
    rule = {"floor": 65_000, **energy}
    watched = {"policy": "payouts", "addresses": [ADDRESS], "energy": rule, "planned_calls": calls, "budget": budget}
    return Policy.model_validate(watched)


def a_head(age: float) -> NodeFacts:
    return NodeFacts("http://node", Head(7, NOW - timedelta(seconds=age)))


DOWN = NodeFacts("http://other", ChainUnavailable("http://other: Connection refused"))


def one(found: list[Finding], check: str) -> Finding:
    (finding,) = [finding for finding in found if finding.check == check]
    return finding


def test_a_node_that_is_down_is_broken_only_when_none_is_well() -> None:
    assert [f.state for f in findings.of_nodes([DOWN], NOW)] == [State.BROKEN]
    assert [f.state for f in findings.of_nodes([DOWN, a_head(1)], NOW)] == [State.WARNING, State.OK]


@pytest.mark.parametrize(
    ("error", "todo"),
    [
        ("http://n: HTTP 403: daily usage exceeded", "api_keys"),
        ("http://n: no answer within 10s", "node.url"),
    ],
)
def test_what_to_do_about_a_node_follows_from_what_it_says(error: str, todo: str) -> None:
    (finding,) = findings.of_nodes([NodeFacts("http://n", ChainUnavailable(error))], NOW)
    assert todo in finding.todo


@pytest.mark.parametrize(
    ("age", "state", "said"),
    [
        (1, State.OK, "agrees"),
        (-1, State.OK, "agrees"),
        (-5, State.WARNING, "5.0 s behind"),
        (20, State.WARNING, "20.0 s old"),
    ],
)
def test_the_clock_is_compared_with_the_newest_block(age: float, state: State, said: str) -> None:
    finding = findings.of_clock([DOWN, a_head(age + 100), a_head(age)], NOW)
    assert finding.state is state
    assert said in finding.found


def test_without_a_block_nothing_is_said_about_the_clock_but_that() -> None:
    assert "no node shows a block" in findings.of_clock([DOWN], NOW).found


@pytest.mark.parametrize(
    ("reading", "state"),
    [
        (Reading(ADDRESS, 100, 40, NOW, NOW, "n"), State.OK),
        (NoReading(ADDRESS, Reason.NOT_ACTIVATED, "", NOW), State.WARNING),
        (NoReading(ADDRESS, Reason.NODE_UNREACHABLE, "HTTP 502", NOW), State.BROKEN),
        (ChainUnavailable("no answer within 8 seconds"), State.BROKEN),
    ],
)
def test_an_address_that_cannot_be_read_is_broken(
    reading: Reading | NoReading | ChainUnavailable, state: State
) -> None:
    assert one(list(findings.of_chain(ChainFacts(reading), [])), "address").state is state


def test_a_node_without_constant_calls_is_broken_where_a_policy_estimates() -> None:
    none = ChainFacts(estimate=NoEstimate(Reason.NO_ESTIMATE, f"the node {findings.RUNS_NO_CALLS}; set another", NOW))
    calls = [{"name": "c", "cron": "0 9 * * *", "contract": ADDRESS, "function": "pay()"}]
    assert one(list(findings.of_chain(none, [a_policy()])), "estimates").state is State.WARNING
    assert one(list(findings.of_chain(none, [a_policy(calls)])), "estimates").state is State.BROKEN


def test_a_contract_that_the_network_does_not_have_is_an_answer_to_a_constant_call() -> None:
    facts = ChainFacts(estimate=NoEstimate(Reason.NO_ESTIMATE, "there is no such contract", NOW))
    assert one(list(findings.of_chain(facts, [])), "estimates").state is State.OK


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("HTTP 401: Invalid API key or IP not in whitelist", ("api_key", "203.0.113.7", "whitelist")),
        ("HTTP 403: address not allowed", ("203.0.113.7", "whitelist")),
        ("HTTP 401: unknown key", ("api_key",)),
    ],
)
def test_a_refused_key_is_told_from_a_missing_place_on_the_whitelist(said: str, words: tuple[str, ...]) -> None:
    facts = NettsFacts("203.0.113.7", NettsUnavailable(f"Netts: userinfo: {said}", auth=True))
    (finding,) = findings.of_netts(facts, [], OrderLimits(), None)
    assert finding.state is State.BROKEN
    for word in ("api_key", "203.0.113.7", "whitelist"):
        assert (word in finding.todo) == (word in words)


def _of_account(balance: int, rent: int | None = 30, burn: int | None = 100, *policies: Policy) -> list[Finding]:
    facts = NettsFacts("203.0.113.7", Funds(balance, NOW), Prices(rent_sun=rent, rent_read_at=NOW))
    return findings.of_netts(facts, policies or (a_policy(target=131_000),), OrderLimits(), burn)


@pytest.mark.parametrize(
    ("balance", "state", "said"),
    [
        (3_929_999, State.BROKEN, "does not pay for an order of up to 3.93 TRX"),
        (3_930_000, State.OK, "pays for 1 order of up to 3.93 TRX"),
        (39_300_000, State.OK, "pays for 10 orders"),
    ],
)
def test_the_balance_is_told_in_orders(balance: int, state: State, said: str) -> None:
    finding = one(_of_account(balance), "balance")
    assert finding.state is state
    assert said in finding.found


@pytest.mark.parametrize(
    ("rent", "burn", "cap", "state"),
    [
        (30, 100, "80% of burn", State.OK),
        (30, None, "80% of burn", State.OK),
        (90, 100, "80% of burn", State.WARNING),
        (90, None, "60 sun", State.WARNING),
        (101, 100, "200 sun", State.WARNING),
        (None, 100, "60 sun", State.BROKEN),
    ],
)
def test_the_rent_price_is_held_against_burning_and_the_limits(
    rent: int | None, burn: int | None, cap: str, state: State
) -> None:
    assert one(_of_account(10**9, rent, burn, a_policy(max_price=cap)), "rent price").state is state


@pytest.mark.parametrize(
    ("cycles", "state", "said"),
    [
        (Cycles(ADDRESS, CyclesKnown.COUNTED, 7, NOW, "cycles_left"), State.OK, "'cycles_left'"),
        (Cycles(ADDRESS, CyclesKnown.UNKNOWN, None, NOW), State.WARNING, "cannot be read"),
        (Cycles(ADDRESS, CyclesKnown.NOT_IN_HOST_MODE, None, NOW), State.WARNING, "not in Host Mode"),
        (Cycles(ADDRESS, CyclesKnown.INFINITE, None, NOW), State.OK, "without end"),
        (NettsUnavailable("HTTP 500"), State.WARNING, "HTTP 500"),
        (None, State.OK, "no policy"),
    ],
)
def test_cycles_are_told_with_the_key_under_which_they_stood(
    cycles: Cycles | NettsUnavailable | None, state: State, said: str
) -> None:
    facts = NettsFacts(None, Funds(10**9, NOW), Prices(rent_sun=30), cycles)
    finding = one(findings.of_netts(facts, [a_policy()], OrderLimits(), 100), "host mode")
    assert finding.state is state
    assert said in finding.found


GOOD = {
    "exists": True,
    "is_writable": True,
    "free_bytes": 10**12,
    "mode": 0o600,
    "revision": "2",
    "newest_revision": "2",
}


@pytest.mark.parametrize(
    ("facts", "check", "state"),
    [
        ({}, "ledger", State.OK),
        ({"exists": False, "mode": None}, "ledger", State.WARNING),
        ({"is_writable": False}, "ledger", State.BROKEN),
        ({"problem": "the ledger is damaged"}, "ledger", State.BROKEN),
        ({"revision": "1"}, "ledger", State.WARNING),
        ({"mode": 0o644}, "rights", State.WARNING),
        ({"free_bytes": 100 * MIB}, "disk", State.WARNING),
        ({"free_bytes": 10 * MIB}, "disk", State.BROKEN),
        ({"free_bytes": 0}, "disk", State.BROKEN),
    ],
)
def test_a_ledger_and_its_disk(facts: dict[str, object], check: str, state: State) -> None:
    ledger = LedgerFacts(Path("/var/lib/energyd/energyd.db"), **(GOOD | facts))  # type: ignore[arg-type] # a table
    assert one(list(findings.of_ledger(ledger)), check).state is state


@pytest.mark.parametrize(
    ("facts", "holder", "state", "said"),
    [
        (DaemonFacts("unix:s", __version__), 12, State.OK, "process 12"),
        (DaemonFacts("unix:s", "0.0.1"), 12, State.WARNING, "version 0.0.1"),
        (DaemonFacts("unix:s", problem="the node is down"), 12, State.BROKEN, "not ready"),
        (DaemonFacts("unix:s", silent="no daemon listens on unix:s; start it"), 12, State.WARNING, "process 12 holds"),
        (DaemonFacts("unix:s", silent="no daemon listens on unix:s; start it"), None, State.WARNING, "no daemon"),
    ],
)
def test_a_daemon_is_told_by_what_answers_and_by_who_holds_the_ledger(
    facts: DaemonFacts, holder: int | None, state: State, said: str
) -> None:
    finding = findings.of_daemon(facts, holder)
    assert finding.state is state
    assert said in finding.found
