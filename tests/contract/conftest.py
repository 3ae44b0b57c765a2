"""Both databases of `car`, and the application on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import carapps
import postgres
import pytest
from flask import Flask
from flask.testing import FlaskClient

from observability.testing import OFFLINE


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[postgres.Cluster]:
    with postgres.cluster() as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database: every test that asks for it runs on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/car.sqlite3"
    cluster: postgres.Cluster = request.getfixturevalue("postgres_cluster")
    return cluster.empty_database()


@pytest.fixture
def fake_minus() -> carapps.FakeMinus:
    return carapps.FakeMinus()


@pytest.fixture
def car_app(database_url: str, fake_minus: carapps.FakeMinus) -> Iterator[Flask]:
    with carapps.car_app(database_url, minus=fake_minus) as app:
        yield app


@pytest.fixture
def car(car_app: Flask) -> FlaskClient:
    """A client of `car` with the example cars."""
    return car_app.test_client()


@pytest.fixture(scope="module")
def refusing_car(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A client for what is refused before the database is asked: one application for all such tests."""
    url = f"sqlite:///{tmp_path_factory.mktemp('refusing')}/car.sqlite3"
    with carapps.car_app(url, minus=carapps.FakeMinus()) as app:
        client = app.test_client()
        before = client.get("/cars").headers["ETag"]
        yield client
        assert client.get("/cars").headers["ETag"] == before, "what is refused changes nothing"


@pytest.fixture
def bare_car(database_url: str, fake_minus: carapps.FakeMinus) -> Iterator[FlaskClient]:
    """A client of `car` without any cars."""
    with carapps.car_app(database_url, minus=fake_minus, examples=False) as app:
        yield app.test_client()


@pytest.fixture(scope="session", autouse=True)
def no_statistics() -> Iterator[None]:
    """Pact tells its makers of each verification unless it is told not to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PACT_DO_NOT_TRACK", "true")
        yield


@pytest.fixture
def minus_app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Flask]:
    for name, value in {**OFFLINE, "DASHCAM_STATE_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    app = carapps.composition("minus")()
    yield app
    app.extensions["observability"].shutdown()
