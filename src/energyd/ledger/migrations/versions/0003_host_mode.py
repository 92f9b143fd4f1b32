"""Host Mode: what a decision is about, the counts of cycles, and what people had done to addresses."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("decisions", sa.Column("kind", sa.Text(), nullable=False, server_default="rental"))
    op.create_table(
        "cycle_counts",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("at", NUMBER, nullable=False),
        sa.Column("remaining", NUMBER, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sqlite_strict=True,
    )
    op.create_index("counts_of_address", "cycle_counts", ["address", "id"])
    op.create_table(
        "host_acts",
        sa.Column("act_id", NUMBER, primary_key=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("at", NUMBER, nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("ended_at", NUMBER),
        sa.Column("outcome", sa.Text(), nullable=False),
        sqlite_strict=True,
    )
