"""The same questions to each program, in its own words."""

from __future__ import annotations

import json
import random
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

from benchmarks.backend.load import ROUTES

TRACES = 20
"""Traces that a search is asked for."""


@dataclass(frozen=True)
class Question:
    """What is asked: a list of names, a search for traces or lines, or one trace by its id."""

    kind: str
    operation: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    longer_than_ms: int = 0
    seconds_ago: tuple[int, int] = (7200, -60)
    trace_id: str = ""
    text: str = ""
    asked_at: float = field(default_factory=time.time)

    @property
    def between(self) -> tuple[int, int]:
        """The time asked of, in microseconds since the epoch."""
        return tuple(int((self.asked_at - ago) * 1e6) for ago in self.seconds_ago)  # type: ignore[return-value]


def questions(sample: list[str], of_lines: list[str], times: int) -> dict[str, list[Question]]:
    """Every question, `times` times with values that differ; of ids of stored traces, and of lines."""
    dice = random.Random(4)  # noqa: S311 - a benchmark repeats itself

    def window() -> tuple[int, int]:
        start = 300 + dice.randrange(3300)
        return start, start - 300

    def search(**parts: Any) -> Question:
        return Question("search", **parts)

    def one_span() -> tuple[tuple[str, str], ...]:
        return (("dashcam.request", str(dice.randrange(10_000_000))),)

    makers = {
        "services": lambda: Question("services"),
        "operations of a service": lambda: Question("operations"),
        "search: service": search,
        "search: operation, in 5 minutes": lambda: search(
            operation=f"GET {dice.choice(ROUTES)}", seconds_ago=window()
        ),
        "search: attribute, rare": lambda: search(tags=(("http.response.status_code", "500"),)),
        "search: longer than, rare": lambda: search(longer_than_ms=dice.randrange(220, 260)),
        "search: attribute, common": lambda: search(tags=(("http.response.status_code", "200"),)),
        "search: attribute, one span or none": lambda: search(tags=one_span()),
        "search: attribute that nothing has": lambda: search(tags=(("http.route", "/nowhere"),)),
        "trace by id": lambda: Question("trace", trace_id=dice.choice(sample)),
        "lines: newest": lambda: Question("lines"),
        "lines: text, in 5 minutes": lambda: Question("lines", text="quote", seconds_ago=window()),
        "lines: of a trace": lambda: Question("lines", trace_id=dice.choice(of_lines or sample)),
    }
    return {name: [make() for _ in range(times)] for name, make in makers.items()}


def of_jaeger(asked: Question) -> str | None:
    """The path that Jaeger's query API answers, and the embedded backend too. None: it keeps no lines."""
    if asked.kind == "services":
        return "/api/services"
    if asked.kind == "operations":
        return "/api/operations?service=car"
    if asked.kind == "trace":
        return f"/api/traces/{asked.trace_id}"
    if asked.kind == "lines":
        return None
    start, end = asked.between
    parts = {
        "service": "car",
        "limit": str(TRACES),
        "start": str(start),
        "end": str(end),
        **({"operation": asked.operation} if asked.operation else {}),
        **({"minDuration": f"{asked.longer_than_ms}ms"} if asked.longer_than_ms else {}),
        **({"tags": json.dumps(dict(asked.tags))} if asked.tags else {}),
    }
    return "/api/traces?" + urllib.parse.urlencode(parts)


def of_dashcam(asked: Question) -> str | None:
    """The path of the embedded backend."""
    if asked.kind != "lines":
        return of_jaeger(asked)
    start, end = asked.between
    parts = {"limit": "100", "start": str(start), "end": str(end)}
    parts |= {"q": asked.text} if asked.text else {}
    parts |= {"trace_id": asked.trace_id} if asked.trace_id else {}
    return "/api/logs?" + urllib.parse.urlencode(parts)


def of_viewer(asked: Question) -> tuple[str, list[Any]] | None:
    """otel-desktop-viewer's method and parameters; None where it has nothing like it."""
    start, end = (str(at * 1000) for at in asked.between)
    if asked.kind == "trace":
        return "searchSpans", [asked.trace_id]
    if asked.kind == "lines":
        conditions = [_condition("body", "CONTAINS", asked.text)] if asked.text else []
        conditions += [_condition("traceID", "=", asked.trace_id)] if asked.trace_id else []
        return "searchLogs", [start, end, *_all(conditions)]
    if asked.kind != "search":
        return None
    conditions = [_attribute("service.name", "car", "resource")]
    conditions += [_attribute(name, value, "span") for name, value in asked.tags]
    if asked.operation:
        conditions.append(_condition("name", "=", asked.operation))
    if asked.longer_than_ms:
        nanoseconds = str(asked.longer_than_ms * 1_000_000)
        conditions.append(_condition("duration", ">", nanoseconds, "int64"))
    return "searchTraces", [start, end, *_all(conditions)]


def _condition(name: str, operator: str, value: str, kind: str = "string") -> dict[str, Any]:
    field_ = {"name": name, "searchScope": "field", "type": kind}
    query = {"field": field_, "fieldOperator": operator, "value": value}
    return {"id": name, "type": "condition", "query": query}


def _attribute(name: str, value: str, scope: str) -> dict[str, Any]:
    field_ = {"name": name, "searchScope": "attribute", "attributeScope": scope}
    return {"id": name, "type": "condition", "query": {"field": field_, "fieldOperator": "=", "value": value}}


def _all(conditions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    group = {"logicalOperator": "AND", "children": conditions}
    return [{"id": "all", "type": "group", "group": group}] if conditions else []
