"""TCP ports of 127.0.0.1: which are unusable, and through whom; and free ones."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import random
import socket
import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import psutil

from dashcam.stack.settings import Settings

LOOPBACK = "127.0.0.1"
CHOSEN_FROM = range(20_000, 32_768)
"""Below what Linux gives to outgoing connections and to who binds port 0 (`net.ipv4.ip_local_port_range`)."""
RESERVING_SECONDS = 10.0
"""Longer than a busy machine takes; it is waited for only where a stranger connects at the same moment."""


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
    """The settings with a free port in place of every 0, no two the same."""
    fields = [field.name for field in dataclasses.fields(settings) if field.name.endswith("_port")]
    zeros = [name for name in fields if getattr(settings, name) == 0]
    free = free_ports(len(zeros), but=[port for port in settings.ports().values() if port])
    chosen: dict[str, Any] = dict(zip(zeros, free, strict=True))
    return dataclasses.replace(settings, **chosen)


def free_ports(count: int, but: Collection[int] = ()) -> list[int]:
    """So many ports that can be listened on now, no two the same and none of `but`; each is reserved.

    They are chosen by chance, and from where no outgoing connection comes by one: a free port that the
    system names is the next one that it gives away. A server must bind with SO_REUSEADDR, as any does
    that can be restarted. Raises OSError where there are too few.
    """
    by_chance = random.SystemRandom().sample(CHOSEN_FROM, len(CHOSEN_FROM))
    chosen = list(
        itertools.islice((port for port in by_chance if port not in but and _reserved(port)), count)
    )
    if len(chosen) < count:
        known = f"of the ports {min(CHOSEN_FROM)} to {max(CHOSEN_FROM)} only {len(chosen)} are free"
        raise OSError(f"{known}, {count} are asked for: end what listens there, or give the ports by name")
    return chosen


def _reserved(port: int) -> bool:
    """Take the port from everyone who asks here, for as long as TIME_WAIT lasts: 60 s on Linux.

    Only a bind with SO_REUSEADDR steps over a connection that lingers after its close (RFC 9293 3.6.1);
    the bind that looks whether the port is free is without.
    """
    with contextlib.suppress(OSError), socket.socket() as listener:
        listener.bind((LOOPBACK, port))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the lingering connection inherits it
        listener.listen(1)
        with socket.create_connection((LOOPBACK, port), timeout=RESERVING_SECONDS) as client:
            listener.accept()[0].close()  # who closes first lingers
            client.recv(1)
        return True
    return False


def free_port() -> int:
    """One of `free_ports`."""
    return free_ports(1)[0]


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
