"""`car` and `minus` as one process: one trace, the same answers, nothing that leaves the process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from examples.monolith.app import create_app
from observability.settings import from_environ
from observability.testing import assert_trace, capture, expected, offline
from services.car.settings import Settings


@pytest.fixture
def monolith(tmp_path: Path) -> Iterator[FlaskClient]:
    with offline():
        app = create_app(from_environ(Settings, {}, database_url=f"sqlite:///{tmp_path}/car.sqlite3"))
    yield app.test_client()
    app.extensions["observability"].shutdown()
    app.extensions["car"].store.close()


def test_a_quote_subtracts_in_the_process_and_the_seam_is_a_span(monolith: FlaskClient) -> None:
    with capture() as got:
        assert monolith.get("/cars/bentz/e-class/quote?discount=500").json["total"] == 61_500
        assert monolith.get("/minus?x=5&y=3").json == {"result": 2}
    route = "/cars/<string:maker>/<string:model>/quote"
    assert_trace(got, expected(f"GET {route}", expected("minus"), attributes={"http.route": route}))
    assert got.sample("http_client_request_duration_seconds_count") == 0
