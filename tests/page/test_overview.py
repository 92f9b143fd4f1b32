"""What the page is given to draw, asked of a real daemon on virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx

from energyd.api.app import application
from energyd.api.past import STRETCH, Drawn, Past
from energyd.daemon import Daemon
from energyd.model import Mode, OrderKind
from energyd.sandbox import addresses
from energyd.sandbox.wire import Fault

from ..engine.stage import ALICE, BOB, CAROL, Stage, a_policy  # noqa: TID252 - the same stage

PAYROLL = a_policy("payroll", CAROL, keep="never") | {
    "planned_calls": [{"name": "daily", "cron": "0 3 * * *", "energy": 65_000, "count": 2}]
}
FLOOR = Drawn(OrderKind.RENTAL, 65_000, timedelta(seconds=15))


@asynccontextmanager
async def living(stage: Stage, *policies: dict[str, Any], **build: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A daemon that lives, and somebody who asks it."""
    built = stage.build(*policies, **build)
    stage.begin(built)
    await stage.sleep(20)
    async with asking(built) as client:
        yield client


def asking(built: Daemon) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(application(built.api_host()))
    return httpx.AsyncClient(transport=transport, base_url="http://energyd", timeout=None)


async def overview(client: httpx.AsyncClient, **wanted: str) -> Any:
    answer = await client.get("/v1/overview", params=wanted)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_it_says_of_each_address_what_the_other_routes_say(stage: Stage) -> None:
    async with living(stage, a_policy("payouts", ALICE, BOB), PAYROLL) as client:
        shown = await overview(client)
        known = (await client.get("/v1/addresses")).json()
        orders = (await client.get("/v1/orders", params={"address": ALICE})).json()
    for drawn, told in zip(shown["addresses"], known["addresses"], strict=True):
        assert [drawn[name] for name in ("address", "policy", "floor", "available", "in_flight")] == [
            told[name] for name in ("address", "policy", "floor", "available", "in_flight")
        ]
        assert drawn["decision"]["reason"] == told["reason"]
    (rental,) = shown["addresses"][0]["orders"]
    assert [rental[name] for name in ("energy", "state")] == [orders[0][name] for name in ("energy", "state")]
    assert rental["cost_sun"] == round(orders[0]["cost_trx"] * 1_000_000)
    assert shown["totals"]["spent_day_sun"] == sum(charge.cost_sun for charge in stage.netts.books.charges)
    assert (shown["mode"], shown["found"], shown["sheets"], shown["alerts"]) == ("live", 3, 1, [])


async def test_a_dip_of_some_seconds_stays_visible(stage: Stage) -> None:
    async with living(stage, a_policy("payouts", ALICE, renew_before="0s")) as client:
        await stage.sleep(1800)
        stage.world.use(ALICE, 60_000)
        least, at = stage.world.available(ALICE), stage.loop.now()
        await stage.sleep(2 * 3600)
        shown = await overview(client)
    (alice,) = shown["addresses"]
    place = (at - datetime.fromisoformat(shown["day_from"])) // STRETCH
    assert least <= alice["lowest"][place] <= least + 100, "used energy comes back slowly"
    assert place in alice["below"]


async def test_what_could_not_be_read_is_a_gap_and_never_zero(stage: Stage) -> None:
    async with living(stage) as client:
        await stage.sleep(1800)
        stage.wire.disturb(Fault.UNREACHABLE, where="http://node.sandbox", for_seconds=1800)
        await stage.sleep(3600)
        (alice,) = (await overview(client))["addresses"]
    gaps = [place for place, lowest in enumerate(alice["lowest"]) if lowest is None]
    away = [place for place in alice["unread"] if alice["lowest"][place] is None]
    assert len(away) >= 4
    assert set(away) <= set(gaps)
    assert min(lowest for lowest in alice["lowest"] if lowest) > 60_000


