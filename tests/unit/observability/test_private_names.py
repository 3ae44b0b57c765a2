"""Names of other libraries that are not theirs to promise, and that the library touches all the same.

A release that takes one away fails here, by name, before anything else does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import flask.globals
import pytest
from flask import Flask
from opentelemetry import context as contexts
from opentelemetry import propagate
from opentelemetry.instrumentation import propagators
from opentelemetry.sdk.trace import Span, SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.trace import propagation
from opentelemetry.util.http import get_excluded_urls
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

TRACER: Any = TracerProvider(shutdown_on_exit=False).get_tracer("test")
REGISTRY = CollectorRegistry()
COUNTER: Any = Counter("counted", "", registry=REGISTRY)
GAUGE: Any = Gauge("gauged", "", registry=REGISTRY)
HISTOGRAM: Any = Histogram("measured", "", registry=REGISTRY)

NAMES: dict[str, Callable[[], object]] = {
    "prometheus_client Counter._value, its _value and _lock": lambda: (
        COUNTER._value._value,
        COUNTER._value._lock,
    ),
    "prometheus_client Gauge._value": lambda: GAUGE._value,
    "prometheus_client Histogram._sum and _buckets, and their _exemplar": lambda: (
        HISTOGRAM._sum,
        HISTOGRAM._buckets[0]._exemplar,
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
    "OpenTelemetry trace.propagation._SPAN_KEY": lambda: propagation._SPAN_KEY,
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
    "OpenTelemetry util.http ExcludeList._excluded_urls": lambda: get_excluded_urls("FLASK")._excluded_urls,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_private_name_that_is_relied_upon_is_there(name: str) -> None:
    try:
        NAMES[name]()
    except (AttributeError, KeyError) as error:
        pytest.fail(f"{name}: gone in the release that is installed ({error})")
