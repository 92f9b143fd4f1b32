"""Host Mode as a person sees and changes it: what the daemon never does by itself."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from energyd import units
from energyd.api.answers import HostActed, HostKey, HostMode, Order, answers
from energyd.api.bodies import HostActBody, HostKeyBody, HostOrderBody, NothingQuery
from energyd.api.host import Exact, Host
from energyd.api.reading import body, query, takes
from energyd.api.routes import TheHost, watching
from energyd.core.cycles import time_of_a_cycle
from energyd.model import CyclesKnown, HostAct, HostActed as Acted, OrderKind
from energyd.policy import Policy, WatchedAddress
from energyd.telemetry import order_row

ACTS_SHOWN = 20

router = APIRouter()


@router.get("/v1/host", responses=answers(HostMode), dependencies=[Depends(query(NothingQuery))])
async def host_mode(host: TheHost) -> Exact:
    """The addresses whose cycles are kept topped up, the keys of their counts, and what people did last."""
    price = host.engine.known.prices.cycle_sun
    return Exact(
        {
            "at": host.now(),
            "addresses": [
                await _hosted_row(host, policy, watched)
                for policy in host.enabled()
                if policy.host_mode is not None
                for watched in policy.addresses
            ],
            "keys": [{"key": key, "doubt": doubt or None} for key, doubt in (await host.ledger.cycle_keys()).items()],
            "acts": [_acted_row(acted) for acted in (await host.ledger.host_acts())[:ACTS_SHOWN]],
            "cycle_price_trx": None if price is None else units.trx(price),
        }
    )


@router.post("/v1/host/order", responses=answers(Order, 400, 404, 409), openapi_extra=takes(HostOrderBody, "body"))
async def order(host: TheHost, wanted: Annotated[HostOrderBody, Depends(body(HostOrderBody))]) -> Exact:
    """Buy cycles now, once. The answer says how the order stands; what came of an unclear one follows in /v1/orders."""
    watching(host, wanted.address)
    return Exact(order_row(await host.engine.order_cycles(wanted.address, wanted.cycles)))


@router.post("/v1/host/act", responses=answers(HostActed, 400, 409), openapi_extra=takes(HostActBody, "body"))
async def act(host: TheHost, wanted: Annotated[HostActBody, Depends(body(HostActBody))]) -> Exact:
    """Put an address into Host Mode, switch it to cycles without end, stop it, or remove it."""
    acted = await host.engine.hosting.act(HostAct(wanted.act), wanted.address, energy=wanted.energy)
    return Exact(_acted_row(acted))


@router.post("/v1/host/key", responses=answers(HostKey, 400, 409), openapi_extra=takes(HostKeyBody, "body"))
async def confirm_key(host: TheHost, wanted: Annotated[HostKeyBody, Depends(body(HostKeyBody))]) -> Exact:
    """Say that the count of cycles stands under this key, after looking at the account at Netts."""
    await host.engine.hosting.confirm_key(wanted.key)
    return Exact({"key": wanted.key, "doubt": None})


async def _hosted_row(host: Host, policy: Policy, watched: WatchedAddress) -> dict[str, Any]:
    address, now = watched.address, host.now()
    cycles = host.engine.hosting.counted().get(address)
    since = await host.ledger.last_count(address)
    memory = await host.ledger.memory(address, policy.name, now, OrderKind.CYCLES)
    lasts = time_of_a_cycle(memory.counts, now)
    left = None if lasts is None or cycles is None or cycles.remaining is None else lasts * cycles.remaining
    return {
        "address": address,
        "label": watched.label or None,
        "policy": policy.name,
        "known": str(cycles.known if cycles else CyclesKnown.UNKNOWN),
        "cycles": cycles.remaining if cycles else None,
        "key": (cycles.key if cycles else "") or None,
        "read_at": cycles.read_at if cycles else None,
        "unchanged_since": since.at if since else None,
        "a_cycle_lasts": lasts,
        "left": left,
        "ordered": sum(each.cycles or 0 for each in memory.cycle_orders),
        "detail": (cycles.detail if cycles else "the cycles have not been read yet") or None,
    }


def _acted_row(acted: Acted) -> dict[str, Any]:
    row = {"address": acted.address, "act": str(acted.act), "at": acted.at, "ended_at": acted.ended_at}
    return row | {"outcome": acted.outcome or None}
