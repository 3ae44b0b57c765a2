"""Lines as other loggers write them come whole: time, severity, message, trace and stack."""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path

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
    "slog between levels": {"time": UTC, "level": "ERROR+2", "msg": TEXT, "trace_id": TRACE},
    "serilog": {
        "@t": "2026-11-22T15:06:39.1230000Z",
        "@mt": "no {Thing}",
        "@l": "Error",
        "Thing": "stock",
        "@tr": TRACE,
    },
    "python-json-logger": {"timestamp": UTC, "levelname": "ERROR", "message": TEXT, "otelTraceID": TRACE},
    "structlog": {"event": TEXT, "level": "error", "timestamp": UTC, "trace_id": TRACE},
    "ECS nested": {"@timestamp": UTC, "log": {"level": "error"}, "message": TEXT, "trace": {"id": TRACE}},
    "logfmt": f'ts=2026-11-22T15:06:39.123Z level=error msg="no stock" trace_id={TRACE}',
    "loguru": {
        "text": "2026-11-22 15:06:39.123 | ERROR    | __main__:buy:3 - no stock\n",
        "record": {
            "extra": {"trace_id": TRACE},
            "level": {"icon": "x", "name": "ERROR", "no": 40},
            "message": TEXT,
            "time": {"repr": "2026-11-22 16:06:39.123000+01:00", "timestamp": 1795359999.123},
        },
    },
    "logback's own": {
        "timestamp": MILLISECONDS,
        "level": "ERROR",
        "mdc": {"traceId": TRACE},
        "message": "no {}",
        "formattedMessage": TEXT,
    },
    "serilog's longer form": {
        "Timestamp": "2026-11-22T16:06:39.1230000+01:00",
        "Level": "Error",
        "MessageTemplate": "no {Thing}",
        "TraceId": TRACE,
        "Properties": {"Thing": "stock"},
    },
    ".NET's console": {
        "Timestamp": UTC,
        "EventId": 0,
        "LogLevel": "Error",
        "Message": TEXT,
        "Scopes": [{"Message": "x", "SpanId": SPAN, "TraceId": TRACE}],
    },
    "Rust's tracing": {
        "timestamp": UTC,
        "level": "ERROR",
        "fields": {"message": TEXT},
        "span": {"trace_id": TRACE},
    },
    "OpenTelemetry's file": {
        "Timestamp": str(MILLISECONDS * 1_000_000),
        "SeverityNumber": 17,
        "Body": TEXT,
        "TraceId": TRACE,
        "SpanId": SPAN,
    },
    "Google's": {
        "time": UTC,
        "severity": "ERROR",
        "message": TEXT,
        "logging.googleapis.com/trace": f"projects/p/traces/{TRACE}",
    },
    "hclog": {"@level": "error", "@message": TEXT, "@timestamp": UTC, "traceparent": f"00-{TRACE}-{SPAN}-01"},
    "Monolog": {
        "message": TEXT,
        "level": 400,
        "level_name": "ERROR",
        "datetime": "2026-11-22T16:06:39.123000+01:00",
        "extra": {"trace_id": TRACE},
    },
    "GELF": {"short_message": TEXT, "timestamp": 1795359999.123, "level": 3, "_trace_id": TRACE},
    "capitals and colours": {"TIME": UTC, "LEVEL": "\x1b[31merror\x1b[39m", "MSG": TEXT, "TraceID": TRACE},
    "CRI": "2026-11-22T15:07:39.5Z stderr F "
    + json.dumps({"level": 50, "time": MILLISECONDS, "msg": TEXT, "trace_id": TRACE}),
    "container": {
        "log": json.dumps({"level": 50, "time": MILLISECONDS, "msg": TEXT, "trace_id": TRACE}) + "\n",
        "stream": "stdout",
        "time": "2026-11-22T15:07:39.5Z",
    },
}


RECORDED = Path(__file__).parent / "loggers" / "recorded.jsonl"
REAL = [json.loads(line) for line in RECORDED.read_text().splitlines()]
NODE_STACK = "TypeError: gone\n    at buy (/app/node/log.js:5:9)\n    at caught ("
JAVA_STACK = "java.lang.IllegalStateException: gone\n{}at Log.buy(Log.java:8)\n{}at Log.main(Log.java:17)"
STACKS = {
    "pino": NODE_STACK,
    "winston": NODE_STACK,
    "bunyan": NODE_STACK,
    "slog": "",  # it writes the words of an error alone
    "zap": "main.withZap\n\tloggers/main.go:28\nmain.main\n",
    "zerolog": "    at buy(main.go:15)\n    at withZerolog(main.go:35)\n",
    "Logback": JAVA_STACK.replace("{}", "    "),
    "Logback with Logstash's encoder": JAVA_STACK.replace("{}", "\t"),
    "Log4j 2, EcsLayout.json": JAVA_STACK.replace("{}", "\t"),
    "Log4j 2, JsonLayout.json": JAVA_STACK.replace("{}", "    "),
}


