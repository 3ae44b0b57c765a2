"""What both OTLP transports do with a request: decode it, store it, and say how it went.

The transports differ only in how they read bytes and write answers, so the outcome is data here:
a response message, or one of the errors, each with its place in both protocols.
"""

from __future__ import annotations

import threading
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

from dashcam.store.otlp import Decoded, Malformed, TooLarge, decode_traces, parse_traces
from dashcam.store.otlp_json import parse_json
from dashcam.store.otlp_logs import DecodedLogs, decode_logs, parse_logs
from dashcam.store.otlp_parts import Parts
from dashcam.store.own_metrics import ReceiverMetrics
from dashcam.store.pushed_metrics import PushedMetrics, Refusals
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
        self._decoding = threading.Lock()

    def take(
        self, signal: str, transport: str, read: Callable[[], bytes], *, is_json: bool = False
    ) -> Message:
        """The response to a request whose data is stored. Raises Malformed, TooLarge or Refused.

        `read` gives its body once, which may raise them too. Requests are decoded one at a time: that is work
        of the interpreter, which does one thing at a time anyway, and takes many times a request's own room.
        """
        handle = {"traces": self._traces, "logs": self._logs, "metrics": self._metrics_signal}[signal]
        outcome = "ok"
        try:
            with self._decoding:
                batch, response = handle(read(), is_json)
            self._store(signal, batch)
            return response
        except Malformed:
            outcome = "malformed"
            raise
        except TooLarge:
            outcome = "too_large"
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

    def _traces(self, body: bytes, is_json: bool) -> tuple[Batch, Message]:
        decoded = Decoded()
        if is_json:
            decode_traces(parse_json(body, ExportTraceServiceRequest()), decoded)
        else:
            parts = Parts(body)
            for part in parts:
                decode_traces(parse_traces(part), decoded)
            _leave_out(decoded, parts)
        response = ExportTraceServiceResponse()
        if decoded.rejected:
            response.partial_success.rejected_spans = decoded.rejected
            response.partial_success.error_message = decoded.reason
            self._metrics.records.labels("traces", "rejected").inc(decoded.rejected)
        return Batch(spans=decoded.spans), response

    def _logs(self, body: bytes, is_json: bool) -> tuple[Batch, Message]:
        decoded = DecodedLogs()
        now = int(self._clock() * 1_000_000)
        if is_json:
            decode_logs(parse_json(body, ExportLogsServiceRequest()), now, decoded)
        else:
            parts = Parts(body)
            for part in parts:
                decode_logs(parse_logs(part), now, decoded)
            _leave_out(decoded, parts)
        response = ExportLogsServiceResponse()
        if decoded.rejected:
            response.partial_success.rejected_log_records = decoded.rejected
            response.partial_success.error_message = decoded.reason
            self._metrics.records.labels("logs", "rejected").inc(decoded.rejected)
        return Batch(logs=decoded.rows), response

    def _metrics_signal(self, body: bytes, is_json: bool) -> tuple[Batch, Message]:
        """Metrics are held for Prometheus, which scrapes them."""
        refused = Refusals()
        if is_json:
            refused.reasons += self._pushed.take(parse_json(body, ExportMetricsServiceRequest())).reasons
        else:
            for part in Parts(body):
                _parse_metrics(part)  # all of it, before anything of it is taken
            parts = Parts(body)
            for part in parts:
                refused.reasons += self._pushed.take(_parse_metrics(part)).reasons
            if parts.too_large:
                refused.reasons[parts.reason] += parts.too_large
        self._metrics.series.set(self._pushed.held)
        response = ExportMetricsServiceResponse()
        if refused.points:
            response.partial_success.rejected_data_points = refused.points
            response.partial_success.error_message = refused.text
            self._metrics.records.labels("metrics", "rejected").inc(refused.points)
        return Batch(), response

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


def _leave_out(decoded: Decoded | DecodedLogs, parts: Parts) -> None:
    if parts.too_large:
        decoded.rejected += parts.too_large
        decoded.reason = parts.reason


def _parse_metrics(body: bytes) -> ExportMetricsServiceRequest:
    try:
        return ExportMetricsServiceRequest.FromString(body)
    except DecodeError as error:
        raise Malformed(f"not an ExportMetricsServiceRequest in protobuf: {error}") from None
