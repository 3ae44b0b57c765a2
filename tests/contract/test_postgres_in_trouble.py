"""What `car`, like every service with such a database, does while PostgreSQL hangs, locks or stands by."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager

import carapps
import polling
import postgres
import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask

from services.storage import database
from services.storage.versions import Versions

LIMIT = 2.0
"""Seconds that a transaction may wait."""

SPARE = 1.5
"""Seconds that the rest of a request may take on a busy machine."""


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[postgres.Cluster]:
    """A cluster of these tests alone: they stop it."""
    with postgres.cluster() as cluster:
        yield cluster


@pytest.fixture
def url(own_cluster: postgres.Cluster) -> str:
    return own_cluster.empty_database()


@pytest.fixture
def car(url: str) -> Iterator[Flask]:
    with carapps.car_app(url, database_timeout=LIMIT) as app:
        assert app.test_client().get("/cars").status_code == 200
        yield app


def status(app: Flask, path: str) -> tuple[int, float]:
    began = time.monotonic()
    answer = app.test_client().get(path)
    answer.get_data()
    return answer.status_code, time.monotonic() - began


def change(app: Flask, model: str = "new") -> int:
    document = carapps.a_car(model=model)
    return int(app.test_client().put(f"/cars/acme/{model}", json=document).status_code)


def is_ready(app: Flask) -> bool:
    return bool(app.extensions["observability"].readiness.report()[0])


def test_a_server_that_hangs_is_a_503_in_time_and_is_there_again_after_it(
    car: Flask, own_cluster: postgres.Cluster
) -> None:
    with ThreadPoolExecutor(8) as threads, own_cluster.stopped():
        asked = [threads.submit(status, car, "/cars") for _ in range(12)]
        codes = {future.result(timeout=60)[0] for future in asked}
        slowest = max(future.result()[1] for future in asked)
        assert codes == {503}
        assert slowest < LIMIT + SPARE
        polling.until(lambda: not is_ready(car), "it is not ready")
        # Not a second time: the connections that hung are gone, and a new one finds no answer either.
        code, seconds = status(car, "/cars")
        assert code == 503
        assert seconds < LIMIT + SPARE
    assert status(car, "/cars")[0] == 200
    polling.until(lambda: is_ready(car), "it is ready again")


def test_a_server_that_hangs_leaves_a_thread_for_what_needs_no_database(
    car: Flask, own_cluster: postgres.Cluster
) -> None:
    status(car, "/openapi.json")
    with ThreadPoolExecutor(8) as threads, own_cluster.stopped():  # as many as the server has
        asked = [threads.submit(status, car, "/cars") for _ in range(30)]
        code, _ = threads.submit(status, car, "/openapi.json").result(timeout=60)
        answered_before = sum(future.done() for future in asked)
        wait(asked, timeout=60)
    assert code == 200
    seven_hang = len(asked) - 7
    assert answered_before <= seven_hang, "it was answered while the others were still waiting"


def test_a_server_that_hangs_in_a_migration_holds_its_thread_no_longer_than_one_may_take(
    url: str, own_cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate = Versions.upgrade
    with ExitStack() as stopped, monkeypatch.context() as slow:

        def hangs(self: Versions, connection: sa.Connection, service: str) -> bool:
            stopped.enter_context(own_cluster.stopped())
            return migrate(self, connection, service)

        slow.setattr(database, "MIGRATING", LIMIT)
        slow.setattr(Versions, "upgrade", hangs)
        began = time.monotonic()
        with carapps.car_app(url, database_timeout=LIMIT) as app:
            assert LIMIT <= time.monotonic() - began < 3 * LIMIT + SPARE
            slow.undo()
            stopped.close()
            assert status(app, "/cars")[0] == 200, "the next one brings the tables up to date"


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Somebody holds the row that every change of the catalogue begins with."""
    with psycopg.connect(url) as other:
        other.execute("SELECT * FROM catalogue FOR UPDATE")
        yield


def test_changes_that_wait_for_a_row_leave_reading_alone(car: Flask, url: str) -> None:
    with ThreadPoolExecutor(8) as threads, locked(url):  # as many as the server has
        changes = [threads.submit(change, car, f"m{number}") for number in range(12)]
        reads = [threads.submit(status, car, "/cars") for _ in range(5)]
        done, _ = wait(reads, timeout=LIMIT - 0.5)
        assert len(done) == len(reads), "no read waits as long as a change does"
        assert {future.result()[0] for future in reads} == {200}
        assert {future.result(timeout=60) for future in changes} == {503}
    assert change(car) == 201


def test_many_changes_at_once_that_are_not_held_up_all_succeed(url: str) -> None:
    # A time that no stall of a busy machine comes near: a change that nobody holds up is refused then, too.
    with ThreadPoolExecutor(8) as threads, carapps.car_app(url, database_timeout=30.0) as car:
        assert set(threads.map(lambda number: change(car, f"m{number}"), range(40))) == {201}


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """The server is told to take no changes, on connections that are open too."""

    def set_to(value: str) -> None:
        with psycopg.connect(url, autocommit=True) as other:
            other.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")  # type: ignore[arg-type]
            other.execute("SELECT pg_reload_conf()")

    set_to("on")
    try:
        yield
    finally:
        set_to("off")


def test_a_server_that_takes_no_changes_any_more_is_a_503_and_not_ready(
    car: Flask, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with read_only(url):
        polling.until(lambda: change(car) == 503, "the change is refused")
        assert "The database takes no changes" in caplog.text
        polling.until(lambda: not is_ready(car), "it is not ready")
    polling.until(lambda: change(car) in (200, 201), "it takes changes again")
    polling.until(lambda: is_ready(car), "it is ready again")


def test_after_a_failover_the_service_goes_on_with_the_new_server(caplog: pytest.LogCaptureFixture) -> None:
    with (
        postgres.cluster() as first,
        first.standby() as second,
        carapps.car_app(second.url(first), database_timeout=LIMIT * 2) as app,
    ):
        assert change(app) == 201, "the one that takes changes is found whatever its place"
        first.stop()
        polling.until(lambda: change(app) == 503, "the change is refused")
        assert "read-only" in caplog.text
        polling.until(lambda: not is_ready(app), "it is not ready")
        second.promote()
        polling.until(lambda: change(app) == 200, "the standby has the change, and takes more")
        polling.until(lambda: is_ready(app), "it is ready again")
