"""The composition root of `minus`."""

from __future__ import annotations

from flask import Flask

from observability import instrument, problems
from observability.version import VERSION
from services.faults import points as faults
from services.minus import routes
from services.minus.settings import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """The WSGI application. `settings` say where the server listens; nothing else can be set."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 0  # nothing here reads a body
    problems.install(app)
    instrument(app, service="minus", version=VERSION)
    faults.install(app, "minus")
    routes.install(app)
    return app
