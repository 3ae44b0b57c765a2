"""Two versions of `car` on one PostgreSQL: a column renamed in steps that both bear, until the last of them.

Expand: the new column beside the old one, and a trigger that keeps both the same. Then the versions run side
by side, in any order of starts. Contract: the old column goes, and with it the versions that need it.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import carapps
import postgres
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from services.car.database import SCHEMA, Database

EXPAND = '''
from alembic import op

revision, down_revision, works_with = "9001", "{last}", "{last}"


def upgrade():
    op.execute("ALTER TABLE cars ADD COLUMN summary text")
    op.execute("UPDATE cars SET summary = description")
    op.execute("""
        CREATE FUNCTION both_names() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'INSERT' THEN
                NEW.summary := coalesce(NEW.summary, NEW.description);
                NEW.description := NEW.summary;
            ELSIF NEW.summary IS DISTINCT FROM OLD.summary THEN
                NEW.description := NEW.summary;
            ELSE
                NEW.summary := NEW.description;
            END IF;
            RETURN NEW;
        END $$""")
    op.execute("""
        CREATE TRIGGER both_names BEFORE INSERT OR UPDATE ON cars
        FOR EACH ROW EXECUTE FUNCTION both_names()""")
'''
CONTRACT = """
from alembic import op

revision, down_revision, works_with = "9002", "9001", "9001"


def upgrade():
    op.execute("DROP TRIGGER both_names ON cars")
    op.execute("ALTER TABLE cars DROP COLUMN description")
"""
CAR = "/cars/bentz/e-class"


@dataclasses.dataclass
class New:
    """The version to come: it reads and writes the new column, in the tables as its migrations left them."""

    database: Database

    def summary(self) -> str:
        with self.database.reading() as connection:
            return str(connection.execute(sa.text(f"SELECT summary {ONE}")).scalar_one())

    def summarise(self, text: str) -> None:
        with self.database.writing() as connection:
            connection.execute(
                sa.text(f"UPDATE cars SET summary = :text {ONE.removeprefix('FROM cars')}"), {"text": text}
            )


ONE = "FROM cars WHERE maker = 'bentz' AND model = 'e-class'"
Started = Callable[..., AbstractContextManager[New]]


@pytest.fixture
def url(postgres_cluster: postgres.Cluster) -> str:
    return postgres_cluster.empty_database()


@pytest.fixture
def new_version(url: str, tmp_path: Path) -> Started:
    last = max(path.name[:4] for path in (SCHEMA.migrations / "versions").glob("[0-9]*.py"))

    @contextmanager
    def started(*steps: str) -> Iterator[New]:
        folder = tmp_path / f"migrations-{len(steps)}"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(SCHEMA.migrations, folder, ignore=ignored, dirs_exist_ok=True)
        for number, step in enumerate(steps, 1):
            (folder / "versions" / f"900{number}.py").write_text(step.replace("{last}", last))
        schema = dataclasses.replace(SCHEMA, migrations=folder)
        address = url.replace("postgresql://", "postgresql+psycopg://")
        database = Database(address, schema, pool_size=2, timeout=5.0, seed=lambda connection: None)
        yield New(database)
        database.close()

    return started


def description(car: FlaskClient) -> str:
    return str(car.get(f"{CAR}/description").json["description"])


def describe(car: FlaskClient, text: str) -> None:
    assert car.put(f"{CAR}/description", json={"description": text}).status_code == 200


def test_both_versions_work_on_the_expanded_tables_whoever_starts_later(
    url: str, new_version: Started
) -> None:
    with carapps.car_app(url) as app, new_version(EXPAND) as new:
        running = app.test_client()
        assert new.summary() == description(running)
        describe(running, "said by the old version")
        assert new.summary() == "said by the old version"
        new.summarise("said by the new version")
        assert description(running) == "said by the new version"
        # A pod of the old version that starts now, as after a roll-back, works too.
        with carapps.car_app(url) as again:
            started_later = again.test_client()
            describe(started_later, "said after a restart")
            assert started_later.post("/cars", json=carapps.a_car(description="added")).status_code == 201
        assert new.summary() == "said after a restart"


def test_the_contraction_ends_the_old_version_and_says_so(url: str, new_version: Started) -> None:
    with carapps.car_app(url):
        pass
    with new_version(EXPAND) as new:
        assert new.summary()
    with new_version(EXPAND, CONTRACT) as newest, new_version(EXPAND) as new:
        newest.summarise("one name is left")
        assert new.summary() == "one name is left"
    with pytest.raises(RuntimeError, match="newer than this version of car"), carapps.car_app(url):
        pass
