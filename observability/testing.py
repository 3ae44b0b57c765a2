"""What a block of code left behind: its spans, metrics and log lines, for a test to look at.

    with capture() as got:
        client.get("/cars/bentz").get_data()
    assert got.span("GET /cars/<maker>").attributes["http.response.status_code"] == 200
    assert got.sample("http_server_request_duration_seconds_count", http_route="/cars/<maker>") == 1
    assert got.lines(severity="INFO")[-1]["trace_id"] == got.trace_id()

`assert_trace` says which spans a request leaves, in which order and with which attributes:

    assert_trace(got, expected("GET /cars", expected("SELECT cars"), attributes={"http.route": "/cars"}))
    wait_for_trace("http://localhost:16686", trace_id, expected("GET /", expected("GET"), service="web"))

the second of a running stack, by Jaeger's query API, which the console answers too.

`undeclared(got, SIGNALS)` holds a service to what it declares (see schema.py).

`instrument()` has to be called before the block. The access line of a request is written when its body
was read. :func:`settings` are for tests: nothing is sent, no port is opened.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from prometheus_client.metrics_core import Metric

from observability import declarations, process, schema
from observability.configuration import TelemetrySettings
from observability.logs.lines import JsonLines
from observability.settings import from_environ
from observability.telemetry import Telemetry
from observability.traces import expected as expectations
from observability.traces.expected import Expected, Seen, expected

__all__ = [
    "OFFLINE",
    "Captured",
    "Expected",
    "Seen",
    "assert_trace",
    "capture",
    "expected",
    "offline",
    "settings",
    "undeclared",
    "wait_for_trace",
]

OFFLINE = {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_PROMETHEUS_PORT": "none", "LOG_FORMAT": "json"}
"""The environment of a test: spans are recorded but sent nowhere, and no port is opened."""


def settings(**overrides: Any) -> TelemetrySettings:
    """Settings of a test: those of OFFLINE, whatever the environment says, and `overrides` by field name."""
    return from_environ(TelemetrySettings, OFFLINE, **overrides)


@contextmanager
def offline() -> Iterator[None]:
    """Put OFFLINE into the environment for a block, for a `create_app()` that reads its own settings."""
    before = {name: os.environ.get(name) for name in OFFLINE}
    os.environ.update(OFFLINE)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class Captured:
    """What was captured so far; it may be looked at inside the block and after it."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._before = _samples(telemetry)
        self._after: dict[Any, float] | None = None
        self._lock = threading.Lock()
        self._spans: list[ReadableSpan] = []
        self._lines: list[dict[str, Any]] = []

    @property
    def spans(self) -> list[ReadableSpan]:
        """The sampled spans that ended, in the order in which they ended."""
        with self._lock:
            return list(self._spans)

    def span(self, name: str) -> ReadableSpan:
        """The one span called `name`; an AssertionError says what there was instead."""
        found = [span for span in self.spans if span.name == name]
        names = [span.name for span in self.spans]
        assert len(found) == 1, f"{len(found)} spans are called {name!r}; captured: {names}"
        return found[0]

    def trace_id(self) -> str:
        """The one trace that all captured spans belong to, as 32 hexadecimal digits."""
        found = {trace.format_trace_id(span.context.trace_id) for span in self.spans if span.context}
        assert len(found) == 1, f"the spans belong to {len(found)} traces: {sorted(found)}"
        return found.pop()

    def lines(self, **fields: Any) -> list[dict[str, Any]]:
        """The log lines, as the JSON they would be, whose fields have the given values.

        A field with dots is given as `**{"http.route": ...}`.
        """
        with self._lock:
            lines = list(self._lines)
        return [line for line in lines if all(line.get(key) == value for key, value in fields.items())]

    def sample(self, name: str, **labels: str) -> float:
        """How much the samples `name` with at least these labels grew in the block, summed up.

        `name` is a sample's: `..._total` of a counter, `..._count`, `..._sum` or `..._bucket` of a
        histogram. 0.0 where there is none.
        """
        now = self._after if self._after is not None else _samples(self._telemetry)
        return sum(
            value - self._before.get(key, 0.0)
            for key, value in now.items()
            if key[0] == name and labels.items() <= dict(key[1]).items()
        )

    def value(self, name: str, **labels: str) -> float | None:
        """The value of the one sample `name` with exactly these labels now; None where there is none."""
        registries = self._telemetry.families.registries
        values = (registry.get_sample_value(name, labels) for registry in registries)
        return next((value for value in values if value is not None), None)

    def exemplars(self, name: str, **labels: str) -> list[dict[str, str]]:
        """The labels of the exemplars that the samples `name` with at least these labels carry now."""
        return [
            dict(sample.exemplar.labels)
            for family in _families(self._telemetry)
            for sample in family.samples
            if sample.name == name and sample.exemplar and labels.items() <= sample.labels.items()
        ]


