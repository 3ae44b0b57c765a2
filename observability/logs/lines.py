"""From a log record to one line: JSON for machines, columns for a person at a terminal.

A JSON line has the fields that `schema.LOG_FIELDS` declares; what else a record carries is put below
`extra`, so that no library can fill a search index with new fields. A line is at most MAX_LINE bytes and
holds no raw line break, whatever is logged. Secrets are hidden by `redaction`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from opentelemetry import trace
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.orjson import OrjsonFormatter

from observability import redaction, schema

MAX_LINE = 16_000
"""Bytes. Container runtimes split lines at 16 KiB; a line that stays below is never torn apart."""

_MAX_TEXT = 2_000
"""Characters of one text in a line that would otherwise be too long; a stack trace gets four times that."""

SEVERITIES = {"WARNING": "WARN", "CRITICAL": "FATAL"}
"""Severity names of the OpenTelemetry log data model where Python's differ."""

_DECLARED = frozenset(field.name for field in schema.LOG_FIELDS if field.type != "object")
_MANY = (Mapping, list, tuple, set, frozenset)
"""What no declared field can hold: an index would refuse the whole line."""
_RESERVED = frozenset(RESERVED_ATTRS) | {"message", "taskName", "color_message"}


def severity(record: logging.LogRecord) -> str:
    """The severity's name in the OpenTelemetry log data model; own levels get the one below them."""
    name = record.levelname
    if name in ("DEBUG", "INFO", "ERROR"):
        return name
    if name in SEVERITIES:
        return SEVERITIES[name]
    known = ((50, "FATAL"), (40, "ERROR"), (30, "WARN"), (20, "INFO"))
    return next((text for level, text in known if record.levelno >= level), "DEBUG")


