"""The control API of the real daemon, asked without a socket and on virtual time."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from energyd.api.app import application
from energyd.api.reading import BODY_BYTES_MAX
from energyd.daemon import Daemon
from energyd.sandbox import addresses
from energyd.sandbox.contracts import USDT
from energyd.sandbox.wire import Fault

from .stage import ALICE, BOB, CAROL, EPOCH, Stage, a_policy

NOBODY = addresses.made_up("nobody")
PAYROLL = {
    "policy": "payroll",
    "addresses": [CAROL],
    "planned_calls": [{"name": "daily", "cron": "0 12 * * *", "energy": 65_000, "count": 2}],
    "budget": {"per_order": "15 TRX", "per_hour": "60 TRX", "per_day": "400 TRX"},
}


@asynccontextmanager
async def living(stage: Stage, *policies: dict[str, Any], token: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A daemon that lives, and somebody who asks it."""
    built = stage.build(*(policies or (a_policy("payouts", ALICE, BOB), PAYROLL)))
    stage.begin(built)
    await stage.sleep(20)
    async with asking(built, token) as client:
        yield client


def asking(built: Daemon, token: str | None = None) -> httpx.AsyncClient:
    app = application(built.api_host(), token=token)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://energyd", timeout=None)


# --- what is known --------------------------------------------------------------------------------------------------


async def test_addresses_show_energy_rentals_calls_pauses_and_spending(stage: Stage) -> None:
    async with living(stage) as client:
        await client.post("/v1/pause", json={"policy": "payroll", "for": "2h", "reason": "maintenance"})
        found = (await client.get("/v1/addresses")).json()
    alice, _, carol = found["addresses"]
    assert (alice["address"], alice["reason"]) == (ALICE, "enough")
    assert alice["available"] >= 65_000
    assert [order["state"] for order in alice["orders"]] == ["delivered"]
    assert [pause["reason"] for pause in carol["pauses"]] == ["maintenance"]
    assert [row["policy"] for row in found["policies"]] == ["payouts", "payroll"]
    assert found["policies"][0]["spent_hour_trx"] > 0
    assert found["alerts"] == []


async def test_one_address_shows_every_need_source_and_guard_of_its_last_decision(stage: Stage) -> None:
    async with living(stage) as client:
        found = (await client.get(f"/v1/addresses/{ALICE}")).json()
        unknown = await client.get(f"/v1/addresses/{NOBODY}")
        mistyped = await client.get("/v1/addresses/T123")
    assert found["decision"]["needs"][0]["energy"] == 65_000
    assert (found["decision"]["sources"][0]["what"], found["decision"]["sources"][0]["until_at"]) == ("on chain", None)
    assert unknown.status_code == 404
    assert mistyped.status_code == 422
    assert "34" in mistyped.json()["hint"]


async def test_orders_and_decisions_can_be_narrowed(stage: Stage) -> None:
    async with living(stage) as client:
        await stage.sleep(10)
        orders = (await client.get("/v1/orders", params={"address": ALICE})).json()
        none = (await client.get("/v1/orders", params={"policy": "payroll"})).json()
        later = (await client.get("/v1/orders", params={"since": "2026-01-06T00:00:00Z"})).json()
        wanted = {"address": BOB, "limit": "3", "changes": "true"}
        decisions = (await client.get("/v1/decisions", params=wanted)).json()
    (order,) = orders
    assert (order["address"], order["state"], order["policy"]) == (ALICE, "delivered", "payouts")
    assert {"order_key", "netts_order_id", "energy", "cost_trx", "http_status", "outcome"} <= order.keys()
    assert none == later == []
    assert {decision["address"] for decision in decisions} == {BOB}


async def test_amounts_are_written_with_all_their_digits(stage: Stage) -> None:
    async with living(stage) as client:
        text = (await client.get("/v1/orders", params={"address": ALICE})).text
    (order,) = json.loads(text, parse_float=str)
    assert order["cost_trx"] == "1.3"


