"""Sources that answer from a case, as Jaeger, Prometheus and the log search would."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from benchmarks.rca.case import Case
from dashcam.diagnose.observe import QUERIES
from dashcam.export import otlp_spans
from dashcam.model.logs import SEVERITIES
from dashcam.sources import (
    Alert,
    LogLine,
    LogPage,
    LogQuery,
    Sample,
    Series,
    Sources,
    Trace,
    TraceQuery,
    TraceSummary,
)

RAW = {
    "up": "up",
    "memory": "process_resident_memory_bytes",
    "cpu": "process_cpu_seconds_total",
    "started": "process_start_time_seconds",
    "files": "process_open_fds",
}
"""What of the diagnosis' own queries is a metric as it is, or the rate of one."""


class Traces:
    """The traces of a case, newest first."""

    def __init__(self, traces: Sequence[Trace]) -> None:
        self._traces = sorted(traces, key=lambda one: -one.start)

    def services(self) -> list[str]:
        return sorted({service for one in self._traces for service in one.services})

    def otlp_search(self, query: TraceQuery) -> list[dict[str, Any]]:
        return [part for one in self.search(query) for part in otlp_spans.resources(one)]

    def trace(self, trace_id: str) -> Trace | None:
        return next((one for one in self._traces if one.trace_id == trace_id), None)

    def summaries(self, query: TraceQuery) -> list[TraceSummary]:
        return [TraceSummary.of(one) for one in self.search(query)]

    def search(self, query: TraceQuery) -> list[Trace]:
        found = (
            one
            for one in self._traces
            if query.start <= one.start < query.end and query.service in one.services
        )
        if query.tags:
            found = (one for one in found if any(span.failed for span in one.spans))
        return list(found)[: query.limit]


class Logs:
    """The lines of a case, newest first."""

    def __init__(self, lines: Sequence[LogLine]) -> None:
        self._lines = sorted(lines, key=lambda one: -one.time)

    def search(self, query: LogQuery) -> LogPage:
        least = SEVERITIES.index(query.level) if query.level else -1
        found = [
            line
            for line in self._lines
            if (query.start or 0) <= line.time <= (query.end or 2**63)
            and query.service in ("", line.service)
            and query.trace_id in ("", line.trace_id)
            and (SEVERITIES.index(line.severity) if line.severity in SEVERITIES else -1) >= least
        ]
        return LogPage(found[: query.limit], len(found))


class Metrics:
    """The series of a case, by the diagnosis' own queries."""

    def __init__(self, case: Case) -> None:
        self._case = case

    def range(self, promql: str, start: float, end: float, step: float) -> list[Series]:
        del step  # as often as they were recorded
        if promql.startswith("timestamp(up)"):
            return [
                Series(one.labels, tuple((t, t) for t, _ in one.points))
                for one in self._known("up", start, end)
            ]
        begins = {name: text.split("WINDOW")[0] for name, text in QUERIES.items()}
        begins["families"] = "count by (job, __name__)"
        name = max(
            (n for n in begins if promql.startswith(begins[n])), key=lambda n: len(begins[n]), default=""
        )
        return self._known(name, start, end)

    def _known(self, name: str, start: float, end: float) -> list[Series]:
        cut = (
            Series(one.labels, tuple(point for point in one.points if start <= point[0] <= end))
            for one in self._case.series.get(name, ())
        )
        return [one for one in cut if one.points]

    def label_values(self, label: str) -> list[str]:
        return sorted(raw for name, raw in RAW.items() if self._case.series.get(name))

    def samples(self, selector: str, start: float, end: float) -> list[Series]:
        asked = set(re.split(r'["|]', selector))
        return [
            Series({**one.labels, "__name__": raw}, _counted(one, raw))
            for name, raw in RAW.items()
            if raw in asked
            for one in self._known(name, start, end)
        ]

    def instant(self, promql: str, at: float | None = None) -> list[Sample]:
        found = self.range(promql, 0.0, at or self._case.end, 0.0)
        return [Sample(one.labels, *one.points[-1]) for one in found]

    def alerts(self) -> list[Alert]:
        return []


def _counted(one: Series, raw: str) -> tuple[tuple[float, float], ...]:
    """The samples as they were scraped: of a rate, the counter that has it."""
    if not raw.endswith("_total"):
        return one.points
    total, last, found = 0.0, None, []
    for time, value in one.points:
        total += value * (time - last) if last is not None and math.isfinite(value) else 0.0
        last = time
        found.append((time, total))
    return tuple(found)


def sources(case: Case) -> Sources:
    """A case's telemetry behind the interfaces that the diagnosis asks."""
    return Sources(Traces(case.traces), Metrics(case), Logs(case.lines))  # type: ignore[arg-type]
