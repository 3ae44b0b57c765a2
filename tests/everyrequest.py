"""An application that does all a view can do to an instrumentation, and requests of every kind to it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import (
    Flask,
    Response,
    abort,
    copy_current_request_context,
    redirect,
    request,
    stream_with_context,
)
from flask_restful import Api, Resource  # type: ignore[import-untyped]
from opentelemetry import baggage, trace

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"

Ask = Callable[[Flask], Any]


def application(tracer: Callable[[], trace.Tracer]) -> Flask:
    """Everything that a view can do to an instrumentation."""
    app = Flask("subject")
    app.static_folder = None

    @app.before_request
    def answer_early() -> Any:
        return ("early", 203) if request.path == "/early" else None

    @app.errorhandler(LookupError)
    def handle(error: LookupError) -> tuple[str, int]:
        return "sorry", 500

    @app.route("/plain", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def plain() -> str:
        return "plain"

    @app.get("/cars/<maker>/<int:number>")
    def car(maker: str, number: int) -> dict[str, Any]:
        return {"maker": maker, "number": number, "who": baggage.get_baggage("who")}

    @app.get("/status/<int:code>")
    def status(code: int) -> Any:
        return ("", code) if code < 400 or code == 599 else abort(code)

    @app.get("/folder/")
    def folder() -> Response:
        return redirect("/plain", 307)  # type: ignore[return-value]

    @app.get("/broken")
    def broken() -> str:
        raise ZeroDivisionError("by nought")

    @app.get("/handled")
    def handled() -> str:
        raise LookupError("not there")

    @app.get("/work")
    def work() -> str:
        trace.get_current_span().set_attribute("app.step", "first")
        trace.get_current_span().add_event("noted", {"a": 1})
        with tracer().start_as_current_span("inner", attributes={"b": (1, 2)}):
            trace.get_current_span().set_attribute("c", True)
        trace.get_current_span().update_name("renamed")
        return "work"

    _one_thing_each(app)
    _streams(app)
    _restful(app)
    return app


def _one_thing_each(app: Flask) -> None:
    """Views that change one thing about their span, and one that never answers the same twice."""
    elsewhere = trace.SpanContext(int(TRACE, 16), int(PARENT, 16), True, trace.TraceFlags(1))
    changes: dict[str, Callable[[trace.Span], None]] = {
        "attribute": lambda span: span.set_attribute("app.step", "first"),
        "attributes": lambda span: span.set_attributes({"app.step": "first", "http.route": "/mine"}),
        "event": lambda span: span.add_event("noted", {"a": 1}),
        "link": lambda span: span.add_link(elsewhere, {"a": 1}),
        "name": lambda span: span.update_name("renamed"),
        "fine": lambda span: span.set_status(trace.StatusCode.OK),
        "failed": lambda span: span.set_status(trace.StatusCode.ERROR, "no fuel"),
        "dropped": lambda span: span.set_attribute("app.none", object()),  # type: ignore[arg-type]
        "ended": lambda span: span.end(),
    }

    turns = itertools.cycle([("mine", 200), ("nobody's", 404), ("everybody's", 302)])

    @app.get("/turns")
    def turn() -> tuple[str, int]:
        return next(turns)

    @app.get("/copied")
    def copied() -> str:
        """What was given a copy of the request's context is done with it before the request is."""
        thread = threading.Thread(target=copy_current_request_context(lambda: request.path))
        thread.start()
        thread.join()
        return f"still recording: {trace.get_current_span().is_recording()}"

    @app.get("/change/<what>")
    def change(what: str) -> str:
        changes[what](trace.get_current_span())
        return what


def _streams(app: Flask) -> None:
    def rows() -> Iterator[str]:
        yield "a"
        trace.get_current_span().set_attribute("app.row", 1)
        yield "b"

    @app.get("/stream")
    def stream() -> Response:
        return Response(rows())

    @app.get("/stream-in-context")
    def stream_in_context() -> Response:
        return Response(stream_with_context(rows()))

    @app.get("/stream-broken")
    def stream_broken() -> Response:
        def broken() -> Iterator[str]:
            yield "a"
            raise OSError("gone")

        return Response(broken())


def _restful(app: Flask) -> None:
    class Thing(Resource):  # type: ignore[misc]
        def get(self, name: str) -> Any:
            if name == "broken":
                raise KeyError("axle")
            return {"name": name}, 202, {"X-Thing": "1"}

    Api(app).add_resource(Thing, "/restful/<name>")


