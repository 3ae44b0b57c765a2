"""Log lines: one a record, whole, clean, bounded; and a service that goes on when they cannot be written."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import sys
import time
import warnings
from typing import Any

import orjson
import pytest
from flask import Flask

from observability import schema
from observability.logs import handler as logs
from observability.logs import lines, output
from observability.metrics.meters import Families
from observability.testing import capture, settings

DECLARED = {field.name for field in schema.LOG_FIELDS}


def record(message: Any = "hello", *args: Any, level: int = logging.INFO, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("some.logger", level, __file__, 1, message, args, None)
    made.__dict__.update(extra)
    return made


def line_of(made: logging.LogRecord) -> dict[str, Any]:
    text = lines.JsonLines("demo").format(made)
    assert "\n" not in text
    assert "\r" not in text
    found = json.loads(text)
    assert set(found) <= DECLARED
    return dict(found)


def failed(error: Exception) -> logging.LogRecord:
    try:
        raise error
    except Exception:
        made = record("it failed", level=logging.ERROR)
        made.exc_info = sys.exc_info()
        return made


def test_a_line_says_when_how_bad_what_and_who() -> None:
    made = record("hello %s", "world")
    made.created = 1_700_000_000.25
    assert line_of(made) == {
        "timestamp": "2023-11-14T22:13:20.250000Z",
        "severity": "INFO",
        "message": "hello world",
        "service": "demo",
        "logger": "some.logger",
    }


@pytest.mark.parametrize(
    ("level", "name"),
    [(10, "DEBUG"), (20, "INFO"), (25, "INFO"), (30, "WARN"), (40, "ERROR"), (50, "FATAL"), (5, "DEBUG")],
)
def test_severities_are_those_of_opentelemetry(level: int, name: str) -> None:
    assert line_of(record(level=level))["severity"] == name


def test_an_exception_is_structured_fields_on_one_line() -> None:
    line = line_of(failed(ValueError("first\nsecond")))
    assert line["exception.type"] == "ValueError"
    assert line["exception.message"] == "first\nsecond"
    assert line["exception.stacktrace"].startswith("Traceback")


def test_declared_fields_stand_at_the_top_and_all_others_below_extra() -> None:
    line = line_of(record(**{"http.route": "/cars", "customer": {"id": 7}}))
    assert line["http.route"] == "/cars"
    assert line["extra"] == {"customer": {"id": 7}}


@pytest.mark.parametrize("value", [{"a": 1}, [1], (1,), {1}])
def test_a_declared_field_holds_one_value_and_what_holds_many_goes_below_extra(value: Any) -> None:
    line = line_of(record(**{"http.route": value}))
    assert "http.route" not in line
    assert list(line["extra"]) == ["http.route"]


@pytest.mark.parametrize("value", ["text", 5, {"a": 1}])
def test_what_is_attached_under_the_name_extra_stands_below_it(value: Any) -> None:
    assert line_of(record(extra=value))["extra"] == {"extra": value}


def test_half_of_a_surrogate_pair_does_not_make_a_line_that_strict_readers_refuse() -> None:
    text = lines.JsonLines("demo").format(record("half \ud83d", whole="\U0001f697"))
    assert orjson.loads(text)["message"] == "half ?"
    assert orjson.loads(text)["extra"] == {"whole": "\U0001f697"}


@pytest.mark.parametrize(
    "thing",
    [
        2**200,
        float("nan"),
        "\ud800 lone surrogate",
        b"\xff\xfe",
        {1: {2: 3}},
        object(),
        ValueError("x"),
        {"set"},
        "\x00\x1b[31m",
        "\u2028",
    ],
)
def test_anything_can_be_logged(thing: Any) -> None:
    line_of(record("%s", thing, field=thing))
    line_of(record(thing))


def test_a_wrong_number_of_arguments_still_makes_a_line() -> None:
    assert "only one" in line_of(record("only one %s %s", "x"))["message"]


def test_an_argument_that_cannot_be_shown_still_makes_a_line() -> None:
    class Broken:
        def __str__(self) -> str:
            raise ValueError("no")

    assert line_of(record("it is %s", Broken()))["severity"] == "INFO"


def test_nobody_can_forge_a_line() -> None:
    forged = 'x\n{"severity":"FATAL","message":"forged"}\r\n'
    text = lines.JsonLines("demo").format(record(forged, path=forged))
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("size", [10_000, 1_000_000])
def test_a_line_has_a_bounded_size(size: int) -> None:
    made = failed(ValueError("e" * size))
    made.__dict__.update({"msg": "é" * size, "field": ["x" * size] * 3, "url.path": "p" * size})
    text = lines.JsonLines("demo").format(made)
    assert len(text.encode()) <= lines.MAX_LINE
    assert json.loads(text)["severity"] == "ERROR"


def test_what_raised_is_kept_when_a_stack_trace_is_cut() -> None:
    made = failed(ValueError("short"))
    made.exc_info = None
    made.exc_text = "x\n" * 20_000 + "ValueError: the reason"
    assert line_of(made)["exception.stacktrace"].endswith("ValueError: the reason")


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abc.def-123456", "abc.def-123456"),
        ("header authorization=Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("GET /x?token=tok_1&y=2", "tok_1"),
        ("GET /x?api_key=tok_1", "tok_1"),
        ("postgresql://ada:hunter22@db:5432/cars", "hunter22"),
        ("postgresql://ada:p@hunter22@db:5432/cars", "hunter22"),
        ("connect to amqp://guest:p%40ss@mq/ failed", "p%40ss"),
        ("{'password': 'hunter22', 'a': 1}", "hunter22"),
        ('{"client_secret": "hunter22"}', "hunter22"),
        ("Cookie: session=abcdef; other=ghijkl", "ghijkl"),
        ("Set-Cookie: id=abcdef; HttpOnly", "abcdef"),
        ("password = hunter22", "hunter22"),
    ],
)
def test_a_secret_in_a_text_is_hidden(text: str, secret: str) -> None:
    made = failed(ValueError(text))
    made.msg, made.__dict__["note"] = text, text
    whole = lines.JsonLines("demo").format(made)
    assert secret not in whole
    assert "[redacted]" in whole


@pytest.mark.parametrize(
    "text", ["token" * 200_000, "x://" + "a" * 999_999, "cookie: " * 99_999, "'" * 999_999]
)
def test_no_text_makes_the_search_for_secrets_slow(text: str) -> None:
    began = time.perf_counter()
    line_of(record(text, field=[text]))
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize("key", ["password", "Authorization", "set-cookie", "X-Api-Key", "CAR_WRITE_TOKEN"])
def test_a_value_under_a_secret_key_is_hidden_at_any_depth(key: str) -> None:
    whole = lines.JsonLines("demo").format(
        record(headers={"inner": [{key: "hunter22"}]}, **{key: "hunter22"})
    )
    assert "hunter22" not in whole


@pytest.mark.parametrize(
    "text", ["a basic car", "the bearer of news", "http://car:5001/cars", "tokens are cheap", "x=1&y=2"]
)
def test_harmless_texts_stay_as_they_are(text: str) -> None:
    assert line_of(record(text))["message"] == text


def test_the_console_form_is_for_people_and_obeys_no_control_characters() -> None:
    made = failed(ValueError("gone"))
    made.msg = "hello\x1b[2J\nworld"
    text = lines.ConsoleLines("demo", colour=False).format(made)
    assert "\x1b" not in text
    assert text.splitlines()[0].startswith("".join(text[:12]))
    assert "hello\\x1b[2J\\nworld" in text
    assert any("ValueError: gone" in row for row in text.splitlines()[1:])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("form", "stream", "expected"),
    [
        ("auto", io.StringIO(), lines.JsonLines),
        ("auto", Terminal(), lines.ConsoleLines),
        ("json", Terminal(), lines.JsonLines),
        ("console", io.StringIO(), lines.ConsoleLines),
    ],
)
def test_the_form_follows_the_terminal_unless_it_is_set(form: str, stream: Any, expected: type) -> None:
    assert type(logs.formatter("demo", settings(log_format=form), stream)) is expected


def test_colours_can_be_refused() -> None:
    text = logs.formatter("demo", settings(log_format="console", no_color=True), Terminal()).format(record())
    assert "\x1b" not in text


class Broken(io.StringIO):
    """A stream that fails in the way `error` says."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error: OSError | None = error

    def write(self, text: str) -> int:
        if self.error:
            raise self.error
        return super().write(text)


