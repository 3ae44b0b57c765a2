"""The fields of a JSON or logfmt line of any common logger, under the names that this store searches by.

Loggers agree on words and not on their spelling: `Level`, `@level`, `log.level`, `_level` and `logLevel` are
one name here. `timestamp`, `severity`, `message`, `trace_id`, `span_id` and `exception.stacktrace` are
filled from what has such a name, in the line itself or where loggers nest it; a level stays beside its
severity. A line of a request that says nothing else gets a message and a severity from its status.
Nothing that a line already has under our names is touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain, repeat
from typing import Any

from dashcam.store import line_times
from dashcam.store.foreign_names import (
    LAST_MESSAGES,
    LEVELS,
    MESSAGES,
    METHODS,
    PATHS,
    SPANS,
    STATUSES,
    SUBJECTS,
    TEMPLATES,
    TIMES,
    TRACES,
    WRAPPERS,
    common,
)
from dashcam.store.foreign_stacks import STACKS, text_of
from dashcam.store.severities import LETTERS, known, of_status, severity

FULL = frozenset({"timestamp", "message", "severity", "trace_id"})
"""A line with all of these is in our names already."""

_IDENTIFIER = re.compile(r"(?:.*/traces/)?(?:0x)?([0-9a-fA-F]{32}|[0-9a-fA-F]{16})")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}.*")
_HOLE = re.compile(r"\{[@$]?(\w+)(?:,-?\d+)?(?::[^{}]*)?\}")
_FILLED = 64 * 1024
"""Characters that are put into the holes of a template: a value may be long, and asked for many times."""
_DEEPEST, _MOST = 4, 200
"""How far into nested values ids are looked for."""

Named = dict[str, tuple[str, Any]]
"""By the common spelling of its name: how a field is spelt, and its value."""


def complete(fields: dict[str, Any], now: int) -> None:
    """Fill our names from those of other loggers, in place. `now` is in microseconds since the epoch."""
    named = _named(fields)
    by_name = {
        name: _named(named[name][1])
        for name in WRAPPERS
        if name in named and isinstance(named[name][1], dict)
    }
    wrapped = list(by_name.values())
    told = any(isinstance(named.get(name, ("", None))[1], str) for name in MESSAGES)
    own = [inner for name, inner in by_name.items() if not (told and name in SUBJECTS)]
    _timestamp(fields, named, own, now)
    _stack(fields, named, wrapped)
    _severity(fields, named, own)
    _message(fields, named, wrapped)
    for ours, names, at in (("trace_id", TRACES, 1), ("span_id", SPANS, 2)):
        _identifier(fields, ours, names, at, named)


def _named(fields: Mapping[str, Any]) -> Named:
    named: Named = {}
    for key, value in fields.items():
        if value not in (None, ""):
            named.setdefault(common(key), (key, value))
    return named


def _take(fields: dict[str, Any], ours: str, key: str, value: Any) -> None:
    """Move a field of the line itself under our name."""
    fields.pop(key, None)
    fields[ours] = value


def _timestamp(fields: dict[str, Any], named: Named, wrapped: list[Named], now: int) -> None:
    given = fields.get("timestamp")
    if isinstance(given, str) and line_times.is_rfc3339(given):
        return
    for name in TIMES:
        key, value = named.get(name, ("", None))
        if (found := line_times.read(value, now, local=name == "asctime")) is not None:
            _take(fields, "timestamp", key, found)
            return
    for inner in wrapped:
        for name in (*TIMES, "date"):
            if (found := line_times.read(inner.get(name, ("", None))[1], now)) is not None:
                fields["timestamp"] = found
                return


def _message(fields: dict[str, Any], named: Named, wrapped: list[Named]) -> None:
    if isinstance(formatted := fields.get("formattedMessage"), str):  # Logback's, whose message has holes
        fields["message"] = formatted
        del fields["formattedMessage"]
    if isinstance(given := fields.get("message"), str):
        if isinstance(arguments := fields.get("arguments"), list) and "{}" in given:
            fields["message"] = _with_arguments(given, arguments)
        return
    for name in MESSAGES:
        key, value = named.get(name, ("", None))
        if isinstance(value, str):
            _take(fields, "message", key, value)
            return
    if message := _filled(named) or _nested_message(wrapped) or _request(named):
        fields["message"] = message
        return
    for name in LAST_MESSAGES:
        key, value = named.get(name, ("", None))
        if isinstance(value, str):
            _take(fields, "message", key, value)
            return


def _with_arguments(template: str, arguments: list[Any]) -> str:
    """A message of Logback's own encoder: its `{}` are the arguments in turn, which may be fewer or more."""
    first, *rest = template.split("{}")
    values = [str(one)[:_FILLED] for one in arguments[: len(rest)]]
    holes = chain(values, repeat("{}"))
    return first + "".join(f"{next(holes)}{words}" for words in rest)


def _filled(named: Named) -> str:
    """A template of Serilog's: words with holes for the fields."""
    template = next(
        (value for name in TEMPLATES if isinstance(value := named.get(name, ("", None))[1], str)), ""
    )
    properties = named.get("properties", ("", None))[1]
    values = dict(named.values())
    if isinstance(properties, dict):
        values |= properties
    left = _FILLED

    def filled(hole: re.Match[str]) -> str:
        nonlocal left
        if left <= 0:
            return hole[0]
        text = str(values.get(hole[1], hole[0]))
        left -= len(text)
        return text if left >= 0 else hole[0]

    return _HOLE.sub(filled, template)


