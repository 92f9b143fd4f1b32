"""Commands that show what the ledger holds: status, decisions, explain.

They read the ledger file and not the daemon, so they work when the daemon is down, too.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from energyd import rows, units
from energyd.cli import options, printing
from energyd.errors import NotPossible
from energyd.model import (
    AHEAD,
    Action,
    Alert,
    Call,
    CallState,
    Decision,
    Guard,
    Memory,
    Need,
    OrderKind,
    OrderState,
    Reason,
    Source,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from energyd.config.load import Configuration
    from energyd.config.settings import Settings
    from energyd.ledger.reads import Reader
    from energyd.policy import Policy

T = TypeVar("T")
FOLLOW_EVERY_SECONDS = 1.0
FOLLOW_AT_ONCE = 10_000
NEARLY_SPENT = 0.8
_COLOURS = {Action.RENT: "green", Action.ORDER_CYCLES: "green", Action.HOLD: "default"}
_CALM = (
    Reason.ENOUGH,
    Reason.IN_FLIGHT,
    Reason.OUTSIDE_WINDOW,
    Reason.INACTIVE,
    Reason.COOLDOWN,
    Reason.DRY_RUN,
    Reason.CYCLES_ENOUGH,
    Reason.INFINITE_CYCLES,
    Reason.LEFT_TO_HOST_MODE,
)


def with_ledger(settings: "Settings", work: "Callable[[Reader], Awaitable[T]]") -> T:
    async def open_and_work() -> T:
        from energyd.ledger.ledger import Ledger

        async with Ledger.open_to_read(settings.state) as ledger:
            return await work(ledger)

    return asyncio.run(open_and_work())


# --- status ---------------------------------------------------------------------------------------------------------


def status(config: options.Config = None, json: options.Json = False) -> None:
    """Show addresses, their energy, rentals, spending and alerts.

    As of each address's last decision; with pauses and calls, and what is spent of each budget.
    """
    configuration = options.load_taken_over(config)
    state = with_ledger(configuration.settings, lambda ledger: _gather(configuration, ledger))
    if json:
        printing.print_json(state.as_rows())
    else:
        _show_status(state)


class State:
    """What `status` shows."""

    def __init__(
        self,
        now: datetime,
        policies: "Sequence[Policy]",
        decisions: dict[str, Decision],
        about_cycles: dict[str, Decision],
        memories: dict[str, Memory],
        alerts: Sequence[tuple[Alert, datetime]],
    ) -> None:
        self.now, self.policies, self.decisions, self.memories, self.alerts = now, policies, decisions, memories, alerts
        self.about_cycles = about_cycles

    def as_rows(self) -> dict[str, Any]:
        return {
            "at": self.now,
            "addresses": [
                rows.address_row(
                    policy,
                    watched,
                    self.decisions.get(watched.address),
                    self.memories[watched.address],
                    about_cycles=self.about_cycles.get(watched.address),
                )
                for policy in self.policies
                for watched in policy.addresses
            ],
            "policies": [self.spending(policy) for policy in self.policies],
            "alerts": rows.alert_rows(self.alerts),
        }

    def spending(self, policy: "Policy") -> dict[str, Any]:
        return rows.spending_row(policy, self.memories[next(policy.watched())])


async def _gather(configuration: "Configuration", ledger: "Reader") -> State:
    now = datetime.now(UTC)
    policies = [policy for policy in configuration.policies if policy.enabled]
    return State(
        now=now,
        policies=policies,
        decisions={decision.address: decision for decision in await ledger.latest_decisions()},
        about_cycles={decision.address: decision for decision in await ledger.latest_decisions(OrderKind.CYCLES)},
        memories={
            address: await ledger.memory(address, policy.name, now)
            for policy in policies
            for address in policy.watched()
        },
        alerts=await ledger.standing_alerts(),
    )


def _show_status(state: State) -> None:
    console = printing.console()
    if not state.decisions and not state.about_cycles:
        console.print("No decision was taken yet: start the daemon with [bold]energyd run[/].")
    names = ("address", "policy", ">energy", ">floor", ">on its way", "rented until", "last decision", "when")
    table = printing.table(*names)
    for policy in state.policies:
        for watched in policy.addresses:
            decision = state.decisions.get(watched.address)
            cells = _energy_cells(decision, policy)
            decision = decision or state.about_cycles.get(watched.address)
            table.add_row(
                watched.label or watched.address,
                policy.name,
                *cells,
                _rented_until(state.memories[watched.address]),
                _reason_text(decision),
                options.age_text(decision.at, state.now) + " ago" if decision else "",
            )
    console.print(table)
    for policy in state.policies:
        for watched in policy.addresses if policy.host_mode else ():
            counted = state.about_cycles.get(watched.address)
            console.print(_cycles_text(watched.label or watched.address, counted, state.now), highlight=False)
    for policy in state.policies:
        _show_spending(console, state.spending(policy))
    for call in (call for memory in state.memories.values() for call in memory.calls):
        console.print(_call_text(call), highlight=False)
    for alert, since in state.alerts:
        console.print(f"[bold red]{alert.name}[/] since {since:%Y-%m-%d %H:%M} UTC: {alert.summary}", highlight=False)
    for pause in dict.fromkeys(pause for memory in state.memories.values() for pause in memory.pauses):
        whose = pause.address or pause.policy or "everything"
        until = "" if pause.until is None else f" until {pause.until:%Y-%m-%d %H:%M:%S} UTC"
        why = f": {pause.why}" if pause.why else ""
        console.print(
            f"[yellow]paused[/] {whose} since {pause.since:%Y-%m-%d %H:%M:%S} UTC{until}{why}", highlight=False
        )


def _cycles_text(whose: str, decision: Decision | None, now: datetime) -> str:
    if decision is None:
        return f"cycles of {whose}: [dim]not counted yet[/]"
    known = "[dim]unknown[/]" if decision.available is None else f"{decision.available}"
    least = "" if decision.demand is None else f", at least {decision.demand} wanted"
    why = f": {decision.detail}" if decision.detail else ""
    ago = f"{options.age_text(decision.at, now)} ago"
    return f"cycles of {whose}: {known}{least}; {_reason_text(decision)}{why} [dim]({ago})[/]"


def _call_text(call: Call) -> str:
    colour = {CallState.COVERED: "green", CallState.MISSED: "red"}.get(call.state, "default")
    energy = "unknown" if call.energy is None else f"{call.energy:,}"
    kept = f"{call.at:%m-%d %H:%M:%S} UTC, kept until {call.until:%H:%M:%S}"
    why = f": {call.detail}" if call.detail else ""
    return (
        f"call {call.name} of {printing.short(call.address)} at {kept}: {energy} energy, [{colour}]{call.state}[/]{why}"
    )


def _energy_cells(decision: Decision | None, policy: "Policy") -> tuple[str, str, str]:
    floor = policy.energy.floor if policy.energy else None
    available = decision.available if decision else None
    if available is None:
        shown = "[dim]unknown[/]"
    else:
        shown = f"[{'red' if floor is not None and available < floor else 'green'}]{available:,}[/]"
    return shown, printing.number(floor), printing.number((decision.in_flight or None) if decision else None)


def _rented_until(memory: Memory) -> str:
    ends = [order.until_at for order in memory.rentals if order.state in (OrderState.PLACED, OrderState.DELIVERED)]
    return f"{max(ends):%H:%M:%S}" if ends else ""


def _reason_text(decision: Decision | None) -> str:
    if decision is None:
        return "[dim]none yet[/]"
    colour = _COLOURS[decision.action] if decision.reason in _CALM or decision.action is not Action.HOLD else "yellow"
    return f"[{colour}]{decision.action} · {decision.reason}[/]"


def _show_spending(console: "Console", row: dict[str, Any]) -> None:
    for window in ("hour", "day"):
        spent, budget = row[f"spent_{window}_trx"], row[f"budget_{window}_trx"]
        name = f"{row['policy']}, last {'24 h' if window == 'day' else window}"
        if budget is None:
            console.print(f"{name:<28} {spent} TRX of an unlimited budget", highlight=False)
        else:
            console.print(
                f"{name:<28} {_bar(spent / budget if budget else 0)} {spent} of {budget} TRX", highlight=False
            )


def _bar(share: Any, width: int = 20) -> str:
    full = min(int(share * width + (1 if share and share * width < 1 else 0)), width)
    colour = "red" if share >= 1 else "yellow" if share >= NEARLY_SPENT else "green"
    return f"[{colour}]{'█' * full}[/][dim]{'░' * (width - full)}[/]"


# --- decisions ------------------------------------------------------------------------------------------------------


def decisions(
    config: options.Config = None,
    address: options.Address = None,
    since: options.Since = None,
    limit: options.Limit = 50,
    changes: Annotated[bool, typer.Option("--changes", help="Leave out those that repeat the one before.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones until Ctrl-C.")] = False,
    json: options.Json = False,
) -> None:
    """Show recent decisions, oldest first, each with its reason.

    docs/events.md says what each reason means and what can be done about it.
    """
    settings = options.load_settings(config)
    wanted = options.checked_address(address) if address else None
    begin = options.read_since(since)

    async def read(ledger: "Reader", after: datetime | None, most: int) -> list[Decision]:
        found = await ledger.decisions(address=wanted, since=after, limit=most, with_repeats=not changes)
        return sorted(found, key=lambda decision: decision.at)

    async def show(ledger: "Reader") -> None:
        found = await read(ledger, begin, limit)
        if not follow:
            _show_decisions(found, json=json)
            return
        newest = begin or datetime.now(UTC)
        while True:
            _print_lines(found, json=json)
            newest = found[-1].at if found else newest
            await asyncio.sleep(FOLLOW_EVERY_SECONDS)
            found = await read(ledger, newest + timedelta(microseconds=1), FOLLOW_AT_ONCE)

    with_ledger(settings, show)


def _show_decisions(found: Sequence[Decision], *, json: bool) -> None:
    if json:
        printing.print_json([rows.decision_row(decision) for decision in found])
        return
    if not found:
        print("No decisions.")
        return
    table = printing.table("when (UTC)", "address", "decision", ">available", ">gap", ">energy", ">cost", "why")
    for decision in found:
        table.add_row(
            f"{decision.at:%m-%d %H:%M:%S}",
            printing.short(decision.address),
            _reason_text(decision),
            printing.number(decision.available),
            printing.number(decision.gap or None),
            printing.number(decision.energy),
            units.trx_text(decision.cost_sun) if decision.cost_sun is not None else "",
            decision.detail,
        )
    printing.console().print(table)


def _print_lines(found: Sequence[Decision], *, json: bool) -> None:
    from energyd.telemetry import dump_json

    for decision in found:
        if json:
            sys.stdout.write(dump_json(rows.decision_row(decision)).decode() + "\n")
        else:
            line = f"{decision.at:%H:%M:%S} {printing.short(decision.address)} {decision.action} {decision.reason}"
            sys.stdout.write(f"{line} {decision.detail}".rstrip() + "\n")
    sys.stdout.flush()


# --- explain --------------------------------------------------------------------------------------------------------


def explain(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="As it stands in its policy: T...")],
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Show why the last decision about an address was taken.

    Demand, supply, gap, and each guard with its figure and its limit.
    """
    settings = options.load_settings(config)
    wanted = options.checked_address(address)

    async def read(ledger: "Reader") -> tuple[list[Decision], Sequence[Call]]:
        latest = [*await ledger.latest_decisions(), *await ledger.latest_decisions(OrderKind.CYCLES)]
        return [each for each in latest if each.address == wanted], await ledger.calls(address=wanted, states=AHEAD)

    from energyd.config.advice import BURN_SUN

    decisions, calls = with_ledger(settings, read)
    if not decisions:
        raise NotPossible(f"no decision about {wanted} is in the ledger; `energyd status` lists the addresses")
    if json:
        from energyd.telemetry import call_row

        found = [call_row(call, BURN_SUN) for call in calls]
        about_cycles = [rows.decision_row(each, whole=True) for each in decisions if each.kind is OrderKind.CYCLES]
        first = rows.decision_row(decisions[0], whole=True)
        printing.print_json(first | {"calls": found, "about_cycles": next(iter(about_cycles), None)})
    else:
        for decision in decisions:
            _show_explanation(decision, calls if decision is decisions[0] else ())


