"""Finding a text in the spans of a trace: in names, attributes, events and log lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dashcam.sources import LogLine, Span


class Finder:
    """Says whether a span, or one of its log lines, has a text; in any case, and `name=value` too."""

    def __init__(self, text: str, lines: Sequence[LogLine]) -> None:
        self._text = text.strip().casefold()
        self._lines: dict[str, list[LogLine]] = {}
        for line in lines:
            self._lines.setdefault(line.span_id, []).append(line)

    def __call__(self, span: Span) -> bool:
        return bool(self._text) and any(self._text in one.casefold() for one in self._texts(span))

    def _texts(self, span: Span) -> Iterator[str]:
        yield span.service
        yield span.operation
        yield span.span_id
        yield from span.warnings
        yield from _pairs(span.attributes)
        for event in span.events:
            yield event.name
            yield from _pairs(event.attributes)
        for line in self._lines.get(span.span_id, ()):
            yield line.message


def _pairs(attributes: Mapping[str, Any]) -> Iterator[str]:
    return (f"{name}={value}" for name, value in attributes.items())
