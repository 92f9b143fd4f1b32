"""The control API against its own OpenAPI page: requests that it allows, such that it does not, and every answer."""

import asyncio
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from energyd.api.app import application

from .stage import ALICE, BOB, CAROL, Stage, a_policy

load_all_checks()
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
OPERATIONS = [
    ("GET", "/"),
    ("GET", "/v1/overview"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/v1/addresses"),
    ("GET", "/v1/addresses/{address}"),
    ("GET", "/v1/decisions"),
    ("GET", "/v1/orders"),
    ("GET", "/v1/calls"),
    ("POST", "/v1/ensure"),
    ("POST", "/v1/calls"),
    ("DELETE", "/v1/calls/{call_id}"),
    ("POST", "/v1/pause"),
    ("POST", "/v1/resume"),
    ("POST", "/v1/reload"),
    ("POST", "/v1/orders/{key}/settle"),
    ("GET", "/v1/host"),
    ("POST", "/v1/host/order"),
    ("POST", "/v1/host/act"),
    ("POST", "/v1/host/key"),
]
BARE = ("/v1/addresses", "/v1/host")
READ = [(method, path) for method, path in OPERATIONS if "{" not in path and path.count("/") > 1 and path not in BARE]
"""Those that read a body or parameters."""
SAMPLES = {
    "a TRON address in base58check": [ALICE, BOB, CAROL],
    "a moment with its offset from UTC": ["2026-01-05T00:30:00Z", "2026-01-05T03:00:00+01:00"],
    "a length of time": ["1s", "90s", "3m"],
    "a function of the contract, with its types": ["totalSupply()"],
}
"""What a pattern cannot say: a checksum, a day that a calendar has, the longest wait, arguments that fit."""
POLICY = a_policy("payouts", ALICE, BOB) | {
    "planned_calls": [{"name": "daily", "cron": "0 12 * * *", "energy": 65_000, "count": 2}]
}


class Asked:
    """The API of a daemon that lives, and its page."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        stage.runner.run(self._begin())
        self.page = self.ask(method="GET", url="/openapi.json").json()

    async def _begin(self) -> None:
        built = self.stage.build(POLICY)
        self.app = application(built.api_host())
        self.stage.begin(built)
        await asyncio.sleep(20)

    def ask(self, **request: Any) -> httpx.Response:
        return self.stage.runner.run(self._ask(request))

    async def _ask(self, request: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://energyd", timeout=None) as client:
            return await client.request(**request)


def sampled(part: Any) -> Any:
    """The page with samples where a pattern says less than is asked for."""
    if isinstance(part, list):
        return [sampled(item) for item in part]
    if not isinstance(part, dict):
        return part
    if part.get("type") == "string" and part.get("description") in SAMPLES:
        return {"enum": SAMPLES[part["description"]]}
    if isinstance(part.get("items", {}).get("type"), list):
        return {"enum": [[]]}
    if any("pattern" in form for form in part.get("anyOf", ())):
        return part["anyOf"][0]
    return {key: sampled(value) for key, value in part.items()}


def sent(case: Any) -> dict[str, Any]:
    request = case.as_transport_kwargs(base_url="http://energyd")
    if "data" in request:
        request["content"] = request["data"]
    return {
        name: request[name] for name in ("method", "url", "params", "headers", "json", "content") if name in request
    }


patiently = settings(
    max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True
)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_the_page_allows_is_understood_and_answered_as_it_says(stage: Stage, method: str, path: str) -> None:
    asked = Asked(stage)
    operation = schemathesis.openapi.from_dict(sampled(asked.page))[path][method]

    @patiently
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def answers(case: Any) -> None:
        case.validate_response(asked.ask(**sent(case)), checks=[*CHECKS, positive_data_acceptance])

    answers()
    assert stage.events("fault") == []


@pytest.mark.parametrize(("method", "path"), READ)
def test_what_the_page_does_not_allow_is_refused_as_it_says(stage: Stage, method: str, path: str) -> None:
    asked = Asked(stage)
    operation = schemathesis.openapi.from_dict(asked.page)[path][method]

    @patiently
    @given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def answers(case: Any) -> None:
        case.validate_response(asked.ask(**sent(case)), checks=[*CHECKS, negative_data_rejection])

    answers()
    assert stage.events("fault") == []


def test_every_route_of_the_page_is_tested_here(stage: Stage) -> None:
    paths = Asked(stage).page["paths"]
    assert {(method.upper(), path) for path in paths for method in paths[path]} - {("GET", "/metrics")} == set(
        OPERATIONS
    )
