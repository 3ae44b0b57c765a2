"""What the `migrations/env.py` of each service does: migrate on the connection that `Database` hands over."""

from __future__ import annotations

from alembic import context


def run() -> None:
    """Run them, in the transaction that is there."""
    context.configure(
        connection=context.config.attributes["connection"],
        transactional_ddl=True,
        # The caller holds the transaction: schema, examples and Alembic's own mark become visible at once.
        transaction_per_migration=False,
    )
    context.run_migrations()
