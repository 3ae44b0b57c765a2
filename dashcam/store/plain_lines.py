"""A line that is not JSON: logfmt, or text in which a time, a severity and a trace's id can be found.

The text stays whole as the `message`, but for the codes that colour it in a terminal.
"""

from __future__ import annotations

import re
from typing import Any

from dashcam.store import line_times
from dashcam.store.severities import LETTERS, SYSLOG, WORDS, of_status, severity, uncoloured

_PAIR = re.compile(r"""([A-Za-z_@][\w.@/-]*)=("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"]*)(?:\s+|$)""")
_LOGFMT = frozenset({"msg", "message", "event", "level", "lvl", "severity"})
_MESSAGES = ("msg", "message", "event")
_MANY = 4
"""Pairs that make a line logfmt by themselves."""
_SURE = "TRACE|DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|CRITICAL|SEVERE|FATAL|PANIC|LOG(?=:)"
"""Words that are a level wherever they stand alone in capitals."""
_OTHERS = {"HTTP", "LOG", "CONFIG", "FINE", "SUCCESS", "SILLY"}
"""Levels whose words begin sentences, too."""
_ANY = "|".join(sorted(WORDS.keys() - _OTHERS, key=len, reverse=True))
_LEVEL = re.compile(rf"(?<![\w-])({_SURE})(?![\w-])|(?<!\S)level=(\w+)")
_MARKED = re.compile(rf"\[\s*(?:[\w.]+:)?({_ANY})\s*\]|^\W*<({_ANY})>", re.IGNORECASE)
_FIRST = re.compile(rf"[^\w<\[(]*(?:((?i:{_ANY}))(?:\[\d+\])?(?=\s*[:|\]])|({_ANY}|(?i:{_SURE}|err))(?=\s))")
"""The first word after the time."""
_COLON = re.compile(rf"\W*({_ANY}):\s", re.IGNORECASE)
_SHORT = re.compile(r"(ERRO|WARN|INFO|DEBU|FATA|PANI|TRAC)\[\d+\]|\W*\d{1,2}:\d\d[AP]M ([A-Z]{3}) ")
"""logrus' and zerolog's for terminals."""
_LETTER = re.compile(r"([IWEF])(?:\d{4}|\d{8}) \d\d:|([DIWEF]), \[\d{4}-")
"""klog's and glog's, Ruby's."""
_PRIORITY = re.compile(r"<(\d{1,3})>")
_REQUEST = re.compile(r'"[A-Z]{3,10} \S+(?: HTTP/[\d.]+)?" (\d{3})\b')
_TRACE = re.compile(
    r"\b(?:otel)?(?:trace[._-]?id)[\"']?\s*[=:]\s*[\"']?(?:0x)?([0-9a-f]{32})\b", re.IGNORECASE
)
_SPAN = re.compile(r"\b(?:otel)?(?:span[._-]?id)[\"']?\s*[=:]\s*[\"']?(?:0x)?([0-9a-f]{16})\b", re.IGNORECASE)
_TRACEPARENT = re.compile(r"\b00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}\b")
_FAILURE = re.compile(
    r"Traceback \(most recent call last\):|Exception in thread |panic: |Unhandled |Uncaught "
)
_TWO_LINES = re.compile(r"[A-Z][a-z]{2} \d{1,2}, \d{4}.*\n[A-Z]+: ")
_HEAD = 200
"""Characters of a line in which its time and severity stand, if it has them."""


def fields_of(text: str, now: int) -> dict[str, Any]:
    """What can be read of a line; `message` is always there. `now` is in microseconds since the epoch."""
    text = uncoloured(text)
    return _logfmt(text) or _plain(text, now)


def _logfmt(text: str) -> dict[str, Any] | None:
    """The pairs of a line that is nothing else: many, or some with a message or a level among them."""
    found: dict[str, Any] = {}
    position = pairs = 0
    while match := _PAIR.match(text, position):
        value = match[2]
        found[match[1]] = _unquoted(value) if value[:1] in ("'", '"') else value
        position, pairs = match.end(), pairs + 1
    if position != len(text) or len(found) < 2 or (not _LOGFMT & found.keys() and len(found) < _MANY):
        return None
    # One without a message is shown as it stands, and so is one that gives a name twice.
    if pairs > len(found) or not any(found.get(name) for name in _MESSAGES):
        found["message"] = text
    return found


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), value[1:-1])


def _plain(text: str, now: int) -> dict[str, Any]:
    found: dict[str, Any] = {"message": text}
    head = (
        "\n".join(text[:_HEAD].split("\n")[:2]) if _TWO_LINES.match(text) else text[:_HEAD].partition("\n")[0]
    )
    time = line_times.find(head, now)
    if time:
        found["timestamp"] = time[0]
    if level := _level(head, time[2] if time else None):
        found["severity"] = level
    elif _FAILURE.search(text):
        found["severity"] = "ERROR"
    elif request := _REQUEST.search(text):
        found["severity"] = of_status(request[1])
    if (parent := _TRACEPARENT.search(text)) and parent[1].strip("0"):
        found |= {"trace_id": parent[1], "span_id": parent[2]}
    for name, pattern in (("trace_id", _TRACE), ("span_id", _SPAN)):
        if (match := pattern.search(text)) and match[1].strip("0"):
            found[name] = match[1].lower()
    return found


def _level(head: str, after: int | None) -> str:
    """The severity that a line's beginning names; `after` is where its time ends."""
    if (priority := _PRIORITY.match(head)) and int(priority[1]) < 192:
        return SYSLOG[int(priority[1]) % 8]
    if letter := _LETTER.match(head):
        return LETTERS[letter[1] or letter[2]]
    if short := _SHORT.match(head):
        return severity(short[1] or short[2]) if (short[1] or short[2]) in WORDS else ""
    if (second := head.partition("\n")[2]) and (named := _COLON.match(second)):
        return severity(named[1])  # java.util.logging's
    first = _COLON.match(head) if after is None else _FIRST.match(head, after)
    if match := first or _MARKED.search(head) or _LEVEL.search(head):
        return severity(next(word for word in match.groups() if word))
    return ""
