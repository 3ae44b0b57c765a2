"""The orders, and the messages that go out and come in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.messages import boxes

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    texts = ("maker", "model", "state", "currency", "reason", "steps", "headers")
    op.create_table(
        "orders",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("request_key", sa.Text, unique=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        sa.Column("discount", sa.BigInteger, nullable=False),
        sa.Column("placed", sa.Double, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("due", sa.Double),
        sa.Column("price", sa.BigInteger),
        sa.Column("decided", sa.Double),
    )
    op.create_index("orders_due", "orders", ["due"])
    op.create_index("orders_state", "orders", ["state"])
    boxes.create_tables(op)


def downgrade() -> None:
    boxes.drop_tables(op)
    op.drop_table("orders")
