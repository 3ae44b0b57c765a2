"""The span processors of a service, asked only at the steps at which they have something to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, SynchronousMultiSpanProcessor


class Processors(SynchronousMultiSpanProcessor):
    """Passes spans on to each processor in the order in which they were added.

    `reads_at_once` is true while every processor reads what it wants of a span before its `on_end`
    returns, which those say that have an attribute of that name; others may keep a span and read it later.
    """

    reads_at_once = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._starts: tuple[Callable[..., Any], ...] = ()
        self._endings: tuple[Callable[..., Any], ...] = ()
        self._ends: tuple[Callable[..., Any], ...] = ()

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Also show every span to `span_processor`."""
        super().add_span_processor(span_processor)
        self._starts = self._that_do("on_start")
        self._endings = self._that_do("_on_ending")
        self._ends = self._that_do("on_end")
        self.reads_at_once = all(getattr(one, "reads_at_once", False) for one in self._span_processors)

    def _that_do(self, step: str) -> tuple[Callable[..., Any], ...]:
        nothing = getattr(SpanProcessor, step)
        return tuple(
            getattr(one, step) for one in self._span_processors if getattr(type(one), step) is not nothing
        )

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """See `SpanProcessor`."""
        for step in self._starts:
            step(span, parent_context=parent_context)

    def _on_ending(self, span: Span) -> None:
        for step in self._endings:
            step(span)

    def on_end(self, span: ReadableSpan) -> None:
        """See `SpanProcessor`."""
        for step in self._ends:
            step(span)
