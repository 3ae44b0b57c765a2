"""The fields of a JSON or logfmt line of any common logger, under the names that this store searches by.

pino, bunyan and winston, slog and zap, serilog's compact form, logback and ECS, python-json-logger and
structlog, GELF, and a container engine's wrapping of a line. `timestamp`, `severity`, `message`, `trace_id`,
`span_id` and `exception.stacktrace` are filled from the names these use; a level as a number or a word stays
beside its severity. Nothing that a line already has under our names is touched.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any

TIMES = ("time", "ts", "@timestamp", "@t", "asctime", "datetime", "eventTime")
MESSAGES = ("msg", "@m", "event", "short_message", "body")
LEVELS = ("level", "levelname", "@l", "lvl", "log.level", "log_level", "loglevel", "severity_text", "levelno")
TRACES = ("traceId", "trace.id", "traceid", "TraceId", "traceID", "otelTraceID", "@tr")
SPANS = ("spanId", "span.id", "spanid", "SpanId", "spanID", "otelSpanID", "@sp")
STACKS = ("exc_info", "@x", "stack_trace", "error.stack_trace", "exception", "stack", "stacktrace")

FULL = frozenset({"timestamp", "message", "severity", "trace_id"})
"""A line with all of these is in our names already."""

_NAMED = {
    "INFORMATION": "INFO",
    "VERBOSE": "DEBUG",
    "HTTP": "DEBUG",
    "SILLY": "TRACE",
    "FINE": "DEBUG",
    "ERR": "ERROR",
    "SEVERE": "ERROR",
    "CRIT": "CRITICAL",
    "PANIC": "FATAL",
    "DPANIC": "FATAL",
    "ALERT": "FATAL",
    "EMERG": "FATAL",
}
_PINO = {1: "TRACE", 2: "DEBUG", 3: "INFO", 4: "WARN", 5: "ERROR", 6: "FATAL"}
_PYTHON = {1: "DEBUG", 2: "INFO", 3: "WARN", 4: "ERROR", 5: "FATAL"}
_SYSLOG = ("FATAL", "FATAL", "FATAL", "ERROR", "WARN", "INFO", "INFO", "DEBUG")
_HEX = re.compile(r"[0-9a-fA-F]{16}|[0-9a-fA-F]{32}")
_HOLE = re.compile(r"\{[@$]?(\w+)(?:,-?\d+)?(?::[^}]*)?\}")
_UNITS = ((1e17, 1e3), (1e14, 1.0), (1e11, 1e-3), (1e8, 1e-6))
"""What a number of time may be: above the first, nanoseconds; then micro-, milli- and seconds."""


def complete(fields: dict[str, Any]) -> None:
    """Fill our names from those of other loggers, in place."""
    nested = _inner(fields)
    _fill(fields, "timestamp", TIMES, _time)
    _message(fields)
    _severity(fields, nested)
    for name, others in (("trace_id", TRACES), ("span_id", SPANS)):
        _fill(fields, name, others, _identifier)
        if name not in fields and (found := _first_in(nested, (name, *others), _identifier)):
            fields[name] = found
    _stack(fields, nested)


def microseconds(number: float) -> int | None:
    """A time as a number, whose unit its size tells, in microseconds since the epoch; None for no time."""
    for least, divisor in _UNITS:
        if number >= least:
            return int(number / divisor)
    return None


def severity(value: Any, key: str = "level") -> str:
    """The severity of a level as a word or a number; empty where it is neither."""
    if isinstance(value, bool):
        return ""
    if isinstance(value, str):
        if value.strip().lstrip("-").isdigit():
            return severity(int(value), key)
        word = re.split(r"[+-]\d", value.strip().upper())[0]
        return _NAMED.get(word, word)
    if isinstance(value, int | float):
        if 0 <= value <= 7:
            return _SYSLOG[int(value)]
        table = _PYTHON if key == "levelno" else _PINO
        return table.get(int(value) // 10, "")
    return ""


def _fill(fields: dict[str, Any], name: str, others: Iterable[str], read: Any) -> None:
    if name in fields and fields[name] not in (None, ""):
        if name == "timestamp" and (found := _time(fields[name], name)) is not None:
            fields[name] = found
        return
    for other in others:
        if other in fields and (found := read(fields[other], other)) is not None:
            del fields[other]
            fields[name] = found
            return


def _time(value: Any, key: str) -> str | None:
    """RFC 3339, or None for what is no time. Python's `asctime` is in local time, all else is in UTC."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return None if (found := microseconds(value)) is None else _rfc3339(found)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.datetime.fromisoformat(value.strip().replace(",", ".", 1))
    except ValueError:
        return _time(float(value), key) if re.fullmatch(r"\d+(\.\d+)?", value) else None
    if moment.tzinfo is None:
        moment = moment.astimezone() if key == "asctime" else moment.replace(tzinfo=datetime.UTC)
    elif key == "timestamp":
        return None  # as it stands
    return moment.astimezone(datetime.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _rfc3339(time: int) -> str:
    moment = datetime.datetime.fromtimestamp(0, datetime.UTC) + datetime.timedelta(microseconds=time)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _message(fields: dict[str, Any]) -> None:
    if "message" in fields:
        return
    for name in MESSAGES:
        if isinstance(fields.get(name), str):
            fields["message"] = fields.pop(name)
            return
    if isinstance(template := fields.get("@mt"), str):  # serilog: the words with holes for the fields
        fields["message"] = _HOLE.sub(lambda hole: str(fields.get(hole[1], hole[0])), template)


def _severity(fields: dict[str, Any], nested: Mapping[str, Any]) -> None:
    given = fields.get("severity")
    if isinstance(given, str) and given:
        return
    candidates = [("severity", given), *((name, fields[name]) for name in LEVELS if name in fields)]
    candidates.append(("level", nested.get("level")))
    for name, value in candidates:
        if value is not None and (found := severity(value, name)):
            fields["severity"] = found
            return
    if "@t" in fields or "@mt" in fields or "@i" in fields:
        fields["severity"] = "INFO"  # serilog leaves its usual level out


def _identifier(value: Any, key: str) -> str | None:
    """A trace's or span's id; None for another shape, and for the zeros that stand for none."""
    if isinstance(value, str) and _HEX.fullmatch(value) and value.strip("0"):
        return value.lower()
    return None


def _inner(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What loggers nest: ECS's `log`, `trace` and `span` as objects, logback's `mdc`, an `error`."""
    found: dict[str, Any] = {}
    for name in ("mdc", "log"):
        if isinstance(inner := fields.get(name), dict):
            found |= inner
    for name, field in (("trace", "trace_id"), ("span", "span_id")):
        if isinstance(inner := fields.get(name), dict) and "id" in inner:
            found[field] = inner["id"]
    for name in ("err", "error", "exception", "exc"):
        if isinstance(inner := fields.get(name), dict):
            stack = inner.get("stack") or inner.get("stack_trace") or inner.get("stacktrace")
            found["stack"] = stack if isinstance(stack, str) else None
    return found


def _first_in(nested: Mapping[str, Any], names: Iterable[str], read: Any) -> Any:
    found = (read(nested[name], name) for name in names if name in nested)
    return next((value for value in found if value is not None), None)


def _stack(fields: dict[str, Any], nested: Mapping[str, Any]) -> None:
    """The text of a stack trace: what says so and has several lines."""
    if "exception.stacktrace" in fields:
        return
    for name in STACKS:
        if isinstance(value := fields.get(name), str) and "\n" in value:
            fields["exception.stacktrace"] = fields.pop(name)
            return
    if nested.get("stack"):
        fields["exception.stacktrace"] = nested["stack"]
