"""What the dealer said of each order, and the messages that go out and come in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.messages import boxes

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    boxes.create_tables(op)


def downgrade() -> None:
    boxes.drop_tables(op)
    op.drop_table("answers")
