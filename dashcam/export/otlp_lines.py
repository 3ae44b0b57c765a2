"""Log lines as OTLP JSON, so that they come back as they were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dashcam.sources import LogLine

NUMBERS = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}
"""OTLP's numbers of severities."""
_OWN = frozenset(
    {"timestamp", "@timestamp", "severity", "message", "service", "trace_id", "span_id", "logger"}
)


def message(service: str, logger: str, lines: Iterable[LogLine]) -> dict[str, Any]:
    """One OTLP message with the lines of one service and logger."""
    resource = {"attributes": [_attribute("service.name", service)]}
    scope = {"scope": {"name": logger}, "logRecords": [_record(line) for line in lines]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}


def _record(line: LogLine) -> dict[str, Any]:
    found: dict[str, Any] = {
        "timeUnixNano": str(line.time * 1000),
        "severityText": str(line.fields.get("severity") or ""),
        "severityNumber": NUMBERS.get(line.severity, 0),
        "body": {"stringValue": line.message},
        "traceId": hex_id(line.trace_id, 32),
        "spanId": hex_id(line.span_id, 16),
        "attributes": [_attribute(key, value) for key, value in line.fields.items() if key not in _OWN],
    }
    return {name: value for name, value in found.items() if value}


def _attribute(key: str, value: Any) -> dict[str, Any]:
    return {"key": key, "value": attribute_value(value)}


def attribute_value(value: Any) -> dict[str, Any]:
    """A value of JSON as OTLP JSON has it."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        # What does not fit into 64 bits is a number for a reader, and a text for a machine.
        return {"intValue": str(value)} if abs(value) < 2**63 else {"stringValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list | tuple):
        return {"arrayValue": {"values": [attribute_value(one) for one in value]}}
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": [_attribute(str(key), one) for key, one in value.items()]}}
    return {} if value is None else {"stringValue": str(value)}


def hex_id(text: str, digits: int) -> str:
    """An id as OTLP has it; one that is not hexadecimal, as some data sets have, by its characters' codes."""
    try:
        int(text or "0", 16)
    except ValueError:
        text = text.encode().hex()
    return text[-digits:].lower().rjust(digits, "0") if text else ""
