"""`python -m benchmarks.servers.launch NAME PORT THREADS`: the application on one server, one worker.

Each server is set up as its own documentation advises for one process with threads, without access lines.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.servers.application import Settings, create_app

APP = "benchmarks.servers.application:create_app"


def gunicorn(port: int, threads: int) -> None:
    from gunicorn.app.base import BaseApplication

    class Application(BaseApplication):  # type: ignore[misc] # gunicorn has no types
        def load_config(self) -> None:
            options = {
                "bind": f"127.0.0.1:{port}",
                "workers": 1,
                "worker_class": "gthread",
                "threads": threads,
                "keepalive": 75,
                "loglevel": "error",
            }
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return create_app()

    Application().run()


def granian(port: int, threads: int) -> None:
    from granian import Granian
    from granian.constants import Interfaces

    Granian(
        APP,
        factory=True,
        port=port,
        interface=Interfaces.WSGI,
        blocking_threads=threads,
        log_enabled=False,
    ).serve()


def dashcam(port: int, threads: int) -> None:
    """granian as `observability.server.serve` runs it; no telemetry either."""
    from observability.server.serve import serve

    os.environ.update(PORT=str(port), SERVER_THREADS=str(threads))
    serve(APP, Settings, service="bench")


def waitress(port: int, threads: int) -> None:
    import logging

    import waitress as server

    logging.getLogger("waitress").setLevel(logging.ERROR)  # it warns of every request that waits
    server.serve(create_app(), host="127.0.0.1", port=port, threads=threads, _quiet=True)


def cheroot(port: int, threads: int) -> None:
    from cheroot.wsgi import Server

    Server(("127.0.0.1", port), create_app(), numthreads=threads, max=threads).start()


def uvicorn(port: int, threads: int) -> None:
    import uvicorn as server
    from a2wsgi import WSGIMiddleware

    app = WSGIMiddleware(create_app(), workers=threads)
    server.run(app, port=port, log_level="error", access_log=False)


LAUNCHERS: dict[str, Callable[[int, int], None]] = {
    launcher.__name__: launcher for launcher in (gunicorn, granian, dashcam, waitress, cheroot, uvicorn)
}

if __name__ == "__main__":
    name, port, threads = sys.argv[1:]
    LAUNCHERS[name](int(port), int(threads))
