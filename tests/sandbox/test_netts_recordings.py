"""Two arms: what is documented of Netts, and what the sandbox answers to the like of it, have one shape and meaning."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from energyd.sandbox.asgi import Answer, Mood
from energyd.sandbox.netts import Netts
from energyd.sandbox.netts_prices import Period

FOLDER = Path(__file__).parents[1] / "recordings" / "netts-wire"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
ADDRESS = "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE"

NOT_PRODUCED = {
    "api-generic-success": "a placeholder",
    "webhooks-create-201": "webhooks are not part of the sandbox",
}


def recorded(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / f"{name}.json").read_text()))


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items() if key != "pricing_type"}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def same_meaning(body: Any, real: Any, *, refusal: bool) -> None:
    """Same keys and types; the same code; and where it is a refusal, the same words."""
    assert shape(body) == shape(real)
    inner, real_inner = (part.get("detail", part) for part in (body, real))
    if isinstance(real_inner, dict):
        assert inner.get("code") == real_inner.get("code")
    if refusal:
        assert without_figures(inner) == without_figures(real_inner)


def without_figures(value: Any) -> str:
    return "".join(character for character in json.dumps(value) if not character.isdigit())


@dataclass
class Arm:
    """Terms and what happens first; then the recorded request is sent, with the sandbox's own key."""

    terms: dict[str, Any] = field(default_factory=dict)
    before: Callable[[Netts], object] = lambda _: None
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


def host(netts: Netts) -> None:
    netts.host_mode.host(ADDRESS, cycles=5)


def host_and_refill(netts: Netts) -> None:
    host(netts)
    netts.world.use(ADDRESS, 100)
    hosted = netts.host_mode.hosted[ADDRESS]
    hosted.last_refill = netts.world.time


def without_money(netts: Netts) -> None:
    host(netts)
    netts.books.balance_sun = 1_500_000


def with_infinity(netts: Netts) -> None:
    host(netts)
    netts.host_mode.hosted[ADDRESS].infinite = True


def one_order(netts: Netts) -> None:
    netts.prices.periods = (Period("daytime", 0, 24, 39),)


def in_mood(name: str) -> Callable[[Netts], object]:
    return lambda netts: netts.mood(name, times=1)


OLD = {"order_dialect": "A", "order_energy": (32_000, 131_000)}
ENERGY = {"amount": 64_000, "receiveAddress": ADDRESS}
CYCLES = {"address": ADDRESS, "cycles": 2}
RUSSIAN, ENGLISH, BODY = ({"time_dialect": dialect} for dialect in ("header", "english", "body"))
NOBODY = {"X-API-KEY": "f" * 32}
ARMS = {
    "api-generic-error-401": Arm(headers=NOBODY),
    "order-check-partial": Arm(before=one_order),
    "order1h-amount-too-small-v1-400": Arm(OLD, body={"amount": 31_000, "receiveAddress": ADDRESS}),
    "order1h-auth-v1-401": Arm(OLD, headers=NOBODY),
    "order1h-auth-v2-401": Arm(headers=NOBODY),
    "order1h-internal-5000-500": Arm(before=in_mood("internal")),
    "order1h-no-funds-v1-400": Arm(OLD, without_money, ENERGY),
    "order1h-no-funds-v2-403": Arm(before=without_money),
    "order1h-provider-5001-503": Arm(before=in_mood("provider_5001")),
    "order1h-provider-5002-503": Arm(before=in_mood("provider_5002")),
    "order1h-provider-minimum-5004-503": Arm(before=in_mood("minimum_5004")),
    "order1h-rate-limit-429": Arm(before=in_mood("rate_limit_bare")),
    "order1h-success-v1": Arm(OLD, body=ENERGY),
    "order1h-success-v2": Arm(),
    "order1h-unavailable-5003-503": Arm(before=in_mood("unavailable_5003")),
    "prices-get-success-2025-09": Arm(),
    "prices-post-success-2025-08": Arm(),
    "pricing-partial-energy-1h": Arm(),
    "time-add-partial-body-dialect": Arm(BODY),
    "time-add-success-2025-08": Arm(ENGLISH),
    "time-delete-success-2025-08": Arm(ENGLISH, host),
    "time-infinitystart-success-2025-08": Arm(ENGLISH, host),
    "time-order-auth-401": Arm(BODY, headers=NOBODY),
    "time-order-bad-address-400": Arm(BODY, host, {"address": "T123", "cycles": 2}),
    "time-order-bad-cycles-400": Arm(BODY, host, {"address": ADDRESS, "cycles": 0}),
    "time-order-bad-cycles-header-dialect-400": Arm(RUSSIAN, host, {"address": ADDRESS, "cycles": 0}),
    "time-order-conflict-409": Arm(BODY, with_infinity),
    "time-order-database-500": Arm(BODY, in_mood("database")),
    "time-order-no-funds-402": Arm(BODY, without_money),
    "time-order-no-funds-header-dialect-400": Arm(RUSSIAN, without_money, CYCLES),
    "time-order-not-in-host-mode-404": Arm(RUSSIAN, body=CYCLES),
    "time-order-rate-limit-429": Arm(BODY, in_mood("rate_limit")),
    "time-order-success-body-dialect": Arm(BODY, host),
    "time-order-success-header-dialect": Arm(RUSSIAN, host, CYCLES),
    "time-status-partial-cycle-set": Arm(RUSSIAN, host),
    "time-status-success-2025-08": Arm(ENGLISH, host_and_refill),
    "time-stop-success-2025-08": Arm(ENGLISH, host),
    "time-stop-success-body-dialect": Arm(BODY, host),
    "userinfo-get-success": Arm(),
    "userinfo-post-success-2025-08": Arm(),
}