def test_the_recorded_lines_are_of_every_logger_twice():
    assert [row["logger"] for row in REAL] == [name for name in STACKS for _ in range(2)]


@pytest.mark.parametrize("row", REAL, ids=lambda row: f"{row['logger']} {row['line'].count('gone')}")
def test_what_a_real_logger_wrote_comes_whole(row):
    fields = read(row["line"])
    moment = datetime.datetime.fromisoformat(fields["timestamp"]).timestamp()
    assert row["after"] <= moment <= row["before"]
    assert (fields["trace_id"], fields["joined"], fields["span_id"]) == (TRACE, TRACE, SPAN)
    if "gone" not in row["line"]:
        assert (fields["message"], fields["severity"], fields["level number"]) == ("low stock", "WARN", 13)
        assert "exception.stacktrace" not in fields
        return
    said = "no stock gone" if row["logger"] == "winston" else "no stock"  # it adds the error's words
    assert (fields["message"], fields["severity"], fields["level number"]) == (said, "ERROR", 17)
    stack = STACKS[row["logger"]]
    assert fields.get("exception.stacktrace", "").startswith(stack)
    assert stack or fields["err"] == "gone"


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
        ({"severity": 17}, "ERROR", 17),  # OpenTelemetry's
        ({"severity": 4}, "WARN", 13),
        ({"logger": "manager", "level": 0, "msg": "m"}, "INFO", 9),  # logr's
        ({"logger": "manager", "level": 4, "msg": "m"}, "DEBUG", 5),
        ({"logger": "manager", "level": 0, "short_message": "m"}, "FATAL", 21),
        ({"@l": "Warning"}, "WARNING", 13),
        ({"@t": "2026-11-22T15:06:39Z", "@mt": "x"}, "INFO", 9),
        ({"level": 5000}, None, 0),
        ({"level": 30000}, "WARN", 13),  # Logback's
        ({"level": 300}, "WARN", 13),  # Monolog's
        ({"status": "warn"}, "WARN", 13),
        ({"status": 503, "method": "GET", "path": "/a"}, "ERROR", 17),
        ({"status": 503}, None, 0),  # of what, it does not say
        ({"t": {"$date": "2026-11-22T15:06:39Z"}, "s": "W"}, "WARN", 13),
        ({"err": {"stack": "E: x\n  at f"}}, "ERROR", 17),
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


FRAMES = [{"function": "buy", "file": "a.js", "line": 3}]


@pytest.mark.parametrize(
    ("error", "stack"),
    [
        ({"name": "E", "message": "x", "frames": FRAMES}, "E: x\n    at buy(a.js:3)"),
        (
            {"type": "E", "stack": "E: x\n  at f", "cause": {"type": "F", "frames": FRAMES}},
            "E: x\n  at f\nCaused by: F\n    at buy(a.js:3)",
        ),
        ([{"exc_type": "E", "exc_value": "x", "frames": FRAMES}], "E: x\n    at buy(a.js:3)"),
        ([{"file": "a.js"}], None),
        ({"frames": []}, None),
        ({"code": 7, "message": "x"}, None),
    ],
)
def test_a_stack_of_frames_is_written_as_text_and_stays_as_it_was(error, stack):
    fields = read({"message": "m", "error": error})
    assert fields.get("exception.stacktrace") == stack
    assert fields["error"] == error


@pytest.mark.parametrize(
    ("message", "arguments", "said"),
    [
        ("{} of {}", ["a", 1], "a of 1"),
        ("{} of {}", ["a"], "a of {}"),
        ("{}", ["{}", "b"], "{}"),
        ("none", ["a"], "none"),
    ],
)
def test_the_holes_of_a_message_are_filled_with_its_arguments(message, arguments, said):
    assert read({"message": message, "arguments": arguments})["message"] == said


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


