"""A log line to a record: what is read of it, and what becomes of a line that is not JSON.

A line that is a JSON object keeps every field; where other loggers name the time, the message, the severity
or the trace otherwise, they are found under our names (`foreign_fields`). What is still missing is added:
`timestamp` (when the line was read), `service` (from the file's name). Any other line becomes the `message`
of a record, with what can be read of it (`plain_lines`). Bytes that are not UTF-8 are replaced by U+FFFD.
"""

from __future__ import annotations

import datetime
import re
from typing import Any

import orjson

from dashcam.store import foreign_fields, plain_lines
from dashcam.store.records import LogRow

LEVELS = {
    "TRACE": 1,
    "DEBUG": 5,
    "INFO": 9,
    "NOTICE": 10,
    "WARN": 13,
    "WARNING": 13,
    "ERROR": 17,
    "CRITICAL": 21,
    "FATAL": 21,
}
"""Severity texts and their OpenTelemetry severity numbers."""

NAMES = {1: "TRACE", 5: "DEBUG", 9: "INFO", 13: "WARN", 17: "ERROR", 21: "FATAL"}
"""The severity that begins at a number; each covers four."""

UTC = datetime.UTC
_CRI = re.compile(rb"(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)) std(?:out|err) [FP] ")
"""What a container engine writes before each line."""
_WRAPS = 4
"""Engines that may have wrapped a line, one around the other; what more of it looks so is the line's own."""
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


def parse_line(raw: bytes, service: str, now: int, wraps: int = _WRAPS) -> LogRow:
    """The record of one line, which has no newline. `now` is in microseconds since the epoch."""
    if raw[:1] == b"{":
        try:
            fields = orjson.loads(raw)
            if wraps and (inner := _of_container(fields)) is not None:
                written = to_microseconds(fields.get("time")) or now
                return parse_line(inner.encode(), service, written, wraps - 1)
            return record(fields, service, now, raw)
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            pass
    if wraps and (cri := _CRI.match(raw)):
        written = to_microseconds(cri[1].decode()) or now
        return parse_line(raw[cri.end() :], service, written, wraps - 1)
    return record(plain_lines.fields_of(raw.decode(errors="replace"), now), service, now)


def _of_container(fields: dict[str, Any]) -> str | None:
    """The line that a container engine has wrapped as `log`, `stream` and `time`; None for any other."""
    if fields.keys() >= {"log", "stream", "time"} and len(fields) <= 4 and isinstance(fields["log"], str):
        return fields["log"].rstrip("\r\n")
    return None


def is_json(raw: bytes) -> bool:
    """Whether the bytes are one JSON value."""
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError:
        return False
    return True


def record(fields: dict[str, Any], service: str, now: int, raw: bytes = b"\\") -> LogRow:
    """The record of a line's fields. Raises orjson.JSONEncodeError for what JSON cannot hold.

    `raw`, the line they came from, is kept where nothing is added and nothing in it is escaped, because a
    search compares text as it is.
    """
    given = len(fields)
    if not fields.keys() >= foreign_fields.FULL:
        before = dict(fields)
        foreign_fields.complete(fields, now)
        if fields != before:
            raw = b"\\"
    time = to_microseconds(fields.get("timestamp"))
    if time is None:
        if "timestamp" in fields:
            fields["timestamp.original"] = fields["timestamp"]
        time = now
        fields["timestamp"] = rfc3339(now)
        raw = b"\\"
    named = fields.get("service")
    if isinstance(named, str) and named:
        service = named
    else:
        if isinstance(named, dict):  # ECS's, of which the name may be any
            fields |= {
                f"service.{key}": value for key, value in named.items() if f"service.{key}" not in fields
            }
        fields["service"] = service
        raw = b"\\"
    severity = fields.get("severity")
    level = LEVELS.get(severity, LEVELS.get(severity.upper(), 0)) if isinstance(severity, str) else 0
    line = orjson.dumps(fields) if b"\\" in raw or len(fields) != given else raw
    return LogRow(time, level, service, _trace(fields.get("trace_id")), line)


def to_microseconds(timestamp: Any) -> int | None:
    """An RFC 3339 text (without a zone: UTC) in microseconds since the epoch; None where it is not one."""
    if not isinstance(timestamp, str):
        return None
    try:
        moment = datetime.datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND


def rfc3339(time: int) -> str:
    """Microseconds since the epoch as RFC 3339 in UTC; years that it cannot write are cut to its bounds."""
    time = max(0, min(time, 253_402_300_799_999_999))
    return (_EPOCH + time * _MICROSECOND).isoformat(timespec="microseconds").replace("+00:00", "Z")


def level_name(number: int) -> str:
    """The severity a number belongs to; empty for 0."""
    return NAMES.get((number - 1) // 4 * 4 + 1, "") if number > 0 else ""


def _trace(value: Any) -> bytes:
    if isinstance(value, str) and len(value) in (16, 32):
        try:
            return bytes.fromhex(value).rjust(16, b"\0")
        except ValueError:
            return b""
    return b""
