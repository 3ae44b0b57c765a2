"""The composition root of `dealer`. Its work comes as messages; its address only shows what it said."""

from __future__ import annotations

import time
from dataclasses import dataclass

from flask import Flask

from observability import instrument, problems
from observability.settings import from_environ
from observability.version import VERSION
from services.dealer import routes
from services.dealer.answers import REQUESTS, Answers
from services.dealer.settings import Settings
from services.dealer.store import SCHEMA, Store
from services.faults import points as faults
from services.messages.nats_broker import Nats
from services.messages.runtime import Broker, Messaging, Queue
from services.storage.settings import opened


@dataclass(frozen=True)
class Running:
    """What works beside the requests."""

    store: Store
    answers: Answers
    messaging: Messaging

    def start(self) -> None:
        """Begin to answer messages."""
        self.messaging.consume(Queue(REQUESTS, "dealer"), self.answers.handle)
        self.messaging.start()

    def close(self) -> None:
        """End it, after the message that is being answered."""
        self.messaging.stop()
        self.store.database.close()


def create_app(
    settings: Settings | None = None, *, broker: Broker | None = None, running: bool = True
) -> Flask:
    """The WSGI application. What is not given is that of the environment. Raises SettingError.

    It starts while its database or the broker are away; it is ready when its database answers. With `running`
    False no message is answered.
    """
    settings = settings or from_environ(Settings)
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 0  # nothing here reads a body
    problems.install(app)
    database = opened(settings, SCHEMA)
    broker = broker or Nats.of(settings, "dealer")
    # Not the broker: requests are answered without it, and no prober brings it back by taking this one away.
    telemetry = instrument(app, service="dealer", version=VERSION, ready={"database": database.check})
    messaging = Messaging(telemetry, database, broker, faults.install(app, "dealer"))
    answers = Answers(
        Store(database),
        settings.limit,
        time.time,
        carrying=messaging.tracing.created,
        on_stored=messaging.stored,
    )
    routes.install(app, answers.store)
    parts = Running(answers.store, answers, messaging)
    app.extensions["dealer"] = parts
    app.extensions["closing"] = parts.close  # the server calls it before it flushes
    database.prepare_if_there()
    if running:
        parts.start()
    return app
