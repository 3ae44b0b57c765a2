"""What both OTLP transports do with a request: decode it, store it, and say how it went.

The transports differ only in how they read bytes and write answers, so the outcome is data here:
a response message, or one of the errors, each with its place in both protocols.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from dashcam.store.otlp import Malformed, decode_traces, parse_traces
from dashcam.store.otlp_json import parse_json
from dashcam.store.otlp_logs import decode_logs, parse_logs
from dashcam.store.own_metrics import ReceiverMetrics
from dashcam.store.pushed_metrics import PushedMetrics
from dashcam.store.records import Batch
from dashcam.store.writer import Full, Unavailable, Unstorable, Writer

STORE_SECONDS = 8.0
"""How long a request waits for its transaction; the SDK's exporters give up after 10 s."""

RETRY_SECONDS = 1
"""What a refused sender is told to wait."""

SIGNALS = ("traces", "logs", "metrics")


@dataclass
class Refused(Exception):
    """The request was not stored, and may be sent again after `RETRY_SECONDS`."""

    message: str
    overloaded: bool
    """True when the queue is full, false when the store does not work."""


class Intake:
    """Takes OTLP requests of every signal. Thread-safe."""

    def __init__(
        self,
        writer: Writer,
        metrics: ReceiverMetrics,
        pushed: PushedMetrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._writer = writer
        self._pushed = pushed
        self._metrics = metrics
        self._clock = clock

    def take(self, signal: str, transport: str, body: bytes, *, is_json: bool = False) -> Message:
        """The response to a request whose data is stored. Raises Malformed or Refused."""
        handle = {"traces": self._traces, "logs": self._logs, "metrics": self._metrics_signal}[signal]
        outcome = "ok"
        try:
            return handle(body, is_json)
        except Malformed:
            outcome = "malformed"
            raise
        except Refused as refused:
            outcome = "refused" if refused.overloaded else "failed"
            raise
        finally:
            self.count(transport, signal, outcome)

    def turn_away(self, signal: str, transport: str, message: str) -> Refused:
        """What a request that nobody had time to read is refused with, counted like one that was read."""
        self.count(transport, signal, "refused")
        return Refused(message, overloaded=True)

    def count(self, transport: str, signal: str, outcome: str) -> None:
        """Count an answered request."""
        self._metrics.requests.labels(transport, signal, outcome).inc()

    def _traces(self, body: bytes, is_json: bool) -> Message:
        request = parse_json(body, ExportTraceServiceRequest()) if is_json else parse_traces(body)
        decoded = decode_traces(request)
        del request
        self._store("traces", Batch(spans=decoded.spans))
        response = ExportTraceServiceResponse()
        if decoded.rejected:
            response.partial_success.rejected_spans = decoded.rejected
            response.partial_success.error_message = decoded.reason
            self._metrics.records.labels("traces", "rejected").inc(decoded.rejected)
        return response

    def _logs(self, body: bytes, is_json: bool) -> Message:
        request = parse_json(body, ExportLogsServiceRequest()) if is_json else parse_logs(body)
        decoded = decode_logs(request, int(self._clock() * 1_000_000))
        self._store("logs", Batch(logs=decoded.rows))
        response = ExportLogsServiceResponse()
        if decoded.rejected:
            response.partial_success.rejected_log_records = decoded.rejected
            response.partial_success.error_message = decoded.reason
            self._metrics.records.labels("logs", "rejected").inc(decoded.rejected)
        return response

    def _metrics_signal(self, body: bytes, is_json: bool) -> Message:
        """Metrics are held for Prometheus, which scrapes them."""
        request = ExportMetricsServiceRequest()
        if is_json:
            parse_json(body, request)
        else:
            try:
                request.ParseFromString(body)
            except DecodeError as error:
                raise Malformed(f"not an ExportMetricsServiceRequest in protobuf: {error}") from None
        refused = self._pushed.take(request)
        self._metrics.series.set(self._pushed.held)
        response = ExportMetricsServiceResponse()
        if refused.points:
            response.partial_success.rejected_data_points = refused.points
            response.partial_success.error_message = refused.text
            self._metrics.records.labels("metrics", "rejected").inc(refused.points)
        return response

    def _store(self, signal: str, batch: Batch) -> None:
        if not batch:
            return
        try:
            self._writer.wait(self._writer.submit(batch), STORE_SECONDS)
        except Full as full:
            self._metrics.records.labels(signal, "refused").inc(len(batch))
            raise Refused(str(full), overloaded=True) from None
        except Unstorable as unstorable:
            self._metrics.records.labels(signal, "rejected").inc(len(batch))
            raise Malformed(str(unstorable)) from unstorable
        except Unavailable as unavailable:
            raise Refused(str(unavailable), overloaded=False) from None
