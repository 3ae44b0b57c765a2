"""The composition root of `car`: the one place where its parts meet, and where fakes enter in tests."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import sqlalchemy as sa
from flask import Flask

from observability import Telemetry, instrument, problems, schema
from observability.settings import from_environ
from observability.version import VERSION
from services.car import examples, http, reservation_routes, routes
from services.car.clients import Limits, Minus
from services.car.database import SCHEMA
from services.car.reservations import Reservations
from services.car.settings import Settings
from services.car.signals import QUOTES
from services.car.store import Store, insert
from services.faults import points as faults
from services.storage.settings import opened


def create_app(settings: Settings | None = None, *, minus: routes.Difference | None = None) -> Flask:
    """The WSGI application. `settings` come from the environment and `minus` over HTTP unless given.

    It starts also while its database is away: it is not ready then, answers 503, and goes on by itself
    when the database is back. Raises SettingError for a setting that cannot be used.
    """
    settings = settings or from_environ(Settings)
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body + http.ONE_MORE
    problems.install(app)
    database = opened(settings, SCHEMA, *([_seed] if settings.examples else []))
    telemetry = instrument(app, service="car", version=VERSION, ready={"database": database.check})
    switched = faults.install(app, "car")
    parts = routes.Parts(
        store=Store(database, switched),
        minus=minus or _minus(settings, telemetry),
        count_quote=_quote_counter(telemetry, switched),
        write_token=settings.write_token,
    )
    routes.install(app, parts)
    reservation_routes.install(app, Reservations(database), settings.write_token)
    app.extensions["car"] = parts
    database.prepare_if_there()
    return app


def _quote_counter(telemetry: Telemetry, switched: faults.Faults) -> Callable[[str], None]:
    def count(outcome: str) -> None:
        if switched.at("car.quote-label").get("unbounded"):
            outcome = f"{outcome}-{uuid.uuid4()}"
        telemetry.metric(QUOTES).labels(outcome=outcome).inc()

    return count


def _minus(settings: Settings, telemetry: Telemetry) -> Minus:
    circuit = telemetry.metric(schema.CIRCUIT_OPEN).labels(dependency="minus")
    circuit.set(0)
    limits = Limits(
        timeout=settings.minus_timeout,
        deadline=settings.minus_deadline,
        attempts=settings.minus_attempts,
        failures=settings.minus_failures,
        recovery=settings.minus_recovery,
    )
    return Minus(settings.minus_url, limits, on_circuit=lambda is_open: circuit.set(int(is_open)))


def _seed(connection: sa.Connection) -> None:
    insert(connection, examples.cars(), revision=1)