@contextmanager
def capture(telemetry: Telemetry | None = None) -> Iterator[Captured]:
    """Capture what the block leaves behind in `telemetry`, the process's own by default.

    Raises LookupError where nothing is instrumented.
    """
    telemetry = telemetry or cast(Telemetry | None, process.current())
    if telemetry is None:
        raise LookupError("nothing is instrumented: call instrument(app, service=...) before capture()")
    captured = Captured(telemetry)
    collector = _Collector(captured)
    handler = _LineCollector(captured, telemetry.service)
    telemetry.add_span_processor(collector)
    logging.getLogger().addHandler(handler)
    try:
        yield captured
    finally:
        logging.getLogger().removeHandler(handler)
        collector.active = False
        captured._after = _samples(telemetry)


def assert_trace(got: Captured, wanted: Expected) -> None:
    """Hold what was captured to `wanted`: such a span, its children in this order, each of them likewise.

    An AssertionError says which span is not there or differs, and draws the tree that there is.
    """
    if said := expectations.complaint(expectations.of_captured(got.spans), wanted):
        raise AssertionError(said)


def wait_for_trace(url: str, trace_id: str, wanted: Expected, *, within: float = 15.0) -> list[Seen]:
    """The spans of a trace of a running stack, once they are as `wanted`, at most `within` seconds later.

    `url` is the console's address, or that of Jaeger's query API; spans of several services come in one after
    the other, so it is asked again. An AssertionError says what was missing at the end.
    """
    return expectations.wait_for(url, trace_id, wanted, within)


def undeclared(got: Captured, *declared: schema.Signals) -> list[str]:
    """What was captured and is declared neither by the library nor in `declared`; a line for each.

    Metrics are compared by name, kind, help and labels; fields of log lines, those of `extra=` included, by
    name and type; span attributes by name. Those of the HTTP conventions and what prometheus_client says of
    the process need no declaration.
    """
    return declarations.undeclared(got.spans, got.lines(), _families(got._telemetry), declared)


class _Collector(SpanProcessor):
    """Keeps sampled spans. A processor cannot be taken away from a provider: it is put to sleep."""

    def __init__(self, captured: Captured) -> None:
        self._captured = captured
        self.active = True

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing to do."""

    def on_end(self, span: ReadableSpan) -> None:
        if self.active and span.context is not None and span.context.trace_flags.sampled:
            with self._captured._lock:
                self._captured._spans.append(span)


class _LineCollector(logging.Handler):
    """Keeps every record as the line that it would be."""

    def __init__(self, captured: Captured, service: str) -> None:
        super().__init__()
        self._captured = captured
        self.setFormatter(JsonLines(service))

    def emit(self, record: logging.LogRecord) -> None:
        line = json.loads(self.format(record))
        with self._captured._lock:
            self._captured._lines.append(line)


def _samples(telemetry: Telemetry) -> dict[Any, float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in _families(telemetry)
        for sample in family.samples
    }


def _families(telemetry: Telemetry) -> Iterator[Metric]:
    for registry in telemetry.families.registries:
        yield from registry.collect()
