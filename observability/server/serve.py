"""The server of a service: `serve("services.car.app:create_app", Settings, service="car")`.

The server is granian (docs/adr/0002-wsgi-server.md says why): a main process, which never loads the
application, and WEB_CONCURRENCY worker processes forked from it, each with up to SERVER_THREADS threads
that answer requests. This module is the main process: it checks what can be checked before anything
starts, starts and replaces workers, and ends them; `worker.py` is what happens inside a worker.

Exit codes: 0 after SIGTERM or SIGINT; 2 for a setting that cannot be used or an application that cannot
be built, with one line that says which and why; 1 when workers keep dying. A second signal ends
everything at once with 128 plus its number.
"""

from __future__ import annotations

import errno
import logging
import math
import mmap
import multiprocessing
import os
import signal
import socket
import sys
import threading
from functools import partial
from typing import Any, NoReturn, Protocol

from observability.configuration import TelemetrySettings
from observability.logs import handler as logs
from observability.metrics.meters import Families
from observability.server.options import ServerSettings
from observability.settings import SettingError, from_environ

logger = logging.getLogger(__name__)

CONFIGURATION = 2
"""The exit code when a setting, or the application built from the settings, cannot be used."""

HEADER_SECONDS = 75
"""How long a client may take to send a request's head, or leave its connection idle: longer than the 60 s
after which the usual proxies drop one, so that it is they who close first."""

MAX_HEAD = 64 * 1024
"""Bytes of a request's line and headers that are read before the client gets a 431."""

MAX_CONNECTIONS = 1024
"""Open connections of one worker; more wait in the system's queue."""


class Address(Protocol):
    """What a service's settings class has at least: where the service listens."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...


def serve(app: str, settings: type[Address], *, service: str) -> NoReturn:
    """Run `app` ("module:factory") until a signal comes; does not return.

    `settings` is the service's settings class. It is read from the environment once, here, and the
    instance is what every worker calls the factory with. `service` names the log lines of the main
    process.
    """
    try:
        _log_as(service)
        server_settings = from_environ(ServerSettings)
        app_settings = from_environ(settings)
        host, port = _free_address(app_settings.host, app_settings.port)
    except SettingError as error:
        logger.critical(str(error))
        sys.exit(CONFIGURATION)
    main = MainProcess(app, app_settings, server_settings)
    sys.exit(main.run(host, port))


class MainProcess:
    """Starts the workers, replaces those that die, and ends them when it is told to."""

    def __init__(self, app: str, app_settings: Address, settings: ServerSettings) -> None:
        self._app = app
        self._app_settings = app_settings
        self._settings = settings
        self._stopping = False
        self._pid = os.getpid()
        # One byte that the workers share with this process: whether one could not build the application.
        self._failed = mmap.mmap(-1, 1)
        self._server: Any = None

    def run(self, host: str, port: int) -> int:
        """Serve until the end and answer the exit code."""
        # Workers are forked from this process, which holds no thread, connection or application by then.
        multiprocessing.set_start_method("fork", force=True)
        from observability.server.worker import Worker

        worker = Worker(self._app, self._app_settings, self._settings, (host, port), self._failed)
        self._server = server = self._granian(host, port)
        server.on_startup(self._take_signals)
        try:
            server.serve(
                spawn_target=partial(worker.run, server._spawn_wsgi_worker),
                target_loader=worker.load,
                wrap_loader=False,
            )
        except SystemExit as end:
            logger.debug("the server ends by itself: %s", end)
        if self._failed[0]:
            return CONFIGURATION
        return 0 if self._stopping else 1

    def _granian(self, host: str, port: int) -> Any:
        from granian.constants import HTTPModes, Interfaces, RuntimeModes
        from granian.http import HTTP1Settings
        from granian.log import LogLevels
        from granian.server.mp import MPServer

        return MPServer(
            self._app,
            address=host,
            port=port,
            interface=Interfaces.WSGI,
            workers=self._settings.workers,
            blocking_threads=self._settings.threads,
            backpressure=MAX_CONNECTIONS,
            runtime_mode=RuntimeModes.mt,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000, max_buffer_size=MAX_HEAD),
            websockets=False,
            respawn_failed_workers=True,
            # A worker ends itself within `bound`; this is for one that is not even able to do that.
            workers_kill_timeout=math.ceil(self._settings.bound) + 1,
            log_level=LogLevels.error,
            # Only the level is set: granian's lines go the way of all others, with no handler of its own.
            log_dictconfig={
                "incremental": True,
                "formatters": {},
                "handlers": {},
                "loggers": {"_granian": {"propagate": True}},
            },
        )

    def _take_signals(self) -> None:
        # After granian's own handlers, which know no second signal.
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._stop)

    def _stop(self, signum: int, frame: object) -> None:
        if os.getpid() != self._pid:
            os._exit(0)  # a worker that was forked a moment ago and has no handlers of its own yet
        if self._stopping and self._failed[0]:
            return  # several workers say it at the same moment
        if self._stopping:
            for child in multiprocessing.active_children():
                child.kill()
            os._exit(128 + signum)
        self._stopping = True
        # A worker that is told the same by the terminal may be gone before it is asked: no accident.
        logging.getLogger("_granian").setLevel(logging.CRITICAL)
        # By another thread: it sets an event of which this one, which the signal may have stopped anywhere in
        # `wait()`, may hold the lock.
        threading.Thread(target=self._server.signal_handler_interrupt, name="stop", daemon=True).start()


def _log_as(service: str) -> None:
    """Write this process's log lines as the service does. Raises SettingError when that is set wrong."""
    try:
        settings, wrong = from_environ(TelemetrySettings), None
    except SettingError as error:
        settings, wrong = TelemetrySettings(), error
    logs.install(settings.service_name or service, settings, Families())
    if wrong:
        raise wrong


def _free_address(host: str, port: int) -> tuple[str, int]:
    """The numeric address and the port to listen on; port 0 becomes a free one. Raises SettingError.

    The workers share their port with each other (SO_REUSEPORT), so that the system would also let a
    second service in and hand it half of the requests: whether somebody listens is asked for here.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise SettingError(f"HOST={host!r} cannot be used: {error.strerror}; give an address") from None
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise SettingError(_why_not(host, port, error)) from None
        return str(probe.getsockname()[0]), int(probe.getsockname()[1])


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"PORT={port} cannot be used: somebody listens there already on {host}; "
            "end that process or set PORT to a free port"
        )
    if error.errno == errno.EACCES:
        return f"PORT={port} cannot be used: it needs a privilege; set PORT to one from 1024"
    return f"HOST={host!r} cannot be used: {error.strerror}; give an address of this machine"
