"""All pages at their fixed local ports, through `kubectl port-forward`, for as long as one wants.

A forward ends when its pod goes; it is started again, so a roll-out is a gap of a second. Ctrl-C ends all.
"""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass

from dashcam.cluster.kubectl import NAMESPACE, ClusterError, Kubectl
from dashcam.registry import catalogue

AGAIN_SECONDS = 1.0
"""Between the end of a forward and the next attempt."""


@dataclass(frozen=True)
class Forward:
    """A Service's port at a port of 127.0.0.1."""

    service: str
    local: int
    remote: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.local}"


_PARTS = (
    Forward("jaeger", 16686, 16686),
    Forward("prometheus", 9090, 9090),
    Forward("alertmanager", 9093, 9093),
    Forward("grafana", 3000, 3000),
    Forward("kibana", 5601, 5601),
    Forward("elasticsearch", 9200, 9200),
)


def forwards() -> tuple[Forward, ...]:
    """Every page at the port of docs: the same address as on a laptop, where there is the same thing."""
    services = catalogue.load().services
    return (*(Forward(each.name, each.port, each.port) for each in services), *_PARTS)


def taken(forwards: tuple[Forward, ...]) -> list[Forward]:
    """Those whose local port something else listens on already."""
    found = []
    for forward in forwards:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", forward.local))
            except OSError:
                found.append(forward)
    return found


class Forwarder:
    """Keeps one forward going, on a thread of its own, from :meth:`start` until :meth:`stop`."""

    def __init__(self, kubectl: Kubectl, forward: Forward, say: Callable[[str], object]) -> None:
        self._command = kubectl.command(
            "port-forward", "-n", NAMESPACE, "--address", "127.0.0.1",
            f"service/{forward.service}", f"{forward.local}:{forward.remote}",
        )  # fmt: skip
        self._forward = forward
        self._say = say
        self._ending = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name=f"forward-{forward.service}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the process and the thread; returns once both are gone."""
        self._ending.set()
        with self._lock:
            if self._process:
                self._process.terminate()
        self._thread.join(timeout=10)

    def _keep(self) -> None:
        said = ""
        while not self._ending.is_set():
            reason = self._once()
            if self._ending.is_set():
                return
            if reason != said:  # a Service that is not there would fill the screen
                self._say(f"{self._forward.service}: {reason}; trying again")
                said = reason
            self._ending.wait(AGAIN_SECONDS)

    def _once(self) -> str:
        """Run kubectl until it ends, and answer why it did."""
        with self._lock:
            if self._ending.is_set():
                return ""
            self._process = subprocess.Popen(  # noqa: S603 - a fixed program, no shell
                self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
        _, errors = self._process.communicate()
        return errors.strip().splitlines()[-1] if errors.strip() else "the connection ended"


def forward_all(
    kubectl: Kubectl, forwards: tuple[Forward, ...], say: Callable[[str], object], until: threading.Event
) -> None:
    """Forward everything until `until` is set. Raises ClusterError for local ports that are taken."""
    if busy := taken(forwards):
        ports = ", ".join(f"{each.local} ({each.service})" for each in busy)
        raise ClusterError(
            f"these ports of this machine are taken: {ports}; is `make up` running? `make down` ends it"
        )
    kubectl.check()
    forwarders = [Forwarder(kubectl, each, say) for each in forwards]
    try:
        for each in forwarders:
            each.start()
        for forward in forwards:
            say(f"{forward.service:14} {forward.address}")
        say("Ctrl-C ends all of them")
        until.wait()
    finally:
        for each in forwarders:
            each.stop()
