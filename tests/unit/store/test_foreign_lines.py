"""Lines as other loggers write them come whole: time, severity, message, trace and stack."""

from __future__ import annotations

import datetime
import json

import pytest

from dashcam.store.line_joining import joined
from dashcam.store.log_lines import parse_line

NOW = 1_795_360_000_000_000
MILLISECONDS = 1_795_359_999_123
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def read(line: str | dict) -> dict:
    raw = line if isinstance(line, str) else json.dumps(line)
    row = parse_line(raw.encode(), "orders", NOW)
    fields = json.loads(row.line)
    assert fields["service"] == "orders"
    return fields | {"level number": row.level, "joined": row.trace.hex()}


TEXT, UTC = "no stock", "2026-11-22T15:06:39.123Z"
FORMATS = {
    "pino": {"level": 50, "time": MILLISECONDS, "pid": 7, "msg": TEXT, "trace_id": TRACE, "span_id": SPAN},
    "bunyan": {"name": "shop", "level": 50, "msg": TEXT, "time": UTC, "v": 0, "trace_id": TRACE},
    "winston": {"level": "error", "message": TEXT, "timestamp": UTC, "trace_id": TRACE},
    "slog": {"time": "2026-11-22T16:06:39.123000001+01:00", "level": "ERROR", "msg": TEXT, "traceId": TRACE},
    "slog between levels": {"time": UTC, "level": "ERROR+2", "msg": TEXT, "trace_id": TRACE},
    "zap": {"level": "error", "ts": 1795359999.123, "caller": "a.go:3", "msg": TEXT, "traceId": TRACE},
    "serilog": {
        "@t": "2026-11-22T15:06:39.1230000Z",
        "@mt": "no {Thing}",
        "@l": "Error",
        "Thing": "stock",
        "@tr": TRACE,
    },
    "python-json-logger": {"timestamp": UTC, "levelname": "ERROR", "message": TEXT, "otelTraceID": TRACE},
    "structlog": {"event": TEXT, "level": "error", "timestamp": UTC, "trace_id": TRACE},
    "logback": {
        "@timestamp": "2026-11-22T16:06:39.123+01:00",
        "level": "ERROR",
        "level_value": 40000,
        "message": TEXT,
        "mdc": {"trace_id": TRACE},
    },
    "ECS": {"@timestamp": UTC, "log.level": "ERROR", "message": TEXT, "trace.id": TRACE},
    "ECS nested": {"@timestamp": UTC, "log": {"level": "error"}, "message": TEXT, "trace": {"id": TRACE}},
    "logfmt": f'ts=2026-11-22T15:06:39.123Z level=error msg="no stock" trace_id={TRACE}',
    "container": {
        "log": json.dumps({"level": 50, "time": MILLISECONDS, "msg": TEXT, "trace_id": TRACE}) + "\n",
        "stream": "stdout",
        "time": "2026-11-22T15:07:39.5Z",
    },
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_line_of_a_common_logger_comes_whole(name):
    fields = read(FORMATS[name])
    assert fields["message"] == "no stock"
    assert (fields["severity"], fields["level number"]) == ("ERROR", 17)
    moment = datetime.datetime.fromisoformat(fields["timestamp"])
    assert (
        moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds") == "2026-11-22T15:06:39.123+00:00"
    )
    assert (fields["trace_id"], fields["joined"]) == (TRACE, TRACE)


@pytest.mark.parametrize(
    ("given", "severity", "number"),
    [
        ({"level": 10}, "TRACE", 1),
        ({"level": 30}, "INFO", 9),
        ({"level": 40}, "WARN", 13),
        ({"level": 60}, "FATAL", 21),
        ({"levelno": 30}, "WARN", 13),
        ({"level": 3}, "ERROR", 17),  # syslog's numbers, as GELF has them
        ({"level": "dpanic"}, "FATAL", 21),
        ({"@l": "Warning"}, "WARNING", 13),
        ({"@t": "2026-11-22T15:06:39Z", "@mt": "x"}, "INFO", 9),
        ({"level": True}, None, 0),
        ({"level": "custom"}, "CUSTOM", 0),
    ],
)  # fmt: skip
def test_severities_are_read_as_words_and_as_numbers(given, severity, number):
    fields = read({"message": "m", **given})
    assert (fields.get("severity"), fields["level number"]) == (severity, number)


def test_what_is_ours_already_is_not_touched():
    fields = read(
        {"message": "ours", "msg": "theirs", "severity": "INFO", "level": "error", "trace_id": SPAN + SPAN}
    )
    assert (fields["message"], fields["msg"], fields["severity"]) == ("ours", "theirs", "INFO")


def test_zeros_are_no_trace_and_what_is_no_time_stays_as_it_is():
    fields = read({"msg": "m", "traceId": "0" * 32, "time": "noon"})
    assert "trace_id" not in fields
    assert fields["time"] == "noon"
    assert fields["timestamp"].startswith("2026-11-22T15:06:40")


def test_a_stack_trace_of_a_logger_is_found_by_one_name():
    for line in (
        {"msg": "m", "err": {"type": "E", "stack": "E: x\n    at f (a.js:1:2)"}},
        {"message": "m", "exc_info": "E: x\n    at f (a.js:1:2)"},
        {"message": "m", "error.stack_trace": "E: x\n    at f (a.js:1:2)"},
    ):
        assert read(line)["exception.stacktrace"] == "E: x\n    at f (a.js:1:2)"


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        (f"2026-11-22 15:06:39,123 ERROR [shop] [trace_id={TRACE} span_id={SPAN}] - no stock", "ERROR"),
        (f"2026-11-22T15:06:39.123Z  WARN 1 --- [main] c.e.App : no stock trace_id={TRACE}", "WARN"),
        (f"[info] 2026/11/22 15:06:39 no stock trace_id: {TRACE}", "INFO"),
    ],
)
def test_time_severity_and_trace_are_found_in_plain_text(line, severity):
    fields = read(line)
    assert fields["message"] == line
    assert fields["severity"] == severity
    assert fields["trace_id"] == TRACE
    assert (
        "15:06:39" in datetime.datetime.fromisoformat(fields["timestamp"]).astimezone().isoformat()
        or "Z" in line
    )


