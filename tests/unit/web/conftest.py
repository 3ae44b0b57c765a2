"""The application of `web` with a `car` in memory, and a browser-like client of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fakecar import FakeCar
from flask import Flask
from flask.testing import FlaskClient
from webapps import web_app


@pytest.fixture
def fake() -> FakeCar:
    return FakeCar()


@pytest.fixture
def app(fake: FakeCar) -> Iterator[Flask]:
    with web_app(fake) as app:
        yield app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def token(client: FlaskClient) -> str:
    """A form token of the client's session."""
    match = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/new-car").text)
    assert match
    return match[1]