async def test_calls_are_those_that_are_written_down_and_the_next_one_of_each_rule(stage: Stage) -> None:
    async with living(stage) as client:
        added = await client.post("/v1/calls", json={"address": ALICE, "energy": 65_000, "at": "2026-01-05T15:00:00Z"})
        found = (await client.get("/v1/calls")).json()
        of_alice = (await client.get("/v1/calls", params={"address": ALICE})).json()
    assert added.status_code == 201
    assert [(call["call"], call["origin"], call["state"], call["energy"]) for call in found] == [
        ("daily", "policy", "planned", 130_000),
        ("call", "runtime", "planned", 65_000),
    ]
    assert found[1]["cost_trx"] > 0
    assert [call["call_id"] for call in of_alice] == [added.json()["call_id"]]


async def test_a_daemon_is_ready_while_it_reaches_its_node_and_its_ledger(stage: Stage) -> None:
    async with living(stage) as client:
        assert (await client.get("/healthz")).json()["status"] == "ok"
        good = await client.get("/readyz")
        stage.wire.disturb(Fault.UNREACHABLE, where="http://node.sandbox", for_seconds=600)
        await stage.sleep(60)
        bad = await client.get("/readyz")
        assert (await client.get("/healthz")).status_code == 200
    assert (good.status_code, good.json()["ready"]) == (200, True)
    assert (bad.status_code, bad.json()["ready"], bad.json()["ledger"]) == (503, False, "ok")
    assert "node.sandbox" in bad.json()["node"]


# --- ensure ---------------------------------------------------------------------------------------------------------


async def test_ensure_answers_when_the_energy_is_on_chain(stage: Stage) -> None:
    async with living(stage) as client:
        answer = await client.post("/v1/ensure", json={"address": CAROL, "energy": 65_000, "for": "10m"})
        available = stage.world.available(CAROL)
    assert (answer.status_code, answer.json()["ok"], answer.json()["reason"]) == (200, True, None)
    assert answer.json()["call"]["state"] == "covered"
    assert available >= 65_000


async def test_two_at_once_on_one_address_each_get_theirs(stage: Stage) -> None:
    async with living(stage) as client:
        body = {"address": CAROL, "energy": 65_000}
        one, other = await asyncio.gather(client.post("/v1/ensure", json=body), client.post("/v1/ensure", json=body))
        available = stage.world.available(CAROL)
    assert (one.status_code, other.status_code) == (200, 200)
    assert one.json()["call"]["call_id"] != other.json()["call"]["call_id"]
    assert available >= 130_000


async def test_the_same_key_is_the_same_request(stage: Stage) -> None:
    async with living(stage) as client:
        body = {"address": CAROL, "energy": 65_000, "key": "payout-1041"}
        one, other = await asyncio.gather(client.post("/v1/ensure", json=body), client.post("/v1/ensure", json=body))
        again = await client.post("/v1/ensure", json=body)
        another = await client.post("/v1/ensure", json=body | {"energy": 70_000})
    assert {answer.json()["call"]["call_id"] for answer in (one, other, again)} == {one.json()["call"]["call_id"]}
    assert len(stage.charged(CAROL)) == 1
    assert another.status_code == 409
    assert "payout-1041" in another.json()["error"]


async def test_the_key_of_a_request_whose_time_is_over_does_not_claim_that_its_energy_is_there(stage: Stage) -> None:
    async with living(stage) as client:
        body = {"address": CAROL, "energy": 65_000, "key": "payout-1041", "for": "1m"}
        assert (await client.post("/v1/ensure", json=body)).status_code == 200
        await stage.sleep(600)
        later = await client.post("/v1/ensure", json=body)
    assert later.status_code == 409
    assert "its time is over" in later.json()["reason"]


async def test_who_goes_away_while_waiting_changes_nothing_about_the_order(stage: Stage) -> None:
    async with living(stage) as client:
        body = {"address": CAROL, "energy": 65_000, "key": "payout-1041"}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await client.post("/v1/ensure", json=body)
        await stage.sleep(30)
        assert stage.world.available(CAROL) >= 65_000
        assert (await client.post("/v1/ensure", json=body)).status_code == 200
    assert len(stage.charged(CAROL)) == 1