@pytest.mark.parametrize("line", ["INFORMAL talk", "x=1 y=2", "see http://a/b?level=3", "12:00 no date", ""])
def test_plain_text_is_given_no_severity_that_it_does_not_have(line):
    fields = read(line)
    assert fields["message"] == line
    assert "severity" not in fields
    assert fields["timestamp"].startswith("2026-11-22T15:06:40")


PYTHON = """\
Traceback (most recent call last):
  File "a.py", line 3, in f
    raise KeyError("x")
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "b.py", line 3, in g
ValueError: y"""
JAVA = """\
2026-11-22T15:06:39.123Z ERROR 1 --- [main] c.e.App : failed
java.lang.IllegalStateException: no
\tat c.e.App.main(App.java:3)
Caused by: java.io.IOException: gone
\tat c.e.Disk.read(Disk.java:9)
\t... 1 more"""
NODE = """\
Error: no stock
    at buy (/app/shop.js:3:9)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)"""
GO = """\
panic: no stock

goroutine 1 [running]:
main.buy(...)
\t/app/main.go:7
exit status 2"""


def records(text: str) -> list[str]:
    return [record.decode() for record in joined(text.encode().split(b"\n"))]


@pytest.mark.parametrize("trace", [PYTHON, NODE, GO], ids=["python", "node", "go"])
def test_the_lines_of_a_stack_trace_are_one(trace):
    assert records(f"2026-11-22 15:06:38 INFO before\n{trace}\n2026-11-22 15:06:40 INFO after") == [
        "2026-11-22 15:06:38 INFO before",
        trace,
        "2026-11-22 15:06:40 INFO after",
    ]


def test_a_trace_belongs_to_the_line_that_tells_of_the_error():
    assert records(f"ERROR:root:failed\n{PYTHON}\nINFO:root:next") == [
        f"ERROR:root:failed\n{PYTHON}",
        "INFO:root:next",
    ]
    assert records(JAVA) == [JAVA]


def test_indented_lines_that_are_no_trace_stay_apart_and_json_is_never_joined():
    assert records(" * Serving Flask app 'x'\n * Debug mode: off") == [
        " * Serving Flask app 'x'",
        " * Debug mode: off",
    ]
    assert records('{"msg": "a error"}\n    at x (y)\n{"msg": "b"}') == [
        '{"msg": "a error"}',
        "    at x (y)",
        '{"msg": "b"}',
    ]


def test_a_bare_traceback_is_an_error():
    assert read(PYTHON)["severity"] == "ERROR"
