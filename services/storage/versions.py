"""The versions of a service's tables, and the way from one to the next: Alembic's migrations."""

from __future__ import annotations

import logging
from pathlib import Path

import sqlalchemy as sa

logger = logging.getLogger(__name__)


class Versions:
    """The migrations in a folder."""

    def __init__(self, migrations: Path) -> None:
        # Alembic tells of every plug-in it loads, from its import on: what matters is told below.
        logging.getLogger("alembic").setLevel(logging.WARNING)
        import alembic.command  # half a second, of every process that never looks at its tables
        import alembic.config
        from alembic.script import ScriptDirectory

        self._config = alembic.config.Config()
        self._config.set_main_option("script_location", str(migrations).replace("%", "%%"))
        self._last = ScriptDirectory.from_config(self._config).get_current_head()

    def are_at_the_last(self, connection: sa.Connection) -> bool:
        """Whether nothing is missing."""
        return self._present(connection) == self._last

    def upgrade(self, connection: sa.Connection, service: str) -> bool:
        """Run the migrations that are missing; whether the database had none.

        Raises RuntimeError where the tables are newer than the migrations.
        """
        import alembic.command
        import alembic.util

        before = self._present(connection)
        self._config.attributes["connection"] = connection
        try:
            alembic.command.upgrade(self._config, "head")
        except alembic.util.CommandError as error:
            raise RuntimeError(
                f"the database's schema is newer than this version of {service} ({error}): "
                "deploy the version that wrote it, or restore an older database"
            ) from error
        if before != self._last:
            logger.info("the database's schema went from %s to %s", before or "nothing", self._last)
        return before is None

    def _present(self, connection: sa.Connection) -> str | None:
        from alembic.runtime.migration import MigrationContext

        return MigrationContext.configure(connection).get_current_revision()
