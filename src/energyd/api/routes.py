"""What can be read, and where the routes of what can be asked for are put together."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import TypeAdapter, WithJsonSchema
from starlette.responses import PlainTextResponse, Response

from energyd import __version__, rows
from energyd.api.answers import Addresses, Decision, Health, Order, PricedCall, Readiness, WholeAddress, answers
from energyd.api.bodies import CallsQuery, DecisionsQuery, NothingQuery, OrdersQuery
from energyd.api.host import Exact, Host
from energyd.api.reading import Wrong, query, takes
from energyd.calls import coming as calls_of_policies
from energyd.errors import LedgerError
from energyd.fields import Address, read_address
from energyd.model import AHEAD, Call
from energyd.policy import Policy, WatchedAddress
from energyd.telemetry import order_row


async def the_host(request: Request) -> Host:  # async, so that no thread is asked
    host = request.app.state.host
    assert isinstance(host, Host)
    return host


PathAddress = Annotated[str, WithJsonSchema(TypeAdapter(Address).json_schema())]
TheHost = Annotated[Host, Depends(the_host)]
METRICS_FORMAT = "text/plain; version=1.0.0; charset=utf-8"
router = APIRouter()
_no_query = Depends(query(NothingQuery))


# --- the daemon -----------------------------------------------------------------------------------------------------


@router.get("/healthz", responses=answers(Health), dependencies=[_no_query])
async def healthz() -> Exact:
    """Whether the process lives."""
    return Exact({"status": "ok", "version": __version__})


@router.get("/readyz", responses=answers(Readiness), dependencies=[_no_query])
async def readyz(host: TheHost) -> Exact:
    """Whether policies are loaded, and node and ledger can be reached; 503 with the reasons when not."""
    ailments = host.ailments()
    try:
        await host.ledger.get_meta("ledger_id")
    except LedgerError as error:
        ailments["ledger"] = str(error)
    state = {part: ailments.get(part, "ok") for part in ("policies", "node", "ledger")}
    if not ailments:
        return Exact({"ready": True} | state)
    problem = {"error": "; ".join(ailments.values()), "hint": "see the log and the alerts"}
    return Exact({"ready": False} | state | problem, status_code=503)


@router.get(
    "/metrics",
    responses=answers(None, 404, text="Prometheus' text format"),
    response_class=PlainTextResponse,
    dependencies=[_no_query],
)
async def metrics(host: TheHost) -> Response:
    """Everything that is measured, for Prometheus."""
    if host.metrics is None:
        raise Wrong(404, "this daemon measures nothing")
    return Response(await host.metrics(), media_type=METRICS_FORMAT)


# --- what is known --------------------------------------------------------------------------------------------------


@router.get("/v1/addresses", responses=answers(Addresses), dependencies=[_no_query])
async def addresses(host: TheHost) -> Exact:
    """The addresses with their energy, rentals, calls and pauses; what policies have spent; standing alerts."""
    return Exact(
        {
            "at": host.now(),
            "addresses": [
                await _address_row(host, policy, watched) for policy in host.enabled() for watched in policy.addresses
            ],
            "policies": [await _spending_row(host, policy) for policy in host.enabled()],
            "alerts": rows.alert_rows(await host.ledger.standing_alerts()),
        }
    )


@router.get("/v1/addresses/{address}", responses=answers(WholeAddress, 404), dependencies=[_no_query])
async def one_address(host: TheHost, address: PathAddress) -> Exact:
    """One address, and its last decision with every need, source and guard."""
    policy = watching(host, checked(address))
    watched = next(each for each in policy.addresses if each.address == address)
    decision = host.engine.latest.get(address) or host.engine.hosting.latest.get(address)
    row = await _address_row(host, policy, watched)
    return Exact(row | {"decision": None if decision is None else rows.decision_row(decision, whole=True)})


@router.get("/v1/decisions", responses=answers(list[Decision]), openapi_extra=takes(DecisionsQuery, "query"))
async def decisions(host: TheHost, wanted: Annotated[DecisionsQuery, Depends(query(DecisionsQuery))]) -> Exact:
    """Decisions that are written down, newest first. Those to hold are written every few seconds."""
    found = await host.ledger.decisions(
        address=wanted.address, since=wanted.since, limit=wanted.limit, with_repeats=not wanted.changes
    )
    return Exact([rows.decision_row(decision) for decision in found])


@router.get("/v1/orders", responses=answers(list[Order]), openapi_extra=takes(OrdersQuery, "query"))
async def orders(host: TheHost, wanted: Annotated[OrdersQuery, Depends(query(OrdersQuery))]) -> Exact:
    """Orders, newest first."""
    found = await host.ledger.orders(
        address=wanted.address, policy=wanted.policy, since=wanted.since, limit=wanted.limit
    )
    return Exact([order_row(order) for order in found])


@router.get("/v1/calls", responses=answers(list[PricedCall]), openapi_extra=takes(CallsQuery, "query"))
async def calls(host: TheHost, wanted: Annotated[CallsQuery, Depends(query(CallsQuery))]) -> Exact:
    """Calls that are not over, and the next one of each rule of a policy, the first to be needed first."""
    ahead = await host.ledger.calls(address=wanted.address, states=AHEAD)
    next_ones = [call for call in await coming(host) if wanted.address in (None, call.address)]
    found = sorted((*ahead, *next_ones), key=lambda call: (call.needed_by, call.call_id))
    return Exact([priced(host, call) for call in found])


# --- parts ----------------------------------------------------------------------------------------------------------


async def _address_row(host: Host, policy: Policy, watched: WatchedAddress) -> dict[str, Any]:
    memory = await host.ledger.memory(watched.address, policy.name, host.now())
    decision = host.engine.latest.get(watched.address)
    counted = host.engine.hosting.latest.get(watched.address)
    burn_sun = host.engine.known.prices.burn_sun
    return rows.address_row(policy, watched, decision, memory, burn_sun, about_cycles=counted)


async def _spending_row(host: Host, policy: Policy) -> dict[str, Any]:
    first = next(policy.watched())
    return rows.spending_row(policy, await host.ledger.memory(first, policy.name, host.now()))


def priced(host: Host, call: Call) -> dict[str, Any]:
    """A call, and what the energy that it still needs would cost now."""
    return rows.call_at_price(call, host.engine.known.prices)


async def coming(host: Host) -> list[Call]:
    """The next call of each rule and address that is not written down yet."""
    now = host.now()
    written = {call.call_id for call in await host.ledger.calls(since=now)}
    return calls_of_policies(host.enabled(), written, now)


def checked(address: str) -> str:
    try:
        return read_address(address)
    except ValueError as error:
        problem, _, hint = str(error).partition("; ")
        raise Wrong(422, problem, hint) from None


def watching(host: Host, address: str) -> Policy:
    """The policy that watches an address. Raises Wrong."""
    policy = host.engine.policies.get(address)
    if policy is None:
        raise Wrong(404, f"no policy watches {address}", "add it to the addresses of one, and reload")
    return policy