def timestamp(created: float) -> str:
    """RFC 3339 in UTC with microseconds; now, for what is no time."""
    try:
        moment = datetime.fromtimestamp(created, UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        moment = datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def second(seconds: int) -> str:
    """RFC 3339 in UTC up to the second, to which a fraction and the Z are added."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def fields(record: logging.LogRecord, service: str) -> dict[str, Any]:
    """What a line says, secrets hidden, in the order of reading."""
    line: dict[str, Any] = {
        "timestamp": timestamp(record.created),
        "severity": severity(record),
        "message": redaction.text(_message(record)),
        "service": service,
        "logger": record.name,
    }
    _add_trace(line, record)
    extra: dict[str, Any] = {}
    for key, value in _attached(record):
        target = line if key in _DECLARED and not isinstance(value, _MANY) else extra
        if key in line:  # what the line says itself is not to be said by others, and not to be lost
            target = extra
        target[key] = redaction.value(value, key)
    _add_exception(line, record)
    if extra:
        line["extra"] = extra
    return line


def _message(record: logging.LogRecord) -> str:
    if isinstance(record.msg, Mapping):
        key = _text_key(record.msg)
        return redaction.shown(record.msg if key is None else record.msg[key])
    try:
        return record.getMessage()
    except Exception:
        # A call such as info("%d", "x"): the line is worth more than the complaint.
        return f"{redaction.shown(record.msg)} {redaction.shown(record.args)}"


def _text_key(message: Mapping[Any, Any]) -> str | None:
    """Under which key a message that is a mapping has its text; structlog's is `event`."""
    return next((key for key in ("message", "event", "msg") if isinstance(message.get(key), str)), None)


def _attached(record: logging.LogRecord) -> list[tuple[str, Any]]:
    attached = [
        (key, value)
        for key, value in record.__dict__.items()
        if key not in _RESERVED and not key.startswith("_")
    ]
    if isinstance(record.msg, Mapping):
        text = _text_key(record.msg)
        attached += [(str(key), value) for key, value in record.msg.items() if key != text]
    return attached


def _add_trace(line: dict[str, Any], record: logging.LogRecord) -> None:
    """The ids of the record's own `trace_id`/`span_id`, else those of the current span."""
    given = record.__dict__
    if "trace_id" in given:
        return
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        line["trace_id"] = trace.format_trace_id(context.trace_id)
        line["span_id"] = trace.format_span_id(context.span_id)


def _add_exception(line: dict[str, Any], record: logging.LogRecord) -> None:
    if record.exc_info and record.exc_info[0] is not None:
        kind, error, _ = record.exc_info
        line["exception.type"] = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
        line["exception.message"] = redaction.shown(error)
        line["exception.stacktrace"] = _tail(logging.Formatter().formatException(record.exc_info))
    elif record.exc_text:
        line["exception.stacktrace"] = _tail(record.exc_text)
    if record.stack_info:
        line["code.stacktrace"] = _tail(record.stack_info)


def _tail(trace: str) -> str:
    """The end of a stack trace, where the reason stands, without secrets."""
    return redaction.text(trace[-redaction.MAX_TEXT :])


class JsonLines(OrjsonFormatter):
    """One JSON object a line."""

    def __init__(self, service: str) -> None:
        super().__init__(json_default=redaction.shown)
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """The line without its line break. Never raises for anything that can be logged."""
        line = fields(record, self._service)
        text = self._encoded(line)
        if len(text) * 4 > MAX_LINE and len(text.encode()) > MAX_LINE:
            return self._encoded(shortened(line, self._encoded))
        return text

    def _encoded(self, line: dict[str, Any]) -> str:
        try:
            return self.jsonify_log_record(line)
        except TypeError:  # orjson knows no integers beyond 64 bits and no lone surrogates
            text = json.dumps(line, default=redaction.shown, ensure_ascii=False)
            return text.encode("utf-8", "replace").decode()


def shortened(line: dict[str, Any], encode: Any) -> dict[str, Any]:
    """`line` made to fit MAX_LINE: long texts are cut, then `extra` goes, then all but the head."""
    line = {key: _cut(key, value) for key, value in line.items()}
    if len(encode(line).encode()) > MAX_LINE and "extra" in line:
        line["extra"] = {"cut": "too long for a log line"}
    if len(encode(line).encode()) > MAX_LINE:
        kept = ("timestamp", "severity", "message", "service", "logger", "trace_id", "span_id")
        line = {key: str(line[key])[:500] for key in kept if key in line}
    return line


def _cut(key: str, value: Any) -> Any:
    limit = 4 * _MAX_TEXT if key.endswith("stacktrace") else _MAX_TEXT
    if isinstance(value, str) and len(value) > limit:
        # What raised stands at the end of a traceback, and at the start of anything else.
        dropped = f"[{len(value) - limit} characters cut]"
        return f"{dropped}\n{value[-limit:]}" if key.endswith("stacktrace") else f"{value[:limit]} {dropped}"
    return value


_COLOURS = {
    "DEBUG": "\x1b[2m",
    "INFO": "\x1b[32m",
    "WARN": "\x1b[33m",
    "ERROR": "\x1b[31m",
    "FATAL": "\x1b[35m",
}
_RESET = "\x1b[0m"
_HEAD = frozenset(
    {"timestamp", "severity", "message", "service", "logger", "trace_id", "span_id", "exception.stacktrace"}
)
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(0x80, 0xA0))} | {
    10: "\\n",
    13: "\\r",
    9: "\\t",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


class ConsoleLines(logging.Formatter):
    """Columns for a terminal: time, severity, message, fields, trace id; a traceback below them."""

    def __init__(self, service: str, colour: bool = True) -> None:
        super().__init__()
        self._service = service
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """The line; control characters of what was logged are shown escaped, a terminal obeys none."""
        line = fields(record, self._service)
        colour, reset = (_COLOURS[line["severity"]], _RESET) if self._colour else ("", "")
        rest = " ".join(f"{key}={_plain(value)}" for key, value in line.items() if key not in _HEAD)
        traced = f" trace_id={line['trace_id']}" if "trace_id" in line else ""
        head = f"{line['timestamp'][11:23]} {colour}{line['severity']:<5}{reset} {line['service']}"
        text = f"{head} {_plain(line['message'])} {rest}".rstrip() + traced
        for row in line.get("exception.stacktrace", "").splitlines():
            text += f"\n    {_plain(row)}"
        return text[:MAX_LINE]


def _plain(value: Any) -> str:
    return str(value).translate(_CONTROL)