@pytest.mark.parametrize(
    "error", [BrokenPipeError(errno.EPIPE, "broken"), OSError(errno.ENOSPC, "full")], ids=["pipe", "disk"]
)
def test_a_service_goes_on_when_its_lines_cannot_be_written(error: OSError) -> None:
    families, stream = Families(), Broken(error)
    handler = logs.LineHandler(families, stream)
    handler.setFormatter(lines.JsonLines("demo"))
    handler.emit(record())
    stream.error = None
    handler.emit(record("again"))
    lost = families.registry.get_sample_value("log_records_lost_total", {"error_type": type(error).__name__})
    assert lost == 1
    assert families.registry.get_sample_value("log_records_total", {"severity": "INFO"}) == 1
    assert json.loads(stream.getvalue())["message"] == "again"


def test_a_real_pipe_that_nobody_reads_any_more_raises_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    families = Families()
    with os.fdopen(writing, "w") as stream:
        handler = logs.LineHandler(families, stream)
        handler.setFormatter(lines.JsonLines("demo"))
        handler.emit(record())
    lost = families.registry.get_sample_value("log_records_lost_total", {"error_type": "BrokenPipeError"})
    assert lost == 1


def test_a_line_after_a_torn_one_begins_on_its_own_line(tmp_path: Any, monkeypatch: Any) -> None:
    path = tmp_path / "log"
    real, calls = output.write, iter([3, None, None])

    def write(descriptor: int, data: Any) -> int:
        limit = next(calls)
        if limit is None:
            return real(descriptor, data)
        real(descriptor, data[:limit])
        monkeypatch.setattr(output, "write", full)
        return int(limit)

    def full(descriptor: int, data: Any) -> int:
        monkeypatch.setattr(output, "write", real)
        raise OSError(errno.ENOSPC, "full")

    with path.open("w") as stream:
        handler = logs.LineHandler(Families(), stream)
        handler.setFormatter(lines.JsonLines("demo"))
        monkeypatch.setattr(output, "write", write)
        handler.emit(record("torn"))
        handler.emit(record("whole"))
    rows = path.read_text().splitlines()
    assert rows[0] == '{"t'
    assert json.loads(rows[1])["message"] == "whole"


