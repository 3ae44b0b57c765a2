"""The application of `web` as tests build it: no port of its own, nothing sent, and undone at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from flask import Flask

from observability.testing import OFFLINE
from services.web.app import create_app
from services.web.settings import Settings

SECRET = "a key that only tests use, long enough"
CONSOLE = "http://console.test"


@contextmanager
def web_app(car: Any, orders: Any = None, **settings: Any) -> Iterator[Flask]:
    """`web` over `car` and `orders`, each a fake or a client, with further settings."""
    with mock.patch.dict(os.environ, OFFLINE):
        given = Settings(secret_key=SECRET, console_url=CONSOLE, **settings)
        app = create_app(given, car=car, orders=orders)
    try:
        yield app
    finally:
        app.extensions["observability"].shutdown()
