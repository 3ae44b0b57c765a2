"""What a trace is expected to hold, compared with what a request left: for :mod:`observability.testing`.

A span matches by its name, and by its service and attributes where they are given (those of it that are
listed). Its children must be there in the order in which they began; further ones may stand between. A child
that runs beside its brothers is listed where it begins.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, format_span_id

PAUSE = 0.1
"""Seconds between two looks at a trace that is still coming in."""


@dataclass(frozen=True)
class Seen:
    """A span that was found, `began` in nanoseconds since the epoch."""

    name: str
    service: str
    id: str
    parent: str | None
    began: int
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Expected:
    """A span as it should be, with the children that it should have. Made by :func:`expected`."""

    name: str
    service: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    children: tuple[Expected, ...] = ()


def expected(
    name: str, *children: Expected, service: str | None = None, attributes: Mapping[str, Any] | None = None
) -> Expected:
    """The span `name`, with `children` below it in this order."""
    return Expected(name, service, attributes or {}, children)


def of_captured(spans: Iterable[ReadableSpan]) -> list[Seen]:
    """The spans of :func:`observability.testing.capture`."""
    return [
        Seen(
            span.name,
            str(span.resource.attributes.get("service.name", "")),
            format_span_id(span.context.span_id),
            format_span_id(span.parent.span_id) if span.parent else None,
            span.start_time or 0,
            {**_kind(span), **(span.attributes or {})},
        )
        for span in spans
        if span.context is not None
    ]


def _kind(span: ReadableSpan) -> dict[str, str]:
    """As Jaeger has it, so that the same expectation holds for both: a tag, unless it is internal."""
    return {} if span.kind is SpanKind.INTERNAL else {"span.kind": span.kind.name.lower()}


def of_jaeger(trace: Mapping[str, Any]) -> list[Seen]:
    """The spans of one trace in the JSON of Jaeger's query API."""
    processes = trace["processes"]
    return [
        Seen(
            span["operationName"],
            processes[span["processID"]]["serviceName"],
            span["spanID"],
            next((ref["spanID"] for ref in span["references"] if ref["refType"] == "CHILD_OF"), None),
            span["startTime"] * 1000,
            {tag["key"]: tag["value"] for tag in span["tags"]},
        )
        for span in trace["spans"]
    ]


def complaint(seen: list[Seen], wanted: Expected) -> str | None:
    """What is missing of `wanted` among the spans, and what there is; None where nothing is."""
    ids = {span.id for span in seen}
    said = [_below(span, wanted, seen) for span in seen if _unlike(span, wanted) is None]
    if None in said:
        return None
    found = [each for each in said if each] or [_missing(wanted, seen, "anywhere")]
    roots = [span for span in seen if span.parent not in ids]
    return "\n".join([*found, "The trace:", *_drawn(roots, seen, 1)])


def wait_for(url: str, trace_id: str, wanted: Expected, within: float) -> list[Seen]:
    """The spans of a trace once they hold `wanted`. Raises AssertionError when the time is up."""
    deadline = time.monotonic() + within
    while True:
        seen, trouble = _asked(f"{url.rstrip('/')}/api/traces/{quote(trace_id)}")
        said = trouble or complaint(seen, wanted)
        if said is None:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"after {within:g} s, trace {trace_id} at {url}: {said}")
        time.sleep(PAUSE)


def _asked(url: str) -> tuple[list[Seen], str | None]:
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r}: give the http address of the console, or of Jaeger's query API")
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - its scheme was looked at
            return of_jaeger(json.load(answer)["data"][0]), None
    except (OSError, urllib.error.URLError, ValueError, LookupError, TypeError) as error:
        return [], f"no trace was given: {error}"


def _below(span: Seen, wanted: Expected, seen: list[Seen]) -> str | None:
    """What is missing below a span that is itself as wanted."""
    left = iter(sorted((each for each in seen if each.parent == span.id), key=lambda each: each.began))
    for child in wanted.children:
        fits = (each for each in left if _unlike(each, child) is None and _below(each, child, seen) is None)
        if next(fits, None) is None:
            return _missing(child, seen, f"below {span.name!r} in this place")
    return None


def _unlike(span: Seen, wanted: Expected) -> str | None:
    if span.name != wanted.name or wanted.service not in (None, span.service):
        return f"{span.service} {span.name}"
    wrong = [
        f"{key} is {span.attributes.get(key)!r}, not {value!r}"
        for key, value in wanted.attributes.items()
        if span.attributes.get(key) != value
    ]
    return ", ".join(wrong) or None


def _missing(wanted: Expected, seen: list[Seen], where: str) -> str:
    named = [span for span in seen if span.name == wanted.name]
    why = "; ".join(filter(None, (_unlike(span, wanted) for span in named)))
    return f"{wanted.name!r} is not {where}" + (f": {why}" if why else "")


def _drawn(spans: list[Seen], seen: list[Seen], depth: int) -> Iterator[str]:
    for span in sorted(spans, key=lambda each: each.began):
        yield f"{'  ' * depth}{span.service}: {span.name}"
        yield from _drawn([each for each in seen if each.parent == span.id], seen, depth + 1)
