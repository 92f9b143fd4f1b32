"""Commands about what is to come: plan, calls."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energyd import units
from energyd.cli import asking, options, printing
from energyd.cli.help import Command
from energyd.model import (
    AHEAD,
    NEVER_CHARGED,
    Action,
    Call,
    Decision,
    Memory,
    Mode,
    Prices,
    Situation,
)

if TYPE_CHECKING:
    from rich.table import Table

    from energyd.cli.outside import Estimates, Outside
    from energyd.config.load import Configuration
    from energyd.core.plan import Spent
    from energyd.policy import Policy

DAY = timedelta(days=1)


def _now() -> datetime:
    return datetime.now(UTC)


def _watched(configuration: "Configuration") -> "Iterator[tuple[Policy, str]]":
    for policy in configuration.policies:
        if policy.enabled:
            for address in policy.watched():
                yield policy, address


# --- what the ledger knows ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Past:
    """What the ledger knows, by address and by policy; of a ledger that is not there yet, nothing."""

    memories: dict[str, Memory] = field(default_factory=dict)
    written: dict[str, list[Call]] = field(default_factory=dict)
    """The calls that are written down, whatever became of them, until a day after their time."""
    spent: "Spent" = field(default_factory=dict)

    def memory(self, address: str) -> Memory:
        return self.memories.get(address, Memory())

    def calls(self, address: str) -> list[Call]:
        return self.written.get(address, [])


async def _past(configuration: "Configuration", now: datetime) -> Past:
    from energyd.ledger.ledger import Ledger

    past = Past()
    if not configuration.settings.state.exists():
        return past
    async with Ledger.open_to_read(configuration.settings.state) as ledger:
        for policy, address in _watched(configuration):
            past.memories[address] = await ledger.memory(address, policy.name, now)
        for call in await ledger.calls(since=now - DAY):
            past.written.setdefault(call.address, []).append(call)
        for order in await ledger.orders(since=now - DAY):
            if order.state not in NEVER_CHARGED:
                past.spent.setdefault(order.policy, []).append((order.sent_at or order.intended_at, order.booked_sun))
    return past


# --- plan -----------------------------------------------------------------------------------------------------------


def plan(config: options.Config = None, json: options.Json = False) -> None:
    """Show what a live run would do over the next day, at what cost.

    It assumes that prices stay, that calls are made when they are planned, and that nobody else uses energy.
    """
    found = asyncio.run(_plan(options.load_configuration(config)))
    if json:
        printing.print_json(found.as_row())
    else:
        _show_plan(found)


@dataclass(frozen=True, slots=True)
class Plan:
    """What `plan` shows."""

    now: datetime
    prices: Prices
    decisions: Sequence[Decision]
    said: Sequence[str]

    def as_row(self) -> dict[str, Any]:
        from energyd.rows import decision_row

        rows = [decision_row(decision) for decision in self.decisions]
        return {
            "from": self.now,
            "until": self.now + DAY,
            "price_sun": self.prices.rent_sun,
            "burn_sun": self.prices.burn_sun,
            "decisions": [{name: value for name, value in row.items() if name != "decision_id"} for row in rows],
            "policies": self.sums(),
            "said": list(self.said),
        }

    def sums(self) -> list[dict[str, Any]]:
        return [self._sum(policy) for policy in sorted({decision.policy for decision in self.decisions})]

    def _sum(self, policy: str) -> dict[str, Any]:
        own = [each for each in self.decisions if each.policy == policy and each.action is Action.RENT]
        return {
            "policy": policy,
            "orders": len(own),
            "energy": sum(decision.energy or 0 for decision in own),
            "cost_trx": units.trx(sum(decision.cost_sun or 0 for decision in own)),
        }


async def _plan(configuration: "Configuration") -> Plan:
    from energyd.cli.outside import Outside
    from energyd.core.plan import roll

    now = _now()
    past = await _past(configuration, now)
    async with Outside(configuration.settings, _now) as outside:
        prices, funds = await asyncio.gather(outside.prices(), outside.funds())
        starts = [
            await _situation(configuration, policy, address, now, past, outside)
            for policy, address in _watched(configuration)
        ]
    starts = [replace(start, prices=prices, funds=funds) for start in starts]
    return Plan(now, prices, roll(starts, past.spent, now + DAY), outside.said)


async def _situation(
    configuration: "Configuration", policy: "Policy", address: str, now: datetime, past: Past, outside: "Outside"
) -> Situation:
    from energyd.core.plan import calls_until

    with_activity = policy.energy is not None and policy.energy.keep == "while_active"
    reading = await outside.reading(address, with_activity=with_activity)
    calls = calls_until(policy, address, past.calls(address), now=now, until=now + DAY)
    estimates = await outside.estimates(calls)
    return Situation(
        policy=policy,
        address=address,
        mode=Mode.LIVE,
        now=now,
        reading=reading,
        memory=replace(past.memory(address), calls=tuple(_estimated(call, estimates) for call in calls)),
        limits=configuration.settings.netts.limits,
    )


def _show_plan(plan: Plan) -> None:
    console = printing.console()
    for line in plan.said:
        console.print(f"[yellow]{line}[/]", highlight=False)
    if plan.prices.rent_sun is not None:
        burn = f", burning costs {plan.prices.burn_sun} sun" if plan.prices.burn_sun else ""
        console.print(f"At today's price of {plan.prices.rent_sun} sun a unit{burn}; from now on for a day:")
    table = printing.table("when (UTC)", "address", "policy", "what", ">energy", ">cost", "why")
    for decision in plan.decisions:
        is_rented = decision.action is Action.RENT
        table.add_row(
            f"{decision.at:%m-%d %H:%M:%S}",
            printing.short(decision.address),
            decision.policy,
            "[green]rent[/]" if is_rented else "hold",
            printing.number(decision.energy),
            units.trx_text(decision.cost_sun) if decision.cost_sun is not None and is_rented else "",
            ": ".join(filter(None, (str(decision.reason), decision.detail))),
        )
    console.print(table)
    for row in plan.sums():
        console.print(
            f"{row['policy']}: {row['orders']} orders, {row['energy']:,} energy, {row['cost_trx']} TRX", highlight=False
        )


# --- calls ----------------------------------------------------------------------------------------------------------

app = typer.Typer(no_args_is_help=True, help="Planned calls, of policies and added at run time.")


@app.command("list", cls=Command)
def list_calls(
    config: options.Config = None,
    address: options.Address = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask neither node nor Netts: no costs.")] = False,
    json: options.Json = False,
) -> None:
    """Show the calls that are not over.

    And the next one of each rule of a policy: its estimate, its cost today, and the fee_limit that it needs.
    """
    from energyd.rows import call_at_price

    configuration = options.load_taken_over(config)
    wanted = options.checked_address(address) if address else None
    calls, prices, said = asyncio.run(_calls(configuration, wanted, offline=offline))
    if json:
        printing.print_json([call_at_price(call, prices) for call in calls])
        return
    for line in said:
        print(f"note: {line}")
    if calls:
        printing.console().print(_call_table([call_at_price(call, prices) for call in calls]))
    else:
        print("No calls.")


async def _calls(
    configuration: "Configuration", address: str | None, *, offline: bool
) -> tuple[list[Call], Prices, Sequence[str]]:
    from energyd.calls import coming
    from energyd.cli.outside import Outside

    now = _now()
    past = await _past(configuration, now)
    written = [call for calls in past.written.values() for call in calls]
    enabled = [policy for policy in configuration.policies if policy.enabled]
    calls = [call for call in written if call.state in AHEAD]
    calls += coming(enabled, {call.call_id for call in written}, now)
    calls = sorted((c for c in calls if address in (None, c.address)), key=lambda call: (call.needed_by, call.call_id))
    if offline:
        return calls, Prices(), ()
    async with Outside(configuration.settings, _now) as outside:
        prices, estimates = await outside.prices(), await outside.estimates(calls)
    return [_estimated(call, estimates) for call in calls], prices, outside.said


def _estimated(call: Call, estimates: "Estimates") -> Call:
    """The call with what the node says now, where nobody had asked it before."""
    from energyd.core import calls as life

    if call.what is None or call.what not in estimates:
        return call
    return life.estimated(call, estimates[call.what])


def _call_table(rows: Sequence[dict[str, Any]]) -> "Table":
    names = ("id", "call", "address", "policy", "when (UTC)", "state", ">energy", ">cost today", ">fee_limit", "")
    table = printing.table(*names)
    for row in rows:
        table.add_row(
            row["call_id"],
            row["call"],
            printing.short(row["address"]),
            row["policy"],
            f"{row['at']:%m-%d %H:%M:%S}",
            row["state"],
            printing.number(row["energy"]) or "unknown",
            "" if row["cost_trx"] is None else f"{row['cost_trx']} TRX",
            "" if row["fee_limit_trx"] is None else f"{row['fee_limit_trx']} TRX",
            row["detail"] or "",
        )
    return table


@app.command("add", cls=Command)
def add_call(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="One that a policy watches: T...")],
    at: Annotated[
        str,
        typer.Option(
            "--at",
            metavar="MOMENT",
            callback=options.checked("Moment"),
            help="When the calls are made, as 2026-12-24T09:00:00+01:00.",
        ),
    ],
    energy: asking.Energy = None,
    contract: asking.Contract = None,
    function: asking.Function = None,
    arg: asking.Arguments = None,
    count: asking.Count = None,
    lead: Annotated[
        str,
        typer.Option(
            "--lead",
            metavar="DURATION",
            callback=options.checked("Duration"),
            help="Have the energy on chain this long before, as 90s or 5m.",
        ),
    ] = "3m",
    hold: Annotated[
        str,
        typer.Option(
            "--hold",
            metavar="DURATION",
            callback=options.checked("Duration"),
            help="And keep it that long after, as 40m or 2h; a day at most.",
        ),
    ] = "20m",
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="What lists and the log call it, as friday-payroll.")
    ] = "call",
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Plan a call, whose energy the daemon sees to.

    The plan survives a restart.
    """
    body = asking.wanted(address, energy, contract, function, arg, count)
    with asking.asking(config) as client:
        call = client.post("/v1/calls", body | {"at": at, "lead": lead, "hold": hold, "name": name})
    if json:
        printing.print_json(call)
    else:
        print(f"call {call['call_id']} at {call['at'][:19]}Z; `energyd calls cancel {call['call_id']}` ends it")


@app.command("cancel", cls=Command)
def cancel_call(
    call_id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            callback=options.checked_id,
            help="The call's id, or as much of it as is unique, as `energyd calls list` shows it.",
        ),
    ],
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """End a call; one of a policy this one time only."""
    with asking.asking(config) as client:
        call = client.delete(f"/v1/calls/{call_id}")
    if json:
        printing.print_json(call)
    else:
        print(f"call {call['call_id']} ({call['call']}) of {call['at'][:19]}Z is cancelled")
