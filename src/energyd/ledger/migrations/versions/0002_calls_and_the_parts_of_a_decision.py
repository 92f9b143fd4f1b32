"""Planned calls, and what the demand and the supply of a decision are made of."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for name in ("needs", "sources"):
        op.add_column("decisions", sa.Column(name, sa.Text(), nullable=False, server_default="[]"))
    op.create_table(
        "calls",
        sa.Column("call_id", sa.Text(), primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("name", "address", "policy", "origin")),
        *(sa.Column(name, NUMBER, nullable=False) for name in ("at", "needed_by", "lead", "hold")),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("energy", NUMBER),
        sa.Column("what", sa.Text()),
        sa.Column("margin", sa.Text(), nullable=False),
        *(sa.Column(name, NUMBER) for name in ("fallback", "highest", "estimated_at")),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("used", NUMBER, nullable=False),
        *(sa.Column(name, NUMBER) for name in ("seen_used", "seen_limit", "added_at", "covered_at")),
        sa.Column("version", NUMBER, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("calls_of_address", "calls", ["address", "state"])
    op.create_index("calls_at", "calls", ["at"])
