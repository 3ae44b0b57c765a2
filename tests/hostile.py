"""OTLP requests that are small on the wire and large in memory."""

from __future__ import annotations

import gzip
import random

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from dashcam.store.wire import delimited

MIB = 2**20
START = 1_795_360_000_000_000_000

RESOURCE = delimited(1, delimited(1, delimited(1, b"service.name") + delimited(2, delimited(1, b"car"))))
"""A resource that is `car`, as field 1 of what is around it."""


def traces(*spans: bytes, resource: bytes = RESOURCE) -> bytes:
    """A request of encoded spans."""
    return delimited(1, resource + delimited(2, b"".join([delimited(2, span) for span in spans])))


def span(number: int, rest: bytes = b"", trace: int = 0) -> bytes:
    """An encoded span of a trace of its own, or of `trace`."""
    ids = delimited(1, (trace or number).to_bytes(16, "big")) + delimited(2, number.to_bytes(8, "big"))
    return ids + rest


def many_spans(count: int = 500_000) -> bytes:
    return traces(*[span(1 + i) for i in range(count)])


def long_spans(first: int, count: int = 15, trace: int = 0, rest: bytes = b"") -> bytes:
    """Spans with a name of nearly a MiB."""
    name = delimited(5, b"x" * (MIB - 200)) + rest
    return traces(*[span(first + i, name, trace) for i in range(count)])


def times(start: int) -> bytes:
    """The encoded start and end of a span."""
    return Span(start_time_unix_nano=start, end_time_unix_nano=start + 1000).SerializeToString()


def empty_attributes(count: int = 15) -> bytes:
    """Spans of half a million attributes each, which are two bytes on the wire."""
    bomb = b"\x4a\x00" * (MIB // 2 - 100)
    return traces(*[span(1 + i, bomb) for i in range(count)])


def shared_attributes() -> bytes:
    """A resource of as many attributes, which every span is indexed by."""
    return traces(*[span(1 + i) for i in range(20_000)], resource=delimited(1, b"\x0a\x00" * 300_000))


def many_scopes() -> bytes:
    """A large resource that is repeated in each of its scopes."""
    scope = delimited(2, delimited(2, span(1)))
    return delimited(1, delimited(1, b"\x0a\x00" * 250_000) + scope * 15_000)


def empty_resources() -> bytes:
    return b"\x0a\x00" * (8 * MIB - 10)


def json_objects() -> bytes:
    return b'{"resourceSpans":[' + b"{}," * (5 * MIB) + b"{}]}"


def json_numbers() -> bytes:
    return b'{"resourceSpans":' + b"[" + b"1," * (7 * MIB) + b"1]}"


def words(seed: int, count: int = 15) -> bytes:
    """Log records of a MiB of words that are all different."""
    made = ExportLogsServiceRequest()
    records = made.resource_logs.add().scope_logs.add().log_records
    chosen = random.Random(seed)
    for _ in range(count):
        text = chosen.randbytes(MIB // 2 - 2000).hex()
        body = " ".join([text[i : i + 7] for i in range(0, len(text), 8)])
        records.add(time_unix_nano=START, severity_number=9).body.string_value = body
    return made.SerializeToString()


def escapes(count: int = 15) -> bytes:
    """Log records whose every byte is six in JSON."""
    made = ExportLogsServiceRequest()
    for _ in range(count):
        record = made.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=START)
        record.body.string_value = "\x01" * (MIB - 2000)
    return made.SerializeToString()


def series(seed: int, count: int = 15_000, label: int = 700) -> bytes:
    """Counters with long labels, of processes that began at ever other times."""
    made = ExportMetricsServiceRequest()
    metrics = made.resource_metrics.add().scope_metrics.add().metrics
    metric = metrics.add(name="m")
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 2  # type: ignore[assignment]
    for i in range(count):
        point = metric.sum.data_points.add(
            as_int=1, start_time_unix_nano=START + seed, time_unix_nano=START + 1000 + seed
        )
        point.attributes.add(key="k").value.string_value = str(i).ljust(label, "x")
    return made.SerializeToString()


def families(seed: int, count: int = 15_000) -> bytes:
    """Metrics of ever other names."""
    made = ExportMetricsServiceRequest()
    metrics = made.resource_metrics.add().scope_metrics.add().metrics
    for i in range(count):
        metric = metrics.add(name=f"m{seed}_{i}".ljust(500, "x"), description="d" * 400)
        metric.gauge.data_points.add(as_int=1, time_unix_nano=START)
    return made.SerializeToString()


def compressed(body: bytes) -> bytes:
    return gzip.compress(body, 1, mtime=0)
