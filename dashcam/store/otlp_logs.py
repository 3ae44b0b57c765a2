"""OTLP log records to log lines of the same shape as those of the files.

The body becomes `message`, attributes keep their names, the scope's name is `logger`. A field that
only the record has (`timestamp`, `severity`, …) is not an attribute's: that is kept as `attributes.severity`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from dashcam.store import elements, values
from dashcam.store.log_lines import LEVELS, level_name, record, rfc3339
from dashcam.store.otlp import Malformed, grown, service_name
from dashcam.store.records import LINE_BYTES, LogRow


def parse_logs(body: bytes) -> ExportLogsServiceRequest:
    """The message in `body`. Raises Malformed."""
    try:
        return ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise Malformed(f"not an ExportLogsServiceRequest in protobuf: {error}") from None


HIGHEST_SEVERITY = 24
"""The data model's severities end here, at FATAL4."""


@dataclass
class DecodedLogs:
    """The lines to store, and how many records were rejected and why."""

    rows: list[LogRow] = field(default_factory=list)
    rejected: int = 0
    reason: str = ""
    weight: int = 0

    def add(self, item: LogRecord, service: str, logger: str, now: int) -> None:
        """Add a record's line, or reject it."""
        if not 0 <= item.severity_number <= HIGHEST_SEVERITY:
            self._reject(f"severity_number {item.severity_number} is not one of 0 to {HIGHEST_SEVERITY}")
        elif elements.too_many_in_log(item):
            self._reject(elements.REASON)
        else:
            row = _row(item, service, logger, now)
            self.weight = grown(self.weight, LINE_BYTES + len(row.line))
            self.rows.append(row)

    def _reject(self, reason: str) -> None:
        self.rejected += 1
        self.reason = reason


def decode_logs(
    request: ExportLogsServiceRequest, now: int, decoded: DecodedLogs | None = None
) -> DecodedLogs:
    """The lines of a request, after those that `decoded` holds. `now` is in microseconds.

    A record of a severity that does not exist is rejected alone. Raises Malformed, and TooLarge for more than
    one request may take.
    """
    decoded = decoded or DecodedLogs()
    for resource_logs in request.resource_logs:
        service = service_name(resource_logs.resource)
        for scope_logs in resource_logs.scope_logs:
            for item in scope_logs.log_records:
                decoded.add(item, service, scope_logs.scope.name, now)
    return decoded


_RECORDS_OWN = frozenset({"timestamp", "severity", "service", "trace_id", "span_id", "logger"})
"""What only the record itself says; where it has no body, an attribute may be the `message`."""


def _row(item: LogRecord, service: str, logger: str, now: int) -> LogRow:
    if len(item.trace_id) not in (0, 16) or len(item.span_id) not in (0, 8):
        raise Malformed("a log record's trace_id has 16 bytes and its span_id 8")
    body, word = values.plain(item.body), item.severity_text.strip().upper()
    time = (item.time_unix_nano or item.observed_time_unix_nano) // 1000 or now
    own: dict[str, Any] = {
        "timestamp": rfc3339(time),
        "severity": level_name(item.severity_number or LEVELS.get(word, 0)) or word,
        "message": body if isinstance(body, str) else values.plain_text(body),
        "service": service,
        "trace_id": item.trace_id.hex() if any(item.trace_id) else "",
        "span_id": item.span_id.hex() if any(item.span_id) else "",
        "logger": logger,
        "event_name": item.event_name,
    }
    own = {name: value for name, value in own.items() if value}
    attributes = {entry.key: _jsonable(values.plain(entry.value)) for entry in item.attributes}
    for key, value in attributes.items():
        own[f"attributes.{key}" if key in own or key in _RECORDS_OWN else key] = value
    own.setdefault("message", "")
    try:
        row = record(own, service, now)
    except orjson.JSONEncodeError as error:
        raise Malformed(f"a log record cannot be written as JSON: {error}") from None
    return row._replace(level=item.severity_number or row.level)


def _jsonable(value: Any) -> Any:
    if isinstance(value, bytes):
        return values.plain_text(value)
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    return value
