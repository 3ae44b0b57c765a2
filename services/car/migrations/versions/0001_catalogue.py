"""The catalogue: its cars, and the counter that numbers every change."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# By code point on both databases, so that pages are in the same order whatever the server's locale.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    catalogue = op.create_table(
        "catalogue",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1", name="one_row"), primary_key=True),
        sa.Column("epoch", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    # The epoch tells this catalogue from another one that numbers its changes from 1 too.
    op.bulk_insert(catalogue, [{"id": 1, "epoch": uuid.uuid4().hex, "revision": 1}])
    op.create_table(
        "cars",
        sa.Column("maker", TEXT, primary_key=True),
        sa.Column("model", TEXT, primary_key=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("price", sa.BigInteger, sa.CheckConstraint("price >= 0", name="price"), nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("rating", sa.Integer, sa.CheckConstraint("rating BETWEEN 0 AND 100", name="rating")),
        sa.Column("release_date", sa.Date, nullable=False),
        sa.Column("engine", sa.JSON),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    for column in ("price", "rating", "release_date"):
        op.create_index(f"cars_{column}", "cars", [column])


def downgrade() -> None:
    op.drop_table("cars")
    op.drop_table("catalogue")
