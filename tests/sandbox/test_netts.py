"""The pretend Netts: money, deliveries, and the ways in which an order becomes unclear."""

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from energyd.sandbox import addresses
from energyd.sandbox.asgi import ConnectionDropped, over_tcp
from energyd.sandbox.netts import Netts
from energyd.sandbox.virtual_time import VirtualLoop
from energyd.sandbox.world import World

A, B = addresses.made_up("a"), addresses.made_up("b")
ORDER = {"amount": 65_000, "receiveAddress": A}
BEFORE = 1_000_000_000
COST = 65_000 * 27


@pytest.fixture(autouse=True)
def account(world: World) -> None:
    world.add_account(A)


@pytest.fixture
def order(netts: Netts, ask: Any) -> Any:
    return lambda **headers: ask(netts, "POST", "/apiv2/order1h", ORDER, headers=headers)


def test_an_order_is_charged_at_once_and_delivered_with_fifty_more(
    netts: Netts, order: Any, world: World, clock: Any
) -> None:
    paid = order().json["detail"]["data"]["paidTRX"]
    assert paid == 1.755
    assert (netts.books.balance_sun, world.available(A)) == (BEFORE - COST, 0)
    clock.move(seconds=2)
    assert 65_050 <= world.available(A) < 65_065
    clock.move(hours=1)
    assert world.available(A) == 0


def test_the_books_name_what_was_sold_to_whom_and_for_which_request(netts: Netts, order: Any) -> None:
    order(**{"X-Idempotency-Key": "k1"})
    (charge,), (request,) = netts.charges, netts.received
    assert (charge.kind, charge.address, charge.amount, charge.cost_sun) == ("order1h", A, 65_000, COST)
    assert (charge.idempotency_key, charge.request_id) == ("k1", request.request_id)
    assert (request.address, request.amount, request.endpoint) == (A, 65_000, "order1h")


def test_the_account_counts_what_was_bought(netts: Netts, order: Any, ask: Any) -> None:
    before = ask(netts, "GET", "/apiv2/userinfo").json["stats"]
    order()
    after = ask(netts, "GET", "/apiv2/userinfo").json["stats"]
    moved = {key: round(after[key] - before[key], 6) for key in before}
    assert moved["balance"] == -1.755
    assert moved["total_trx_spent"] == 1.755
    assert (moved["total_delegations"], moved["total_energy_delegated"]) == (1, 65_050)


def test_the_same_order_twice_is_paid_twice_unless_keys_are_honoured(netts: Netts, order: Any) -> None:
    assert [order(**{"X-Idempotency-Key": "k"}).status for _ in range(2)] == [200, 200]
    assert len(netts.charges) == 2
    netts.terms.idempotency = True
    first, second = (order(**{"X-Idempotency-Key": "other"}) for _ in range(2))
    assert (first.status, second.status) == (200, 208)
    assert first.body == second.body
    assert len(netts.charges) == 3


@pytest.mark.parametrize(
    ("mood", "charged"),
    [
        ("drop", 0),
        ("html_502", 0),
        ("internal", 0),
        ("rate_limit", 0),
        ("charge_then_drop", 1),
        ("charge_then_502", 1),
        ("charge_then_internal", 1),
        ("unreadable", 1),
        ("truncated", 1),
        ("no_code", 1),
    ],
)
def test_a_mood_charges_or_does_not(mood: str, charged: int, netts: Netts, order: Any) -> None:
    netts.mood(mood, "order1h", times=1)
    try:
        order()
    except ConnectionDropped:
        assert "drop" in mood
    assert len(netts.charges) == charged
    assert len(netts.received) == 1


def test_an_answer_can_come_without_its_code(netts: Netts, order: Any) -> None:
    netts.mood("no_code", "order1h")
    detail = order().json["detail"]
    assert "code" not in detail
    assert detail["data"]["orderId"]


def waited(name: str) -> tuple[float, datetime]:
    """How long an order takes in a mood, and when it was charged."""
    epoch = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(epoch)) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        world = World(now=loop.now, rng=Random(1), activate_unknown=True)
        netts = Netts(world)
        netts.mood(name)
        scope = {"type": "http", "method": "POST", "path": "/apiv2/order1h"}
        keys = [(b"x-api-key", netts.terms.api_key.encode()), (b"x-real-ip", netts.terms.whitelist[0].encode())]

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b'{"amount":65000,"receiveAddress":"' + A.encode() + b'"}'}

        async def send(_: Any) -> None:
            pass

        runner.run(netts(scope | {"headers": keys}, receive, send))
        return (loop.now() - epoch).total_seconds(), netts.charges[0].at


def test_an_answer_can_be_late_and_so_can_the_charge() -> None:
    start = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    assert waited("charge_then_hang") == (120.0, start)
    assert waited("late") == (90.0, start + timedelta(seconds=90))


def test_a_dropped_connection_is_a_broken_answer_over_tcp(netts: Netts, ask: Any) -> None:
    netts.mood("charge_then_drop")
    reply = ask(over_tcp(netts), "POST", "/apiv2/order1h", ORDER)
    assert (reply.headers["content-length"], reply.body) == ("1", b"")
    assert len(netts.charges) == 1


def test_prices_follow_the_hour(netts: Netts, order: Any, clock: Any, ask: Any) -> None:
    clock.move(hours=14)
    order()
    assert netts.charges[0].cost_sun == 65_000 * 20
    netts.prices.plan_price(clock() + timedelta(minutes=5), 61)
    clock.move(minutes=6)
    periods = ask(netts, "GET", "/apiv2/pricing?services=energy_1h").json["data"]["services"]["energy_1h"]["periods"]
    assert [period["price"] for period in periods if period["is_current"]] == [61]
    order()
    assert netts.charges[1].cost_sun == 65_000 * 61


