"""Host Mode: cycles are bought, used up when energy runs low, and stop silently when there are none left."""

from typing import Any

import pytest

from energyd.sandbox import addresses
from energyd.sandbox.netts import Netts
from energyd.sandbox.world import World

A = addresses.made_up("a")


@pytest.fixture(autouse=True)
def account(world: World) -> None:
    world.add_account(A)


@pytest.fixture
def post(netts: Netts, ask: Any) -> Any:
    return lambda name, **body: ask(netts, "POST", f"/apiv2/time/{name}", {"address": A, **body})


def left(post: Any, key: str = "cycles_remaining") -> Any:
    return post("status").json["data"]["addresses"][0].get(key)


def test_ordered_cycles_add_up_and_are_charged(netts: Netts, post: Any, world: World) -> None:
    world.add_account(A, stake_energy=200_000)
    post("add")
    assert [post("order", cycles=cycles).status for cycles in (10, 5)] == [200, 200]
    assert left(post) == 15
    assert [(charge.kind, charge.amount) for charge in netts.charges] == [("cycles", 10), ("cycles", 5)]
    assert netts.books.spent_sun == 15 * 2_989_000


def test_a_cycle_goes_with_each_delegation_until_none_is_left(
    netts: Netts, post: Any, world: World, clock: Any
) -> None:
    post("add")
    post("order", cycles=2)
    counts = []
    for _ in range(4):
        clock.move(seconds=5)
        counts.append((left(post), world.available(A) >= 65_000))
        world.use(A, 100_000)
    assert counts == [(1, True), (0, True), (0, False), (0, False)]
    assert len(world.deliveries) == 2


def test_a_delegation_lasts_a_day(post: Any, world: World, clock: Any) -> None:
    post("add")
    post("order", cycles=1)
    clock.move(hours=23)
    assert world.available(A) >= 131_000
    clock.move(hours=2)
    assert world.available(A) == 0


def test_infinity_refuses_cycles_and_is_billed_daily(netts: Netts, post: Any, world: World, clock: Any) -> None:
    post("add")
    assert post("infinitystart").status == 200
    assert post("order", cycles=1).json["code"] == -6
    clock.move(days=2, minutes=1)
    world.advance()
    assert [charge.kind for charge in netts.charges] == ["infinity"] * 3
    assert left(post) is None


def test_a_stopped_address_keeps_its_cycles_and_gets_nothing(netts: Netts, post: Any, world: World, clock: Any) -> None:
    netts.host_mode.host(A)
    post("stop")
    post("order", cycles=3)
    clock.move(minutes=5)
    assert (left(post), world.available(A)) == (3, 0)
    post("add")
    clock.move(seconds=5)
    assert world.available(A) >= 131_000


def test_a_deleted_address_loses_what_was_delegated(post: Any, world: World, clock: Any) -> None:
    post("add")
    post("order", cycles=1)
    clock.move(seconds=5)
    assert world.available(A) >= 131_000
    post("delete")
    assert world.available(A) == 0
    assert post("order", cycles=1).status == 404


@pytest.mark.parametrize(
    ("dialect", "sent", "status"),
    [
        ("both", {"headers": True, "body": False}, 200),
        ("both", {"headers": False, "body": True}, 200),
        ("both", {"headers": False, "body": False}, 401),
        ("body", {"headers": True, "body": False}, 401),
        ("body", {"headers": False, "body": True}, 200),
        ("header", {"headers": True, "body": False}, 200),
        ("header", {"headers": False, "body": True}, 401),
    ],
)
def test_the_key_belongs_where_the_dialect_wants_it(
    dialect: Any, sent: dict[str, bool], status: int, netts: Netts, ask: Any
) -> None:
    netts.terms.time_dialect = dialect
    body = {"api_key": netts.terms.api_key} if sent["body"] else {}
    headers = {} if sent["headers"] else {"X-API-KEY": ""}
    assert ask(netts, "POST", "/apiv2/time/status", body, headers=headers).status == status


@pytest.mark.parametrize("key", ["cycles_remaining", "remaining_cycles", "cycles_left", "cycle_set"])
@pytest.mark.parametrize("form", [int, str])
def test_the_count_stands_under_the_key_of_the_terms(
    key: Any, form: type, netts: Netts, post: Any, world: World
) -> None:
    world.add_account(A, stake_energy=200_000)
    netts.host_mode.host(A, cycles=7)
    netts.terms.count_key, netts.terms.count_as_text = key, form is str
    assert left(post, key) == form(7)


def test_the_count_can_be_missing(netts: Netts, post: Any) -> None:
    netts.host_mode.host(A, cycles=7)
    netts.terms.count_key = "none"
    assert not [name for name in post("status").json["data"]["addresses"][0] if "cycle" in name]


def test_one_address_can_be_asked_about_by_its_path(netts: Netts, ask: Any) -> None:
    netts.host_mode.host(A)
    assert ask(netts, "GET", f"/apiv2/time/status/{A}").json["data"]["addresses"][0]["address"] == A
    other = addresses.made_up("other")
    assert ask(netts, "GET", f"/apiv2/time/status/{other}").status == 404


@pytest.mark.parametrize("cycles", [0, 101, -1, "2", None, True])
def test_a_bad_count_of_cycles_is_refused(cycles: Any, netts: Netts, post: Any) -> None:
    post("add")
    assert post("order", cycles=cycles).status == 400
    assert netts.charges == []


def test_an_order_of_cycles_is_repeated_only_where_keys_are_honoured(netts: Netts, ask: Any) -> None:
    netts.host_mode.host(A)
    netts.terms.idempotent_cycles = True
    body, headers = {"address": A, "cycles": 2}, {"X-Idempotency-Key": "k"}
    statuses = [ask(netts, "POST", "/apiv2/time/order", body, headers=headers).status for _ in range(2)]
    assert (statuses, len(netts.charges)) == ([200, 208], 1)
