"""The spans of a trace that are worth an assistant's room: what failed, and what the trace waited for."""

from __future__ import annotations

from dashcam.mcp.answers import TraceSpan, cut
from dashcam.model.tree import Tree, critical_path
from dashcam.sources import Span, Trace

SPANS, ATTRIBUTES = 25, 12
"""Spans of a trace, and attributes of a span, that are answered."""
TELLING = ("http.", "url.", "db.", "server.", "error", "exception.", "rpc.", "messaging.")
"""How the attributes begin that come first."""


def shown(one: Trace) -> tuple[list[TraceSpan], int]:
    """The most telling spans by time, and how many are left out."""
    path = critical_path(one, Tree(one))
    waited = {span_id: sum(end - start for start, end in parts) for span_id, parts in path.items()}
    ranked = sorted(one.spans, key=lambda span: (not span.failed, -waited.get(span.span_id, 0)))
    chosen = sorted(ranked[:SPANS], key=lambda span: span.start)
    rows = [_row(one, span, waited.get(span.span_id, 0)) for span in chosen]
    return rows, len(one.spans) - len(rows)


def _row(one: Trace, span: Span, waited: int) -> TraceSpan:
    return TraceSpan(
        span.span_id,
        span.parent_id or "",
        span.service,
        cut(span.operation),
        (span.start - one.start) / 1000,
        span.duration / 1000,
        waited / 1000,
        _error(span),
        _attributes(span),
    )


def _error(span: Span) -> str:
    if not span.failed:
        return ""
    for event in span.exceptions:
        known = event.attributes
        return cut(f"{known.get('exception.type', 'error')}: {known.get('exception.message', '')}")
    return cut(span.status_message or span.attributes.get("error.type", "error"))


def _attributes(span: Span) -> dict[str, str]:
    names = sorted(span.attributes, key=lambda name: (not name.startswith(TELLING), name))
    return {name: cut(span.attributes[name], 120) for name in names[:ATTRIBUTES]}
