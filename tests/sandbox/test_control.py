"""The controls of a running sandbox, and all three applications behind one address."""

from typing import Any

import pytest

from energyd.sandbox import addresses
from energyd.sandbox.asgi import Application
from energyd.sandbox.control import application
from energyd.sandbox.netts import Netts
from energyd.sandbox.node import Node
from energyd.sandbox.world import World

A = addresses.made_up("a")
RESOURCE = f"/wallet/getaccountresource?address={A}&visible=true"


@pytest.fixture
def sandbox(world: World, node: Node, netts: Netts) -> Application:
    return application(world, node, netts)


def test_a_day_at_the_sandbox(sandbox: Application, ask: Any, clock: Any) -> None:
    assert ask(sandbox, "GET", RESOURCE).json == {}
    ask(sandbox, "POST", "/sandbox/accounts", {"address": A, "stake_energy": 10_000})
    ask(sandbox, "POST", "/apiv2/order1h", {"amount": 65_000, "receiveAddress": A})
    clock.move(seconds=5)
    assert ask(sandbox, "GET", RESOURCE).json["EnergyLimit"] >= 75_000
    used = ask(sandbox, "POST", "/sandbox/use", {"address": A, "energy": 60_000}).json
    assert (used["from_stake"], used["burned_sun"]) == (60_000, 0)
    moved = ask(sandbox, "POST", "/sandbox/transfer", {"from": A, "to": A}).json
    assert moved["burned_sun"] > 0
    books = ask(sandbox, "GET", "/sandbox/books").json
    assert (books["balance"], books["spent_sun"]) == ("998.245 TRX", 1_755_000)
    assert books["burned_sun"] == moved["burned_sun"]
    assert [charge["address"] for charge in books["charges"]] == [A]
    assert A in [account["address"] for account in books["accounts"]]


def test_moods_are_set_and_cleared(sandbox: Application, ask: Any) -> None:
    ask(sandbox, "POST", "/sandbox/mood", {"side": "node", "mood": "html_502", "times": 1})
    assert [ask(sandbox, "GET", RESOURCE).status for _ in range(2)] == [502, 200]
    ask(sandbox, "POST", "/sandbox/mood", {"side": "netts", "mood": "rate_limit", "endpoint": "userinfo"})
    assert [ask(sandbox, "GET", f"/apiv2/{name}").status for name in ("userinfo", "pricing")] == [429, 200]
    ask(sandbox, "POST", "/sandbox/mood", {"side": "netts", "clear": True})
    assert ask(sandbox, "GET", "/apiv2/userinfo").status == 200


def test_any_answer_can_be_forced(sandbox: Application, ask: Any) -> None:
    answer = {"status": 418, "headers": {"X-Tea": "yes"}, "body": {"pot": 1}}
    ask(sandbox, "POST", "/sandbox/mood", {"side": "netts", "endpoint": "pricing", "answer": answer, "times": 1})
    reply = ask(sandbox, "GET", "/apiv2/pricing")
    assert (reply.status, reply.headers["x-tea"], reply.json) == (418, "yes", {"pot": 1})


@pytest.mark.parametrize("mood", ["stale_head", "balancer"])
def test_heads_can_be_stale_or_alternate(mood: str, sandbox: Application, node: Node, ask: Any) -> None:
    ask(sandbox, "POST", "/sandbox/mood", {"side": "node", "mood": mood})
    assert node.stale or node.lags == (0, 3)
    ask(sandbox, "POST", "/sandbox/mood", {"side": "node", "clear": True})
    assert (node.stale, node.lags) == (False, (0,))


def test_terms_and_prices_can_be_changed(sandbox: Application, netts: Netts, ask: Any) -> None:
    changed = {"idempotency": True, "order_dialect": "A", "rental": 600, "delivery_seconds": [0.5, 60], "pace": None}
    shown = ask(sandbox, "POST", "/sandbox/terms", changed).json
    assert {name: shown[name] for name in changed} == changed
    assert "api_key" not in shown
    assert netts.terms.rental.total_seconds() == 600
    prices = {"rent_sun": 61, "cycle_sun": 4_000_000, "burn_sun": 210}
    assert ask(sandbox, "POST", "/sandbox/prices", prices).json == prices


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("use", {"address": "T0l", "energy": 1}, "must be a TRON address"),
        ("use", {"address": A, "energy": 1}, "is not activated"),
        ("accounts", {"address": A, "stake_energy": -1}, "must be a whole number"),
        ("accounts", {"address": A, "tokens": 1.5}, "must be a whole number"),
        ("mood", {"side": "left"}, "side must be"),
        ("mood", {"side": "node", "mood": "moody"}, "mood must be one of"),
        ("mood", {"side": "node", "answer": 1}, "answer must be an object"),
        ("terms", {"colour": "red"}, "there is no term 'colour'"),
        ("terms", {"order_dialect": "Z"}, "must be one of A, C"),
        ("terms", {"idempotency": 1}, "must be of type bool"),
        ("terms", {"order_energy": 5}, "must be a list"),
        ("prices", {"rent_sun": "dear"}, "must be a whole number"),
    ],
)
def test_faulty_input_is_explained(path: str, body: Any, said: str, sandbox: Application, ask: Any) -> None:
    reply = ask(sandbox, "POST", f"/sandbox/{path}", body)
    assert reply.status == 400
    assert said in reply.json["error"]


def test_a_body_that_is_not_json_and_a_path_that_is_not_there_are_explained(sandbox: Application, ask: Any) -> None:
    assert "not JSON" in ask(sandbox, "POST", "/sandbox/use", raw=b"{").json["error"]
    assert "GET /sandbox/books" in ask(sandbox, "GET", "/sandbox/nothing").json["error"]
