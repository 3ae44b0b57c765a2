"""The versions of a service's tables, and the way from one to the next: Alembic's migrations."""

from __future__ import annotations

import ast
import logging
from pathlib import Path
from typing import Any

import sqlalchemy as sa

logger = logging.getLogger(__name__)


_oldest = sa.Table("oldest_version", sa.MetaData(), sa.Column("revision", sa.Text, primary_key=True))
"""The oldest revision whose services work with these tables. A migration that only adds says so itself, with
`works_with = "0002"`, the oldest that it leaves at work; one that says nothing ends all before it."""


class Versions:
    """The migrations in a folder."""

    def __init__(self, migrations: Path) -> None:
        self._migrations = migrations
        self._known = history(migrations)
        self._last = next(iter(self._known), None)

    def are_at_the_last(self, connection: sa.Connection) -> bool:
        """Whether nothing is missing."""
        return self._present(connection) == self._last

    def upgrade(self, connection: sa.Connection, service: str) -> bool:
        """Run the migrations that are missing; whether the database had none.

        A newer version may have run more of them. Raises RuntimeError where those leave this one nothing to
        work with: what a migration's `works_with` says is kept in the database, see :data:`_oldest`.
        """
        before = self._present(connection)
        if before is not None and before not in self._known:
            self._work_with_newer(connection, service, before)
            return False
        # Alembic tells of every plug-in it loads, from its import on: what matters is told below.
        logging.getLogger("alembic").setLevel(logging.WARNING)
        import alembic.command  # half a second and 10 MiB: only where there is something to do
        import alembic.config

        config = alembic.config.Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(self._migrations).replace("%", "%%"))
        alembic.command.upgrade(config, "head")
        if before != self._last:
            self._keep_oldest_version(connection)
            logger.info("the database's schema went from %s to %s", before or "nothing", self._last)
        return before is None

    def _work_with_newer(self, connection: sa.Connection, service: str, present: str) -> None:
        if self._oldest_version(connection) not in self._known:
            raise RuntimeError(
                f"the database's schema ({present}) is newer than this version of {service} ({self._last}): "
                "deploy the version that wrote it, or restore an older database"
            )
        logger.info("the database's schema (%s) is newer, and this version works with it", present)

    def _oldest_version(self, connection: sa.Connection) -> str | None:
        if not sa.inspect(connection).has_table(_oldest.name):
            return None
        return connection.execute(sa.select(_oldest.c.revision)).scalar()

    def _keep_oldest_version(self, connection: sa.Connection) -> None:
        """Keep the newest of what all migrations say is the oldest that works with what they leave."""
        order = list(self._known)
        said = [says.get("works_with", revision) for revision, says in self._known.items()]
        _oldest.create(connection, checkfirst=True)
        connection.execute(sa.delete(_oldest))
        connection.execute(sa.insert(_oldest).values(revision=min(said, key=order.index)))

    def _present(self, connection: sa.Connection) -> str | None:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def history(migrations: Path) -> dict[str, dict[str, Any]]:
    """What each migration says of itself, from the newest to the first, by its revision.

    It is read from the files as text: to run them would be to load Alembic.
    """
    said = [_assigned(path) for path in (migrations / "versions").glob("*.py")]
    by_former = {each["down_revision"]: each for each in said}
    found: dict[str, dict[str, Any]] = {}
    former = None
    while following := by_former.get(former):
        former = following["revision"]
        found[former] = following
    return dict(reversed(found.items()))


def _assigned(path: Path) -> dict[str, Any]:
    """The constants that a module assigns, by name, one or several in a line."""
    found: dict[str, Any] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value:
            target, value = node.target, node.value
        else:
            continue
        pairs = [(target, value)]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = list(zip(target.elts, value.elts, strict=True))
        for name, each in pairs:
            if isinstance(name, ast.Name) and isinstance(each, ast.Constant):
                found[name.id] = each.value
    return found