# -- the requests -----------------------------------------------------------------------------------


def get(path: str, method: str = "GET", **arguments: Any) -> Any:
    def ask(app: Flask) -> Any:
        try:
            response = app.test_client().open(path, method=method, **arguments)
            return response.status_code, response.get_data()
        except OSError as error:
            return str(error)

    return pytest.param(ask, id=f"{method} {path} {arguments or ''}"[:100])


def headers(*given: tuple[str, str], path: str = "/plain") -> Any:
    return get(path, headers=list(given))


def environ(path: str = "/plain", **given: Any) -> Any:
    return get(path, environ_overrides=given)


UP = f"00-{TRACE}-{PARENT}"
REQUESTS = [
    *(get("/plain", method) for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")),
    *(get("/plain", method) for method in ("TRACE", "QUERY", "BREW", "get", "CONNECT")),
    get("/plain", "POST", data=b"x" * 100_000),
    get("/plain", "POST", json={"a": 1}),
    get("/cars/bentz/5"),
    get("/cars/bentz/five"),
    get("/cars/gr%C3%BC%C3%9Fe/7?a=1&b=%C3%BC"),
    get("/cars/%FF%FE/1"),
    get("/nowhere"),
    get("/nowhere", "POST"),
    get("//plain"),
    get("/plain/"),
    get("/folder"),
    get("/folder/"),
    get("/plain?token=hunter22&x=1"),
    get("/plain?" + "a=1&" * 2000),
    get("/" + "a" * 5000),
    *(get(f"/status/{code}") for code in (200, 204, 301, 304, 399, 400, 401, 404, 418, 429, 500, 503, 599)),
    get("/broken"),
    get("/handled"),
    get("/early"),
    get("/turns"),
    get("/copied"),
    get("/work"),
    *(get(f"/change/{what}") for what in ("attribute", "attributes", "event", "link", "name")),
    *(get(f"/change/{what}") for what in ("fine", "failed", "dropped", "ended")),
    get("/stream"),
    get("/stream-in-context"),
    get("/stream-broken"),
    get("/restful/car"),
    get("/restful/broken"),
    get("/restful/car", "DELETE"),
    headers(("User-Agent", "")),
    headers(("User-Agent", "Googlebot/2.1")),
    headers(("User-Agent", "AlwaysOn synthetic")),
    headers(("User-Agent", "ü" * 300)),
    headers(("X-Long", "x" * 20_000)),
    headers(("Host", "cars.example:8443")),
    headers(("Host", "[::1]:80")),
    headers(("traceparent", f"{UP}-01")),
    headers(("traceparent", f"{UP}-01"), ("tracestate", "a=1,b=2")),
    headers(("traceparent", f"{UP}-03"), path="/work"),
    headers(("traceparent", f"{UP}-00")),
    headers(("traceparent", f"{UP}-ff")),
    headers(("traceparent", f"{UP}-01-more")),
    headers(("traceparent", f"cc{UP[2:]}-01-more")),
    headers(("traceparent", f"ff{UP[2:]}-01")),
    headers(("traceparent", f"00-{'0' * 32}-{PARENT}-01")),
    headers(("traceparent", f"00-{TRACE}-{'0' * 16}-01")),
    headers(("traceparent", UP.upper() + "-01")),
    headers(("traceparent", "nonsense")),
    headers(("tracestate", "a=1")),
    headers(("baggage", "who=eve"), path="/cars/a/1"),
    headers(("baggage", "=;=,,"), ("traceparent", f"{UP}-01"), path="/cars/a/1"),
    environ(QUERY_STRING="maker=\xc3\xbc&x=\xff", HTTP_USER_AGENT="\xc3\xa9t\xc3\xa9"),
    environ(REMOTE_PORT="55123"),
    environ(REMOTE_PORT="fifty"),
    environ(REMOTE_HOST="client.example"),
    environ(REMOTE_ADDR=""),
    environ(REMOTE_ADDR="::1", REMOTE_HOST="::1"),
    environ(SERVER_PROTOCOL="HTTP/2"),
    environ(SERVER_PROTOCOL="http/1.0"),
    environ(SERVER_PROTOCOL=""),
    environ(SERVER_PORT="443", **{"wsgi.url_scheme": "https"}),
    environ("/plain", SCRIPT_NAME="/app"),
]
