"""When an answer was said, so that it can be forgotten. The version before leaves the column empty."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
works_with = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("answers", sa.Column("said", sa.Double))
    op.create_index("answers_said", "answers", ["state", "said"])


def downgrade() -> None:
    op.drop_index("answers_said", "answers")
    op.drop_column("answers", "said")