def _show_explanation(decision: Decision, calls: Sequence[Call]) -> None:
    console = printing.console()
    console.print(f"[bold]{decision.address}[/], policy {decision.policy}, {decision.at:%Y-%m-%d %H:%M:%S} UTC")
    console.print(f"{_reason_text(decision)}{f': {decision.detail}' if decision.detail else ''}", highlight=False)
    figures = printing.table("figure", ">amount", "meaning", head=False)
    for name, value, meaning in _figures(decision):
        if value is not None or name == "available":
            figures.add_row(name, "unknown" if value is None else f"{value:,}", meaning)
    console.print(figures)
    if decision.needs:
        console.print(_need_table(decision.needs))
    if decision.sources:
        console.print(_source_table(decision.sources))
    if decision.guards:
        console.print(_guard_table(decision.guards))
    for call in calls:
        if call.highest is not None:
            console.print(_fee_limit_text(call, call.highest), highlight=False)


def _need_table(needs: Sequence[Need]) -> "Table":
    table = printing.table("demand", ">energy", "from (UTC)", "until (UTC)")
    for need in needs:
        what = f"{need.reason}: {need.call}" if need.call else str(need.reason)
        until = "no end in sight" if need.until_at is None else f"{need.until_at:%m-%d %H:%M:%S}"
        table.add_row(what, printing.number(need.energy), f"{need.from_at:%m-%d %H:%M:%S}", until)
    return table


