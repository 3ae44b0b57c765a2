"""The admin port: `/metrics`, `/livez` and `/readyz`, apart from the service's own port.

It is served by threads of its own, so that it answers while the service is busy, and outside the
application, so that a probe or a scrape leaves no span, no access line and no latency sample.
"""

from __future__ import annotations

import gzip
import http.server
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

from observability.health import Readiness
from observability.http.framing import host_mistake
from observability.metrics.exposition import Source, render
from observability.metrics.negotiation import content_type, gzip_accepted
from observability.settings import SettingError

SOCKET_TIMEOUT = 10.0
"""Seconds a client may leave a connection idle."""

GZIP_FROM = 4096
"""Bytes from which compressing a scrape is worth its CPU."""


class AdminServer:
    """Serves metrics and a readiness on `host`:`port`; port 0 takes any free one.

    `address` is where it listens. Raises SettingError where the port cannot be had.
    """

    def __init__(self, host: str, port: int, metrics: Source, readiness: Readiness) -> None:
        self._server = _bind(host, port)
        self._server.metrics, self._server.readiness = metrics, readiness
        self.address: tuple[str, int] = self._server.server_address[:2]  # type: ignore[assignment]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="admin", daemon=True
        )

    def start(self) -> None:
        """Answer requests from now on."""
        self._thread.start()

    def forget(self) -> None:
        """Close what a forked process has inherited, and leave the port to its parent."""
        self._server.socket.close()

    def stop(self) -> None:
        """Close the port. Requests that are being answered are not waited for."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(1.0)
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    metrics: Source
    readiness: Readiness

    def server_bind(self) -> None:
        # HTTPServer asks the DNS for its own name here, which can take seconds.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class _ServerV6(_Server):
    address_family = socket.AF_INET6


def _bind(host: str, port: int) -> _Server:
    server = _ServerV6 if ":" in host else _Server
    try:
        return server((host.strip("[]"), port), _Handler)
    except socket.gaierror as error:
        raise SettingError(
            f"OTEL_EXPORTER_PROMETHEUS_HOST={host!r} cannot be used: {error.strerror}; "
            "give an address of this machine, such as 127.0.0.1 or 0.0.0.0"
        ) from None
    except OSError as error:
        raise SettingError(
            f"OTEL_EXPORTER_PROMETHEUS_PORT={port} cannot be used on {host}: {error.strerror}; "
            "stop what listens there, or give another port (0 for any free one, none for no admin port)"
        ) from None


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = SOCKET_TIMEOUT
    protocol_version = "HTTP/1.1"
    server_version = "dashcam"
    sys_version = ""
    server: _Server

    def do_GET(self) -> None:
        hosts = self.headers.get_all("Host", ())
        if wrong := host_mistake(",".join(hosts), self.request_version):
            self._json(400, {"status": "bad request", "detail": wrong})
            return
        routes: dict[str, Callable[[], None]] = {
            "/metrics": self._metrics,
            "/livez": lambda: self._json(200, {"status": "alive"}),
            "/readyz": self._ready,
        }
        route = routes.get(self.path.partition("?")[0])
        if route is None:
            self._json(404, {"status": "not found", "paths": list(routes)})
        else:
            route()

    do_HEAD = do_GET

    def _metrics(self) -> None:
        self.server.readiness.outcomes()  # so that dashcam_dependency_up is true at every scrape
        kind, openmetrics = content_type(*self.headers.get_all("Accept", ()))
        self._answer(200, kind, render(self.server.metrics.snapshot(), openmetrics))

    def _ready(self) -> None:
        ready, report = self.server.readiness.report()
        self._json(200 if ready else 503, report)

    def _json(self, status: int, body: dict[str, Any]) -> None:
        self._answer(status, "application/json", json.dumps(body).encode() + b"\n")

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        if len(body) >= GZIP_FROM and gzip_accepted(*self.headers.get_all("Accept-Encoding", ())):
            body = gzip.compress(body, compresslevel=1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", content_type)
        self.send_header("Vary", "Accept, Accept-Encoding")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Probes and scrapes leave no lines."""
