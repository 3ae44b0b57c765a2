"""The querying process: `python -m observability.local.query`.

Jaeger's query API, the log search and the console, read-only on the database that the receiver
writes; where the settings name a Jaeger, its query API instead of the own one. Answers only to names of
this machine, so that no page from elsewhere can reach it by pointing its own name at 127.0.0.1.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import logging
import signal
import sys
import threading
import time

import orjson
from flask import Flask, Response, g, request
from prometheus_client.exposition import choose_encoder

from observability.local.api_jaeger import JaegerApi
from observability.local.api_logs import LogsApi
from observability.local.api_v3 import ApiV3
from observability.local.database import StoreError
from observability.local.http_server import HttpServer
from observability.local.own_log import configure_logging
from observability.local.pass_on import PassOn
from observability.local.reader import Reader
from observability.local.settings import LocalSettings
from observability.local.telemetry import QueryMetrics
from observability.settings import SettingError, from_environ

log = logging.getLogger(__name__)

_GRACE_SECONDS = 3.0


def create_app(settings: LocalSettings | None = None) -> Flask:
    """The application. Reads the environment where no settings are given."""
    settings = settings or from_environ(LocalSettings)
    app = Flask("observability.local.query", static_folder=None)
    reader = Reader(settings.database)
    metrics = QueryMetrics()
    _guard(app)
    _measure(app, metrics)
    if settings.jaeger_url:
        app.register_blueprint(PassOn(settings.jaeger_url).blueprint())
    else:
        app.register_blueprint(JaegerApi(reader).blueprint())
        app.register_blueprint(ApiV3(reader).blueprint())
    app.register_blueprint(LogsApi(reader).blueprint())
    _health(app, reader, metrics)

    @app.errorhandler(StoreError)
    def store_error(error: StoreError) -> Response:
        body = {
            "data": None,
            "errors": [{"code": 503, "msg": str(error)}],
            "total": 0,
            "limit": 0,
            "offset": 0,
        }
        return Response(orjson.dumps(body), 503, {"Retry-After": "1"}, content_type="application/json")

    if importlib.util.find_spec("observability.console") is not None:
        console = importlib.import_module("observability.console")
        console.register(app)
    return app


def is_local(host: str) -> bool:
    """Whether a Host header names this machine: localhost, a loopback address, with or without a port."""
    name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    if name.lower().rstrip(".") == "localhost" or name.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _guard(app: Flask) -> None:
    @app.before_request
    def refuse_foreign_names() -> Response | None:
        if is_local(request.environ.get("HTTP_HOST", "localhost")):
            return None
        return Response(
            f"Host {request.environ['HTTP_HOST']!r} is not this machine; use http://localhost\n",
            421,
            content_type="text/plain; charset=utf-8",
        )


def _measure(app: Flask, metrics: QueryMetrics) -> None:
    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def observe(response: Response) -> Response:
        endpoint = request.endpoint or "unmatched"
        if "began" in g:
            metrics.duration.labels(endpoint, str(response.status_code)).observe(
                time.perf_counter() - g.began
            )
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return response


def _health(app: Flask, reader: Reader, metrics: QueryMetrics) -> None:
    @app.get("/livez")
    def livez() -> Response:
        return Response("ok\n", content_type="text/plain; charset=utf-8")

    @app.get("/readyz")
    def readyz() -> Response:
        try:
            with reader.snapshot() as db:
                db.execute("SELECT 1 FROM span_block LIMIT 1").fetchone()
        except StoreError as error:
            return Response(f"{error}\n", 503, content_type="text/plain; charset=utf-8")
        return Response("ok\n", content_type="text/plain; charset=utf-8")

    @app.get("/metrics")
    def metrics_page() -> Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(metrics.registry), content_type=content_type)


def main() -> int:
    """Run until a signal; 2 for a setting or port that cannot be used."""
    configure_logging("console")
    try:
        settings = from_environ(LocalSettings)
        server = HttpServer(
            create_app(settings),
            host=settings.host,
            port=settings.console_port,
            threads=settings.query_threads,
        )
    except (SettingError, OSError) as error:
        print(f"query: {error}", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server.start()
    log.info("query API and console on port %d", server.port)
    stop.wait()
    server.stop(_GRACE_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