def _source_table(sources: Sequence[Source]) -> "Table":
    table = printing.table("supply", ">energy", "until (UTC)")
    for source in sources:
        table.add_row(source.what, f"{source.energy:,}", f"{source.until_at:%m-%d %H:%M:%S}" if source.until_at else "")
    return table


def _fee_limit_text(call: Call, highest: int) -> str:
    from energyd.config.advice import BURN_SUN

    cost = units.trx_text(units.cost_sun(highest, BURN_SUN))
    return (
        f"call {call.name}: its dearest transaction uses {highest:,} energy and needs a fee_limit of at least that "
        f"times the burn price, rented or not: {cost} at {BURN_SUN} sun"
    )


def _figures(decision: Decision) -> tuple[tuple[str, int | None, str], ...]:
    if decision.kind is OrderKind.CYCLES:
        return (
            ("demand", decision.demand, "cycles must be there"),
            ("available", decision.available, "cycles are left, as Netts counts them"),
            ("in flight", decision.in_flight, "ordered and not in the count yet"),
            ("gap", decision.gap, "are missing"),
            ("order", decision.cycles, _order_meaning(decision)),
        )
    return (
        ("demand", decision.demand, "must be there"),
        ("available", decision.available, "can be spent now"),
        ("in flight", decision.in_flight, "ordered and not on chain yet"),
        ("supply", decision.supply, "will still be there at the moment that counts"),
        ("gap", decision.gap, "is missing"),
        ("order", decision.energy, _order_meaning(decision)),
    )


def _order_meaning(decision: Decision) -> str:
    if decision.price_sun is None or decision.cost_sun is None:
        return "would be ordered; the price is not known"
    verb = "would be ordered" if decision.action is Action.HOLD else "ordered"
    return f"{verb} at {decision.price_sun} sun = {units.trx_text(decision.cost_sun)}"


def _guard_table(guards: Sequence[Guard]) -> "Table":
    table = printing.table("guard", "passed", "figure", "limit")
    for guard in guards:
        table.add_row(str(guard.reason), "[green]yes[/]" if guard.passed else "[red]no[/]", guard.figure, guard.limit)
    return table
