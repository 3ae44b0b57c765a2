"""A line that is not JSON: logfmt, or text in which a time, a severity and a trace's id can be found.

The text stays whole as the `message`. A time without a zone is this machine's, as programs write it.
"""

from __future__ import annotations

import datetime
import re
from typing import Any

from dashcam.store.foreign_fields import severity

_PAIR = re.compile(r'([A-Za-z_@][\w.@/-]*)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?:\s+|$)')
_LOGFMT = frozenset({"msg", "message", "level", "lvl", "severity"})
_TIME = re.compile(
    r"\[?(\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)(?:\s?(Z|[+-]\d\d:?\d\d))?(?=[\]\s,|]|$)"
)
_WORDS = "TRACE|DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|CRITICAL|SEVERE|FATAL|PANIC"
_LEVEL = re.compile(rf"(?<![\w-])(?:({_WORDS})(?![\w-])|\[({_WORDS})\]|(?<!\S)level=(\w+))")
_BRACKETED = re.compile(rf"\[({_WORDS})\]", re.IGNORECASE)
_TRACE = re.compile(r"\b(?:trace[._]?id|otelTraceID)[\"']?\s*[=:]\s*[\"']?([0-9a-f]{32})\b", re.IGNORECASE)
_SPAN = re.compile(r"\b(?:span[._]?id|otelSpanID)[\"']?\s*[=:]\s*[\"']?([0-9a-f]{16})\b", re.IGNORECASE)
_FAILURE = re.compile(
    r"Traceback \(most recent call last\):|Exception in thread |panic: |Unhandled |Uncaught "
)
_HEAD = 160
"""Characters of a line in which its severity stands, if it has one."""


def fields_of(text: str) -> dict[str, Any]:
    """What can be read of a line; `message` is always there."""
    return _logfmt(text) or _plain(text)


def _logfmt(text: str) -> dict[str, Any] | None:
    """The pairs of a line that is nothing else, with at least a message or a level among them."""
    found: dict[str, Any] = {}
    position = 0
    while match := _PAIR.match(text, position):
        value = match[2]
        found[match[1]] = _unquoted(value) if value.startswith('"') else value
        position = match.end()
    if position != len(text) or len(found) < 2 or not _LOGFMT & found.keys():
        return None
    return found


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), value[1:-1])


def _plain(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {"message": text}
    if time := _time(text[:_HEAD]):
        found["timestamp"] = time
    head = text[:_HEAD].partition("\n")[0]
    if level := _LEVEL.search(head) or _BRACKETED.search(head):
        found["severity"] = severity(next(word for word in level.groups() if word))
    elif _FAILURE.search(text):
        found["severity"] = "ERROR"
    for name, pattern in (("trace_id", _TRACE), ("span_id", _SPAN)):
        if (match := pattern.search(text)) and match[1].strip("0"):
            found[name] = match[1].lower()
    return found


def _time(head: str) -> str | None:
    match = _TIME.search(head)
    if match is None or match.start() > 40:
        return None
    text = match[1].replace("/", "-").replace(",", ".")
    try:
        moment = datetime.datetime.fromisoformat(text + (match[2] or "").replace("Z", "+00:00"))
    except ValueError:
        return None
    moment = moment.astimezone(datetime.UTC)  # of one without a zone: local
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
