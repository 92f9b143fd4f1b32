"""What the answers to an order mean: every recorded one, and everything nobody has seen yet."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from energyd.model import Accepted, OrderKind, Outcome, Reason, Refused, Unclear
from energyd.netts.answers import order_outcome
from energyd.netts.body import MAX_BODY, MAX_TEXT

RENTAL, CYCLES = OrderKind.RENTAL, OrderKind.CYCLES
RECORDINGS = Path(__file__).parent.parent / "recordings" / "netts-wire"
KEY = "0123456789abcdef0123456789abcdef"


def recorded(name: str) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads((RECORDINGS / f"{name}.json").read_text())
    return whole


def outcome(kind: OrderKind, status: int, body: object, headers: dict[str, str] | None = None) -> Outcome:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return order_outcome(kind, status, headers or {}, raw, hide=KEY)


def replayed(name: str) -> Outcome:
    recording = recorded(name)
    kind = RENTAL if "order1h" in recording["endpoint"] else CYCLES
    return outcome(kind, recording["http_status"], recording["body"], recording["headers"])


# --- every recorded answer


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("order1h-success-v1", Accepted(200, "ORD987654321", 12_250_000)),
        ("order1h-success-v2", Accepted(200, "1H123456", 2_230_000, energy=131_050)),
        ("time-order-success-body-dialect", Accepted(200, "12345", 5_978_000)),
        ("time-order-success-header-dialect", Accepted(200, None, 2_500_000, cycles_total=15)),
    ],
)
def test_a_recorded_success_is_accepted_with_its_figures(name: str, expected: Accepted) -> None:
    assert replayed(name) == expected


@pytest.mark.parametrize(
    ("name", "reason", "status"),
    [
        ("order1h-amount-too-small-v1-400", Reason.REFUSED, 400),
        ("order1h-no-funds-v1-400", Reason.NO_FUNDS, 400),
        ("order1h-auth-v1-401", Reason.AUTH_FAILED, 401),
        ("order1h-auth-v2-401", Reason.AUTH_FAILED, 401),
        ("order1h-no-funds-v2-403", Reason.NO_FUNDS, 403),
        ("order1h-provider-5001-503", Reason.NETTS_UNAVAILABLE, 503),
        ("order1h-provider-5002-503", Reason.NETTS_UNAVAILABLE, 503),
        ("order1h-unavailable-5003-503", Reason.NETTS_UNAVAILABLE, 503),
        ("order1h-provider-minimum-5004-503", Reason.REFUSED, 503),
        ("order1h-rate-limit-429", Reason.RATE_LIMITED, 429),
        ("time-order-not-in-host-mode-404", Reason.NOT_IN_HOST_MODE, 404),
        ("time-order-no-funds-header-dialect-400", Reason.NO_FUNDS, 400),
        ("time-order-bad-cycles-header-dialect-400", Reason.REFUSED, 400),
        ("time-order-auth-401", Reason.AUTH_FAILED, 401),
        ("time-order-bad-address-400", Reason.REFUSED, 400),
        ("time-order-bad-cycles-400", Reason.REFUSED, 400),
        ("time-order-no-funds-402", Reason.NO_FUNDS, 402),
        ("time-order-conflict-409", Reason.INFINITE_CYCLES, 409),
        ("time-order-rate-limit-429", Reason.RATE_LIMITED, 429),
    ],
)
def test_a_recorded_refusal_is_refused_for_its_reason(name: str, reason: Reason, status: int) -> None:
    refused = replayed(name)
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.http_status) == (reason, status)
    body = recorded(name)["body"]
    assert refused.text in json.dumps(body)


@pytest.mark.parametrize("name", ["order1h-internal-5000-500", "time-order-database-500"])
def test_a_recorded_error_of_the_server_is_unclear(name: str) -> None:
    unclear = replayed(name)
    assert isinstance(unclear, Unclear)
    assert unclear.http_status == 500
    assert "error" in unclear.why


def test_every_recorded_answer_to_an_order_is_tested_here() -> None:
    source = Path(__file__).read_text()
    names = [path.stem for path in RECORDINGS.glob("*.json") if path.stem.startswith(("order1h-", "time-order-"))]
    assert len(names) == 25
    assert [name for name in names if f'"{name}"' not in source] == []


@pytest.mark.parametrize(
    ("name", "required", "available"),
    [
        ("order1h-no-funds-v1-400", 12_250_000, 5_500_000),
        ("order1h-no-funds-v2-403", 2_230_000, 1_500_000),
        ("time-order-no-funds-header-dialect-400", 2_500_000, 1_200_000),
        ("time-order-no-funds-402", None, None),
    ],
)
def test_a_lack_of_funds_says_what_was_needed_and_there(name: str, required: int | None, available: int | None) -> None:
    refused = replayed(name)
    assert isinstance(refused, Refused)
    assert (refused.required_sun, refused.available_sun) == (required, available)


# --- success, and what only looks like it

V2 = recorded("order1h-success-v2")["body"]


def test_an_answer_from_memory_is_accepted_as_repeated() -> None:
    repeated = outcome(RENTAL, 208, V2)
    assert isinstance(repeated, Accepted)
    assert repeated.repeated
    assert repeated.netts_order_id == "1H123456"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"paidTRX": "2.23"}, Accepted(200, "1H123456", 2_230_000, energy=131_050)),
        ({"paidTRX": None}, Accepted(200, "1H123456", None, energy=131_050)),
        ({"paidTRX": 0}, Accepted(200, "1H123456", None, energy=131_050)),
        ({"paidTRX": -1}, Accepted(200, "1H123456", None, energy=131_050)),
        ({"paidTRX": "9e999999"}, Accepted(200, "1H123456", None, energy=131_050)),
        ({"paidTRX": float("nan")}, Accepted(200, "1H123456", None, energy=131_050)),
        ({"paidTRX": 2.2300001}, Accepted(200, "1H123456", 2_230_001, energy=131_050)),
        ({"hash": []}, Accepted(200, "1H123456", 2_230_000, energy=131_050)),
        ({"hash": None}, Accepted(200, "1H123456", 2_230_000, energy=131_050)),
        ({"orderId": 77}, Accepted(200, "77", 2_230_000, energy=131_050)),
        ({"orderId": "  1Hab "}, Accepted(200, "1Hab", 2_230_000, energy=131_050)),
        ({"orderId": ["1Hab"]}, Accepted(200, None, 2_230_000, energy=131_050)),
        ({"orderId": "x" * 500}, Accepted(200, None, 2_230_000, energy=131_050)),
        ({"energy": "131050"}, Accepted(200, "1H123456", 2_230_000, energy=131_050)),
        ({"energy": 131_050.5}, Accepted(200, "1H123456", 2_230_000)),
        ({"energy": -5}, Accepted(200, "1H123456", 2_230_000)),
    ],
)
def test_a_success_is_read_whatever_type_its_figures_have(change: dict[str, object], expected: Accepted) -> None:
    body = {"detail": {"code": 10000, "data": {**V2["detail"]["data"], **change}}}
    assert outcome(RENTAL, 200, body) == expected


def test_a_success_without_any_data_is_still_accepted() -> None:
    assert outcome(RENTAL, 201, {"detail": {"code": "10000"}}) == Accepted(201)
    assert outcome(CYCLES, 200, {"code": 0, "data": None}) == Accepted(200)


def test_an_energy_amount_is_never_taken_for_the_cost_of_a_rental() -> None:
    accepted = outcome(RENTAL, 200, {"detail": {"code": 10000, "data": {"amount": 131_000}}})
    assert accepted == Accepted(200)


@pytest.mark.parametrize("kind", OrderKind)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502</html>",
        b"null",
        b"[]",
        b"{}",
        b'"10000"',
        b'{"detail":"ok"}',
        b'{"detail":[]}',
        b'{"success":true}',
        b'{"status":"success","data":{}}',
        b'{"code":null}',
        b'{"code":true}',
        b'{"code":200}',
        b'{"code":5000,"msg":"Internal server error occurred"}',
        b'{"code":500}',
        b'{"success":false,"code":504}',
        b'{"code":[10000]}',
        b'{"code":"ok"}',
        b'{"error":{"code":0}}',
        b'{"detail":{"code":10000},"code":-1}',
        b'{"detail":{"code":0},"code":10000}',
        b'{"code":0,"code":-1}',
        b'{"code":10000,"code":-1}',
        b'{"code":0,"success":false}',
        b'{"code":10000,"success":false}',
        b'{"code":10000,"status":"error"}',
        b'{"code":0,"error":"something"}',
        b'{"code":10000,"error":{"code":10000}}',
        b'{"code":-1,"data":{"orderId":"1H1"}}',
        b'{"detail":{"code":-12,"data":{"paidTRX":2.2,"cost_trx":"2.2"}}}',
        b"\xff\xfe\x00",
        b'{"code":1e400}',
        b'{"code":' + b"9" * 5000 + b"}",
        b'{"detail":' * 100_000,
        b'{"code":10000}' + b" " * MAX_BODY,
        b'{"code":0}' + b" " * MAX_BODY,
        b'{"code":10000,"x":"' + b"y" * 10_000_000 + b'"}',
    ],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else value,
)
def test_a_status_of_success_that_says_neither_yes_nor_no_is_unclear(kind: OrderKind, body: bytes) -> None:
    assert isinstance(outcome(kind, 200, body), Unclear)


def test_the_success_code_of_another_endpoint_is_unclear() -> None:
    assert isinstance(outcome(RENTAL, 200, {"code": 0}), Unclear)
    assert isinstance(outcome(CYCLES, 200, {"code": 10000}), Unclear)


@pytest.mark.parametrize("order_id", ["1H77", 77])
def test_an_order_id_without_a_code_is_unclear_and_kept(order_id: object) -> None:
    unclear = outcome(RENTAL, 200, {"detail": {"data": {"orderId": order_id}}})
    assert isinstance(unclear, Unclear)
    assert unclear.netts_order_id == str(order_id)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"code": -1, "msg": "Invalid API key or IP not in whitelist"}, Reason.AUTH_FAILED),
        ({"detail": {"code": -2, "msg": "Not enough local balance"}}, Reason.NO_FUNDS),
        ({"code": -9, "msg": "never seen"}, Reason.REFUSED),
        ({"success": False, "msg": "never seen"}, Reason.REFUSED),
        ({"success": False, "code": 7}, Reason.REFUSED),
        ({"success": False, "error": {"code": 1004, "message": "Insufficient funds"}}, Reason.NO_FUNDS),
        ({"status": "error", "code": 401, "message": "who are you"}, Reason.AUTH_FAILED),
        ({"code": 5003}, Reason.NETTS_UNAVAILABLE),
    ],
)
def test_a_status_of_success_with_a_clear_failure_is_refused(body: object, reason: Reason) -> None:
    for kind in OrderKind:
        refused = outcome(kind, 200, body)
        assert isinstance(refused, Refused)
        assert refused.reason is reason


# --- refusals that nobody has recorded


@pytest.mark.parametrize(
    ("kind", "status", "body", "reason"),
    [
        (RENTAL, 403, {"detail": {"code": -2, "msg": "Your IP address is not whitelisted"}}, Reason.AUTH_FAILED),
        (RENTAL, 403, {"code": -2}, Reason.AUTH_FAILED),
        (RENTAL, 403, {"code": 1004}, Reason.NO_FUNDS),
        (RENTAL, 403, {"code": 1004, "msg": "Your IP address is not whitelisted"}, Reason.AUTH_FAILED),
        (RENTAL, 403, {}, Reason.AUTH_FAILED),
        (RENTAL, 403, b"<html>challenge</html>", Reason.AUTH_FAILED),
        (RENTAL, 400, {"detail": {"code": -2}}, Reason.NO_FUNDS),
        (RENTAL, 400, {"detail": {"code": -3, "msg": "TRON transaction failed"}}, Reason.NETTS_UNAVAILABLE),
        (RENTAL, 400, {"detail": {"code": -3}}, Reason.NETTS_UNAVAILABLE),
        (RENTAL, 400, {"detail": {"code": -12, "msg": "All delegation attempts failed"}}, Reason.NETTS_UNAVAILABLE),
        (RENTAL, 400, {"detail": {"code": -11, "msg": "Maximum energy amount is 131,000"}}, Reason.REFUSED),
        (CYCLES, 400, {"code": -2, "msg": "never seen"}, Reason.REFUSED),
        (CYCLES, 400, {"code": -3}, Reason.NO_FUNDS),
        (RENTAL, 402, {}, Reason.NO_FUNDS),
        (CYCLES, 404, {"detail": "Not Found"}, Reason.REFUSED),
        (RENTAL, 404, {"code": -4}, Reason.REFUSED),
        (CYCLES, 409, {"code": -6, "msg": "A cycle order is pending"}, Reason.REFUSED),
        (RENTAL, 409, {}, Reason.REFUSED),
        (RENTAL, 401, b"", Reason.AUTH_FAILED),
        (RENTAL, 422, {"detail": [{"loc": ["body"], "msg": "Field required", "input": KEY}]}, Reason.REFUSED),
        (CYCLES, 418, b"\xff", Reason.REFUSED),
        (RENTAL, 413, b"<html></html>", Reason.REFUSED),
        (RENTAL, 301, b"<html></html>", Reason.REFUSED),
        (RENTAL, 308, b"", Reason.REFUSED),
    ],
)
def test_a_refusal_is_read_from_endpoint_status_words_and_code(
    kind: OrderKind, status: int, body: object, reason: Reason
) -> None:
    refused = outcome(kind, status, body)
    assert isinstance(refused, Refused)
    assert refused.reason is reason
    assert refused.text


def test_the_words_of_a_failed_validation_are_kept() -> None:
    refused = outcome(RENTAL, 422, {"detail": [{"msg": "Field required"}, {"msg": "Not an integer"}, 5]})
    assert isinstance(refused, Refused)
    assert refused.text == "Field required; Not an integer"


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        (RENTAL, 503, {}),
        (RENTAL, 503, {"code": 5005}),
        (RENTAL, 503, {"code": 5001, "data": {"orderId": "1H1"}}),
        (CYCLES, 503, {"code": 5001}),
        (RENTAL, 503, b"<html>no server is available</html>"),
        (RENTAL, 500, {"code": 5001}),
        (RENTAL, 502, b"<html>Bad Gateway</html>"),
        (RENTAL, 504, b""),
        (RENTAL, 522, b""),
        (RENTAL, 408, b""),
        (RENTAL, 499, b""),
        (RENTAL, 302, b""),
        (RENTAL, 303, b""),
        (RENTAL, 400, {"detail": {"code": 10000}}),
        (CYCLES, 404, {"code": 0}),
        (RENTAL, 0, b""),
        (RENTAL, 102, b""),
        (RENTAL, 999, b""),
    ],
)
def test_an_answer_that_may_have_come_after_the_purchase_is_unclear(kind: OrderKind, status: int, body: object) -> None:
    assert isinstance(outcome(kind, status, body), Unclear)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "10"}, 10),
        ({"retry-after": "10", "RateLimit-Reset": "3"}, 10),
        ({"RateLimit-Reset": "3"}, 3),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT", "RateLimit-Reset": "3"}, 3),
        ({"RateLimit-Reset": "1790000000"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "999999"}, None),
        ({}, None),
    ],
)
def test_a_rate_limit_says_how_long_to_wait(headers: dict[str, str], seconds: int | None) -> None:
    refused = outcome(RENTAL, 429, {"message": "API rate limit exceeded"}, headers)
    assert isinstance(refused, Refused)
    wait = refused.retry_after
    assert (wait and wait.total_seconds()) == seconds


# --- properties

statuses = st.one_of(st.integers(-10, 1100), st.sampled_from([200, 201, 208, 400, 402, 403, 404, 409, 500, 503]))
words = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["error", "Insufficient balance", "IP not in whitelist", "TRON transaction failed", "infinity"]),
)
codes = st.one_of(
    st.sampled_from([0, -1, -2, -3, -4, -6, -12, 1004, 5000, 5001, 5003, 5004, 10000, "0", "10000", "-1", 401, 200]),
    st.integers(),
    st.none(),
    st.booleans(),
    st.floats(),
    words,
)
values = st.recursive(
    st.one_of(codes, words),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "code",
                    "msg",
                    "message",
                    "detail",
                    "data",
                    "error",
                    "success",
                    "status",
                    "orderId",
                    "order_id",
                    "paidTRX",
                    "cost_trx",
                    "amount",
                ]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=12,
)
bodies = st.one_of(st.binary(max_size=200), values.map(lambda value: json.dumps(value).encode()))
kinds = st.sampled_from(OrderKind)


@given(kinds, statuses, st.dictionaries(st.text(max_size=15), st.text(max_size=15), max_size=3), bodies)
def test_any_answer_at_all_has_an_outcome(kind: OrderKind, status: int, headers: dict[str, str], body: bytes) -> None:
    found = order_outcome(kind, status, headers, body)
    assert isinstance(found, Accepted | Refused | Unclear)
    assert found.http_status == status
    said = "" if isinstance(found, Accepted) else found.why if isinstance(found, Unclear) else found.text
    assert isinstance(found, Accepted) or said
    assert len(said) <= MAX_TEXT
    assert said.isprintable()


def mentions(value: Any, wanted: set[str]) -> bool:
    if isinstance(value, dict):
        return any(mentions(inner, wanted) for inner in value.values())
    if isinstance(value, list):
        return any(mentions(inner, wanted) for inner in value)
    return str(value).strip() in wanted


@given(kinds, st.integers(200, 299), values)
def test_nothing_without_its_success_code_is_accepted(kind: OrderKind, status: int, value: Any) -> None:
    if isinstance(outcome(kind, status, value), Accepted):
        assert mentions(value, {"10000", "10000.0"} if kind is RENTAL else {"0", "0.0", "-0.0", "-0", "+0"})


def says_no(value: Any) -> bool:
    """An oracle of its own: somewhere stands `success: false`, a status of error, or a number that is an error."""
    if not isinstance(value, dict):
        return False
    own = str(value.get("code", "")).strip().removesuffix(".0")
    number = int(own) if own.lstrip("-").isdecimal() and own.isascii() else 0
    flagged = str(value.get("success")).strip().lower() in ("false", "no", "off")
    failed = str(value.get("status")).strip().lower() in ("error", "failed", "fail")
    wrong = number < 0 or number in (1004, 5001, 5002, 5003, 5004) or 400 <= number < 500
    return flagged or failed or wrong or any(says_no(inner) for inner in value.values())


@given(kinds, st.integers(200, 299), values)
def test_a_status_of_success_is_refused_only_with_an_explicit_failure(kind: OrderKind, status: int, value: Any) -> None:
    if isinstance(outcome(kind, status, value), Refused):
        assert says_no(value)


@given(kinds, st.integers(500, 599), bodies)
def test_an_error_of_the_server_is_refused_only_with_a_known_503(kind: OrderKind, status: int, body: bytes) -> None:
    if isinstance(order_outcome(kind, status, {}, body), Refused):
        assert kind is RENTAL
        assert status == 503
        assert mentions(json.loads(body), {"5001", "5002", "5003", "5004"})


def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    inner = (
        [place for key, deeper in value.items() for place in places(deeper, (*path, key))]
        if isinstance(value, dict)
        else []
    )
    return [path, *inner] if path else inner


SUCCESSES = [
    (RENTAL, recorded("order1h-success-v1")["body"]),
    (RENTAL, V2),
    (CYCLES, recorded("time-order-success-body-dialect")["body"]),
    (CYCLES, recorded("time-order-success-header-dialect")["body"]),
]
odd = st.one_of(
    st.none(),
    st.booleans(),
    st.just(""),
    words,
    st.just([]),
    st.just({}),
    st.integers(min_value=0).map(str),
    st.floats(),
)


@given(st.data())
def test_a_damaged_success_is_never_refused(data: st.DataObject) -> None:
    kind, body = data.draw(st.sampled_from(SUCCESSES))
    damaged = json.loads(json.dumps(body))
    for _ in range(data.draw(st.integers(1, 4))):
        if not (left := places(damaged)):
            break
        *way, key = data.draw(st.sampled_from(left))
        spot = damaged
        for step in way:
            spot = spot[step]
        if data.draw(st.booleans()):
            del spot[key]
        elif key != "code" or not isinstance(new := data.draw(odd), float | str):
            spot[key] = data.draw(odd) if key != "code" else new
    assert isinstance(outcome(kind, data.draw(st.sampled_from([200, 201, 208])), damaged), Accepted | Unclear)


@given(kinds, statuses, st.text(max_size=250), st.text(max_size=250), st.sampled_from(["msg", "orderId", "detail"]))
def test_a_secret_that_the_answer_repeats_is_not_passed_on(
    kind: OrderKind, status: int, before: str, after: str, key: str
) -> None:
    found = outcome(kind, status, {key: f"{before}{KEY}{after}", "message": f"{before}{KEY}{after}"})
    assert KEY not in repr(found)
    assert KEY[:20] not in repr(found)
