"""Which alerts stand, from the facts of the moment; raised once, cleared once.

An alert is a state and not a message: it is worked out afresh each time, and only the difference to what stood before
is told. So a restart, a lost message or a second look never repeats one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from energyd import units
from energyd.core.order import LATE_AFTER
from energyd.model import (
    Action,
    Alert,
    AlertName,
    Call,
    Decision,
    Funds,
    Order,
    OrderKind,
    OrderState,
    Reason,
    Refusals,
)

_EXHAUSTED = (Reason.BUDGET_PER_ORDER, Reason.BUDGET_PER_HOUR, Reason.BUDGET_PER_DAY)


@dataclass(frozen=True, slots=True)
class Facts:
    """What alerts depend on; a text is the error that stands, None that there is none."""

    now: datetime
    orders: Sequence[Order] = ()
    calls: Sequence[Call] = ()
    """Those that were missed and are not over."""
    decisions: Sequence[Decision] = ()
    """The newest ones of each address."""
    uncounted: Sequence[str] = ()
    """Addresses in Host Mode whose cycles have not been known for long."""
    doubted_keys: Mapping[str, str] = field(default_factory=dict)
    """The keys of counts of cycles, each with why it is doubted; empty: it is trusted."""
    node_error: str | None = None
    netts_error: str | None = None
    auth_error: str | None = None
    ledger_error: str | None = None
    policies_error: str | None = None
    refusals: Refusals | None = None
    """Refusals in a row that concern the account, since the last order that was taken."""
    funds: Funds | None = None
    top_up_sun: int | None = None
    """What one order for every watched address would cost; None while there is no price."""


def standing(facts: Facts) -> tuple[Alert, ...]:
    return (
        *_of_dependencies(facts),
        *_of_refusals(facts),
        *_of_funds(facts),
        *_of_orders(facts.orders, facts.now),
        *_of_calls(facts.calls),
        *_of_budgets(facts.decisions),
        *_of_cycles(facts),
    )


def changes(before: Iterable[Alert], after: Iterable[Alert]) -> tuple[tuple[Alert, ...], tuple[Alert, ...]]:
    """The alerts to raise and to clear. What has the same name and subject is the same alert, whatever it says."""
    stood = {(alert.name, alert.subject): alert for alert in before}
    stands = {(alert.name, alert.subject): alert for alert in after}
    raised = tuple(alert for key, alert in stands.items() if key not in stood)
    cleared = tuple(alert for key, alert in stood.items() if key not in stands)
    return raised, cleared


def _of_dependencies(facts: Facts) -> Iterable[Alert]:
    for name, error in (
        (AlertName.NODE_UNAVAILABLE, facts.node_error),
        (AlertName.NETTS_UNAVAILABLE, facts.netts_error),
        (AlertName.NETTS_AUTH_FAILED, facts.auth_error),
        (AlertName.LEDGER_FAILED, facts.ledger_error),
        (AlertName.POLICIES_REJECTED, facts.policies_error),
    ):
        if error is not None:
            yield Alert(name, "", error)


_REFUSED = {
    Reason.AUTH_FAILED: AlertName.NETTS_AUTH_FAILED,
    Reason.NO_FUNDS: AlertName.NETTS_BALANCE_LOW,
    Reason.NETTS_UNAVAILABLE: AlertName.NETTS_UNAVAILABLE,
}


def _of_refusals(facts: Facts) -> Iterable[Alert]:
    refusals = facts.refusals
    if refusals is None or refusals.reason not in _REFUSED or _funds_rose(facts, refusals):
        return
    times = "once" if refusals.count == 1 else f"{refusals.count} times in a row"
    yield Alert(_REFUSED[refusals.reason], "", f"Netts has refused orders {times}: {refusals.reason}")


def _funds_rose(facts: Facts, refusals: Refusals) -> bool:
    funds = facts.funds
    if refusals.reason is not Reason.NO_FUNDS or funds is None or funds.read_at <= refusals.last_at:
        return False
    return funds.balance_sun > (refusals.balance_sun or 0)


def _of_funds(facts: Facts) -> Iterable[Alert]:
    if facts.funds is None or facts.top_up_sun is None or facts.funds.balance_sun >= facts.top_up_sun:
        return
    balance, needed = units.trx_text(facts.funds.balance_sun), units.trx_text(facts.top_up_sun)
    yield Alert(
        AlertName.NETTS_BALANCE_LOW, "", f"the balance of {balance} is less than one order for every address ({needed})"
    )


def _of_orders(orders: Sequence[Order], now: datetime) -> Iterable[Alert]:
    for order in orders:
        key = order.key[:12]
        if order.state is OrderState.UNRESOLVED:
            yield Alert(
                AlertName.ORDER_UNRESOLVED,
                order.key,
                f"order {key} for {order.address} may or may not have been placed ({order.outcome or 'no answer'})",
            )
        if is_late(order, now):
            yield Alert(
                AlertName.DELIVERY_LATE, order.key, f"the energy of order {key} has not reached {order.address} in time"
            )
        if order.cost_sun is not None and order.cost_sun > order.cost_max_sun and order.state is not OrderState.EXPIRED:
            charged, quoted = units.trx_text(order.cost_sun), units.trx_text(order.cost_max_sun)
            yield Alert(
                AlertName.CHARGED_ABOVE_QUOTE, order.key, f"order {key} was charged {charged} where {quoted} was quoted"
            )


def is_late(order: Order, now: datetime) -> bool:
    if order.kind is not OrderKind.RENTAL or order.state is not OrderState.PLACED or order.sent_at is None:
        return False
    return now - order.sent_at > LATE_AFTER


def _of_calls(calls: Sequence[Call]) -> Iterable[Alert]:
    for call in calls:
        energy = "its energy" if call.energy is None else f"{call.energy} energy"
        yield Alert(
            AlertName.CALL_MISSED,
            call.call_id,
            f"call {call.name} of {call.address} at {call.at:%Y-%m-%d %H:%M:%S} UTC: {energy} was not there by "
            f"{call.needed_by:%H:%M:%S}" + (f" ({call.detail})" if call.detail else ""),
        )


def _of_budgets(decisions: Sequence[Decision]) -> Iterable[Alert]:
    told: set[str] = set()
    for decision in decisions:
        if decision.reason in _EXHAUSTED and decision.policy not in told:
            told.add(decision.policy)
            yield Alert(
                AlertName.BUDGET_EXHAUSTED,
                decision.policy,
                f"policy {decision.policy} may spend no more for {decision.address}: {decision.detail}",
            )


def _of_cycles(facts: Facts) -> Iterable[Alert]:
    """Netts delegates no more once the cycles have run out, and does not say so."""
    for key, doubt in facts.doubted_keys.items():
        if doubt:
            text = f"the count of cycles under {key} is not believed ({doubt}); `energyd host confirm-key {key}` does"
            yield Alert(AlertName.CYCLES_DOUBTED, key, text)
    for decision in facts.decisions:
        if decision.kind is OrderKind.CYCLES and (few := _few(decision)):
            yield Alert(AlertName.CYCLES_LOW, decision.address, f"{decision.address} {few}")
    low = {decision.address for decision in facts.decisions if decision.kind is OrderKind.CYCLES and _few(decision)}
    for address in facts.uncounted:
        if address not in low:
            yield Alert(
                AlertName.CYCLES_LOW, address, f"the cycles of {address} cannot be counted, so none are ordered"
            )


def _few(decision: Decision) -> str:
    """What is wrong with the cycles of an address that nothing is being done about."""
    if decision.reason is Reason.NOT_IN_HOST_MODE:
        return "is not in Host Mode, so nothing is delegated to it; `energyd host add` puts it there"
    if decision.available is None or decision.available >= (decision.demand or 0):
        return ""
    if decision.action is Action.ORDER_CYCLES or decision.reason is Reason.IN_FLIGHT:
        return ""
    cycles = "cycle" if decision.available == 1 else "cycles"
    return f"has {decision.available} {cycles} left where {decision.demand} are wanted: {decision.detail}"
