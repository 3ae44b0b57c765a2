"""Nothing of an OTLP log record vanishes, and what only the record says is not taken from an attribute."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from backendkit import START, pairs, value
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from dashcam.store.otlp_logs import decode_logs


def line(body: Any = None, text: str = "", number: int = 0, **attributes: Any) -> dict[str, Any]:
    request = ExportLogsServiceRequest()
    item = request.resource_logs.add().scope_logs.add().log_records.add()
    item.time_unix_nano, item.severity_text, item.severity_number = START, text, number  # type: ignore[assignment]
    if body is not None:
        item.body.CopyFrom(value(body))
    item.attributes.extend(pairs(attributes))
    (row,) = decode_logs(request, START // 1000).rows
    found: dict[str, Any] = orjson.loads(row.line)
    return found


def test_an_attribute_is_the_message_only_where_there_is_no_body() -> None:
    assert line(message="said")["message"] == "said"
    both = line("the body", message="said")
    assert (both["message"], both["attributes.message"]) == ("the body", "said")
    assert line()["message"] == ""


@pytest.mark.parametrize("name", ["severity", "timestamp", "service", "logger", "trace_id", "span_id"])
def test_what_only_the_record_says_is_not_taken_from_an_attribute(name: str) -> None:
    plain, given = line("x"), line("x", **{name: "mine"})
    assert given.pop(f"attributes.{name}") == "mine"
    assert given == plain


@pytest.mark.parametrize(
    ("text", "number", "severity"),
    [
        ("CRITICAL", 0, "FATAL"),
        ("Warning", 0, "WARN"),
        ("warn", 0, "WARN"),
        ("Notice", 0, "INFO"),
        ("", 13, "WARN"),
        ("odd", 0, "ODD"),
    ],
)
def test_a_severity_has_the_name_of_the_data_model(text: str, number: int, severity: str) -> None:
    assert line("x", text, number)["severity"] == severity
