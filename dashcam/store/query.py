"""The query application: Jaeger's query API and the log search, read-only on the receiver's database.

`python -m dashcam.stack.console` serves it with the console mounted. Where the settings name a Jaeger, it has
that one's query API instead of its own. It answers only to names of this machine, so that no page from
elsewhere can reach it by pointing its own name at 127.0.0.1.
"""

from __future__ import annotations

import time

import orjson
from flask import Flask, Response, g, request
from werkzeug.exceptions import InternalServerError
from werkzeug.wrappers import Response as WsgiResponse

from dashcam.host_guard import HostGuard
from dashcam.store.api_jaeger import JaegerApi, failed
from dashcam.store.api_logs import LogsApi
from dashcam.store.api_v3 import ApiV3
from dashcam.store.own_metrics import QueryMetrics
from dashcam.store.own_page import own_page
from dashcam.store.pass_on import PassOn
from dashcam.store.reader import Reader
from dashcam.store.settings import LocalSettings
from dashcam.store.sqlite_file import StoreError
from observability.settings import from_environ


def create_app(settings: LocalSettings | None = None) -> Flask:
    """The application. Reads the environment where no settings are given."""
    settings = settings or from_environ(LocalSettings)
    app = Flask("dashcam.store.query", static_folder=None)
    reader = Reader(settings.database)
    metrics = QueryMetrics()
    app.wsgi_app = HostGuard(app.wsgi_app, settings.host, settings.allowed_hosts)  # type: ignore[method-assign]
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

    @app.errorhandler(InternalServerError)
    def unexpected(error: InternalServerError) -> Response | InternalServerError:
        return failed(500, "an unexpected error; the log of this program has it") if _is_api() else error

    return app


def _is_api() -> bool:
    return request.path.startswith("/api/")


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
    def metrics_of_queries() -> WsgiResponse:
        return own_page(metrics.registry, request)
