"""The Nezha data set (MIT licence): a translation of its CSV files into traces, log lines and series.

`rca_data/<day>` holds a fault list and, for each fault, three minutes of rows in files named by the minute;
`construct_data/<day>` holds minutes without a fault, which serve as the time before each window: they are
moved to end where it begins. Its traps: `inject_timestamp` is in another time zone than `inject_time`, names
of files may be a minute off their rows, and spans have neither kind nor status nor attributes.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from benchmarks.rca.case import Case
from dashcam.sources import LogLine, Series, Span, Trace

csv.field_size_limit(2**31 - 1)

_POD = re.compile(r"-[0-9a-f]{5,10}-[0-9a-z]{5}$")
_SEVERITY = re.compile(r"\b(TRACE|DEBUG|INFO|WARN(?:ING)?|ERROR|FATAL|CRITICAL)\b", re.IGNORECASE)
MINUTES = 3
"""Files of a fault, from the minute on in which it was made."""
CALM = 50.0
"""Seconds before a fault that are a window without one, where the fault before it was another."""
BEFORE = 600.0
"""Seconds before a window of which its series are kept."""


def fits(folder: Path) -> bool:
    """Whether the folder holds days of this set."""
    return any(folder.glob("rca_data/*/*fault_list.json"))


def cases(folder: Path) -> Iterator[Case]:
    """The windows of every day, those with a fault and those without."""
    for listed in sorted(folder.glob("rca_data/*/*fault_list.json")):
        yield from _day(folder, listed)


def _day(folder: Path, listed: Path) -> Iterator[Case]:
    day = listed.parent
    calm = folder / "construct_data" / day.name
    usual = _telemetry(sorted(calm.glob("trace/*.csv")), sorted(calm.glob("log/*.csv")))
    previous = ("", "")
    for fault in (one for hour in json.loads(listed.read_text()).values() for one in hour):
        moment = datetime.strptime(fault["inject_time"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        traces, lines = _telemetry(_files(day / "trace", moment), _files(day / "log", moment))
        if not traces:
            continue
        service, kind = _service(fault["inject_pod"]), str(fault["inject_type"])
        start, end = min(one.start for one in traces) / 1e6, max(one.end for one in traces) / 1e6
        series = _series(day, start - BEFORE, end)
        before, said = _moved(usual, start)
        case = Case(
            f"{day.name} {moment:%H:%M} {kind} {service}",
            kind,
            service,
            start,
            end,
            moment.timestamp(),
            [*before, *traces],
            [*said, *lines],
            series,
        )
        yield case
        if (service, kind) != previous and moment.timestamp() - start >= CALM:
            yield _without(case, start + CALM)
        previous = service, kind


def _without(case: Case, end: float) -> Case:
    """The window of a case before its fault."""
    return replace(
        case,
        name=f"before {case.name}",
        kind="none",
        service="",
        end=end,
        traces=[one for one in case.traces if one.end <= end * 1e6],
        lines=[line for line in case.lines if line.time < end * 1e6],
        series={
            name: [Series(one.labels, tuple(p for p in one.points if p[0] < end)) for one in each]
            for name, each in case.series.items()
        },
    )


def _files(folder: Path, moment: datetime) -> list[Path]:
    minutes = (moment + timedelta(minutes=n) for n in range(MINUTES + 1))
    found = [path for minute in minutes for path in folder.glob(f"{minute:%H_%M}_*.csv")]
    return found[:MINUTES]


def _telemetry(traces: Iterable[Path], logs: Iterable[Path]) -> tuple[list[Trace], list[LogLine]]:
    spans: dict[str, dict[str, Span]] = {}
    for path in traces:
        for row in _rows(path):
            spans.setdefault(row["TraceID"], {})[row["SpanID"]] = _span(row)
    lines = {
        (row["TimeUnixNano"], row["PodName"], row["Log"]): _line(row) for path in logs for row in _rows(path)
    }
    return [
        Trace(trace_id, tuple(sorted(each.values(), key=lambda span: (span.start, -span.duration))))
        for trace_id, each in spans.items()
    ], sorted(lines.values(), key=lambda line: line.time)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        yield from csv.DictReader(file)


def _span(row: Mapping[str, str]) -> Span:
    start, end = int(row["StartTimeUnixNano"]) // 1000, int(row["EndTimeUnixNano"]) // 1000
    return Span(
        trace_id=row["TraceID"],
        span_id=row["SpanID"],
        parent_id=None if row["ParentID"] == "root" else row["ParentID"],
        operation=row["OperationName"],
        service=_service(row["PodName"]),
        start=start,
        duration=end - start,
        attributes={},
        resource={"service.name": _service(row["PodName"]), "k8s.pod.name": row["PodName"]},
    )


def _line(row: Mapping[str, str]) -> LogLine:
    try:
        text = str(json.loads(row["Log"])["log"]).strip()
    except (ValueError, KeyError, TypeError):
        text = row["Log"].strip()
    severity = _SEVERITY.search(text[:200])
    moment = datetime.fromtimestamp(int(row["TimeUnixNano"]) / 1e9, UTC)
    return LogLine(
        {
            "timestamp": moment.isoformat().replace("+00:00", "Z"),
            "severity": severity[1].upper().replace("WARNING", "WARN") if severity else "",
            "message": text,
            "service": _service(row["PodName"]),
            "trace_id": row["TraceID"],
            "span_id": row["SpanID"],
        }
    )


@cache
def _service(pod: str) -> str:
    return _POD.sub("", pod)


def _moved(
    usual: tuple[Sequence[Trace], Sequence[LogLine]], start: float
) -> tuple[list[Trace], list[LogLine]]:
    """Traces and lines so much later that they end where the window starts, with ids of their own."""
    traces, lines = usual
    if not traces:
        return [], []
    by = int((start - 1) * 1e6) - max(one.end for one in traces)
    moved = [
        Trace(
            f"u{one.trace_id}",
            tuple(replace(span, trace_id=f"u{span.trace_id}", start=span.start + by) for span in one.spans),
        )
        for one in traces
    ]
    said = []
    for line in lines:
        moment = datetime.fromtimestamp((line.time + by) / 1e6, UTC).isoformat().replace("+00:00", "Z")
        said.append(LogLine({**line.fields, "timestamp": moment, "trace_id": f"u{line.trace_id}"}))
    return moved, said


@cache
def _usage(day: Path) -> Mapping[str, tuple[Series, ...]]:
    """Processor seconds a second and bytes of memory of each pod, over the whole day."""
    found: dict[str, list[Series]] = {"cpu": [], "memory": []}
    for path in sorted(day.glob("metric/*_metric.csv")):
        rows = list(_rows(path))
        if not rows:
            continue
        labels = {"job": _service(rows[0]["PodName"]), "instance": rows[0]["PodName"]}
        for name, column, unit in (("cpu", "CpuUsage(m)", 1e-3), ("memory", "MemoryUsage(Mi)", 2.0**20)):
            points = tuple((float(row["TimeStamp"]), float(row[column] or 0) * unit) for row in rows)
            found[name].append(Series(labels, points))
    return {name: tuple(each) for name, each in found.items()}


def _series(day: Path, start: float, end: float) -> dict[str, list[Series]]:
    return {
        name: [Series(one.labels, tuple(p for p in one.points if start <= p[0] <= end)) for one in each]
        for name, each in _usage(day).items()
    }