WITH_A_ZONE = {
    "<11>1 2026-11-22T15:06:39.123Z host app 7 ID47 - no stock": "ERROR",
    '10.0.0.1 - - [22/Nov/2026:15:06:39 +0000] "GET /a HTTP/1.1" 500 12 "-" "curl"': "ERROR",
    '10.0.0.1 - ann [22/Nov/2026:16:06:39 +0100] "GET /a HTTP/1.1" 404 12': "WARN",
    '[2026-11-22T15:06:39.123Z] "GET /a HTTP/1.1" 200 - 0 91 10 - "-"': "INFO",
    "2026-11-22T15:06:39.123456789Z stdout F [error    ] no stock": "ERROR",
    "2026-11-22T15:06:39+00:00 error: no stock": "ERROR",
    "2026-11-22 15:06:39.123 UTC [7] LOG:  checkpoint": "INFO",
    "Sun, 22 Nov 2026 15:06:39 GMT warn no stock": "WARN",
    "\x1b[2m2026-11-22T15:06:39.123Z\x1b[0m \x1b[31mERROR\x1b[0m app: no stock": "ERROR",
    "method=GET path=/a status=500 time=2026-11-22T15:06:39Z": "ERROR",
}
LOCAL = {
    "E1122 15:06:39.123456       1 main.go:12] no stock": "ERROR",
    "W20261122 15:06:39.123456 12345 main.cc:12] no stock": "WARN",
    "Nov 22 15:06:39 host app[7]: ERROR no stock": "ERROR",
    "2026/11/22 15:06:39 [error] 7#7: *1 connect() failed": "ERROR",
    "[Sun Nov 22 15:06:39.123456 2026] [core:error] [pid 7:tid 1] no stock": "ERROR",
    "E, [2026-11-22T15:06:39.123456 #7] ERROR -- shop: no stock": "ERROR",
    "[Nest] 7  - 11/22/2026, 3:06:39 PM   ERROR [App] no stock": "ERROR",
    "Nov 22, 2026 3:06:39 PM a.B main\nSEVERE: no stock": "ERROR",
    "2026-11-22 15:06:39.123 | ERROR    | __main__:buy:3 - no stock": "ERROR",
}


@pytest.mark.parametrize("line", [*WITH_A_ZONE, *LOCAL])
def test_a_line_of_plain_text_has_its_own_time_and_severity(line):
    fields = read(line)
    moment = datetime.datetime.fromisoformat(fields["timestamp"])
    zone = datetime.UTC if line in WITH_A_ZONE else None
    assert moment.astimezone(zone).isoformat(timespec="seconds")[:19] == "2026-11-22T15:06:39"
    assert fields["severity"] == (WITH_A_ZONE | LOCAL)[line]


def test_a_line_without_a_year_is_of_the_one_before_now():
    assert read("Dec 31 23:59:58 host app[7]: x")["timestamp"].startswith(("2025-12-31", "2026-01-01"))


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("fail: Shop.Orders[0]\n      no stock", "ERROR"),
        ("<3>Shop.Orders[0] no stock", "ERROR"),
        ("ERRO[0000] no stock", "ERROR"),
        ("3:06PM ERR no stock foo=bar", "ERROR"),
        ('INFO:     10.0.0.1:5 - "GET / HTTP/1.1" 500', "INFO"),  # what it says of itself goes first
    ],
)
def test_a_severity_without_a_time_is_read_too(line, severity):
    assert read(line)["severity"] == severity


@pytest.mark.parametrize(
    "line",
    [
        "INFORMAL talk",
        "x=1 y=2",
        "see http://a/b?level=3",
        "12:00 no date",
        "",
        "alert the press",
        "a=1 b=2 c=3 d=4",
    ],
)
def test_plain_text_is_given_no_severity_that_it_does_not_have(line):
    fields = read(line)
    assert fields["message"] == line
    assert "severity" not in fields
    assert fields["timestamp"].startswith("2026-11-22T15:06:40")


@pytest.mark.parametrize(
    "word", ["http: TLS handshake error", "Config loaded", "Success rate", "Alert manager"]
)
def test_a_word_that_begins_a_sentence_after_the_time_is_no_level(word):
    assert "severity" not in read(f"2026/11/22 15:06:39 {word} from 10.0.0.1")


def test_a_request_in_json_without_words_gets_them_and_a_service_as_an_object_keeps_its_parts():
    fields = read({"method": "GET", "path": "/a", "status": 500, "service": {"name": "x", "version": "1"}})
    assert (fields["message"], fields["severity"]) == ("GET /a 500", "ERROR")
    assert (fields["service.name"], fields["service.version"]) == ("x", "1")


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


def test_the_line_after_a_group_of_exceptions_is_a_record_of_its_own():
    group = """\
  + Exception Group Traceback (most recent call last):
  |   File "a.py", line 3, in f
  | ExceptionGroup: x (1 sub-exception)
  +-+---------------- 1 ----------------
    | ValueError: 1
    +------------------------------------"""
    assert records(f"{group}\n2026-11-22 15:06:40 INFO after\nnext") == [
        group,
        "2026-11-22 15:06:40 INFO after",
        "next",
    ]


def test_a_trace_belongs_to_the_line_that_tells_of_the_error():
    assert records(f"ERROR:root:failed\n{PYTHON}\nINFO:root:next") == [
        f"ERROR:root:failed\n{PYTHON}",
        "INFO:root:next",
    ]
    assert records(JAVA) == [JAVA]


