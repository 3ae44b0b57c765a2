"""The spans of one unsampled request in this process, held until it is known how it ended.

`retention.py` says what becomes of them. Here is what the rest of the runtime may ask about a span and
tell about its trace; it costs one look at an attribute where there is nothing to say.
"""

from __future__ import annotations

import threading
import time

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Span
from opentelemetry.trace import SpanKind, StatusCode

ERROR, SLOW, DOWNSTREAM = "error", "slow", "downstream"
"""Why a local trace is kept."""

_FAILED = StatusCode.ERROR  # looking it up in its enumeration takes longer than all else here

MAX_SPANS = 1000
"""Spans of one local trace that are held. Those of a request that makes more are cut, and counted."""


class LocalTrace:
    """The spans of one unsampled request in this process, from the start of its root to its end."""

    __slots__ = ("__weakref__", "_lock", "_root", "_slow", "_spans", "closed", "cut", "reason")

    def __init__(self, root: Span, slow: int) -> None:
        self._root: Span | None = root
        self._slow = slow
        self._spans: list[ReadableSpan] = []
        self._lock = threading.Lock()
        self.reason: str | None = None
        self.closed = False
        self.cut = 0

    def promise(self) -> bool:
        """Whether it is certain by now that it is exported; and if it is, it stays so."""
        if self.reason is None and self._root is not None:
            if self._root.status.status_code is _FAILED:
                self.reason = ERROR
            elif time.time_ns() - (self._root.start_time or 0) > self._slow:
                self.reason = SLOW
        return self.reason is not None

    def is_root(self, span: ReadableSpan) -> bool:
        """Whether `span` is the one that the request began with in this process."""
        root = self._root
        return span is root or (root is not None and root.context is span.context)

    def hold(self, span: ReadableSpan) -> bool:
        """Take in a span that has ended and is not the root; False when the root was sooner."""
        if self.reason is None and failed(span):
            self.reason = ERROR
        _ = span.attributes  # read now: what would collect them later is gone by then
        with self._lock:
            if self.closed:
                return False
            if len(self._spans) < MAX_SPANS:
                self._spans.append(span)
            else:
                self.cut += 1
            return True

    def close(self, root: ReadableSpan) -> list[ReadableSpan]:
        """The root has ended: the spans that are to be exported, itself included."""
        if self.reason is None:
            if failed(root):
                self.reason = ERROR
            elif (root.end_time or 0) - (root.start_time or 0) > self._slow:
                self.reason = SLOW
        with self._lock:
            self.closed = True
            spans, self._spans = self._spans, []
        self._root = None
        return [*spans, root] if self.reason is not None else []


def failed(span: ReadableSpan) -> bool:
    """Whether a span is an error of this system's: a 4xx that it was answered is not."""
    if span.status.status_code is not _FAILED:
        return False
    status = (span.attributes or {}).get("http.response.status_code")
    return not (span.kind is SpanKind.CLIENT and isinstance(status, int) and 400 <= status < 500)


def keep(span: trace.Span, reason: str = DOWNSTREAM) -> None:
    """Have the local trace of `span` exported in any case. No effect on a sampled one or after its end."""
    local: LocalTrace | None = getattr(span, "local_trace", None)
    if local is not None and local.reason is None and not local.closed:
        local.reason = reason


def kept_downstream(span: trace.Span, answer: str | None) -> None:
    """Take note of a `traceresponse` header that a call within `span` was answered with."""
    if answer is None or getattr(span, "local_trace", None) is None:
        return
    parts = answer.strip().split("-")
    ours = trace.format_trace_id(span.get_span_context().trace_id)
    if len(parts) >= 4 and parts[1] == ours and len(parts[3]) == 2 and parts[3][1] in "13579bdf":
        keep(span)
