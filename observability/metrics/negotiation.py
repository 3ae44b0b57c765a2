"""Which form of `/metrics` an Accept header asks for, as RFC 9110 reads it, and whether gzip may be used."""

from __future__ import annotations

from collections.abc import Sequence

from werkzeug.http import parse_accept_header, parse_options_header

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
_VERSIONS = {
    "application/openmetrics-text": ("", "0.0.1", "1.0.0"),
    "text/plain": ("", "0.0.4"),
    "application/*": ("",),
    "text/*": ("",),
    "*/*": ("",),
}
"""The ranges that cover one of the two, by their parameter `version`; another version covers neither."""


def content_type(*accept: str) -> tuple[str, bool]:
    """The content type to answer with, and whether it is OpenMetrics; `accept` is one or more header lines.

    Where both are as welcome, OpenMetrics, which has exemplars, for who names it, and else the text format;
    the text format also for who accepts neither: a scraper can do more with it than with a 406.
    """
    ranges = _ranges(accept)
    openmetrics = _quality(ranges, "application/openmetrics-text", "application/*")
    text = _quality(ranges, "text/plain", "text/*")
    named = any(name == "application/openmetrics-text" for name, _ in ranges)
    better = openmetrics > text or (named and openmetrics == text)
    return (OPENMETRICS, True) if openmetrics and better else (TEXT, False)


def gzip_accepted(*accept_encoding: str) -> bool:
    """Whether gzip may be used; `accept_encoding` is one or more header lines."""
    accepted = parse_accept_header(", ".join(accept_encoding))
    named = {name.lower(): quality for name, quality in accepted}
    return named.get("gzip", named.get("x-gzip", named.get("*", 0))) > 0


def _ranges(accept: Sequence[str]) -> list[tuple[str, float]]:
    found = []
    for value, quality in parse_accept_header(", ".join(accept)):
        name, parameters = parse_options_header(value)
        if parameters.get("version", "") in _VERSIONS.get(name.lower(), ()):
            found.append((name.lower(), float(quality)))
    return found


def _quality(ranges: Sequence[tuple[str, float]], *by_specificity: str) -> float:
    """The quality of the most specific range that covers a type."""
    for wanted in (*by_specificity, "*/*"):
        qualities = [quality for name, quality in ranges if name == wanted]
        if qualities:
            return max(qualities)
    return 0.0
