"""Traces and log lines of the shape that the services of `make up` leave, the same in every run."""

from __future__ import annotations

import json
import random
import time

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SERVICES = ("web", "car", "price")
ROUTES = (
    "/cars",
    "/cars/{maker}",
    "/cars/{maker}/{model}",
    "/cars/{maker}/{model}/quote",
    "/price",
    "/hello",
)
BATCH = 512
SPANS_A_TRACE = 8


class Load:
    """Traces and lines of the shape that the three services leave."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a benchmark repeats itself
        self.of_lines: list[str] = []
        """The trace of one line of each request of lines."""

    def request(self, now: float) -> tuple[bytes, list[str]]:
        """An OTLP request of BATCH spans, as one exporter sends it, and the trace ids in it."""
        dice = self._random
        service = dice.choice(SERVICES)
        message = ExportTraceServiceRequest()
        resource_spans = message.resource_spans.add()
        _describe(resource_spans.resource, service)
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name = "opentelemetry.instrumentation.flask"
        scope_spans.scope.version = "0.66b1"
        ids = []
        for i in range(BATCH):
            if i % SPANS_A_TRACE == 0:
                trace, parent = dice.randbytes(16), b""
                ids.append(trace.hex())
            parent = self._span(scope_spans.spans.add(), trace, parent, now, i)
        return message.SerializeToString(), ids

    def _span(self, span: Span, trace: bytes, parent: bytes, now: float, i: int) -> bytes:
        dice = self._random
        route = dice.choice(ROUTES)
        span.trace_id, span.span_id, span.parent_span_id = trace, dice.randbytes(8), parent
        span.name, span.kind = f"GET {route}", dice.choice((1, 2, 3))
        start = int((now - dice.random()) * 1e9)
        duration = int(dice.expovariate(1 / 20e6)) + 1000
        span.start_time_unix_nano, span.end_time_unix_nano = start, start + duration
        status = 500 if dice.random() < 0.01 else 200
        for key, text in (
            ("http.request.method", "GET"),
            ("http.route", route),
            ("url.path", f"/cars/maker-{dice.randrange(50)}/model-{dice.randrange(5000)}"),
            ("url.scheme", "http"),
            ("server.address", "localhost"),
            ("client.address", "127.0.0.1"),
            ("network.protocol.version", "1.1"),
            ("user_agent.original", "python-requests/2.34.2"),
        ):
            span.attributes.add(key=key).value.string_value = text
        for key, number in (
            ("http.response.status_code", status),
            ("server.port", 5001),
            ("client.port", dice.randrange(20000, 60000)),
            ("dashcam.request", dice.randrange(10_000_000)),
        ):
            span.attributes.add(key=key).value.int_value = number
        if status == 500:
            span.status.code = 2
            event = span.events.add(name="exception", time_unix_nano=start)
            event.attributes.add(key="exception.type").value.string_value = "ValueError"
            event.attributes.add(key="exception.message").value.string_value = "no such car"
        return span.span_id

    def records(self, now: float) -> bytes:
        """An OTLP request of BATCH log records, which say what `line` says."""
        message = ExportLogsServiceRequest()
        resource_logs = message.resource_logs.add()
        _describe(resource_logs.resource, self._random.choice(SERVICES))
        scope_logs = resource_logs.scope_logs.add()
        scope_logs.scope.name = "observability.access"
        for _ in range(BATCH):
            fields = json.loads(self.line(now))
            record = scope_logs.log_records.add(
                time_unix_nano=int((now - self._random.random()) * 1e9),
                severity_text=fields["severity"],
                severity_number=17 if fields["severity"] == "ERROR" else 9,
                trace_id=bytes.fromhex(fields["trace_id"]),
                span_id=bytes.fromhex(fields["span_id"]),
            )
            record.body.string_value = fields["message"]
            for key in ("http.request.method", "http.route", "url.path"):
                record.attributes.add(key=key).value.string_value = fields[key]
            status = record.attributes.add(key="http.response.status_code")
            status.value.int_value = fields["http.response.status_code"]
        self.of_lines.append(fields["trace_id"])
        return message.SerializeToString()

    def line(self, now: float) -> bytes:
        """A log line as a service writes it for a request."""
        dice = self._random
        service, route = dice.choice(SERVICES), dice.choice(ROUTES)
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{dice.randrange(10**6):06d}Z"
        status = 500 if dice.random() < 0.01 else 200
        fields = {
            "timestamp": moment,
            "severity": "ERROR" if status == 500 else "INFO",
            "message": f"GET {route} {status}" + (" needle" if dice.random() < 0.00001 else ""),
            "service": service,
            "trace_id": dice.randbytes(16).hex(),
            "span_id": dice.randbytes(8).hex(),
            "logger": "observability.access",
            "http.request.method": "GET",
            "http.route": route,
            "http.response.status_code": status,
            "url.path": f"/cars/maker-{dice.randrange(50)}/model-{dice.randrange(5000)}",
            "http.server.request.duration": round(dice.expovariate(50), 6),
        }
        return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def _describe(resource: Resource, service: str) -> None:
    for key, value in (
        ("service.name", service),
        ("service.version", "0.1.0"),
        ("service.instance.id", f"{service}-1"),
        ("deployment.environment.name", "local"),
        ("telemetry.sdk.language", "python"),
        ("telemetry.sdk.name", "opentelemetry"),
        ("telemetry.sdk.version", "1.45.1"),
    ):
        resource.attributes.add(key=key).value.string_value = value
