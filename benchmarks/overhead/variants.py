"""The variants of one application that are compared: who instruments it, and how much of it is on.

Each variant is an environment and a function that is given the bare application. What a variant cannot
switch off stays on: Dashcam has no switch for metrics, so its "traces" are traces and metrics.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flask import Flask

Build = Callable[[Flask], Flask]

_ON = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}


def bare(app: Flask) -> Flask:
    """Nothing at all, and no access line."""
    return app


def usual(app: Flask) -> Flask:
    """What a team puts together today: instrumentor, batch processor, prometheus exporter, JSON line."""
    if os.environ.get("BENCH_TRACES", "1") == "1":
        _usual_traces(app)
    if os.environ.get("BENCH_METRICS", "1") == "1":
        from prometheus_flask_exporter import PrometheusMetrics

        PrometheusMetrics(app)
    if os.environ.get("BENCH_LOGS", "1") == "1":
        _usual_access_line(app)
    return app


def _usual_traces(app: Flask) -> None:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    FlaskInstrumentor().instrument_app(app)


def _usual_access_line(app: Flask) -> None:
    import time

    from flask import Response, g, request
    from opentelemetry import trace
    from pythonjsonlogger.json import JsonFormatter

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger = logging.getLogger("access")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def line(response: Response) -> Response:
        context = trace.get_current_span().get_span_context()
        logger.info(
            "%s %s %d",
            request.method,
            request.path,
            response.status_code,
            extra={
                "trace_id": trace.format_trace_id(context.trace_id),
                "span_id": trace.format_span_id(context.span_id),
                "http.request.method": request.method,
                "http.route": str(request.url_rule),
                "http.response.status_code": response.status_code,
                "http.server.request.duration": time.perf_counter() - g.began,
                "client.address": request.remote_addr,
                "user_agent.original": str(request.user_agent),
            },
        )
        return response


def dashcam(app: Flask) -> Flask:
    """The one call."""
    from observability import instrument

    instrument(app, service="bench", version="1")
    return app


@dataclass(frozen=True)
class Variant:
    """A name for the table, who instruments, and the environment. `agent`: started by the official agent."""

    name: str
    build: Build
    environ: Mapping[str, str] = field(default_factory=dict)
    agent: bool = False


def _sampled(ratio: str) -> dict[str, str]:
    return {**_ON, "OTEL_TRACES_SAMPLER_ARG": ratio}


_NO_LINE = {"LOG_LEVEL": "WARNING"}
_NO_TRACES = {"OTEL_SDK_DISABLED": "true"}

VARIANTS = (
    Variant("bare", bare),
    Variant("usual", usual),
    Variant("usual, 10 %", usual, _sampled("0.1")),
    Variant("usual, 0 %", usual, _sampled("0")),
    Variant("usual, traces alone", usual, {"BENCH_METRICS": "0", "BENCH_LOGS": "0"}),
    Variant("usual, metrics alone", usual, {"BENCH_TRACES": "0", "BENCH_LOGS": "0"}),
    Variant("usual, lines alone", usual, {"BENCH_TRACES": "0", "BENCH_METRICS": "0"}),
    Variant("agent", bare, agent=True),
    Variant("Dashcam", dashcam, _sampled("1")),
    Variant("Dashcam, 10 %", dashcam, _sampled("0.1")),
    Variant("Dashcam, 1 %", dashcam, _sampled("0.01")),
    Variant("Dashcam, 0 %", dashcam, _sampled("0")),
    Variant("Dashcam, metrics alone", dashcam, {**_NO_TRACES, **_NO_LINE}),
    Variant("Dashcam, traces and metrics", dashcam, {**_sampled("1"), **_NO_LINE}),
    Variant("Dashcam, lines and metrics", dashcam, _NO_TRACES),
    Variant("Dashcam, pure Python", dashcam, {**_sampled("1"), "DASHCAM_INSTRUMENTATION": "python"}),
    Variant("Dashcam, official parts", dashcam, {**_sampled("1"), "DASHCAM_INSTRUMENTATION": "official"}),
)
"""All of them. `bare` is what the others are compared with."""


def named(name: str) -> Variant:
    """The variant called `name`; LookupError lists those there are."""
    for variant in VARIANTS:
        if variant.name == name:
            return variant
    raise LookupError(f"no variant {name!r}; there are: {', '.join(known.name for known in VARIANTS)}")
