"""Lines that code attaches odd things to, formatted as a service formats them."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from observability.logs.lines import JsonLines

_DEEP: Any = "the bottom"
for _ in range(40):
    _DEEP = {"deeper": _DEEP}

ATTACHED: dict[str, dict[str, Any]] = {
    "one that is declared, of its type": {
        "dependency": "database",
        "server.address": "127.0.0.1",
        "error.type": "TimeoutError",
    },
    "a number that is declared, as text": {"http.response.status_code": "teapot"},
    "a number beyond all integers": {"http.response.status_code": 10**40},
    "no number at all": {"http.server.request.duration": float("nan")},
    "an object under a declared name": {"http.route": {"method": "GET"}, "url.path": ["/a", {"b": 1}]},
    "an object that is named as a group of declared names": {"http": {"route": 1}, "exception": "none"},
    "a text under the name of the rest": {"extra": "loose"},
    "names that an index cannot have": {"": 1, ".": 2, "..a": 3, " ": 4, "_id": 5, "_source": {"a": 6}},
    "a name of the transport": {"kubernetes": "none", "stream": 5, "log": {"a": 1}, "@timestamp": "now"},
    "the same name as object and as value": {"part": {"a": 1}, "part.a": {"b": 2}},
    "the same name as value": {"part": 5},
    "deep": {"deep": _DEEP},
    "wide": {f"name-{n}": n for n in range(3000)},
    "long": {"long": "ä" * 100_000},
    "a null in a name": {"a\x00b": 1},
    "objects of all sorts": {
        "when": datetime(2026, 11, 22, tzinfo=UTC),
        "much": Decimal("1e400"),
        "set": {1},
        "raw": b"\xff\x00",
    },
    "half of a pair": {"text": "\ud83d", "whole": "\U0001f697"},
    "line breaks": {"text": "a\nb\r\n\u2028c\x00"},
}
"""What each case says, and what it attaches."""


def lines(service: str = "car") -> list[str]:
    """A line for each case, and one with an exception in it that has odd texts."""
    formatter = JsonLines(service)
    made = []
    for said, attached in ATTACHED.items():
        record = _record(f"odd: {said}")
        record.__dict__.update(attached)
        made.append(formatter.format(record))
    try:
        raise ValueError("\ud800 in an exception\x00 of " + "many " * 10_000)
    except ValueError:
        made.append(formatter.format(_record("odd: an exception", exc_info=sys.exc_info())))
    stacked = _record("odd: a stack")
    stacked.stack_info = "Stack (most recent call last):\n  File x"
    return [*made, formatter.format(stacked)]


def _record(message: str, **how: Any) -> logging.LogRecord:
    return logging.LogRecord("odd", logging.WARNING, __file__, 1, message, (), how.get("exc_info"))
