"""Answers as Jaeger, Prometheus and the log search give them, and a transport that plays them back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from dashcam.sources import Jaeger, LogSearch, Prometheus, SourceAway, Sources
from dashcam.sources.embedded_logs import EmbeddedLogs

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb"
START = 1_790_000_000_000_000
"""Microseconds: when the recorded trace begins."""
SCRIPT = "<script>alert(1)</script>"

Answer = Any | Callable[[Mapping[str, Any], Any], Any]


class Recorded:
    """A transport that answers by path. An answer is JSON, a function of (params, json), or a status."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = dict(answers)
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def send(self, source: str, path: str, params: Mapping[str, Any], json: Any | None) -> tuple[int, bytes]:
        self.asked.append((path, dict(params)))
        if path not in self.answers:
            return 404, orjson.dumps({"errors": [{"code": 404, "msg": "not found"}]})
        answer = self.answers[path]
        answer = answer(params, json) if callable(answer) else answer
        if isinstance(answer, int):
            return answer, b"{}"
        return 200, answer if isinstance(answer, bytes) else orjson.dumps(answer)


class Away:
    """A transport to an address where nothing listens."""

    def send(self, source: str, path: str, params: Mapping[str, Any], json: Any | None) -> tuple[int, bytes]:
        raise SourceAway(source, "http://127.0.0.1:1", "nothing answers there", "Start it.")


def tags(**values: Any) -> list[dict[str, Any]]:
    kinds = {bool: "bool", int: "int64", float: "float64", str: "string"}
    return [
        {"key": name.replace("__", "."), "type": kinds[type(value)], "value": value}
        for name, value in values.items()
    ]


def span(
    span_id: str,
    parent: str | None,
    operation: str,
    process: str,
    start: int,
    duration: int,
    logs: list[dict[str, Any]] | None = None,
    trace: str = TRACE,
    **attributes: Any,
) -> dict[str, Any]:
    references = [{"refType": "CHILD_OF", "traceID": trace, "spanID": parent}] if parent else []
    return {
        "traceID": trace,
        "spanID": span_id,
        "operationName": operation,
        "references": references,
        "startTime": START + start,
        "duration": duration,
        "tags": tags(**attributes),
        "logs": logs or [],
        "processID": process,
        "warnings": None,
    }


def processes(**services: str) -> dict[str, Any]:
    return {
        key: {"serviceName": name, "tags": tags(service__version="0.1.0", host__name="laptop")}
        for key, name in services.items()
    }


def quote_trace() -> dict[str, Any]:
    """web asks car for a quote, car looks into its database and asks price, which fails."""
    failure = {
        "timestamp": START + 31_000,
        "fields": tags(
            event="exception",
            exception__type="ZeroDivisionError",
            exception__message="division by zero",
            exception__stacktrace='Traceback:\n  File "app.py", line 3\nZeroDivisionError',
        ),
    }
    return {
        "traceID": TRACE,
        "spans": [
            span("a1", None, "GET /cars/{maker}/{model}", "p1", 0, 50_000, span__kind="server"),
            span("a2", "a1", "GET", "p1", 2_000, 45_000, span__kind="client", server__address="127.0.0.1"),
            span(
                "b1",
                "a2",
                "GET /cars/<maker>/<model>/quote",
                "p2",
                4_000,
                41_000,
                span__kind="server",
                http__route="/cars/<maker>/<model>/quote",
            ),
            span(
                "b2", "b1", "SELECT cars", "p2", 6_000, 3_000, span__kind="client", db__system__name="sqlite"
            ),
            span("b3", "b1", "GET", "p2", 12_000, 30_000, span__kind="client", error=True),
            span(
                "c1",
                "b3",
                "GET /price",
                "p3",
                14_000,
                20_000,
                [failure],
                span__kind="server",
                error=True,
                otel__status_description="division by zero",
            ),
        ],
        "processes": processes(p1="web", p2="car", p3="price"),
        "warnings": None,
    }


def hostile_trace() -> dict[str, Any]:
    """Markup in every place where telemetry can carry text."""
    event = {"timestamp": START, "fields": tags(event=SCRIPT, **{SCRIPT: SCRIPT})}
    return {
        "traceID": OTHER,
        "spans": [
            span("d1", None, SCRIPT, "p1", 0, 10, [event], OTHER, **{SCRIPT: SCRIPT}),
            span("d2", "d1", '"><img src=x onerror=alert(1)>', "p1", 1, 5, None, OTHER, error=True),
        ],
        "processes": {"p1": {"serviceName": SCRIPT, "tags": tags(**{SCRIPT: SCRIPT})}},
        "warnings": [SCRIPT],
    }


