"""Inside a worker process of the server: the application is built, serves, and ends in order.

The service is ready once its port accepts connections, which is after the application is built.
The order of the end, once SIGTERM or SIGINT came: readiness fails and the worker stops accepting; what is
in flight is finished, then what the application has running beside its requests is ended (the callable
`app.extensions["closing"]`, where there is one), both for at most the grace period; then what is recorded is
flushed, for at most the flush period. What takes longer is left behind and the process ends all the same.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import mmap
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from observability import schema
from observability.http.framing import Wsgi, whole
from observability.server.bodies import Gate, gated
from observability.server.options import ServerSettings
from observability.settings import SettingError

logger = logging.getLogger(__name__)

REQUEST_VARIABLES = ("CONTENT_LENGTH", "CONTENT_TYPE", "HTTPS", "REMOTE_USER", "AUTH_TYPE")
"""With HTTP_*, the keys of a WSGI environ that say something about the request."""

LISTEN_SECONDS = 0.02
"""How often a worker looks whether its port is open yet."""

ORPHAN_SECONDS = 1.0
"""How often a worker looks whether the main process is still there."""

STOP = (signal.SIGTERM, signal.SIGINT)


class Worker:
    """One worker. Made in the main process; `run` and `load` are called in the forked one."""

    def __init__(
        self,
        app: str,
        app_settings: Any,
        settings: ServerSettings,
        address: tuple[str, int],
        failed: mmap.mmap,
    ) -> None:
        self._app = app
        self._address = address
        self._name = "worker"
        self._app_settings = app_settings
        self._settings = settings
        self._failed = failed
        self._main = os.getpid()
        self._telemetry: Any = None
        self._closing: Callable[[], object] | None = None
        self._answered = False
        self._flushing = threading.Lock()
        self._served = threading.Event()

    def run(self, serve: Callable[..., None], index: int, *arguments: Any) -> None:
        """The body of the process: `serve` calls `load`, then answers requests until a signal."""
        for signum in STOP:
            signal.signal(signum, _leave)  # until the server's own handlers, which `serve` sets
        os.environ["DASHCAM_WORKER"] = str(index - 1)
        self._name = f"worker {index} of {self._settings.workers}"
        try:
            serve(index, *arguments)
        finally:
            self._answered = True
            self._close()
            self._served.set()
            self._flush()

    def load(self) -> Wsgi:
        """Build the application, or tell the main process that it cannot be built."""
        try:
            module, _, factory = self._app.partition(":")
            app = getattr(importlib.import_module(module), factory)(self._app_settings)
        except SettingError as error:
            self._give_up(str(error))
        except Exception as error:
            self._give_up(f"{self._app} could not be built: {error}", exc_info=True)
        extensions = getattr(app, "extensions", {})
        self._telemetry, self._closing = extensions.get("observability"), extensions.get("closing")
        if self._telemetry is not None:
            self._telemetry.metric(schema.SERVER_THREADS).set(self._settings.threads)
        self._watch_signals()
        threading.Thread(target=self._announce, args=(self._telemetry,), name="announce", daemon=True).start()
        # Half of the threads at most wait for what clients send, so that slow ones leave some for others.
        inner = gated(whole(app), Gate(max(1, self._settings.threads // 2)))
        return without_inherited(inner, dict(os.environ))

    def _announce(self, telemetry: Any) -> None:
        """Say that the service is ready once the port accepts: the server opens it after `load`."""
        while not self._served.is_set():
            with contextlib.suppress(OSError), socket.create_connection(self._address, timeout=1):
                break
            time.sleep(LISTEN_SECONDS)
        else:
            return  # told to stop before it ever listened
        accept = getattr(telemetry, "accept", None)
        if accept is not None:
            accept()
        host, port = self._address
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        logger.info("%s serves on %s with %d threads", self._name, url, self._settings.threads)

    def _give_up(self, why: str, exc_info: bool = False) -> NoReturn:
        if not self._failed[0]:  # one of several workers says it
            self._failed[0] = 1
            logger.critical(why, exc_info=exc_info)
            os.kill(self._main, signal.SIGTERM)
        while True:  # ended by the main process, which would take leaving first for an accident
            time.sleep(0.05)  # not `pause()`: a signal that comes just before it would never be looked at

    def _watch_signals(self) -> None:
        # The wakeup descriptor tells of a signal beside the handlers that the server sets.
        signals, wakeup = socket.socketpair()
        wakeup.setblocking(False)
        signal.set_wakeup_fd(wakeup.detach(), warn_on_full_buffer=False)
        threading.Thread(target=self._end_in_time, args=(signals,), name="end-in-time", daemon=True).start()

    def _end_in_time(self, signals: socket.socket) -> None:
        while not self._told_to_stop(signals):
            if os.getppid() != self._main:
                os.kill(os.getpid(), signal.SIGTERM)  # nobody is left to tell it
        drain = getattr(self._telemetry, "drain", None)
        if drain is not None:
            drain()
        if not self._served.wait(self._settings.grace):
            self._say_cut_off()
            self._flush()
            os._exit(0)
        time.sleep(self._settings.flush + 1)
        os._exit(0)  # something of the application would not let the process end

    def _told_to_stop(self, signals: socket.socket) -> bool:
        ready, _, _ = select.select([signals], [], [], ORPHAN_SECONDS)
        return bool(ready) and any(number in STOP for number in signals.recv(64))

    def _close(self) -> None:
        """End what the application has running beside its requests."""
        if self._closing is not None:
            ending = threading.Thread(target=_told, args=(self._closing,), name="closing", daemon=True)
            ending.start()
            # After a signal `_end_in_time` is stricter: it counts from there, if it has come to run by then.
            ending.join(self._settings.grace)
            if ending.is_alive():
                self._say_cut_off()

    def _say_cut_off(self) -> None:
        logger.warning(
            "%s were cut off: they took longer than %g s after the signal (DASHCAM_GRACE_PERIOD)",
            "parts that work beside the requests" if self._answered else "requests",
            self._settings.grace,
        )

    def _flush(self) -> None:
        """Shut the telemetry down, once; whoever comes second waits until it is done."""
        with self._flushing:
            telemetry, self._telemetry = self._telemetry, None
            if telemetry is not None:
                ending = threading.Thread(target=telemetry.shutdown, name="flush", daemon=True)
                ending.start()
                ending.join(self._settings.flush + 0.5)  # it keeps the bound by itself; this is if it cannot


def without_inherited(app: Wsgi, environment: dict[str, str]) -> Wsgi:
    """Keep variables of the process from being taken for the request's headers.

    The server puts the process's environment into every WSGI environ, as CGI did. With HTTP_PROXY set,
    every request would seem to carry a `Proxy` header.
    """
    inherited = [
        (name, value)
        for name, value in environment.items()
        if name.startswith("HTTP_") or name in REQUEST_VARIABLES
    ]
    if not inherited:
        return app

    def cleaned(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        for name, value in inherited:
            if environ.get(name) == value:
                del environ[name]
        return app(environ, start_response)

    return cleaned


def _told(closing: Callable[[], object]) -> None:
    try:
        closing()
    except Exception:
        logger.exception("what the application has running beside its requests did not end in order")


def _leave(signum: int, frame: object) -> NoReturn:
    os._exit(0)  # nothing is built yet that would have to be taken down