async def test_ensure_says_why_the_energy_will_not_come(stage: Stage) -> None:
    async with living(stage) as client:
        await client.post("/v1/pause", json={"reason": "maintenance"})
        began = stage.loop.time()
        answer = await client.post("/v1/ensure", json={"address": CAROL, "energy": 65_000, "timeout": "10m"})
        took = stage.loop.time() - began
    assert (answer.status_code, answer.json()["ok"]) == (409, False)
    assert "paused" in answer.json()["reason"]
    assert answer.json()["error"] == answer.json()["reason"]
    assert took < 30


async def test_ensure_ends_when_its_time_is_over(stage: Stage) -> None:
    async with living(stage) as client:
        stage.wire.disturb(Fault.UNREACHABLE, where="https://netts.sandbox", for_seconds=600)
        began = stage.loop.time()
        answer = await client.post("/v1/ensure", json={"address": CAROL, "energy": 65_000, "timeout": "90s"})
        took = stage.loop.time() - began
    assert answer.status_code == 409
    assert 89 <= took <= 100


async def test_contract_calls_are_estimated_each_with_its_own_arguments(stage: Stage) -> None:
    stage.world.add_account(BOB)
    async with living(stage) as client:
        one = await client.post("/v1/ensure", json=TRANSFERS | {"arguments": [BOB, 1_000_000], "for": "1m"})
        two = await client.post("/v1/ensure", json=TRANSFERS | {"arguments": [[BOB, 1], [NOBODY, 1]], "for": "1m"})
    assert (one.status_code, two.status_code) == (200, 200), two.text
    assert two.json()["call"]["energy"] > 2 * one.json()["call"]["energy"], "a fresh receiver costs more"
    assert two.json()["call"]["fee_limit_trx"] > one.json()["call"]["fee_limit_trx"] > 0


async def test_calls_that_would_fail_are_refused_with_what_the_node_says(stage: Stage) -> None:
    async with living(stage) as client:
        answer = await client.post("/v1/ensure", json=TRANSFERS | {"function": "nothing()"})
    assert answer.status_code == 409
    assert answer.json()["reason"]


async def test_ensure_of_an_address_that_nobody_watches_says_so(stage: Stage) -> None:
    async with living(stage) as client:
        answer = await client.post("/v1/ensure", json={"address": NOBODY, "energy": 65_000})
    assert answer.status_code == 404
    assert answer.json()["hint"]


async def test_who_waits_while_the_daemon_stops_is_told_that_the_request_stands(stage: Stage) -> None:
    built = stage.build(PAYROLL)
    task = stage.begin(built)
    await stage.sleep(20)
    async with asking(built) as client:
        body = {"address": CAROL, "energy": 65_000, "by": "2026-01-05T09:00:00Z"}
        waiting = asyncio.create_task(client.post("/v1/ensure", json=body))
        await stage.sleep(1)
        built.stop()
        answer = await waiting
        await task
    assert (answer.status_code, answer.json()["ok"]) == (503, False)
    assert "stops" in answer.json()["reason"]
    assert answer.json()["call"]["state"] == "planned"


# --- calls ----------------------------------------------------------------------------------------------------------


async def test_a_call_that_was_added_has_its_energy_in_time_and_can_be_cancelled(stage: Stage) -> None:
    async with living(stage) as client:
        body = {"address": CAROL, "energy": 65_000, "at": "2026-01-05T01:00:00Z", "lead": "5m", "name": "payout"}
        call = (await client.post("/v1/calls", json=body)).json()
        other = (await client.post("/v1/calls", json=body | {"name": "other"})).json()
        cancelled = await client.delete(f"/v1/calls/{other['call_id'][:8]}")
        again = await client.delete(f"/v1/calls/{other['call_id']}")
        await stage.sleep((EPOCH + timedelta(minutes=55) - stage.loop.now()).total_seconds())
        available = stage.world.available(CAROL)
    assert call["needed_by"] == "2026-01-05T00:55:00.000Z"
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert again.status_code == 409
    assert 65_000 <= available < 130_000


