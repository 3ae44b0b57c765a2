"""When a reservation was cancelled, so that it can be forgotten. The version before leaves it empty."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
works_with = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reservations", sa.Column("cancelled", sa.Double))
    op.create_index("reservations_cancelled", "reservations", ["state", "cancelled"])


def downgrade() -> None:
    op.drop_index("reservations_cancelled", "reservations")
    op.drop_column("reservations", "cancelled")
