"""The few orders of cycles among the many rentals of an address are found without walking over those."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("orders_of_kind", "orders", ["address", "kind", "intended_at"])