def _nested_message(wrapped: list[Named]) -> str:
    for inner in wrapped:
        for name in MESSAGES:
            if isinstance(value := inner.get(name, ("", None))[1], str):
                return value
    return ""


def _request(named: Named) -> str:
    """What an access line in JSON tells, as a line."""
    method, path, status = (
        next((named[name][1] for name in names if name in named), None)
        for names in (METHODS, PATHS, STATUSES)
    )
    if isinstance(path, str) and of_status(status):
        return f"{method} {path} {status}" if isinstance(method, str) else f"{path} {status}"
    return ""


def _severity(fields: dict[str, Any], named: Named, wrapped: list[Named]) -> None:
    given = fields.get("severity")
    if isinstance(given, str) and given:
        if not known(given.upper()) and known(read := severity(given)):
            fields["severity"] = read
        return
    verbosity = named.get("level", ("", None))[1]
    # logr's in Go is no severity: its errors have none.
    if {"logger", "msg"} <= named.keys() and type(verbosity) is int and 0 <= verbosity <= 7:
        fields["severity"] = "DEBUG" if verbosity else "INFO"
        return
    words = [(name, each[name][1]) for each in (named, *wrapped) for name in LEVELS if name in each]
    # A word says more than a number, and a word that is known more than one's own.
    found = [(severity(value, name), isinstance(value, str)) for name, value in words]
    found = sorted(found, key=lambda one: (not known(one[0]), not one[1]))
    if found and found[0][0]:
        fields["severity"] = found[0][0]
    elif one := _without_a_level(fields, named):
        fields["severity"] = one


def _without_a_level(fields: Mapping[str, Any], named: Named) -> str:
    if "PRIORITY" in fields:  # the journal's
        return severity(fields["PRIORITY"])
    letter = fields.get("s")
    if isinstance(letter, str) and isinstance(named.get("t", ("", None))[1], dict):  # MongoDB's
        return LETTERS.get(letter[:1], "")
    if "@t" in named or "@mt" in named or "@i" in named or "messagetemplate" in named:
        return "INFO"  # serilog leaves its usual level out
    status = next((named[name][1] for name in STATUSES if name in named), None)
    if isinstance(status, str) and known(severity(status)) and not status.isdigit():
        return severity(status)
    if "exception.stacktrace" in fields or any(
        isinstance(named.get(name, ("", 0))[1], str | dict) for name in ("err", "error")
    ):
        return "ERROR"
    return of_status(status) if any(name in named for name in (*METHODS, *PATHS)) else ""


def _identifier(fields: dict[str, Any], ours: str, names: tuple[str, ...], at: int, named: Named) -> None:
    if isinstance(given := fields.get(ours), str) and len(given) in (16, 32) and given.isalnum():
        return
    if isinstance(given, str) and given:
        if (read := _id(given, at)) and read != given:
            fields[ours] = read
        return
    for name in names:
        key, value = named.get(name, ("", None))
        if found := _id(value, at):
            if name == "traceparent":
                fields[ours] = found
            else:
                _take(fields, ours, key, found)
            return
    if not any(isinstance(value, dict | list) for value in fields.values()):
        return
    for name, value in _deep(fields):
        if name in names and (found := _id(value.get("id") if isinstance(value, dict) else value, at)):
            fields[ours] = found
            return


def _id(value: Any, at: int) -> str:
    """A trace's (`at` 1) or span's (2) id; empty for another shape, and for the zeros that stand for none."""
    if not isinstance(value, str):
        return ""
    if match := _TRACEPARENT.fullmatch(value):
        found = match[at]
    elif match := _IDENTIFIER.fullmatch(value):
        found = match[1].lower()
    else:
        return ""
    return found if found.strip("0") else ""


def _deep(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The named values inside of others, the outer ones first."""
    waiting: list[tuple[int, Any]] = [
        (1, value) for value in fields.values() if isinstance(value, dict | list)
    ]
    waiting += [(0, {"trace": fields.get("trace"), "span": fields.get("span")})]
    seen = 0
    while waiting and seen < _MOST:
        depth, value = waiting.pop(0)
        inner = value.items() if isinstance(value, dict) else (("", one) for one in value)
        for key, one in inner:
            seen += 1
            if key:
                yield common(key), one
            if depth < _DEEPEST and isinstance(one, dict | list):
                waiting.append((depth + 1, one))


def _stack(fields: dict[str, Any], named: Named, wrapped: list[Named]) -> None:
    """The text of a stack trace: what says so and has several lines."""
    if "exception.stacktrace" in fields:
        return
    for each in (named, *wrapped):
        if each.keys().isdisjoint(STACKS):
            continue
        for name in STACKS:
            key, value = each.get(name, ("", None))
            if text := text_of(value):
                if name == "text" and "Traceback (most" not in text:
                    continue
                if each is named and name != "text" and not _has_more(value):
                    fields.pop(key, None)
                    named.pop(name, None)
                fields["exception.stacktrace"] = text
                return


def _has_more(value: Any) -> bool:
    """Whether a stack trace is an object, or made of them, which the text has not whole."""
    return isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict))
