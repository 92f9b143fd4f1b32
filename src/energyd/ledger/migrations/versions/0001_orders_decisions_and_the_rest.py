"""The first tables: orders and their events, decisions, leases, pauses, alerts, meta."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _decisions()
    _orders()
    _order_events()
    op.create_table(
        "leases",
        sa.Column("address", sa.Text(), primary_key=True),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("until", NUMBER, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "pauses",
        sa.Column("pause_id", NUMBER, primary_key=True),
        sa.Column("policy", sa.Text()),
        sa.Column("address", sa.Text()),
        sa.Column("since", NUMBER, nullable=False),
        sa.Column("until", NUMBER),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("ended_at", NUMBER),
        sqlite_strict=True,
    )
    op.create_table(
        "alerts",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("raised_at", NUMBER, nullable=False),
        sa.Column("cleared_at", NUMBER),
        sqlite_strict=True,
    )
    op.create_index(
        "alert_stands_once", "alerts", ["name", "subject"], unique=True, sqlite_where=sa.text("cleared_at IS NULL")
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
        sqlite_strict=True,
    )


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("decision_id", sa.Text(), nullable=False, unique=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("at", NUMBER, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("demand", NUMBER),
        sa.Column("supply", NUMBER),
        sa.Column("gap", NUMBER),
        sa.Column("available", NUMBER),
        sa.Column("in_flight", NUMBER),
        sa.Column("energy", NUMBER),
        sa.Column("cycles", NUMBER),
        sa.Column("price_sun", NUMBER),
        sa.Column("cost_sun", NUMBER),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("guards", sa.Text(), nullable=False),
        sa.Column("repeats", NUMBER, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("decisions_of_address", "decisions", ["address", "id"])
    op.create_index("decisions_at", "decisions", ["at"])
    op.create_index("decisions_that_repeat", "decisions", ["at"], sqlite_where=sa.text("repeats = 1"))


def _orders() -> None:
    op.create_table(
        "orders",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("decision_id", sa.Text(), sa.ForeignKey("decisions.decision_id"), nullable=False, unique=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cost_max_sun", NUMBER, nullable=False),
        sa.Column("baseline", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("intended_at", NUMBER, nullable=False),
        sa.Column("changed_at", NUMBER, nullable=False),
        sa.Column("energy", NUMBER),
        sa.Column("cycles", NUMBER),
        sa.Column("cost_sun", NUMBER),
        sa.Column("netts_order_id", sa.Text()),
        sa.Column("sent_at", NUMBER),
        sa.Column("delivered_at", NUMBER),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("http_status", NUMBER),
        sa.Column("retry_after", NUMBER),
        sa.Column("version", NUMBER, nullable=False),
        sa.CheckConstraint("cost_max_sun >= 0", name="cost_max_not_negative"),
        sa.CheckConstraint("cost_sun >= 0", name="cost_not_negative"),
        sa.CheckConstraint("(energy IS NULL) <> (cycles IS NULL)", name="buys_one_thing"),
        sa.CheckConstraint("coalesce(energy, cycles) > 0", name="buys_something"),
        sqlite_strict=True,
    )
    op.create_index(
        "one_unsettled_order",
        "orders",
        ["address"],
        unique=True,
        sqlite_where=sa.text("state IN ('intended', 'sent', 'unresolved')"),
    )
    op.create_index(
        "one_order_per_netts_order_id",
        "orders",
        ["netts_order_id"],
        unique=True,
        sqlite_where=sa.text("netts_order_id IS NOT NULL"),
    )
    op.create_index("orders_by_state", "orders", ["state", "address"])
    op.create_index("orders_of_policy", "orders", ["policy", "intended_at"])
    op.create_index("orders_of_address", "orders", ["address", "sent_at"])
    op.create_index("orders_intended_at", "orders", ["intended_at"])


def _order_events() -> None:
    op.create_table(
        "order_events",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("order_key", sa.Text(), sa.ForeignKey("orders.key"), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("at", NUMBER, nullable=False),
        sa.Column("event", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("cost_sun", NUMBER),
        sa.Column("netts_order_id", sa.Text()),
        sa.Column("refused_for", sa.Text()),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("http_status", NUMBER),
        sa.Column("retry_after", NUMBER),
        sa.Column("detail", sa.Text(), nullable=False),
        sqlite_strict=True,
    )
    op.create_index("events_of_order", "order_events", ["order_key", "id"])
    op.create_index("events_of_address", "order_events", ["address", "state", "id"])
    op.create_index("events_by_state", "order_events", ["state", "id"])
