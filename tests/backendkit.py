"""Helpers of the embedded backend's tests: OTLP messages in one line, and a store to put them into."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

from dashcam.store.log_lines import record
from dashcam.store.otlp import decode_traces
from dashcam.store.own_metrics import ReceiverMetrics
from dashcam.store.query import create_app
from dashcam.store.records import Batch
from dashcam.store.settings import LocalSettings
from dashcam.store.writer import Writer

START = 1_795_360_000_000_000_000
"""2026-11-22T15:06:40Z in nanoseconds."""

TRACE = bytes.fromhex("0123456789abcdef0123456789abcdef")


def value(data: Any) -> AnyValue:
    """Python data as an OTLP value; None is a value that is not set."""
    made = AnyValue()
    if data is None:
        return made
    if isinstance(data, bool):
        made.bool_value = data
    elif isinstance(data, int):
        made.int_value = data
    elif isinstance(data, float):
        made.double_value = data
    elif isinstance(data, bytes):
        made.bytes_value = data
    elif isinstance(data, list):
        made.array_value.SetInParent()
        made.array_value.values.extend(value(item) for item in data)
    elif isinstance(data, dict):
        made.kvlist_value.SetInParent()
        made.kvlist_value.values.extend(pairs(data))
    else:
        made.string_value = data
    return made


def pairs(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value(data)) for key, data in attributes.items()]


class Request:
    """An OTLP trace request under construction."""

    def __init__(self) -> None:
        self.message = ExportTraceServiceRequest()

    def resource(
        self, service: Any = "car", scope: str = "", version: str = "", **attributes: Any
    ) -> ScopeSpans:
        """A new resource with one scope; dots in attribute names are written as double underscores."""
        resource_spans = self.message.resource_spans.add()
        named = {} if service is None else {"service.name": service}
        dotted = {key.replace("__", "."): data for key, data in attributes.items()}
        resource_spans.resource.attributes.extend(pairs(named | dotted))
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name, scope_spans.scope.version = scope, version
        return scope_spans

    @property
    def body(self) -> bytes:
        return self.message.SerializeToString()


def add_span(
    scope: ScopeSpans,
    name: str = "GET /cars",
    *,
    trace: bytes = TRACE,
    span: int = 1,
    parent: int = 0,
    kind: int = 2,
    start: float = 0,
    duration: float = 0.01,
    error: bool = False,
    attributes: dict[str, Any] | None = None,
) -> Span:
    """Add a span; `start` is seconds after START, `span` and `parent` are ids as numbers."""
    begin = START + round(start * 1e9)
    made = scope.spans.add(
        trace_id=trace,
        span_id=span.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=name,
        kind=kind,
        start_time_unix_nano=begin,
        end_time_unix_nano=begin + round(duration * 1e9),
    )
    if error:
        made.status.code = 2  # type: ignore[assignment]
    made.attributes.extend(pairs(attributes or {}))
    return made


class Store:
    """A writer with its thread running, and a client of the query application on the same folder.

    The writer's clock runs from a minute after START, or from `now` (in seconds) where a test sets it: what
    is kept for how long must not depend on the day the test runs.
    """

    def __init__(self, folder: Path, **overrides: Any) -> None:
        self.settings = LocalSettings(state_dir=folder, **overrides)
        self.metrics = ReceiverMetrics()
        self.now = START / 1e9 + 60
        began = time.monotonic()
        self.writer = Writer(self.settings, self.metrics, clock=lambda: self.now + time.monotonic() - began)
        self.writer.start()
        self.client: FlaskClient = create_app(self.settings).test_client()

    def close(self) -> None:
        self.writer.stop()

    def put(self, batch: Batch) -> None:
        self.writer.wait(self.writer.submit(batch), 30)

    def spans(self, request: Request) -> None:
        self.put(Batch(spans=decode_traces(request.message).spans))

    def lines(self, *lines: dict[str, Any]) -> None:
        """Store lines; `at` is their time in seconds after START."""
        rows = []
        for line in lines:
            fields = dict(line)
            moment = START // 1000 + round(fields.pop("at", 0) * 1e6)
            rows.append(record(fields, "file", moment))
        self.put(Batch(logs=rows))

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON of an answer that must be 200."""
        response = self.client.get(path, query_string=parameters)
        assert response.status_code == 200, (path, parameters, response.get_data(as_text=True))
        return response.get_json()
