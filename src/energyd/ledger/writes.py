"""The SQL behind the writes: ordinary functions that work on a transaction of somebody else."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from energyd.errors import Conflict, OverBudget
from energyd.ledger import queries
from energyd.ledger.queries import DAY, HOUR, OrderEvent
from energyd.ledger.tables import (
    alerts,
    calls,
    cycle_counts,
    decisions,
    host_acts,
    leases,
    meta,
    order_events,
    orders,
    pauses,
)
from energyd.model import Alert, AlertName, Call, Count, Decision, HostAct, Order, OrderKind, Pause
from energyd.policy import Budget
from energyd.units import trx_text

_FORGET_AT_ONCE = 1_000
"""Decisions that one transaction deletes: a few milliseconds, so that an order never waits long."""


# --- orders ---------------------------------------------------------------------------------------------------------


def intend(connection: Connection, decision: Decision, order: Order, budget: Budget | None, now: datetime) -> None:
    held = queries.lease(connection, order.address)
    if held is not None and held.host != order.host:
        # This host was frozen after it had looked, and what it saw is not true any more.
        raise Conflict(f"{held.host} works on {order.address} now; read again")
    if budget is not None:
        _keep_within(connection, order, budget)
    connection.execute(insert(decisions), _row(decision, repeats=False))
    try:
        connection.execute(insert(orders), {column.name: getattr(order, column.name) for column in orders.c})
    except IntegrityError as error:
        if "orders.address" not in str(error.orig):
            raise
        raise Conflict(f"{order.address} has an unsettled order already; that one comes first") from error
    _add(connection, OrderEvent(order.key, now, None, order.state, order.host), order.address)


def _keep_within(connection: Connection, order: Order, budget: Budget) -> None:
    windows = (
        ("per_order", budget.per_order, 0),
        ("per_hour", budget.per_hour, queries.spent(connection, order.policy, order.intended_at - HOUR)),
        ("per_day", budget.per_day, queries.spent(connection, order.policy, order.intended_at - DAY)),
    )
    for name, limit, spent in windows:
        if spent + order.cost_max_sun > limit:
            raise OverBudget(
                f"an order of {trx_text(order.cost_max_sun)} breaks the budget of policy {order.policy}: {name} is "
                f"{trx_text(limit)}, spent are {trx_text(spent)}"
            )


def change(connection: Connection, order: Order, happened: OrderEvent, **also: object) -> Order:
    """Moves an order on, if it still is as the caller knows it, and writes down what happened."""
    holder = _holder(connection, happened.netts_order_id, order.key)
    if holder is not None:
        taken = f"order {holder} has the Netts order id {happened.netts_order_id} already"
        happened = replace(happened, detail="; ".join(filter(None, (happened.detail, taken))))
    learned = also | {
        "cost_sun": happened.cost_sun,
        "netts_order_id": happened.netts_order_id if holder is None else None,
        "outcome": happened.outcome or None,
        "http_status": happened.http_status,
        "retry_after": happened.retry_after,
    }
    changes: dict[str, Any] = {name: value for name, value in learned.items() if value is not None}
    changes |= {"state": happened.state, "changed_at": happened.at, "version": order.version + 1}
    as_known = (orders.c.key == order.key, orders.c.version == order.version)
    if connection.execute(update(orders).where(*as_known).values(changes)).rowcount != 1:
        raise Conflict(f"order {order.key} was changed by somebody else since it was read; read it again")
    _add(connection, happened, order.address)
    return replace(order, **changes)


def _holder(connection: Connection, netts_order_id: str | None, key: str) -> str | None:
    """The key of another order that has a Netts order id."""
    if netts_order_id is None:
        return None
    another = select(orders.c.key).where(orders.c.netts_order_id == netts_order_id, orders.c.key != key)
    return connection.execute(another).scalar()


def _add(connection: Connection, happened: OrderEvent, address: str) -> None:
    columns = {column.name: getattr(happened, column.name) for column in queries.EVENT}
    connection.execute(insert(order_events), columns | {"address": address})


def forgive_refusals(connection: Connection) -> None:
    newest = connection.execute(select(func.max(order_events.c.id))).scalar()
    set_meta(connection, queries.FORGIVEN, str(newest or 0))


# --- decisions ------------------------------------------------------------------------------------------------------


_SAID_LAST = (
    select(decisions.c.action, decisions.c.reason, decisions.c.policy)
    .where(decisions.c.address == bindparam("address"), decisions.c.kind == bindparam("kind"))
    .order_by(decisions.c.id.desc())
    .limit(1)
)


def note(connection: Connection, noted: Iterable[Decision]) -> None:
    said: dict[tuple[str, OrderKind], object] = {}
    rows = []
    for decision in noted:
        about, says = (decision.address, decision.kind), (decision.action, decision.reason, decision.policy)
        if about not in said:
            asked = {"address": decision.address, "kind": decision.kind}
            said[about] = connection.execute(_SAID_LAST, asked).one_or_none()
        rows.append(_row(decision, repeats=said[about] == says))
        said[about] = says
    connection.execute(insert(decisions), rows)


def _row(decision: Decision, *, repeats: bool) -> dict[str, Any]:
    return {column.name: getattr(decision, column.name) for column in queries.DECISION} | {"repeats": int(repeats)}


def forget(connection: Connection, before: datetime) -> int:
    newer = decisions.alias("newer")
    about_the_same = (newer.c.address == decisions.c.address) & (newer.c.kind == decisions.c.kind)
    has_newer = select(newer.c.id).where(about_the_same, newer.c.id > decisions.c.id).exists()
    old = select(decisions.c.id).where(decisions.c.repeats == 1, decisions.c.at < before, has_newer)
    return connection.execute(delete(decisions).where(decisions.c.id.in_(old.limit(_FORGET_AT_ONCE)))).rowcount


# --- calls ----------------------------------------------------------------------------------------------------------


def add_call(connection: Connection, call: Call) -> Call:
    """The call as it stands: a second one of the same id changes nothing."""
    found = queries.fetch(connection, Call, select(calls).where(calls.c.call_id == call.call_id))
    if found:
        return found[0]
    connection.execute(insert(calls).values({column.name: getattr(call, column.name) for column in calls.c}))
    return call


def change_call(connection: Connection, call: Call, changes: dict[str, Any]) -> Call:
    """Changes a call, if it still is as the caller knows it."""
    changes = changes | {"version": call.version + 1}
    as_known = (calls.c.call_id == call.call_id, calls.c.version == call.version)
    if connection.execute(update(calls).where(*as_known).values(changes)).rowcount != 1:
        raise Conflict(f"call {call.call_id} was changed by somebody else since it was read; read it again")
    return replace(call, **changes)


# --- cycles ---------------------------------------------------------------------------------------------------------


def note_count(connection: Connection, count: Count) -> None:
    """Writes a count down if it is another than the last one of its address."""
    last = queries.fetch(connection, Count, queries.LAST_COUNT, address=count.address)
    if not last or (last[0].remaining, last[0].key) != (count.remaining, count.key):
        connection.execute(insert(cycle_counts), {name: getattr(count, name) for name in _COUNT})


_COUNT = [column.name for column in queries.COUNT]


def judge_cycle_key(connection: Connection, key: str, doubt: str) -> bool:
    """Notes why a key is doubted; with an empty doubt, that it is trusted. False: that was known."""
    known = queries.cycle_keys(connection)
    if key in known and bool(known[key]) == bool(doubt):
        return False
    set_meta(connection, queries.CYCLE_KEYS, json.dumps(known | {key: doubt}))
    return True


def begin_host_act(connection: Connection, address: str, act: HostAct, host: str, now: datetime) -> int:
    begun = insert(host_acts).values(address=address, act=act, at=now, host=host, outcome="")
    return int(connection.execute(begun.returning(host_acts.c.act_id)).scalar_one())


def end_host_act(connection: Connection, act_id: int, outcome: str, now: datetime) -> None:
    ended = update(host_acts).where(host_acts.c.act_id == act_id).values(ended_at=now, outcome=outcome)
    connection.execute(ended)


# --- leases, pauses, alerts, meta -----------------------------------------------------------------------------------


def lease(connection: Connection, address: str, host: str, now: datetime, until: datetime) -> bool:
    held = queries.lease(connection, address)
    if held is None:
        connection.execute(insert(leases).values(address=address, host=host, until=until))
    elif held.host != host and held.until > now:
        return False
    elif held.host != host or not now + (until - now) * 2 / 3 < held.until <= until:
        connection.execute(update(leases).where(leases.c.address == address).values(host=host, until=until))
    return True


def pause(
    connection: Connection, policy: str | None, address: str | None, *, until: datetime | None, why: str, now: datetime
) -> Pause:
    resume(connection, policy, address, now)
    added = insert(pauses).values(policy=policy, address=address, since=now, until=until, why=why)
    pause_id = connection.execute(added.returning(pauses.c.pause_id)).scalar_one()
    return Pause(pause_id, policy, address, now, until, why)


def resume(connection: Connection, policy: str | None, address: str | None, now: datetime) -> bool:
    same = (pauses.c.policy.is_not_distinct_from(policy), pauses.c.address.is_not_distinct_from(address))
    lifted = update(pauses).where(*same, queries.holds).values(ended_at=now)
    return connection.execute(lifted, {"now": now}).rowcount > 0


def raise_alert(connection: Connection, alert: Alert, now: datetime) -> bool:
    if connection.execute(select(alerts.c.id).where(_stands(alert.name, alert.subject))).scalar() is not None:
        return False
    raised = insert(alerts).values(name=alert.name, subject=alert.subject, summary=alert.summary, raised_at=now)
    connection.execute(raised)
    return True


def clear_alert(connection: Connection, name: AlertName, subject: str, now: datetime) -> bool:
    return connection.execute(update(alerts).where(_stands(name, subject)).values(cleared_at=now)).rowcount > 0


def _stands(name: AlertName, subject: str) -> ColumnElement[bool]:
    return (alerts.c.name == name) & (alerts.c.subject == subject) & alerts.c.cleared_at.is_(None)


def set_meta(connection: Connection, key: str, value: str) -> None:
    if not connection.execute(update(meta).where(meta.c.key == key).values(value=value)).rowcount:
        connection.execute(insert(meta).values(key=key, value=value))


def end_leases(connection: Connection) -> None:
    """For who holds the whole file: whatever host had leases in it, it works no more."""
    connection.execute(delete(leases))


def introduce(connection: Connection, now: datetime, rng: Random) -> None:
    """Gives a new ledger its id and its date of birth."""
    if queries.get_meta(connection, "ledger_id") is None:
        set_meta(connection, "ledger_id", f"{rng.getrandbits(64):016x}")
        set_meta(connection, "created_at", now.isoformat())