def test_records_are_counted_by_severity(app: Flask, instrumented: Any) -> None:
    with capture(instrumented(app)) as got:
        logging.getLogger("x").warning("one")
        logging.getLogger("x").error("two")
        logging.getLogger("x").debug("not at this level")
    assert got.sample("log_records_total", severity="WARN") == 1
    assert got.sample("log_records_total", severity="ERROR") == 1
    assert got.sample("log_records_total") == 2


def test_warnings_of_python_become_lines(app: Flask, instrumented: Any) -> None:
    telemetry = instrumented(app)
    with capture(telemetry) as got, warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("this is old", DeprecationWarning, stacklevel=1)
    assert "this is old" in got.lines(logger="py.warnings")[0]["message"]


def test_the_loggers_of_a_server_go_the_same_way(app: Flask, instrumented: Any, capsys: Any) -> None:
    server = logging.getLogger("gunicorn.error")
    printing = logging.StreamHandler(sys.stderr)
    server.addHandler(printing)
    server.propagate = False
    try:
        telemetry = instrumented(app)
        server.error("worker died")
        out, err = capsys.readouterr()
        assert json.loads(out)["message"] == "worker died"
        assert err == ""
        telemetry.shutdown()
        assert server.handlers == [printing]
        assert server.propagate is False
    finally:
        server.removeHandler(printing)
        server.propagate = True


def test_flasks_own_handler_does_not_print_a_second_time(app: Flask, instrumented: Any, capsys: Any) -> None:
    for handler in list(logging.getLogger().handlers):
        if isinstance(handler, logging.StreamHandler):
            assert handler.stream is not sys.stdout
    app.logger.error("before")
    capsys.readouterr()
    instrumented(app)
    app.logger.error("after")
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    assert err == ""


def test_the_level_is_the_one_that_is_set(app: Flask, instrumented: Any) -> None:
    with capture(instrumented(app, log_level="ERROR")) as got:
        logging.getLogger("x").warning("quiet")
        logging.getLogger("x").error("loud")
    assert [line["message"] for line in got.lines()] == ["loud"]


@pytest.mark.parametrize(("status", "level"), [(200, "INFO"), (302, "INFO"), (404, "WARN"), (503, "ERROR")])
def test_the_level_of_an_access_line_follows_the_status(
    app: Flask, instrumented: Any, status: int, level: str
) -> None:
    app.add_url_rule("/x", view_func=lambda: ("", status))
    with capture(instrumented(app)) as got:
        app.test_client().get("/x?password=hunter22", headers={"User-Agent": "a" * 999}).get_data()
    (line,) = got.lines(logger="observability.access")
    assert line["severity"] == level
    assert line["http.response.status_code"] == status
    assert line["client.address"] == "127.0.0.1"
    assert line["url.query"] == "password=[redacted]"
    assert len(line["user_agent.original"]) == 256
    assert 0 < line["http.server.request.duration"] < 5


def test_the_same_complaint_of_the_exporter_is_not_repeated() -> None:
    once = logs.OncePer(60)
    assert [once.filter(record()) for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize(
    ("message", "text", "rest"),
    [
        ({"event": "car stored", "maker": "bentz"}, "car stored", {"maker": "bentz"}),
        ({"message": "car stored", "event": "e"}, "car stored", {"event": "e"}),
        ({"maker": "bentz"}, "{'maker': 'bentz'}", {"maker": "bentz"}),
        ({}, "{}", {}),
    ],
)
def test_a_message_that_is_a_mapping_keeps_its_text(message: Any, text: str, rest: dict[str, Any]) -> None:
    line = line_of(record(message))
    assert line["message"] == text
    assert line.get("extra", {}) == rest


def test_what_stands_under_a_name_of_the_lines_own_is_kept_apart() -> None:
    line = line_of(record(service="theirs", severity="mild", logger="own", timestamp="today"))
    assert (line["service"], line["severity"], line["logger"]) == ("demo", "INFO", "some.logger")
    assert line["extra"] == {
        "service": "theirs",
        "severity": "mild",
        "logger": "own",
        "timestamp": "today",
    }


@pytest.mark.parametrize("created", [float("nan"), float("inf"), 1e300, -1e300, None])
def test_a_record_of_no_time_is_of_now(created: Any) -> None:
    made = record()
    made.created = created
    assert line_of(made)["timestamp"].startswith(time.strftime("%Y-", time.gmtime()))
