"""The process behind 16686: `python -m dashcam.stack.console`.

The store's query application with the console mounted on it, which asks that application in this process.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading

from flask import Flask

from dashcam import console
from dashcam.console.parts import Parts
from dashcam.stack.console_parts import StackParts
from dashcam.store import query
from dashcam.store.http_server import HttpServer
from dashcam.store.own_log import configure_logging
from dashcam.store.settings import LocalSettings
from observability.settings import SettingError, from_environ

log = logging.getLogger(__name__)

NAME = "console"
"""What this process is among the parts of the stack."""

_GRACE_SECONDS = 3.0
_WATCH_SECONDS = 0.5


def create_app(settings: LocalSettings | None = None, parts: Parts | None = None) -> Flask:
    """Build the application. Reads the environment where no settings are given."""
    app = query.create_app(settings)
    console.register(app, parts=parts)
    return app


def main() -> int:
    """Run until a signal; 2 for a setting or port that cannot be used."""
    configure_logging(NAME)
    try:
        settings = from_environ(LocalSettings)
        server = HttpServer(
            create_app(settings, StackParts(NAME)),
            host=settings.host,
            port=settings.console_port,
            threads=settings.query_threads,
        )
    except (SettingError, OSError) as error:
        print(f"console: {error}", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server.start()
    log.info("query API and console on port %d", server.port)
    while not stop.wait(_WATCH_SECONDS):
        if not server.alive:
            log.critical("the HTTP thread has ended: the console ends with it")
            return 1
    server.stop(_GRACE_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
