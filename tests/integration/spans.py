"""Traces of a test's own making, sent as OTLP, and a service that makes real ones under load."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

MILLISECOND = 1_000_000


@dataclass(frozen=True)
class Piece:
    """One span: offsets and durations in milliseconds after the start of its trace."""

    service: str
    offset: float
    duration: float
    failed: bool = False


class Sender:
    """Makes traces with ids from a seed and sends them, each service's spans in requests of their own."""

    def __init__(self, otlp: str, seed: int) -> None:
        self._otlp = otlp
        self._random = random.Random(seed)
        self._client = httpx.Client(timeout=30)

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def trace(self, pieces: Sequence[Piece]) -> tuple[str, list[tuple[str, Span]]]:
        """A trace whose first piece is the root, as its id and its spans with their services."""
        trace_id = self._random.randbytes(16)
        root = self._random.randbytes(8)
        start = time.time_ns() - 2_000 * MILLISECOND
        spans = []
        for number, piece in enumerate(pieces):
            began = start + round(piece.offset * MILLISECOND)
            span = Span(
                trace_id=trace_id,
                span_id=self._random.randbytes(8) if number else root,
                parent_span_id=root if number else b"",
                name=f"{piece.service} works",
                kind=Span.SPAN_KIND_SERVER,
                start_time_unix_nano=began,
                end_time_unix_nano=began + round(piece.duration * MILLISECOND),
            )
            if piece.failed:
                span.status.code = Status.STATUS_CODE_ERROR
            spans.append((piece.service, span))
        return trace_id.hex(), spans

    def send(self, spans: Iterable[tuple[str, Span]]) -> None:
        """Send the spans, a request for each service. Fails unless the Collector takes them all."""
        by_service: dict[str, list[Span]] = {}
        for service, span in spans:
            by_service.setdefault(service, []).append(span)
        for service, theirs in by_service.items():
            request = ExportTraceServiceRequest()
            resource = request.resource_spans.add()
            attribute = resource.resource.attributes.add(key="service.name")
            attribute.value.string_value = service
            resource.scope_spans.add().spans.extend(theirs)
            answer = self._client.post(
                f"{self._otlp}/v1/traces",
                content=request.SerializeToString(),
                headers={"content-type": "application/x-protobuf"},
            )
            assert answer.status_code == 200, answer.text