def test_records_that_take_two_lines_are_one():
    dotnet = "fail: Shop.Orders[0]\n      no stock\n      System.X: y\n         at A.B()"
    java = "Nov 22, 2026 3:06:39 PM a.B main\nSEVERE: no stock\njava.io.IOException: x\n\tat a.b(C.java:1)"
    assert records(f"{dotnet}\ninfo: Shop[1]\n      next\n{java}\nplain") == [
        dotnet,
        "info: Shop[1]\n      next",
        java,
        "plain",
    ]


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


def test_a_line_that_looks_wrapped_a_thousand_times_is_one_line():
    row = parse_line(b"2026-11-22T15:06:39.5Z stdout F " * 4000, "orders", NOW)
    assert json.loads(row.line)["message"].startswith("2026-11-22T15:06:39.5Z stdout F ")


@pytest.mark.parametrize("template", ["{a:" * 40_000, "{a" * 40_000, "{a}" * 40_000], ids=len)
def test_a_template_full_of_holes_takes_no_more_time_and_room_than_a_line(template):
    before = time.process_time()
    fields = read({"@mt": template, "a": "x" * 40_000})
    assert len(fields["message"]) < 300_000
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    "line",
    [
        'level=error err="connection refused" peer=a',
        "severity=high user=bob",
        "level=info msg= user=bob",
        "level=info tag=a tag=b msg=stored",
    ],
)
def test_a_logfmt_line_without_a_message_or_with_a_name_twice_is_shown_as_it_stands(line):
    assert read(line)["message"] == line


def test_the_zeros_of_no_traceparent_are_no_trace():
    assert "trace_id" not in read(f"traceparent: 00-{'0' * 32}-{'0' * 16}-00")


@pytest.mark.parametrize("name", ["data", "payload", "context", "attributes", "fields"])
def test_what_a_line_is_about_gives_it_neither_time_nor_severity(name):
    fields = read({"msg": "user changed", name: {"date": "1990-05-01", "time": UTC, "level": "fatal"}})
    assert fields["timestamp"].startswith("2026-11-22T15:06:40")
    assert "severity" not in fields
    fields = read({name: {"message": "m", "time": UTC, "level": "fatal"}})
    assert (fields["message"], fields["severity"], fields["timestamp"][:19]) == ("m", "FATAL", UTC[:19])


@pytest.mark.parametrize(
    "line",
    [
        "Next wakeup is due at 2027-05-05 10:00:00+00:00 (in 9 seconds)",
        "Backup of 2020-01-01 00:00:00 begun",
        "certificate expires on: Jan  1 00:00:00 2020 GMT",
        'INFO: 10.0.0.1:5 - "GET /a?from=2025-01-01T00:00:00Z HTTP/1.1" 200',
        "GET /a?b=1&until=2025-01-01T00:00:00Z 200",
        "delivery=2025-01-01T00:00:00Z stored",
        "wrote backup-2020-01-01T00:00:00 and left",
    ],
)
def test_a_time_that_a_line_tells_of_is_not_its_own(line):
    assert read(line)["timestamp"].startswith("2026-11-22T15:06:40")


def test_an_error_within_errors_is_followed_to_the_causes_that_people_read_and_no_further():
    def within(depth: int) -> list:
        return ["a", "b"] if depth == 0 else [{"stack": within(depth - 1)}]

    assert "a\nb" in read({"message": "m", "error": within(2)})["exception.stacktrace"]
    for far in (within(30), {"stack": within(30)}):
        assert "exception.stacktrace" not in read({"message": "m", "error": far})


@pytest.mark.parametrize(
    "line",
    [
        "INFO:root:2026-11-22T15:06:39Z: x",
        "web_1  | 2026-11-22T15:06:39Z x",
        "time=2026-11-22T15:06:39Z some words",
        'time="2026-11-22T15:06:39Z" some words',
        "[error]2026-11-22T15:06:39Z x",
        "app info 2026-11-22T15:06:39Z x",
    ],
)
def test_a_time_after_a_few_words_is_the_lines_own(line):
    assert read(line)["timestamp"].startswith("2026-11-22T15:06:39")


def test_a_field_without_a_year_is_of_this_one_and_without_a_zone_in_utc(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        given = ("Nov 22 15:06:39", "2026/11/22 15:06:39", "Sun Nov 22 15:06:39 2026", "2026-11-22 15:06:39")
        found = [read({"timestamp": one, "message": "m"})["timestamp"] for one in given]
    time.tzset()
    assert found == ["2026-11-22T15:06:39.000000Z"] * 4