@pytest.mark.parametrize("energy", [60_999, 3_000_001])
def test_limits_refuse_and_charge_nothing(energy: int, netts: Netts, ask: Any) -> None:
    reply = ask(netts, "POST", "/apiv2/order1h", ORDER | {"amount": energy})
    assert (reply.status, netts.charges) == (400, [])


@pytest.mark.parametrize(
    "body", [{}, {"amount": "65000", "receiveAddress": A}, {"amount": 65_000, "address": A}, {"amount": True}]
)
def test_a_malformed_order_is_refused_as_the_framework_does(body: Any, netts: Netts, ask: Any) -> None:
    reply = ask(netts, "POST", "/apiv2/order1h", body)
    assert reply.status == 422
    assert isinstance(reply.json["detail"], list)


def test_a_receiver_that_is_not_activated_is_activated_and_charged_for(
    netts: Netts, ask: Any, world: World, clock: Any
) -> None:
    made = ask(netts, "POST", "/apiv2/order1h", ORDER | {"receiveAddress": B}).json["detail"]["data"]
    assert made["paidTRX"] == 1.755 + 1.1
    clock.move(seconds=4)
    assert world.available(B) >= 65_050
    checked = ask(netts, "GET", f"/apiv2/order_check?order_id={made['orderId']}").json
    assert checked["activation"]["cost"] == 1.1
    assert checked["order"]["tx_hashes"] == [made["hash"]]


def test_the_hash_of_an_order_is_found_on_chain_once_delivered(order: Any, world: World, clock: Any) -> None:
    tx_id = order().json["detail"]["data"]["hash"]
    clock.move(seconds=2)
    world.advance()
    assert world.event_of_transaction[tx_id] is world.deliveries[0]


@pytest.mark.parametrize(
    ("form", "shown"), [("list", list), ("string", str), ("empty", str), ("pending", str), (None, str)]
)
def test_hashes_come_in_the_form_of_the_terms(form: Any, shown: type, netts: Netts, order: Any) -> None:
    netts.terms.hash_form = form
    value = order().json["detail"]["data"]["hash"]
    assert isinstance(value, shown)
    assert (value == "") == (form == "empty")


def test_money_can_be_text(netts: Netts, order: Any) -> None:
    netts.terms.money_as_text = True
    assert order().json["detail"]["data"]["paidTRX"] == "1.755"


def test_a_vendor_can_cheat(netts: Netts, order: Any, world: World, clock: Any) -> None:
    netts.terms.short_by, netts.terms.overcharge_percent = 1, 10
    netts.terms.early_reclaim = timedelta(minutes=20)
    order()
    assert netts.charges[0].cost_sun == COST * 110 // 100
    clock.move(minutes=19)
    assert world.available(A) == 64_999
    clock.move(minutes=2)
    assert world.available(A) == 0
    netts.terms.delivers = False
    order()
    clock.move(minutes=5)
    assert world.available(A) == 0
    assert len(netts.charges) == 2


def test_the_delay_of_a_delivery_is_drawn_between_its_bounds(
    netts: Netts, order: Any, world: World, clock: Any
) -> None:
    netts.terms.delivery_seconds = (0.5, 60.0)
    for _ in range(5):
        order()
    clock.move(minutes=2)
    world.advance()
    delays = [(delivery.at - netts.charges[0].at).total_seconds() for delivery in world.deliveries]
    assert all(0.5 <= delay <= 60 for delay in delays)
    assert len(set(delays)) == 5


@pytest.mark.parametrize(("check", "ip", "status"), [("header", "198.51.100.1", 401), ("off", "198.51.100.1", 200)])
def test_an_address_off_the_whitelist_is_refused(check: Any, ip: str, status: int, netts: Netts, order: Any) -> None:
    netts.terms.check_ip = check
    assert order(**{"X-Real-IP": ip}).status == status


@pytest.mark.parametrize("told", [{"retry-after"}, set()])
def test_too_many_requests_are_refused_for_a_while(told: set[str], netts: Netts, ask: Any, clock: Any) -> None:
    netts.terms.pace, netts.terms.retry_after = (2, 10.0), bool(told)
    replies = [ask(netts, "GET", "/apiv2/userinfo") for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert {"retry-after"} & set(replies[2].headers) == told
    clock.move(seconds=11)
    assert ask(netts, "GET", "/apiv2/userinfo").status == 200


def test_five_minutes_are_five_minutes(netts: Netts, ask: Any, world: World, clock: Any) -> None:
    made = ask(netts, "POST", "/apiv2/order5m", ORDER).json["detail"]["data"]
    assert made["orderId"].startswith("5M")
    assert netts.charges[0].cost_sun == 65_000 * 18
    clock.move(minutes=4)
    assert world.available(A) >= 65_000
    clock.move(minutes=2)
    assert world.available(A) == 0


def test_what_netts_does_not_offer_is_not_found(netts: Netts, ask: Any) -> None:
    assert ask(netts, "GET", "/apiv2/history").status == 404
    assert ask(netts, "GET", "/apiv2/order1h").status == 405
    unknown = ask(netts, "GET", "/apiv2/order_check?order_id=1H0")
    assert unknown.json["success"] is False


def test_the_key_is_nowhere_in_the_records(netts: Netts, order: Any, ask: Any) -> None:
    order()
    ask(netts, "POST", "/apiv2/time/status", {"api_key": netts.terms.api_key})
    assert netts.terms.api_key not in f"{netts.received} {netts.charges}"
