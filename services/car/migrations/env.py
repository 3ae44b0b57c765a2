"""Alembic's environment: migrations run on the one connection that the store hands over."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,
    # The store holds the transaction: schema, examples and Alembic's own mark become visible at once.
    transaction_per_migration=False,
)
context.run_migrations()
