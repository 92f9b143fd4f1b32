"""`energyd host` against a running daemon: what costs or cannot be undone is asked before, and done once."""

from collections.abc import Iterator

import pytest

from energyd.sandbox import addresses

from .program import Host, Running, Sandbox, a_sandbox

HOSTED = addresses.made_up("hosted")
POLICY = f"""\
policy: fleet
addresses: [{{address: {HOSTED}, label: deposit-1}}]
host_mode: {{min_cycles: 1, top_up_to: 5, check_every: 10m, max_cycle_price: 1 TRX}}
budget: {{per_order: 40 TRX, per_hour: 60 TRX, per_day: 400 TRX}}
"""
COSTLY = (
    (["add", HOSTED], "put it into Host Mode"),
    (["order", HOSTED, "2"], "buy 2 cycles for it at about 5.978 TRX"),
    (["infinity", HOSTED], "switch it to cycles without end, billed every day whatever the budget says"),
    (["stop", HOSTED], "stop Host Mode for it; its cycles may be lost"),
    (["remove", HOSTED], "take it out of Host Mode; its energy is taken back and its cycles may be lost"),
)


@pytest.fixture(scope="module")
def sandbox_of_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with a_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def hosting(sandbox_of_hosts: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Running]]:
    """A daemon whose only policy is about Host Mode, and finds cycles too dear."""
    host = Host(tmp_path_factory.mktemp("hosting") / "host", sandbox_of_hosts.url)
    host.write("policies/payouts.yaml", POLICY)
    with host.started("run") as running:
        running.until_event("decision")
        yield host, running


@pytest.mark.parametrize(("command", "question"), COSTLY, ids=lambda value: value[0] if isinstance(value, list) else "")
def test_what_costs_or_cannot_be_undone_is_asked_before(
    hosting: tuple[Host, Running], sandbox_of_hosts: Sandbox, command: list[str], question: str
) -> None:
    asked = hosting[0].run("host", *command)
    assert asked.status == 1
    act = question.replace(" it", f" {HOSTED}", 1)
    assert asked.err == f"energyd: this will {act}, and nobody is there to be asked; add --yes to mean it\n"
    assert sandbox_of_hosts.ask("books")["charges"] == []
    assert hosting[1].names().count("host.act") == 0


def test_an_operator_hosts_an_address_buys_cycles_and_removes_it(
    hosting: tuple[Host, Running], sandbox_of_hosts: Sandbox
) -> None:
    host = hosting[0]
    assert "not in Host Mode" in host.run("host", "list").out
    assert host.run("host", "add", HOSTED, "--yes").out == f"add {HOSTED}: done\n"
    bought = host.run("host", "order", HOSTED, "3", "--yes")
    assert (bought.status, bought.out.split(" is ")[1]) == (0, "placed, 8.967 TRX\n")
    again = host.run("host", "order", HOSTED, "101", "--yes")
    assert (again.status, again.err) == (1, "energyd: one order may have 100 cycles; order fewer\n")
    assert [charge["amount"] for charge in sandbox_of_hosts.charges(HOSTED)] == [3]
    assert host.run("host", "remove", HOSTED, "--yes").status == 0
    shown = host.run("host", "list", "--json").json
    assert [acted["act"] for acted in shown["acts"]] == ["remove", "add"]
    assert [order["reason"] for order in host.run("decisions", "--json").json if order["action"] == "order_cycles"]


def test_a_key_that_was_never_found_cannot_be_confirmed(hosting: tuple[Host, Running]) -> None:
    done = hosting[0].run("host", "confirm-key", "cycles", "--yes")
    assert done.status == 1
    assert "no count was ever found under 'cycles'" in done.err
