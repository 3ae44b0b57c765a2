"""The application of any service of the catalogue, by itself: no other is there, and nothing is sent."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import pytest
from flask import Flask

from observability.testing import OFFLINE


@contextmanager
def service_app(name: str) -> Iterator[Flask]:
    """The application, in a state folder of its own; what it holds open is closed at the end."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        for variable, value in {**OFFLINE, "DASHCAM_STATE_DIR": folder}.items():
            patch.setenv(variable, value)
        app: Flask = import_module(f"services.{name}.app").create_app()
        yield app
        app.extensions["observability"].shutdown()
        parts = app.extensions.get(name)
        if held := parts if hasattr(parts, "close") else getattr(parts, "store", None):
            held.close()
