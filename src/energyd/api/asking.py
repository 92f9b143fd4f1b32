"""What can be asked for: energy, calls, a pause, a reload, the end of an unclear order."""

import asyncio
from collections.abc import Awaitable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from energyd import rows, units
from energyd.api.answers import Ensured, Order, Pause, PricedCall, Reloaded, Resumed, answers
from energyd.api.bodies import CallBody, EnsureBody, NothingBody, NothingQuery, PauseBody, ResumeBody, SettleBody, Whose
from energyd.api.host import Exact, Host
from energyd.api.reading import Wrong, body, query, takes
from energyd.api.routes import TheHost, coming, priced, watching
from energyd.core.order import Event
from energyd.errors import ConfigFaults, LedgerError
from energyd.model import AHEAD, Call, OrderState
from energyd.telemetry import LogEvent, order_row

router = APIRouter()
_no_query = Depends(query(NothingQuery))


# --- energy ---------------------------------------------------------------------------------------------------------


@router.post("/v1/ensure", responses=answers(Ensured, 400, 404, 409), openapi_extra=takes(EnsureBody, "body"))
async def ensure(request: Request, host: TheHost, wanted: Annotated[EnsureBody, Depends(body(EnsureBody))]) -> Exact:
    """Ask for energy and wait until it is on chain: 200 then, 409 with the reason when it will not be.

    Who goes away while waiting changes nothing: the energy comes all the same, and asking again with the same key goes
    on waiting for it.
    """
    watching(host, wanted.address)
    call = await host.engine.calls.ensure(
        wanted.address,
        energy=wanted.energy,
        what=wanted.what,
        by=wanted.by,
        within=wanted.timeout,
        keep=wanted.hold,
        key=wanted.key,
        name=wanted.name,
    )
    ended = await _unless_gone(host.engine.calls.ended(call.call_id), request, host)
    if ended is None:
        why = "the daemon stops, and the energy is not on chain yet"
        hint = "the request stands: ask again with the same key when it runs"
        raise Wrong(503, why, hint, ok=False, reason=why, call=priced(host, call))
    reason = _why_not(ended)
    said = {"ok": reason is None, "reason": reason, "call": priced(host, ended)}
    return Exact(said) if reason is None else Exact(said | {"error": reason, "hint": None}, status_code=409)


def _why_not(call: Call) -> str | None:
    """Why the energy is not there for who asked; None when it is."""
    if call.covered_at is None:
        return call.detail or f"the energy did not come in time: the call is {call.state}"
    return None if call.state in AHEAD else f"its time is over: the energy was kept until {call.until:%H:%M:%S} UTC"