async def test_the_next_call_of_a_policy_can_be_cancelled_this_one_time(stage: Stage) -> None:
    async with living(stage) as client:
        (call,) = (await client.get("/v1/calls")).json()
        assert (await client.delete(f"/v1/calls/{call['call_id']}")).status_code == 200
        (following,) = (await client.get("/v1/calls")).json()
        missing = await client.delete("/v1/calls/0000")
    assert (call["at"], following["at"]) == ("2026-01-05T12:00:00.000Z", "2026-01-06T12:00:00.000Z")
    assert missing.status_code == 404


async def test_a_call_in_the_past_is_not_possible(stage: Stage) -> None:
    async with living(stage) as client:
        answer = await client.post("/v1/calls", json={"address": CAROL, "energy": 1, "at": "2020-01-01T00:00:00Z"})
    assert answer.status_code == 409
    assert "over" in answer.json()["error"]


# --- spending -------------------------------------------------------------------------------------------------------


async def test_a_pause_stops_spending_and_not_watching_until_it_is_lifted(stage: Stage) -> None:
    async with living(stage) as client:
        paused = (await client.post("/v1/pause", json={"address": ALICE, "reason": "moving house"})).json()
        stage.world.use(ALICE, 65_000)
        await stage.sleep(60)
        held = len(stage.charged())
        assert stage.reasons()[-1] == "paused"
        resumed = await client.post("/v1/resume", json={"address": ALICE})
        await stage.sleep(10)
        again = await client.post("/v1/resume", json={"address": ALICE})
    assert (paused["address"], paused["until"], paused["reason"]) == (ALICE, None, "moving house")
    assert resumed.json()["resumed"] is True
    assert (held, len(stage.charged())) == (1, 2)
    assert again.status_code == 404
    assert "nothing" in again.json()["hint"]
    assert [line["address"] for line in stage.events("spending.paused", "spending.resumed")] == [ALICE, ALICE]


async def test_a_pause_ends_by_itself(stage: Stage) -> None:
    async with living(stage) as client:
        await client.post("/v1/pause", json={"for": "10m"})
        stage.world.use(ALICE, 65_000)
        await stage.sleep(590)
        held = len(stage.charged())
        await stage.sleep(60)
    assert (held, len(stage.charged())) == (1, 2)


@pytest.mark.parametrize("body", [{"policy": "nothing"}, {"address": NOBODY}])
async def test_what_does_not_exist_cannot_be_paused(stage: Stage, body: dict[str, Any]) -> None:
    async with living(stage) as client:
        answer = await client.post("/v1/pause", json=body)
    assert answer.status_code == 404


async def test_an_unresolved_order_is_settled_by_the_word_of_a_person_and_the_address_goes_on(stage: Stage) -> None:
    stage.wire.disturb(Fault.LOST_REPLY, where="https://netts.sandbox/apiv2/order1h", count=1)
    stage.wire.disturb(Fault.UNREACHABLE, where="https://netts.sandbox/apiv2/userinfo", for_seconds=600)
    async with living(stage, a_policy()) as client:
        (order,) = (await client.get("/v1/orders")).json()
        if order["state"] == "unresolved":
            settled = await client.post(f"/v1/orders/{order['order_key'][:12]}/settle", json={"placed": True})
            assert (settled.status_code, settled.json()["state"]) == (200, "placed")
            assert stage.events("order.resolved")[-1]["detail"] == "settled by an operator"
        again = await client.post(f"/v1/orders/{order['order_key']}/settle", json={"placed": True})
        unknown = await client.post("/v1/orders/zz/settle", json={"placed": True})
    assert (again.status_code, unknown.status_code) == (409, 404)


