"""The database of `car`: its first start, its schema, and what happens while it is away."""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import carapps
import psycopg
import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from observability.testing import capture
from services.car.catalogue import Unavailable
from services.car.database import SCHEMA, Database
from services.car.store import _metadata
from services.storage.versions import Versions, history

START = """
import sys
import alembic.command
from services.car import examples
from services.car.database import SCHEMA, Database
from services.storage.addresses import database_url
from services.car.store import Store, insert

database = Database(
    database_url(sys.argv[1]), SCHEMA, pool_size=1, timeout=30,
    seed=lambda connection: insert(connection, examples.cars(), revision=1),
)
print("loaded", flush=True)
sys.stdin.read()
database.check()
database.close()
"""
"""A process that loads its code, says so, and opens the database when its input is closed."""


def open_database(url: str, **arguments: object) -> Database:
    given = {"pool_size": 2, "timeout": 5.0, "seed": lambda connection: None, **arguments}
    return Database(url.replace("postgresql://", "postgresql+psycopg://"), SCHEMA, **given)  # type: ignore[arg-type]


def test_processes_that_start_at_once_make_one_database(database_url: str) -> None:
    command = [sys.executable, "-W", "error", "-c", START, database_url]
    started = [subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True) for _ in range(4)]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None  # or communicate() would close it once more
    ended = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0] * 4, ended
    with carapps.car_app(database_url) as app:
        assert app.test_client().get("/cars").json["total"] == 32


AGAIN = """
import sys
from services.car.database import SCHEMA, Database
from services.storage.addresses import database_url

database = Database(database_url(sys.argv[1]), SCHEMA, pool_size=1, timeout=30)
database.check()
database.close()
print([name for name in sys.modules if name.startswith(("alembic", "mako"))])
"""


def test_a_start_with_nothing_to_migrate_loads_no_migrations(database_url: str) -> None:
    first = open_database(database_url)
    first.prepare()
    first.close()
    command = [sys.executable, "-c", AGAIN, database_url]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("folder", sorted(Path("services").glob("*/migrations")), ids=str)
def test_the_history_of_a_schema_is_the_one_that_alembic_sees(folder: Path) -> None:
    assert list(history(folder)) == [each.revision for each in ScriptDirectory(str(folder)).walk_revisions()]


@pytest.mark.parametrize("folder", sorted(Path("services").glob("*/migrations")), ids=str)
def test_a_migration_that_only_adds_leaves_the_versions_before_at_work(folder: Path) -> None:
    adds = re.compile(r"op\.(create_table|create_index|add_column)\(")
    for path in sorted((folder / "versions").glob("*.py"))[1:]:
        upgrade = path.read_text().partition("def upgrade")[2].partition("\ndef ")[0]
        if len(adds.findall(upgrade)) == upgrade.count("op."):
            assert "\nworks_with = " in path.read_text(), f"{path}: an old pod that starts again would end"


def test_two_migrations_after_the_same_one_are_not_taken_for_those_of_a_newer_version(
    database_url: str, tmp_path: Path
) -> None:
    database = open_database(database_url)
    database.prepare()
    folder = tmp_path / "migrations"
    shutil.copytree(SCHEMA.migrations, folder, ignore=shutil.ignore_patterns("__pycache__"))
    last = next(iter(history(folder)))
    for name in ("9001", "9002"):
        text = f'revision: str = "{name}"\ndown_revision: str = "{last}"\n'
        (folder / "versions" / f"{name}.py").write_text(text + "\ndef upgrade():\n    pass\n")
    with database.engine.begin() as connection, pytest.raises(Exception, match="Multiple head revisions"):
        Versions(folder).upgrade(connection, "car")
    database.close()


def test_threads_that_start_at_once_make_one_database(database_url: str) -> None:
    database = open_database(database_url)
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda _: database.check(), range(8))) == [None] * 8
    database.close()


@pytest.fixture
def migrating(database_url: str) -> Iterator[None]:
    """Another process is migrating the database, for as long as the test lasts."""
    if database_url.startswith("sqlite"):
        with Path(database_url.removeprefix("sqlite:///") + ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    else:
        with psycopg.connect(database_url) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA.lock])
            yield


@pytest.mark.usefixtures("migrating")
def test_a_migration_waits_for_another_as_long_as_the_time_limit_says(database_url: str) -> None:
    database = open_database(database_url, timeout=0.2)
    with pytest.raises(Unavailable):
        database.prepare()
    database.close()


def test_examples_do_not_come_back_after_everything_was_removed(database_url: str) -> None:
    with carapps.car_app(database_url) as app:
        app.test_client().delete("/cars")
    with carapps.car_app(database_url) as app:
        assert app.test_client().get("/cars").json["total"] == 0