async def _unless_gone(waited_for: Awaitable[Call], request: Request, host: Host) -> Call | None:
    """What is waited for; None when before that the client goes away or the daemon begins to stop."""
    waiting = asyncio.ensure_future(waited_for)
    others = [asyncio.ensure_future(_gone(request)), asyncio.ensure_future(host.stopping.wait())]
    try:
        await asyncio.wait([waiting, *others], return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else None
    finally:
        for task in (waiting, *others):
            task.cancel()
        await asyncio.gather(waiting, *others, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


# --- calls ----------------------------------------------------------------------------------------------------------


@router.post(
    "/v1/calls",
    status_code=201,
    responses=answers(PricedCall, 400, 404, 409, status=201),
    openapi_extra=takes(CallBody, "body"),
)
async def add_call(host: TheHost, wanted: Annotated[CallBody, Depends(body(CallBody))]) -> Exact:
    """Plan a call: its energy will be on chain `lead` before and kept until `hold` after it."""
    watching(host, wanted.address)
    call = await host.engine.calls.add(
        wanted.address,
        at=wanted.at,
        lead=wanted.lead,
        hold=wanted.hold,
        energy=wanted.energy,
        what=wanted.what,
        name=wanted.name,
    )
    return Exact(priced(host, call), status_code=201)


@router.delete(
    "/v1/calls/{call_id}", responses=answers(PricedCall, 404, 409), dependencies=[Depends(query(NothingQuery))]
)
async def cancel_call(host: TheHost, call_id: str) -> Exact:
    """End a call, one of a policy this one time only. What was rented for it stays rented."""
    try:
        stands = await host.ledger.call(call_id)
    except LedgerError as error:
        raise Wrong(409, str(error), "write more of its id") from None
    if stands is None:
        stands = next((call for call in await coming(host) if call.call_id.startswith(call_id)), None)
        if stands is None:
            raise Wrong(404, f"there is no call {call_id!r}", "`energyd calls list` or GET /v1/calls shows them")
        await host.ledger.add_call(stands)
    return Exact(priced(host, await host.engine.calls.cancel(stands.call_id)))


# --- spending -------------------------------------------------------------------------------------------------------


@router.post("/v1/pause", responses=answers(Pause, 400, 404), openapi_extra=takes(PauseBody, "body"))
async def pause(host: TheHost, wanted: Annotated[PauseBody, Depends(body(PauseBody))]) -> Exact:
    """Stop spending; watching and logging go on. Orders that are on their way still arrive."""
    addresses = _affected(host, wanted)
    now = host.now()
    until = None if wanted.length is None else now + wanted.length
    paused = await host.ledger.pause(wanted.policy, wanted.address, until, wanted.reason, now)
    host.log.emit(
        LogEvent.SPENDING_PAUSED,
        policy=wanted.policy,
        address=wanted.address,
        until=until,
        detail=wanted.reason or None,
    )
    host.look_at(addresses)
    return Exact(rows.pause_row(paused))


@router.post("/v1/resume", responses=answers(Resumed, 400, 404), openapi_extra=takes(ResumeBody, "body"))
async def resume(host: TheHost, wanted: Annotated[ResumeBody, Depends(body(ResumeBody))]) -> Exact:
    """Lift the pause of exactly this policy, this address, or everything."""
    if not await host.ledger.resume(wanted.policy, wanted.address, host.now()):
        standing = ", ".join(_whose(pause) for pause in await host.ledger.pauses(host.now()))
        raise Wrong(404, f"{_whose(wanted)} is not paused", f"paused now: {standing or 'nothing'}")
    host.log.emit(LogEvent.SPENDING_RESUMED, policy=wanted.policy, address=wanted.address)
    host.look_at(a for a, policy in host.engine.policies.items() if _is_about(wanted, a, policy.name))
    return Exact({"policy": wanted.policy, "address": wanted.address, "resumed": True})


def _affected(host: Host, wanted: Whose) -> list[str]:
    """The addresses that a pause is about. Raises Wrong for what is not watched."""
    if wanted.address is not None:
        watching(host, wanted.address)
    names = sorted(policy.name for policy in host.policies())
    if wanted.policy is not None and wanted.policy not in names:
        raise Wrong(404, f"there is no policy {wanted.policy!r}", f"there are: {', '.join(names)}")
    return [address for address, policy in host.engine.policies.items() if _is_about(wanted, address, policy.name)]


def _is_about(wanted: Whose, address: str, policy: str) -> bool:
    return wanted.address in (None, address) and wanted.policy in (None, policy)


def _whose(pause: Any) -> str:
    return str(pause.address or pause.policy or "everything")


@router.post(
    "/v1/orders/{key}/settle", responses=answers(Order, 400, 404, 409), openapi_extra=takes(SettleBody, "body")
)
async def settle(host: TheHost, key: str, wanted: Annotated[SettleBody, Depends(body(SettleBody))]) -> Exact:
    """Say what became of an unresolved order, after looking at the account at Netts."""
    try:
        found = await host.ledger.order(key)
    except LedgerError as error:
        raise Wrong(404, str(error), "`energyd orders` or GET /v1/orders shows them") from None
    if found.state is not OrderState.UNRESOLVED:
        raise Wrong(409, f"order {found.key[:12]} is {found.state}", "only an unresolved order can be settled")
    if not wanted.placed and (left := host.engine.flight_left(found)):
        wait = f"look at the account then, and say so in {units.duration_text(left)}"
        raise Wrong(409, f"the request of order {found.key[:12]} may still be on its way", wait)
    event = Event.SETTLED_PLACED if wanted.placed else Event.SETTLED_NOT_PLACED
    settled = await host.ledger.record(found, event, host.now(), detail=f"settled by {wanted.who}")
    host.log.order(LogEvent.ORDER_RESOLVED, settled, outcome=str(settled.state), detail=f"settled by {wanted.who}")
    host.look_at([settled.address])
    return Exact(order_row(settled))


# --- files ----------------------------------------------------------------------------------------------------------


@router.post("/v1/reload", responses=answers(Reloaded, 400, 409), openapi_extra=takes(NothingBody, "body"))
async def reload(host: TheHost, _nothing: Annotated[NothingBody, Depends(body(NothingBody))]) -> Exact:
    """Read settings and policies again: all of them are taken over, or none."""
    found = await host.reload()
    if not isinstance(found, ConfigFaults):
        return Exact(found or {})
    faults = [str(fault) for fault in found.faults]
    count = f"{len(faults)} fault{'' if len(faults) == 1 else 's'}"
    raise Wrong(409, f"{count} in the files, nothing was taken over", faults[0], faults=faults)
