"""The composition root of the composite: the routes of `orders`, over one transaction instead of a saga."""

from __future__ import annotations

from flask import Flask

from examples.composite.ordering import Ordering, database
from examples.composite.settings import Settings
from observability import instrument, problems
from observability.settings import from_environ
from observability.version import VERSION
from services.orders import routes


def create_app(settings: Settings | None = None) -> Flask:
    """The WSGI application. Raises SettingError for a setting that cannot be used."""
    settings = settings or from_environ(Settings)
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    problems.install(app)
    store = database(settings.database)
    instrument(app, service="composite", version=VERSION, ready={"database": store.check})
    routes.install(app, Ordering(store, settings.limit))
    app.extensions["closing"] = store.close  # the server calls it before it flushes
    store.prepare()
    return app
