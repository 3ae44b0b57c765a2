"""TCP ports of 127.0.0.1: which are unusable, and through whom; and free ones."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import socket
import sys
from dataclasses import dataclass

import psutil

from observability.stack.settings import Settings

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Unusable:
    """A port that cannot be listened on, and the variable that sets it."""

    variable: str
    port: int
    reason: str

    def __str__(self) -> str:
        return f"port {self.port} {self.reason}: set {self.variable} to another port"


def unusable(settings: Settings) -> list[Unusable]:
    """Every port of `settings` that cannot be listened on now, in the order of the settings."""
    errors = {name: (port, _listen_error(port)) for name, port in settings.ports().items() if port}
    refused = {name: (port, error) for name, (port, error) in errors.items() if error is not None}
    owners = _owners() if refused else {}
    return [Unusable(name, port, _reason(port, error, owners)) for name, (port, error) in refused.items()]


def _reason(port: int, error: OSError, owners: dict[int, str]) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"is taken by {owners.get(port, 'a process that cannot be seen from here')}"
    return f"cannot be listened on ({error.strerror})"


def choose_free(settings: Settings) -> Settings:
    """The settings with a free port in place of every 0.

    The ports are held together while they are chosen, so that no two are the same; they are released
    on return, so another process may in theory take one before its part starts.
    """
    with contextlib.ExitStack() as held:
        chosen = {}
        for field in dataclasses.fields(settings):
            if field.name.endswith("_port") and getattr(settings, field.name) == 0:
                listener = held.enter_context(socket.socket())
                listener.bind((LOOPBACK, 0))
                chosen[field.name] = listener.getsockname()[1]
        return dataclasses.replace(settings, **chosen)


def _listen_error(port: int) -> OSError | None:
    with socket.socket() as probe:
        # On Linux this only steps over connections that linger after a close. On the BSDs and macOS
        # it would also step over a listener on all addresses, which is just what must be found.
        if sys.platform == "linux":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError as error:
            return error
    return None


def _owners() -> dict[int, str]:
    """The listeners that this user may see, by port, as `pid 123 (python -m http.server)`."""
    owners: dict[int, str] = {}
    for process in psutil.process_iter():
        try:
            connections = process.net_connections(kind="tcp")
            for connection in connections:
                if connection.status == psutil.CONN_LISTEN and connection.laddr:
                    owners.setdefault(connection.laddr.port, _described(process))
        except psutil.Error:
            continue  # it has ended, or belongs to another user
    return owners


def _described(process: psutil.Process) -> str:
    command = " ".join(process.cmdline()) or process.name()
    shown = command if len(command) <= 100 else command[:99] + "…"
    return f"pid {process.pid} ({shown})"
