"""Host Mode at the wire: the list of addresses in every form, and what a person has done to one."""

import json
from pathlib import Path
from typing import Any

import pytest

from energyd.errors import NettsUnavailable
from energyd.model import Accepted, CyclesKnown, HostAct, Reason, Refused, Unclear
from energyd.netts.client import Auth

from .test_client import ADDRESS, KEY, Answer, drop, reading, reply

RECORDINGS = Path(__file__).parent.parent / "recordings" / "netts-wire"
OTHERS = [f"T{number}{'x' * 32}" for number in range(1, 4)]
NOT_HOSTED = {"code": -4, "msg": "Address not found in Host Mode", "data": None}
GONE = reply(404, {"message": "no Route matched with those values"})


def recorded(name: str) -> Any:
    return json.loads((RECORDINGS / f"{name}.json").read_text())


def page(*entries: tuple[str, int], **beside: object) -> Answer:
    listed = [{"address": address, "cycles_remaining": cycles} for address, cycles in entries]
    return reply(200, {"code": 0, "data": {"addresses": listed, **beside}})


# --- the list -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "in_body", "in_header"), [("body", True, False), ("headers", False, True), ("both", True, True)]
)
def test_one_request_tells_of_all_addresses_with_the_key_where_it_is_wanted(
    auth: Auth,
    in_body: bool,  # noqa: FBT001 - a column of the table
    in_header: bool,  # noqa: FBT001 - the same
) -> None:
    answer = page((ADDRESS, 4), (OTHERS[0], 0), total_addresses=2)
    found, seen = reading(lambda client: client.cycles_of([ADDRESS, *OTHERS[:2]]), answer, auth=auth)
    assert [each.remaining for each in found.values()] == [4, 0, None]
    assert found[OTHERS[1]].known is CyclesKnown.NOT_IN_HOST_MODE
    (request,) = seen.requests
    assert request.line == "POST /apiv2/time/status HTTP/1.1"
    assert ("api_key" in request.json, "x-api-key" in request.headers) == (in_body, in_header)


def test_a_list_in_pages_is_read_to_its_end() -> None:
    first, second = page((ADDRESS, 4), total_addresses=2), page((OTHERS[0], 7), total_addresses=2)
    asked = [ADDRESS, OTHERS[0], OTHERS[1]]
    found, seen = reading(lambda client: client.cycles_of(asked), first, first, second)
    assert [each.remaining for each in found.values()] == [4, 7, None]
    assert found[OTHERS[1]].known is CyclesKnown.NOT_IN_HOST_MODE
    bodies = [{name: value for name, value in request.json.items() if name != "api_key"} for request in seen.requests]
    assert bodies == [{}, {"page": 1, "page_size": 100}, {"page": 2, "page_size": 100}]


@pytest.mark.parametrize(
    "second",
    [
        page(total_addresses=2),
        page((ADDRESS, 5), total_addresses=2),
        reply(200, {"code": -1, "msg": "no", "data": None}),
    ],
    ids=["empty", "shifted", "failed"],
)
def test_pages_that_do_not_fit_together_put_nobody_out_of_host_mode(second: Answer) -> None:
    first = page((ADDRESS, 4), total_addresses=2)
    found, _ = reading(lambda client: client.cycles_of([ADDRESS, OTHERS[0]]), first, first, second)
    assert found[OTHERS[0]].known is CyclesKnown.UNKNOWN
    assert found[OTHERS[0]].detail


def test_where_the_list_is_gone_each_address_is_asked_for_by_itself_with_the_key_in_the_header() -> None:
    alone = reply(200, {"code": 0, "data": {"address": ADDRESS, "cycle_set": 3}})
    found, seen = reading(
        lambda client: client.cycles_of([ADDRESS, OTHERS[0]]), GONE, alone, reply(404, NOT_HOSTED), auth="body"
    )
    assert (found[ADDRESS].remaining, found[ADDRESS].key) == (3, "cycle_set")
    assert found[OTHERS[0]].known is CyclesKnown.NOT_IN_HOST_MODE
    assert [request.line.split()[1] for request in seen.requests] == [
        "/apiv2/time/status",
        f"/apiv2/time/status/{ADDRESS}",
        f"/apiv2/time/status/{OTHERS[0]}",
    ]
    assert [request.headers.get("x-api-key") for request in seen.requests] == [None, KEY, KEY]


@pytest.mark.parametrize("answer", [drop, reply(500, b""), reply(404, NOT_HOSTED), reply(429, {"message": "slow"})])
def test_a_list_that_cannot_be_read_is_an_error_and_no_count(answer: Answer) -> None:
    found, _ = reading(lambda client: client.cycles_of([ADDRESS]), answer)
    assert isinstance(found, NettsUnavailable)
    assert KEY not in str(found)


# --- what a person has done -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "name", "wanted"),
    [
        (HostAct.ADD, "time-add-success-2025-08", {"energy_threshold": 65_000}),
        (HostAct.ADD, "time-add-partial-body-dialect", {"energy_threshold": 65_000}),
        (HostAct.INFINITY, "time-infinitystart-success-2025-08", {"energy_amount": 65_000}),
        (HostAct.STOP, "time-stop-success-2025-08", {}),
        (HostAct.STOP, "time-stop-success-body-dialect", {}),
        (HostAct.REMOVE, "time-delete-success-2025-08", {}),
    ],
)
def test_an_act_is_asked_for_once_as_the_documents_have_it(act: HostAct, name: str, wanted: dict[str, int]) -> None:
    body = recorded(name)
    found, seen = reading(lambda client: client.act(act, ADDRESS, energy=65_000), reply(200, body["body"]))
    assert isinstance(found, Accepted)
    (request,) = seen.requests
    assert request.line == f"POST {body['request']['path']} HTTP/1.1"
    assert request.json == {"api_key": KEY, "address": ADDRESS} | wanted


@pytest.mark.parametrize(
    ("answer", "expected", "reason"),
    [
        (reply(404, NOT_HOSTED), Refused, Reason.NOT_IN_HOST_MODE),
        (reply(401, {"code": -1, "msg": "Invalid API key", "data": None}), Refused, Reason.AUTH_FAILED),
        (reply(429, {"message": "API rate limit exceeded"}), Refused, Reason.RATE_LIMITED),
        (reply(200, b"OK"), Unclear, None),
        (reply(500, b""), Unclear, None),
        (drop, Unclear, None),
    ],
)
def test_an_act_that_is_not_done_for_certain_says_so(answer: Answer, expected: type, reason: Reason | None) -> None:
    found, seen = reading(lambda client: client.act(HostAct.INFINITY, ADDRESS), answer)
    assert isinstance(found, expected)
    assert getattr(found, "reason", None) is reason
    assert len(seen.requests) == 1
