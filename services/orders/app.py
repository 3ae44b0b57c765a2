"""The composition root of `orders`: the one place where its parts meet, and where fakes enter in tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask

from observability import Telemetry, instrument, problems
from observability.settings import from_environ
from observability.version import VERSION
from services.faults import points as faults
from services.messages.nats_broker import Nats
from services.messages.runtime import Broker, Messaging, Queue
from services.orders import routes, signals
from services.orders.catalogue import COMPENSATIONS, STEPS, Order, Rules
from services.orders.clients import CarClient
from services.orders.messages import ANSWERS, DEALER, REQUESTS, handle_answer, message_of
from services.orders.runner import Runner
from services.orders.sagas import Car, Sagas
from services.orders.settings import Settings
from services.orders.store import SCHEMA, Store
from services.storage.database import Database
from services.storage.settings import opened

MAX_BODY = 64 * 1024


@dataclass(frozen=True)
class Running:
    """What works beside the requests: the runner of the sagas and the messages."""

    sagas: Sagas
    runner: Runner
    messaging: Messaging

    def start(self) -> None:
        """Begin to work on what is due, and to take in answers."""
        self.messaging.consume(Queue(ANSWERS, "orders"), lambda message: handle_answer(self.sagas, message))
        self.watch()
        self.messaging.start()
        self.runner.start()

    def watch(self) -> None:
        """Say what waits for the dealer: while it is away, nobody else does."""
        self.messaging.watch(Queue(REQUESTS, DEALER))

    def close(self) -> None:
        """End it all, after what is being worked on."""
        self.runner.stop()
        self.messaging.stop()
        self.sagas.store.database.close()


def create_app(
    settings: Settings | None = None,
    *,
    car: Car | None = None,
    broker: Broker | None = None,
    running: bool = True,
) -> Flask:
    """The WSGI application. What is not given is that of the environment: settings, `car` and the broker.

    It starts while its database, `car` or the broker are away. With `running` False nothing is done beside
    requests. Raises SettingError for a setting that cannot be used.
    """
    settings = settings or from_environ(Settings)
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    problems.install(app)
    database = opened(settings, SCHEMA)
    telemetry = instrument(app, service="orders", version=VERSION, ready={"database": database.check})
    switched = faults.install(app, "orders")
    broker = broker or Nats.of(settings, "orders")
    car = car or CarClient(settings.car_url, timeout=settings.car_timeout, token=settings.car_write_token)
    messaging = Messaging(telemetry, database, broker, switched)
    parts = _parts(settings, telemetry, messaging, database, car, switched)
    routes.install(app, parts.sagas)
    app.extensions["orders"] = parts
    app.extensions["closing"] = parts.close  # the server calls it before it flushes
    database.prepare_if_there()
    if running:
        parts.start()
    return app


def _parts(
    settings: Settings,
    telemetry: Telemetry,
    messaging: Messaging,
    database: Database,
    car: Car,
    switched: faults.Faults,
) -> Running:
    store = Store(database, lambda request: messaging.tracing.created(message_of(request)))
    messaging.more = lambda: _figures(telemetry, store)

    def stored() -> None:
        messaging.stored()
        runner.wake()

    rules = Rules(deadline=settings.deadline, attempts=settings.attempts)
    sagas = Sagas(store, car, rules, time.time, on_decided=_counter(telemetry), on_stored=stored)
    runner = Runner(sagas, telemetry.tracers.get_tracer("services.orders"), switched)
    return Running(sagas, runner, messaging)


def _counter(telemetry: Telemetry) -> Callable[[Order], None]:
    def count(order: Order) -> None:
        telemetry.metric(signals.DECIDED).labels(order.state).inc()
        seconds = max(0.0, (order.decided or order.placed) - order.placed)
        telemetry.metric(signals.DECISION_DURATION).labels(order.state).observe(seconds)

    return count


def _figures(telemetry: Telemetry, store: Store) -> None:
    """Say how many orders are undecided, by step; steps without any are said to have none."""
    waiting = {each.state: each for each in store.waiting()}
    for step in (*STEPS, *COMPENSATIONS):
        found = waiting.get(step)
        age = max(0.0, time.time() - found.oldest) if found else 0.0
        telemetry.metric(signals.UNDECIDED).labels(step).set(found.count if found else 0)
        telemetry.metric(signals.UNDECIDED_AGE).labels(step).set(age)
        telemetry.metric(signals.STEP_ATTEMPTS).labels(step).set(found.attempts if found else 0)
