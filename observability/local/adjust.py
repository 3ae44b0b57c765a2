"""What Jaeger does to a trace before it shows it, in Jaeger's order; `raw=true` leaves it out."""

from __future__ import annotations

from opentelemetry.proto.trace.v1.trace_pb2 import TracesData


def adjust(data: TracesData) -> None:
    """Adjust a trace in place."""
