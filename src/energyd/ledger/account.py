"""What the ledger remembers of the account at Netts, to notice later that it has forgotten orders itself.

Beside the sum that had been spent stands the newest order event that this sum certainly contains, so that no clock is
needed to say which orders came later.
"""

from sqlalchemy import Connection, func, select

from energyd.core.order import Event
from energyd.ledger import queries, writes
from energyd.ledger.tables import order_events, orders
from energyd.model import NEVER_CHARGED, UNSETTLED, OrderState

_SPENT_TOTAL = "account_spent_total"

_UNSETTLED = select(orders.c.key).where(orders.c.state.in_(UNSETTLED)).limit(1)


def is_new(connection: Connection) -> bool:
    known = queries.get_meta(connection, _SPENT_TOTAL), connection.execute(select(orders.c.key).limit(1)).scalar()
    return known == (None, None)


def quiet_mark(connection: Connection) -> int | None:
    if connection.execute(_UNSETTLED).scalar() is not None:
        return None
    return connection.execute(select(func.max(order_events.c.id))).scalar() or 0


def remember(connection: Connection, spent_total_sun: int, mark: int) -> None:
    writes.set_meta(connection, _SPENT_TOTAL, f"{spent_total_sun} {mark}")


def unexplained(connection: Connection, spent_total_sun: int) -> int | None:
    remembered = queries.get_meta(connection, _SPENT_TOTAL)
    if remembered is None:
        return None
    before, mark = map(int, remembered.split())
    sent_since = select(order_events.c.order_key).where(order_events.c.event == Event.SENDING, order_events.c.id > mark)
    explained = select(func.sum(func.coalesce(orders.c.cost_sun, orders.c.cost_max_sun))).where(
        orders.c.key.in_(sent_since), orders.c.state.not_in((*NEVER_CHARGED, OrderState.INTENDED))
    )
    return spent_total_sun - before - int(connection.execute(explained).scalar() or 0)
