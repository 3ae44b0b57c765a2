"""Alembic's environment."""

from services.storage.migrating import run

run()
