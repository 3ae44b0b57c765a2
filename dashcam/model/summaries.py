"""A trace in short, as a list of results shows it: made of Jaeger's own summary or of the whole trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashcam.model.traces import UNKNOWN_SERVICE, Trace, microseconds


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """Times in microseconds since the epoch; `services` are names with their number of spans, sorted.

    The root is the earliest span without a parent in the trace; both of its names are empty where the
    source does not say.
    """

    trace_id: str
    start: int
    end: int
    root_service: str
    root_operation: str
    spans: int
    errors: int
    services: Mapping[str, int]

    @property
    def duration(self) -> int:
        """From the first span's start to the last one's end, in microseconds."""
        return self.end - self.start

    @property
    def title(self) -> str:
        """Its root span, by service and operation."""
        return f"{self.root_service}: {self.root_operation}" if self.root_service else "(root span unknown)"

    @classmethod
    def of(cls, trace: Trace) -> TraceSummary:
        """The summary of a whole trace."""
        root = trace.root
        return cls(
            trace_id=trace.trace_id,
            start=trace.start,
            end=trace.end,
            root_service=root.service if root else "",
            root_operation=root.operation if root else "",
            spans=len(trace.spans),
            errors=trace.errors,
            services=trace.services,
        )

    @classmethod
    def from_jaeger(cls, data: Any) -> TraceSummary:
        """Make it of one of the `summaries` of `/api/v3/trace-summaries`, where what is zero is left out."""
        try:
            services = {
                str(one.get("name") or UNKNOWN_SERVICE): int(one.get("spanCount", 0))
                for one in data.get("services") or ()
            }
            return cls(
                trace_id=str(data["traceId"]),
                start=microseconds(int(data.get("minStartTimeUnixNano", 0)) // 1000),
                end=microseconds(int(data.get("maxEndTimeUnixNano", 0)) // 1000),
                root_service=str(data.get("rootServiceName", "")),
                root_operation=str(data.get("rootOperationName", "")),
                spans=int(data.get("spanCount", 0)),
                errors=int(data.get("errorSpanCount", 0)),
                services=dict(sorted(services.items())),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not a summary of Jaeger's: {error!r}") from error