def test_every_recording_is_compared_or_named_as_not_produced() -> None:
    assert set(NAMES) == set(ARMS) | set(NOT_PRODUCED)


@pytest.mark.parametrize("name", sorted(ARMS))
def test_the_answer_means_what_the_documented_one_means(name: str, netts: Netts, ask: Any) -> None:
    arm, real = ARMS[name], recorded(name)
    netts.world.add_account(ADDRESS)
    for term, value in arm.terms.items():
        setattr(netts.terms, term, value)
    arm.before(netts)
    method, _, path = real["endpoint"].partition(" ")
    asked = real["request"] or {}
    body = arm.body if arm.body is not None else dict(asked.get("body") or {})
    body = body | ({"api_key": netts.terms.api_key if not arm.headers else "no"} if arm.terms == BODY else {})
    query = "&".join(f"{key}={value}" for key, value in asked.get("query", {}).items())
    if name == "order-check-partial":
        order = {"amount": 65_000, "receiveAddress": ADDRESS}
        query = f"order_id={ask(netts, 'POST', '/apiv2/order1h', order).json['detail']['data']['orderId']}"
    reply = ask(netts, method, f"{path}?{query}", body, headers=arm.headers)
    assert reply.status == real["http_status"]
    if name.startswith("time-add-partial"):
        body, real["body"]["msg"] = reply.json, reply.json["msg"]
    same_meaning(reply.json, real["body"], refusal=reply.status >= 400)


def test_two_cycles_cost_what_is_documented(netts: Netts, ask: Any) -> None:
    host(netts)
    reply = ask(netts, "POST", "/apiv2/time/order", CYCLES)
    assert reply.json["data"]["amount"] == recorded("time-order-success-body-dialect")["body"]["data"]["amount"]


def test_an_order_check_tells_the_documented_cost(netts: Netts, ask: Any) -> None:
    netts.world.add_account(ADDRESS)
    one_order(netts)
    made = ask(netts, "POST", "/apiv2/order1h", {"amount": 65_000, "receiveAddress": ADDRESS}).json["detail"]["data"]
    order = ask(netts, "GET", f"/apiv2/order_check?order_id={made['orderId']}").json["order"]
    real = recorded("order-check-partial")["body"]["order"]
    for key in ("cost", "target_address", "energy", "rate_sun", "duration", "tx_hashes"):
        assert order[key] == real[key]


@pytest.mark.parametrize("name", NAMES)
def test_every_recording_can_be_forced(name: str, netts: Netts, ask: Any) -> None:
    real = recorded(name)
    method, _, path = real["endpoint"].partition(" ")
    answer = Answer(real["http_status"], json.dumps(real["body"]).encode(), tuple(real["headers"].items()))
    netts.moods.set(Mood(answer=answer), path.removeprefix("/apiv2/"), times=1)
    reply = ask(netts, method, path)
    assert (reply.status, reply.json) == (real["http_status"], real["body"])
    assert {name.lower(): value for name, value in real["headers"].items()}.items() <= reply.headers.items()
    assert netts.charges == []