async def test_before_the_daemon_began_and_while_it_was_stopped_nothing_is_known(stage: Stage) -> None:
    await stage.live(stage.build(), hours=2)
    await stage.sleep(3 * 3600)
    async with living(stage) as client:
        await stage.sleep(3600)
        (alice,) = (await overview(client))["addresses"]
    known = "".join("." if lowest is None else "#" for lowest in alice["lowest"])
    assert [len(piece) // 5 for piece in known.split(".") if piece] == [4, 2]
    assert 28 <= len(known.strip(".").strip("#")) <= 31


async def test_an_address_without_a_floor_is_known_between_its_rare_looks(stage: Stage) -> None:
    async with living(stage, PAYROLL) as client:
        await stage.sleep(2 * 3600)
        (carol,) = (await overview(client))["addresses"]
    assert carol["lowest"][-18:] == [0] * 18
    assert [(call["call"], call["state"], call["energy"]) for call in carol["calls"]] == [("daily", "planned", 130_000)]


async def test_calls_are_shown_from_a_day_ago_until_the_next_one_of_each_rule(stage: Stage) -> None:
    async with living(stage, PAYROLL) as client:
        await stage.sleep(6 * 3600)
        (carol,) = (await overview(client))["addresses"]
    assert [(call["state"], call["at"][:13]) for call in carol["calls"]] == [
        ("over", "2026-01-05T03"),
        ("planned", "2026-01-06T03"),
    ]
    assert carol["calls"][0]["covered_at"] < carol["calls"][0]["at"]


async def test_what_is_read_little_by_little_is_what_is_read_at_once(stage: Stage) -> None:
    built = stage.build(a_policy("payouts", ALICE, BOB))
    stage.begin(built)
    ledger = stage.ledgers[-1]
    often, once = Past(ledger), Past(ledger)
    for _ in range(40):
        await stage.sleep(stage.rng.choice((1, 7, 61, 400)))
        stage.world.use(ALICE, 20_000)
        now, newest = stage.loop.now(), await ledger.newest_decision()
        seen = await often.levels(ALICE, FLOOR, now, newest), await often.changes(now, newest)
    assert seen == (await once.levels(ALICE, FLOOR, now, newest), await once.changes(now, newest))


async def test_the_newest_decisions_are_those_that_the_ledger_calls_changes(stage: Stage) -> None:
    async with living(stage, a_policy("payouts", ALICE, BOB)) as client:
        await stage.sleep(7200)
        shown = await overview(client)
        changes = (await client.get("/v1/decisions", params={"changes": "true", "limit": "30"})).json()
    assert [(one["at"], one["address"], one["reason"]) for one in shown["decisions"]] == [
        (one["at"], one["address"], one["reason"]) for one in changes
    ]
    assert all(one["sentence"] for one in shown["decisions"])


async def test_many_addresses_come_in_sheets(stage: Stage) -> None:
    crowd = [addresses.made_up(f"crowd {number}") for number in range(45)]
    for address in crowd:
        stage.world.add_account(address)
    async with living(stage, a_policy("crowd", *crowd, mode="observe")) as client:
        first, last, beyond = [await overview(client, sheet=sheet) for sheet in ("1", "3", "99")]
        found = await overview(client, find=crowd[30][4:-4].lower())
    assert [row["address"] for row in first["addresses"]] == crowd[:20]
    assert [row["address"] for row in last["addresses"]] == crowd[40:]
    assert (beyond["sheet"], beyond["sheets"], beyond["found"]) == (3, 3, 45)
    assert [row["address"] for row in found["addresses"]] == [crowd[30]]
    assert (found["found"], found["totals"]["addresses"]) == (1, 45)


async def test_those_that_need_attention_can_be_had_alone(stage: Stage) -> None:
    dear = a_policy("dear", BOB, max_price="1 sun")
    async with living(stage, a_policy("payouts", ALICE), dear) as client:
        shown = await overview(client, attention="true")
    assert [row["address"] for row in shown["addresses"]] == [BOB]
    assert shown["totals"]["need_attention"] == 1
    assert [row["policy"] for row in shown["policies"]] == ["dear"]


async def test_an_idle_address_whose_floor_is_not_kept_is_not_below_it(stage: Stage) -> None:
    async with living(stage, a_policy("sweeper", ALICE, keep="while_active", active_within="10m")) as client:
        stage.world.use(ALICE, 65_000)
        await stage.sleep(3 * 3600)
        (alice,) = (await overview(client))["addresses"]
    assert alice["lowest"][-9:] == [0] * 9
    assert len(alice["below"]) == 1


async def test_an_unclear_order_and_a_pause_are_shown(stage: Stage) -> None:
    async with living(stage, a_policy("payouts", ALICE, BOB)) as client:
        await client.post("/v1/pause", json={"address": BOB, "reason": "maintenance"})
        stage.wire.disturb(Fault.LOST_REQUEST, where="https://netts.sandbox/apiv2/order1h", count=1)
        stage.world.use(ALICE, 65_000)
        await stage.sleep(60)
        alice, bob = (await overview(client))["addresses"]
    assert "unresolved" in [order["state"] for order in alice["orders"]]
    assert (alice["paused"], bob["paused"]["reason"]) == (None, "maintenance")


async def test_cycles_are_drawn_where_nothing_else_is_seen_to(stage: Stage) -> None:
    stage.netts.host_mode.host(ALICE, cycles=5)
    rule = {"min_cycles": 2, "top_up_to": 6, "max_cycle_price": "4 TRX", "check_every": "10m"}
    policy = {"policy": "deposits", "addresses": [ALICE], "host_mode": rule, "budget": a_policy()["budget"]}
    async with living(stage, policy) as client:
        await stage.sleep(3600)
        (alice,) = (await overview(client))["addresses"]
    left = alice["cycles"]["remaining"]
    assert (alice["drawn"], alice["lowest"][-9:]) == ("cycles", [left] * 9)
    assert (left in (4, 5), alice["cycles"]["min_cycles"], alice["floor"]) == (True, 2, None)


async def test_a_dry_run_says_so_and_nothing_that_is_not_known_is_zero(stage: Stage) -> None:
    stage.wire.disturb(Fault.UNREACHABLE, for_seconds=600)
    async with living(stage, mode=Mode.DRY_RUN) as client:
        shown = await overview(client)
    (alice,) = shown["addresses"]
    assert shown["mode"] == "dry-run"
    assert (alice["available"], alice["lowest"][-1], shown["totals"]["balance_sun"]) == (None, None, None)
    assert shown["totals"]["burning_day_sun"] is shown["totals"]["runway_seconds"] is None
