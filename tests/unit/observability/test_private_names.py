"""Names of other libraries that are not theirs to promise, and that the library touches all the same.

A release that takes one away fails here, by name, before anything else does; and so does a name that is
touched and not here.
"""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask.globals
import granian
import pytest
from flask import Flask
from flask_restful import Api
from opentelemetry import context as contexts
from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation import propagators
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import Span, SynchronousMultiSpanProcessor, Tracer, TracerProvider
from opentelemetry.trace import SpanKind, TraceState
from opentelemetry.util.http import get_excluded_urls
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

TRACER: Any = TracerProvider(shutdown_on_exit=False).get_tracer("test")
LIBRARY = Path(__file__).parents[3] / "observability"
REGISTRY: Any = CollectorRegistry()
COUNTER: Any = Counter("counted", "", registry=REGISTRY)
LABELLED: Any = Counter("labelled", "", ["by"], registry=REGISTRY)
GAUGE: Any = Gauge("gauged", "", registry=REGISTRY)
HISTOGRAM: Any = Histogram("measured", "", registry=REGISTRY)
EXPORTER: Any = OTLPSpanExporter()


def instrumented() -> Any:
    app = Flask("instrumented")
    FlaskInstrumentor.instrument_app(app)
    return app


NAMES: dict[str, Callable[[], object]] = {
    "prometheus_client Counter._value, its _value and _lock": lambda: (
        COUNTER._value._value,
        COUNTER._value._lock,
    ),
    "prometheus_client Gauge._value": lambda: GAUGE._value,
    "prometheus_client Histogram._sum and _buckets, and their _exemplar": lambda: (
        HISTOGRAM._sum,
        HISTOGRAM._buckets[0]._exemplar,
        HISTOGRAM._upper_bounds,
    ),
    "prometheus_client: the series of a metric": lambda: (
        LABELLED._lock,
        LABELLED._labelnames,
        LABELLED._metrics,
        LABELLED._is_parent(),
        LABELLED._get_metric,
        GAUGE._child_samples,
        GAUGE._multiprocess_mode,
    ),
    "prometheus_client: what a registry has": lambda: (
        REGISTRY._lock,
        REGISTRY._collector_to_names,
        REGISTRY._names_to_collectors,
    ),
    "Flask flask.globals._cv_request": lambda: flask.globals._cv_request.get,
    "Flask Response._on_close": lambda: Flask("x").response_class()._on_close,
    "OpenTelemetry context._RUNTIME_CONTEXT._current_context": lambda: vars(contexts._RUNTIME_CONTEXT)[
        "_current_context"
    ],
    "OpenTelemetry SDK Tracer._is_enabled, _span_limits, _instrumentation_scope": lambda: (
        TRACER._is_enabled(),
        TRACER._span_limits,
        TRACER._instrumentation_scope,
    ),
    "OpenTelemetry SDK Tracer._tracer_config": lambda: TRACER._tracer_config,
    "OpenTelemetry propagate._HTTP_TEXT_FORMAT": lambda: propagate._HTTP_TEXT_FORMAT,
    "OpenTelemetry instrumentation.propagators._RESPONSE_PROPAGATOR": lambda: (
        propagators._RESPONSE_PROPAGATOR
    ),
    "logging Logger._cache and _logRecordFactory": lambda: (
        vars(logging.getLogger())["_cache"],
        vars(logging)["_logRecordFactory"],
    ),
    "OpenTelemetry SDK Span._add_event, _add_link and _new_links": lambda: (
        Span._add_event,
        Span._add_link,
        Span._new_links,
    ),
    "OpenTelemetry SDK SynchronousMultiSpanProcessor._span_processors": lambda: (
        SynchronousMultiSpanProcessor()._span_processors  # type: ignore[no-untyped-call]
    ),
    "OpenTelemetry SDK Tracer.__class__": lambda: setattr(TRACER, "__class__", type("Other", (Tracer,), {})),
    "OpenTelemetry SDK ReadableSpan._start_time, Span._record_exception, _set_status_on_exception": lambda: (
        (span := TRACER.start_span("one"))._start_time,
        span._record_exception,
        span._set_status_on_exception,
    ),
    "OpenTelemetry OTLPSpanExporter._client, _max_request_size, _shutdown": lambda: (
        EXPORTER._client.export,
        EXPORTER._max_request_size,
        EXPORTER._shutdown,
    ),
    "OpenTelemetry TraceState._dict": lambda: TraceState()._dict.update,
    "OpenTelemetry FlaskInstrumentor: Flask._before_request": lambda: instrumented()._before_request,
    "Flask-RESTful Api._has_fr_route": lambda: Api._has_fr_route,
    "granian._spawn_wsgi_worker": lambda: granian.Granian._spawn_wsgi_worker,
    "logging._warnings_showwarning": lambda: vars(logging)["_warnings_showwarning"],
    "enum: _value_ of a member": lambda: SpanKind.SERVER._value_,
    "OpenTelemetry util.http ExcludeList._excluded_urls": lambda: get_excluded_urls("FLASK")._excluded_urls,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_private_name_that_is_relied_upon_is_there(name: str) -> None:
    try:
        NAMES[name]()
    except (AttributeError, KeyError) as error:
        pytest.fail(f"{name}: gone in the release that is installed ({error})")


OTHER = {"_exit", "_replace", "_observed_statement"}
"""What os and named tuples document, and what the library puts into a context of SQLAlchemy's."""


def ours(tree: ast.AST) -> Iterator[str]:
    """The names that a module makes itself: of functions and classes, and of what its objects are given."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _of_self(node):
            yield node.attr


def _of_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def touched(tree: ast.AST) -> Iterator[str]:
    """The private names that a module takes from whatever object or module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("observability"):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
            yield ast.literal_eval(node.args[1]) if isinstance(node.args[1], ast.Constant) else ""


def test_every_private_name_that_is_relied_upon_stands_here() -> None:
    trees = {path: ast.parse(path.read_text()) for path in LIBRARY.rglob("*.py")}
    known = set(re.findall(r"\b_\w+", Path(__file__).read_text())) | OTHER
    known.update(name for tree in trees.values() for name in ours(tree))
    unknown = {
        f"{path.relative_to(LIBRARY)}: {name}"
        for path, tree in trees.items()
        for name in touched(tree)
        if re.match(r"_[^_]", name) and name not in known
    }
    assert unknown == set(), "a private name of others: avoid it, or add it to NAMES"