def line(message: str, second: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "timestamp": f"2026-09-21T14:13:{20 + second:02d}.000000Z",
        "severity": "INFO",
        "message": message,
        "service": "car",
        "trace_id": TRACE,
        "span_id": "b1",
        **{name.replace("__", "."): value for name, value in fields.items()},
    }


def microseconds_of(line: Mapping[str, Any]) -> int:
    """The time of a line made by `line()`."""
    return START + (int(line["timestamp"][17:19]) - 20) * 1_000_000


def log_lines() -> list[dict[str, Any]]:
    """Newest first, as the search answers."""
    return [
        line(
            "GET /price 500",
            1,
            severity="ERROR",
            service="price",
            span_id="c1",
            exception__type="ZeroDivisionError",
        ),
        line("GET /cars/bentz/e-class/quote 503", 0, http__response__status_code=503),
    ]


def jaeger_answers() -> dict[str, Answer]:
    data = [quote_trace()]
    return {
        "/api/services": {
            "data": ["web", "car", "price"],
            "total": 3,
            "limit": 0,
            "offset": 0,
            "errors": None,
        },
        "/api/services/car/operations": {"data": ["GET /cars"], "total": 1},
        "/api/services/web/operations": {"data": ["GET /"], "total": 1},
        "/api/traces": {"data": data, "total": 0, "limit": 0, "offset": 0, "errors": None},
        f"/api/traces/{TRACE}": {"data": data, "total": 0, "errors": None},
        f"/api/traces/{OTHER}": {"data": [hostile_trace()], "total": 0, "errors": None},
        f"/api/v3/traces/{TRACE}": {"result": {"resourceSpans": []}},
        "/api/dependencies": {"data": [{"parent": "web", "child": "car", "callCount": 30}], "errors": None},
    }


def log_answers() -> dict[str, Answer]:
    return {
        "/api/logs": {"logs": log_lines(), "total": 2, "total_relation": "eq", "next": None, "latest": 7},
        "/api/logs/histogram": {
            "width": 1_000_000,
            "buckets": [{"start": START, "counts": {"ERROR": 1, "INFO": 1}}],
        },
    }


def prometheus_answers() -> dict[str, Answer]:
    empty = {"status": "success", "data": {"resultType": "vector", "result": []}}
    return {
        "/api/v1/query": empty,
        "/api/v1/query_range": {"status": "success", "data": {"resultType": "matrix", "result": []}},
        "/api/v1/query_exemplars": {"status": "success", "data": []},
        "/api/v1/alerts": {"status": "success", "data": {"alerts": []}},
    }


def vector(**values: float) -> dict[str, Any]:
    """An instant vector with one sample for each job."""
    rows = [{"metric": {"job": job}, "value": [START / 1e6, str(value)]} for job, value in values.items()]
    return {"status": "success", "data": {"resultType": "vector", "result": rows}}


def alert(name: str, state: str = "firing", **labels: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, **labels},
        "annotations": {"summary": f"{name} is {state}.", "runbook_url": f"http://x/runbooks/{name}"},
        "state": state,
        "activeAt": "2026-09-21T14:13:20.000000001Z",
        "value": "1e+00",
    }


def alerts(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"status": "success", "data": {"alerts": list(rows)}}


@contextmanager
def serve(answers: Mapping[str, Answer]) -> Iterator[str]:
    """A server of these answers on a free port; its address."""

    @Request.application
    def application(request: Request) -> Response:
        json = request.get_json() if request.method == "POST" else None
        status, body = Recorded(answers).send("", request.path, request.args, json)
        return Response(body, status, content_type="application/json")

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(WSGIRequestHandler):
    def log_request(self, *args: object) -> None:
        """Nothing: the test's output is for the test."""


def sources(
    jaeger: Any | None = None,
    prometheus: Any | None = None,
    logs: Any | None = None,
    search: LogSearch | None = None,
) -> Sources:
    """Sources that play the recorded answers, or what is given instead; `search` is a whole log search."""
    return Sources(
        traces=Jaeger(jaeger or Recorded(jaeger_answers()), "http://jaeger.test"),
        metrics=Prometheus(prometheus or Recorded(prometheus_answers()), "http://prometheus.test"),
        logs=search or EmbeddedLogs(logs or Recorded(log_answers()), "http://logs.test"),
    )
