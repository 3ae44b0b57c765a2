"""The versions of a service's tables, and the way from one to the next: Alembic's migrations."""

from __future__ import annotations

import logging
from pathlib import Path

import sqlalchemy as sa

logger = logging.getLogger(__name__)


_oldest = sa.Table("oldest_version", sa.MetaData(), sa.Column("revision", sa.Text, primary_key=True))
"""The oldest revision whose services work with these tables. A migration that only adds says so itself, with
`works_with = "0002"`, the oldest that it leaves at work; one that says nothing ends all before it."""


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
        scripts = ScriptDirectory.from_config(self._config)
        self._last = scripts.get_current_head()
        # From the newest to the first.
        self._known = {each.revision: each.module for each in scripts.walk_revisions()}

    def are_at_the_last(self, connection: sa.Connection) -> bool:
        """Whether nothing is missing."""
        return self._present(connection) == self._last

    def upgrade(self, connection: sa.Connection, service: str) -> bool:
        """Run the migrations that are missing; whether the database had none.

        A newer version may have run more of them. Raises RuntimeError where those leave this one nothing to
        work with: what a migration's `works_with` says is kept in the database, see :data:`_oldest`.
        """
        import alembic.command
        import alembic.util

        before = self._present(connection)
        self._config.attributes["connection"] = connection
        try:
            alembic.command.upgrade(self._config, "head")
        except alembic.util.CommandError as error:
            if self._oldest_version(connection) in self._known:
                logger.info("the database's schema is newer, and this version works with it")
                return False
            raise RuntimeError(
                f"the database's schema is newer than this version of {service} ({error}): "
                "deploy the version that wrote it, or restore an older database"
            ) from error
        if before != self._last:
            self._keep_oldest_version(connection)
            logger.info("the database's schema went from %s to %s", before or "nothing", self._last)
        return before is None

    def _oldest_version(self, connection: sa.Connection) -> str | None:
        if not sa.inspect(connection).has_table(_oldest.name):
            return None
        return connection.execute(sa.select(_oldest.c.revision)).scalar()

    def _keep_oldest_version(self, connection: sa.Connection) -> None:
        """Keep the newest of what all migrations say is the oldest that works with what they leave."""
        order = list(self._known)
        said = [getattr(module, "works_with", revision) for revision, module in self._known.items()]
        _oldest.create(connection, checkfirst=True)
        connection.execute(sa.delete(_oldest))
        connection.execute(sa.insert(_oldest).values(revision=min(said, key=order.index)))

    def _present(self, connection: sa.Connection) -> str | None:
        from alembic.runtime.migration import MigrationContext

        return MigrationContext.configure(connection).get_current_revision()