def test_cars_and_their_tags_outlive_a_restart(database_url: str) -> None:
    tags = []
    for _ in range(2):
        with carapps.car_app(database_url) as app:
            car = app.test_client()
            tags.append(
                [car.get(path).headers["ETag"] for path in ("/cars", "/cars/bentz", "/cars/bentz/e-class")]
            )
    assert tags[0] == tags[1]


def test_the_schema_of_a_newer_version_is_not_touched(database_url: str) -> None:
    database = open_database(database_url)
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(sa.text("UPDATE oldest_version SET revision = '9999'"))
    database.close()
    older = open_database(database_url)
    with pytest.raises(RuntimeError, match="newer than this version"):
        older.prepare()
    older.close()


def test_migrations_and_the_stores_tables_agree(database_url: str) -> None:
    database = open_database(database_url)
    database.prepare()
    found = sa.MetaData()
    found.reflect(database.engine)
    for table in _metadata.tables.values():
        assert {column.name for column in table.columns} == {
            column.name for column in found.tables[table.name].columns
        }
    database.close()


def test_a_failed_change_leaves_nothing_behind(database_url: str) -> None:
    database = open_database(database_url)

    def change() -> None:
        with database.writing() as connection:
            connection.execute(sa.text("UPDATE catalogue SET revision = 99"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change()
    with database.reading() as connection:
        assert connection.execute(sa.text("SELECT revision FROM catalogue")).scalar_one() == 1
    database.close()


def test_a_reader_sees_one_state_while_others_write(database_url: str) -> None:
    database = open_database(database_url)
    question = sa.text("SELECT revision FROM catalogue")
    with database.reading() as reader:
        before = reader.execute(question).scalar_one()
        with database.writing() as writer:
            writer.execute(sa.text("UPDATE catalogue SET revision = revision + 1"))
        assert reader.execute(question).scalar_one() == before
    with database.reading() as reader:
        assert reader.execute(question).scalar_one() == before + 1
    database.close()


def test_a_writer_that_waits_too_long_for_another_is_told_so(database_url: str) -> None:
    database = open_database(database_url, timeout=0.2)
    bump = sa.text("UPDATE catalogue SET revision = revision + 1")
    with database.writing() as first:
        first.execute(bump)
        with pytest.raises(Unavailable), database.writing() as second:
            second.execute(bump)
    with database.writing() as third:
        third.execute(bump)
    database.close()


def test_more_requests_than_connections_wait_and_then_are_told_so(database_url: str) -> None:
    database = open_database(database_url, pool_size=1, timeout=0.2)
    with database.reading(), pytest.raises(Unavailable), database.reading():
        pass
    database.close()


def test_requests_beyond_the_pool_get_a_503_with_retry_after(database_url: str) -> None:
    with carapps.car_app(database_url, database_connections=1, database_timeout=0.1) as app:
        database = app.extensions["car"].store._database
        with database.reading(), capture(app.extensions["observability"]) as got:
            answer = app.test_client().get("/cars")
            answer.get_data()
        assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
        assert int(answer.headers["Retry-After"]) >= 1
        assert got.lines(severity="ERROR", logger="services.car.http")
        assert app.test_client().get("/cars").status_code == 200


def test_the_service_starts_without_its_database_and_goes_on_when_it_comes(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    folder.write_text("a file where the folder is to be")
    with carapps.car_app(f"sqlite:///{folder}/car.sqlite3") as app:
        checks = app.extensions["observability"].readiness
        answer = app.test_client().get("/cars")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert str(tmp_path) not in answer.get_data(as_text=True)
        assert not checks.report()[0]
        folder.unlink()
        assert app.test_client().get("/cars").json["total"] == 32


def test_a_postgresql_that_is_not_there_is_a_503_within_the_time_limit(tmp_path: Path) -> None:
    with carapps.car_app(f"postgresql://car@/none?host={tmp_path}", database_timeout=2.0) as app:
        assert app.test_client().get("/cars").status_code == 503
        assert not app.extensions["observability"].readiness.report()[0]


def test_connections_that_the_server_closed_are_replaced(postgres_cluster: object) -> None:
    url = postgres_cluster.empty_database()  # type: ignore[attr-defined]
    with carapps.car_app(url) as app:
        car = app.test_client()
        assert car.get("/cars").status_code == 200
        database = open_database(url)
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        with database.reading() as connection:
            connection.execute(sa.text(others + " AND application_name = 'car'")).all()
        database.close()
        assert car.get("/cars").status_code == 200


def test_the_default_database_is_a_file_in_write_ahead_mode(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/deep/folder/car.sqlite3")
    with database.reading() as connection:
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar_one() == "wal"
    database.close()