async def test_a_person_cannot_write_off_an_order_whose_request_may_still_arrive(stage: Stage) -> None:
    where = "https://netts.sandbox/apiv2/order1h"
    stage.wire.disturb(Fault.LATE_REQUEST, where=where, count=1, late_seconds=(70, 70))
    async with living(stage, a_policy()) as client:
        (order,) = (await client.get("/v1/orders")).json()
        refused = await client.post(f"/v1/orders/{order['order_key']}/settle", json={"placed": False})
        await stage.sleep(120)
    assert refused.status_code == 409
    assert "may still be on its way" in refused.json()["error"]
    assert len(stage.charged()) == 1


# --- files ----------------------------------------------------------------------------------------------------------


async def test_reload_says_what_was_taken_over_or_every_fault(stage: Stage) -> None:
    async with living(stage, a_policy()) as client:
        stage.write(a_policy(floor=70_000), a_policy("second", BOB))
        taken = (await client.post("/v1/reload")).json()
        broken = stage.folder / "policies" / "second.yaml"
        broken.write_text(broken.read_text().replace("floor", "flor"))
        refused = await client.post("/v1/reload", json={})
    assert (taken["added"], taken["changed"], taken["removed"]) == (["second"], ["payouts"], [])
    assert refused.status_code == 409
    assert any("did you mean 'floor'?" in fault for fault in refused.json()["faults"])
    assert stage.names("policies.")[-1] == "policies.rejected"


# --- bodies ---------------------------------------------------------------------------------------------------------


GOOD = {"address": CAROL, "energy": 65_000}
TRANSFERS = {"address": CAROL, "contract": USDT, "function": "transfer(address,uint256)"}


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v1/ensure", {}, "'address' is missing"),
        ("/v1/ensure", {"address": CAROL}, "does not say how much energy"),
        ("/v1/ensure", GOOD | {"adress": CAROL}, "did you mean 'address'?"),
        ("/v1/ensure", GOOD | {"energy": 0}, "out of range"),
        ("/v1/ensure", GOOD | {"energy": 1.5}, "1.5 is not a whole number"),
        ("/v1/ensure", GOOD | {"energy": True}, "is not an amount of energy"),
        ("/v1/ensure", GOOD | {"for": 600}, "write it like '90s'"),
        ("/v1/ensure", GOOD | {"by": "tomorrow"}, "is not a moment"),
        ("/v1/ensure", GOOD | {"by": "2026-01-05T01:00:00Z", "timeout": "5m"}, "remove 'timeout'"),
        ("/v1/ensure", GOOD | {"contract": CAROL, "function": "f()"}, "remove one"),
        ("/v1/ensure", GOOD | {"key": "two words"}, "is no key"),
        ("/v1/ensure", GOOD | {"timeout": "2d"}, "too long"),
        ("/v1/ensure", {"address": CAROL[:-1] + "1", "energy": 1}, "copy the address again"),
        ("/v1/ensure", {"address": CAROL, "contract": CAROL, "function": "transfer"}, "is not a function"),
        ("/v1/ensure", TRANSFERS | {"arguments": [CAROL]}, "takes 2 arguments, and there are 1"),
        ("/v1/ensure", TRANSFERS | {"arguments": [CAROL, "many"]}, "is no uint256"),
        ("/v1/ensure", TRANSFERS | {"arguments": [[CAROL, 1], [BOB, 1]], "count": 3}, "2 calls are listed"),
        ("/v1/ensure", [], "an object"),
        ("/v1/calls", GOOD, "'at' is missing"),
        ("/v1/calls", GOOD | {"at": "2026-13-01T00:00:00Z"}, "no calendar has"),
        ("/v1/pause", {"policy": "payouts", "address": ALICE}, "remove one"),
        ("/v1/pause", {"reason": "two\nlines"}, "one line"),
        ("/v1/resume", {"for": "2h"}, "unknown key 'for'"),
        ("/v1/reload", {"now": True}, "unknown key 'now'"),
    ],
)
async def test_a_body_is_read_as_strictly_as_a_policy(stage: Stage, path: str, body: Any, said: str) -> None:
    async with asking(stage.build(PAYROLL)) as client:
        answer = await client.post(path, json=body)
    problem = answer.json()
    assert answer.status_code == 422
    assert said in f"{problem['error']}; {problem['hint']}"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"energy": NaN}', 400),
        (b"[" * 50_000, 400),
        (b'{"energy": ' + b"9" * 5_000 + b"}", 400),
        (b'{"energy": 1, "energy": 2}', 422),
        (b"null", 422),
        (b"x" * (BODY_BYTES_MAX + 1), 413),
    ],
    ids=["cut", "binary", "nan", "deep", "long", "twice", "null", "large"],
)
async def test_a_malformed_body_is_refused_and_hurts_nobody(stage: Stage, content: bytes, status: int) -> None:
    async with asking(stage.build(PAYROLL)) as client:
        answer = await client.post("/v1/ensure", content=content)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert stage.events("fault") == []


async def test_a_body_of_unknown_length_is_cut_off_at_the_limit(stage: Stage) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1024

    async with asking(stage.build(PAYROLL)) as client:
        answer = await client.post("/v1/ensure", content=pieces())
    assert answer.status_code == 413


async def test_parameters_are_read_as_strictly_as_bodies(stage: Stage) -> None:
    async with asking(stage.build(PAYROLL)) as client:
        misspelt = await client.get("/v1/orders?adress=x")
        twice = await client.get("/v1/orders?limit=1&limit=2")
        wrong = await client.get("/v1/decisions?since=yesterday")
        misplaced = await client.post("/v1/pause?policy=payroll")
    assert [answer.status_code for answer in (misspelt, twice, wrong, misplaced)] == [422] * 4
    assert misspelt.json()["hint"] == "did you mean 'address'?"


async def test_what_is_not_there_is_said_in_json_too(stage: Stage) -> None:
    async with asking(stage.build(PAYROLL)) as client:
        nothing = await client.get("/v2/ensure")
        wrong_way = await client.get("/v1/ensure")
    assert (nothing.status_code, wrong_way.status_code) == (404, 405)
    assert nothing.json()["hint"]
    assert wrong_way.headers["allow"] == "POST"


# --- who may ask ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic open-sesame"}, {"authorization": ""}]
)
async def test_without_the_token_nothing_is_said_and_nothing_done(stage: Stage, header: dict[str, str]) -> None:
    built = stage.build(PAYROLL)
    async with asking(built, "open-sesame") as client:
        for path in ("/healthz", "/v1/addresses", "/openapi.json", "/nothing"):
            answer = await client.get(path, headers=header)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert (await client.post("/v1/pause", headers=header)).status_code == 401
    assert stage.events("spending.paused") == []


async def test_with_the_token_everything_is_as_without_one(stage: Stage) -> None:
    async with asking(stage.build(PAYROLL), "open-sesame") as client:
        answer = await client.get("/v1/addresses", headers={"authorization": "bearer open-sesame"})
    assert answer.status_code == 200


async def test_a_bug_is_told_to_the_log_and_shows_nothing_of_itself(stage: Stage, monkeypatch: Any) -> None:
    built = stage.build(PAYROLL)

    async def broken(**_: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(built._ledger, "orders", broken)
    async with asking(built) as client:
        answer = await client.get("/v1/orders")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert [line["request"] for line in stage.events("fault")] == ["/v1/orders"]


async def test_the_openapi_page_has_the_routes_of_the_interface(stage: Stage) -> None:
    async with asking(stage.build(PAYROLL)) as client:
        page = (await client.get("/openapi.json")).json()
    found = {f"{method.upper()} {path}" for path, methods in page["paths"].items() for method in methods}
    assert {
        "GET /healthz",
        "GET /readyz",
        "GET /v1/addresses",
        "GET /v1/addresses/{address}",
        "GET /v1/decisions",
        "GET /v1/orders",
        "GET /v1/calls",
        "POST /v1/ensure",
        "POST /v1/calls",
        "DELETE /v1/calls/{call_id}",
        "POST /v1/pause",
        "POST /v1/resume",
        "POST /v1/reload",
    } <= found
    ensure = page["paths"]["/v1/ensure"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {"address", "energy", "by", "for", "key", "contract", "function", "arguments", "count"} <= set(
        ensure["properties"]
    )
