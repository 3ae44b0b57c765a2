"""The compiled request path says what the Python one says: spans as they are sent, metrics, lines, headers.

Here the usual way is gone: a queue of encoded spans as the only processor, and one handler that writes JSON
lines to a file. tests/contract/test_official_instrumentation.py holds both to the official instrumentation,
for requests that are looked at more closely.
"""

from __future__ import annotations

import base64
import copy
import gc
import itertools
import json
import logging
import os
import re
import resource
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from everyrequest import PARENT, REQUESTS, TRACE, Ask, application, get
from flask import Flask, request
from google.protobuf.json_format import MessageToDict
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.instrumentation import propagators
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from werkzeug.test import EnvironBuilder

from observability import Telemetry, instrument, schema
from observability.http import incoming, speedups
from observability.http.access_line import logger
from observability.logs import handler as logs
from observability.logs.lines import JsonLines
from observability.logs.output import LineWriter
from observability.metrics.meters import Families
from observability.testing import settings
from observability.traces import provider as tracing
from observability.traces import spans

FORMS = ("dashcam", "python")
DURATION = schema.HTTP_SERVER_DURATION.name


class Exporter:
    """Keeps the encoded spans that it is given."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def export(self, batch: Any) -> SpanExportResult:
        self.spans += batch
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to close."""


class Told:
    """What one form said so far."""

    def __init__(self, app: Flask, telemetry: Telemetry, exporter: Exporter, lines: Path) -> None:
        self.app = app
        self.telemetry = telemetry
        self._exporter = exporter
        self._lines = lines
        self.headers: list[tuple[str, dict[str, str]]] = []
        inner = app.wsgi_app

        def seen(environ: Any, start_response: Callable[..., Any]) -> Any:
            def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
                self.headers.append((status, dict(headers)))
                return start_response(status, headers, *error)

            return inner(environ, start)

        app.wsgi_app = seen  # type: ignore[method-assign]

    def spans(self) -> list[dict[str, Any]]:
        """The exported spans, read by the official decoder."""
        assert self.telemetry.force_flush(10)
        return [MessageToDict(ScopeSpans.FromString(encoded).spans[0]) for _, encoded in self._exporter.spans]

    def clear(self) -> None:
        """Forget the lines."""
        self._lines.write_text("")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._lines.read_text().splitlines()]

    def samples(self) -> dict[Any, float]:
        """All but those that depend on how long something took, and on when it was asked."""
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in self.telemetry.families.registry.collect()
            for sample in family.samples
            if not re.search(
                r"_sum$|_bucket$|^target_info|^process_|^python_|duration_seconds_created|_export",
                sample.name,
            )
        }

    def marked(self) -> set[tuple[str, ...]]:
        """The series that have an exemplar."""
        return {
            tuple(value for label, value in sorted(sample.labels.items()) if label != "le")
            for family in self.telemetry.families.registry.collect()
            for sample in family.samples
            if sample.exemplar
        }

    def exemplars(self) -> list[dict[str, str]]:
        return [
            dict(sample.exemplar.labels)
            for family in self.telemetry.families.registry.collect()
            for sample in family.samples
            if sample.exemplar and sample.name.startswith(DURATION)
        ]


@contextmanager
def told(form: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **overrides: Any) -> Iterator[Told]:
    """An application under `form`, with everything that would make its requests unusual out of the way."""
    file = folder / f"{form}.log"
    root = logging.getLogger()
    before = root.handlers[:]
    with file.open("w") as stdout, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        patch.setattr(root, "handlers", [])
        exporter = Exporter()
        patch.setattr(tracing, "otlp_exporter", lambda *_: (exporter, lambda: None))
        app = application(lambda: trace.get_tracer("views"))
        chosen = settings(**{"traces_exporter": "otlp", "instrumentation": form, **overrides})
        telemetry = instrument(app, "subject", settings=chosen)
        try:
            yield Told(app, telemetry, exporter, file)
        finally:
            telemetry.shutdown()
    root.handlers[:] = before


@contextmanager
def switching_often() -> Iterator[None]:
    """Threads take turns after every microsecond."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class Names:
    """Ids that differ from run to run, by the order in which they turn up."""

    def __init__(self) -> None:
        self._known = {TRACE: "the caller's trace", PARENT: "the caller's span"}

    def of(self, thing: Any) -> Any:
        """`thing` with a name for each id in it."""
        text = json.dumps(thing, sort_keys=True)
        return json.loads(re.sub(r"\b(?:[0-9a-f]{32}|[0-9a-f]{16})\b", self._name, text))

    def _name(self, found: re.Match[str]) -> str:
        return self._known.setdefault(found[0], f"id {len(self._known)}")


def account(seen: Told) -> dict[str, Any]:
    """Everything that was said, without times, ids by name."""
    spans = seen.spans()
    for span in spans:
        began, ended = int(span.pop("startTimeUnixNano")), int(span.pop("endTimeUnixNano"))
        assert 0 < began <= ended < began + 60e9
        for event in span.get("events", ()):
            assert began <= int(event.pop("timeUnixNano")) <= ended
            event["attributes"] = [
                pair for pair in event["attributes"] if pair["key"] != "exception.stacktrace"
            ]
        for key, size in (("traceId", 16), ("spanId", 8), ("parentSpanId", 8)):
            if key in span:
                span[key] = _hexadecimal(span[key], size)
    lines = seen.lines()
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("timestamp"))
        assert 0 < line.pop("http.server.request.duration", 1) < 60
        line.pop("exception.stacktrace", None)
    names = Names()
    return {
        "spans": names.of(spans),
        "headers": names.of(seen.headers),
        "lines": names.of(lines),
        "metrics": seen.samples(),
        "exemplars": seen.marked(),
    }


def _hexadecimal(encoded: str, size: int) -> str:
    raw = base64.b64decode(encoded)
    assert len(raw) == size
    return raw.hex()


def escaping(app: Flask) -> str:
    """An exception that the server is given."""
    app.config["PROPAGATE_EXCEPTIONS"] = True
    try:
        app.test_client().get("/broken")
    except ZeroDivisionError as error:
        return str(error)
    finally:
        app.config["PROPAGATE_EXCEPTIONS"] = None
    raise AssertionError("it was answered")


def twice(ask: Ask) -> Ask:
    """The same request once more: what is remembered of the first must not be told of the second."""
    return lambda app: (ask(app), ask(app))


def asks() -> list[Ask]:
    return [*(twice(parameter.values[0]) for parameter in REQUESTS), escaping]  # type: ignore[arg-type]


SAMPLING = {
    "all": {},
    "kept where failed": {"sampler": "parentbased_traceidratio", "sampler_ratio": 0.0, "traces_slow": 3600.0},
    "kept where slow": {"sampler": "parentbased_traceidratio", "sampler_ratio": 0.0, "traces_slow": 0.0},
    "only the caller's": {"sampler": "parentbased_traceidratio", "sampler_ratio": 0.0, "traces_keep": False},
    "none": {"sampler": "always_off"},
    "no spans": {"sdk_disabled": True},
    "sent nowhere": {"traces_exporter": "none"},
    "b3": {"propagators": ("b3", "b3multi")},
}


Both = Callable[..., dict[str, Any]]


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Both:
    """`both(act, **settings)`: has each form do `act(told)`, holds what they say equal, and answers it."""

    def compare(act: Callable[[Told], Any], **overrides: Any) -> dict[str, Any]:
        said = {}
        for form in FORMS:
            with told(form, tmp_path, monkeypatch, **overrides) as seen:
                answer = act(seen)
                said[form] = {**account(seen), "answer": answer}
        for part, expected in said["python"].items():
            assert said["dashcam"][part] == expected, part
        return said["python"]

    return compare


@pytest.mark.parametrize("sampling", SAMPLING)
def test_both_forms_say_the_same_of_every_request(sampling: str, both: Both) -> None:
    said = both(lambda seen: [ask(seen.app) for ask in asks()], **SAMPLING[sampling])
    assert len(said["headers"]) > len(REQUESTS)


@pytest.mark.parametrize(
    "given",
    [
        {"SERVER_PORT": "unix"},
        {"HTTP_HOST": "x:abc"},
        {"SERVER_PROTOCOL": None},
        {"REMOTE_PORT": 55123},
        {"REMOTE_PORT": 127},
        {"REMOTE_PORT": 0},
        {"REMOTE_PORT": "-1"},
        {"REMOTE_PORT": str(1 << 40)},
        {"REMOTE_PORT": "65536"},
        {"HTTP_USER_AGENT": "a" * 255},
        {"HTTP_USER_AGENT": "a" * 5000},
        {"QUERY_STRING": "a" * 1023},
        {"QUERY_STRING": "a" * 1025},
        {"PATH_INFO": "/cars/\xff\xfe/1"},
        {"REMOTE_ADDR": None, "HTTP_USER_AGENT": None},
    ],
    ids=str,
)
def test_both_forms_say_the_same_of_an_odd_server(given: dict[str, Any], both: Both) -> None:
    ask = get("/plain", environ_overrides=given).values[0]
    both(lambda seen: (ask(seen.app), ask(seen.app)))  # type: ignore[operator]


def test_what_cannot_be_encoded_is_counted_and_the_request_is_answered(both: Both) -> None:
    def act(seen: Told) -> int:
        seen.app.view_functions["plain"] = lambda: trace.get_current_span().update_name(5) or "renamed"  # type: ignore[arg-type, func-returns-value]
        return seen.app.test_client().get("/plain").status_code

    said = both(act)
    assert said["answer"] == 200
    assert said["spans"] == []


def test_durations_that_others_measure_in_the_same_family_are_added(both: Both) -> None:
    def act(seen: Told) -> Any:
        meter = seen.telemetry.meters.get_meter("opentelemetry.instrumentation.elsewhere")
        instrument = meter.create_histogram("http.server.request.duration", unit="s")
        labels = {"http.request.method": "GET", "http.route": "/plain", "http.response.status_code": 200}
        client = seen.app.test_client()
        instrument.record(3.0, labels)
        client.get("/plain").get_data()
        instrument.record(4.0, labels)
        labels = {key.replace(".", "_"): str(value) for key, value in labels.items()}
        count, total = (
            seen.telemetry.families.registry.get_sample_value(f"{DURATION}_{what}", labels)
            for what in ("count", "sum")
        )
        return count, round(total)

    assert both(act)["answer"] == (3, 7)


@pytest.mark.parametrize("form", FORMS)
def test_first_requests_at_the_same_moment_are_all_counted(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes, threads = range(200, 300), 6
    meeting = threading.Barrier(threads)
    with told(form, tmp_path, monkeypatch) as seen, switching_often():

        def ask() -> None:
            client = seen.app.test_client()
            for code in codes:
                meeting.wait(30)
                client.get(f"/status/{code}").get_data()

        asking = [threading.Thread(target=ask) for _ in range(threads)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        count = seen.samples()
    counted = {key: value for key, value in count.items() if key[0] == f"{DURATION}_count"}
    assert len(counted) == len(codes)
    assert set(counted.values()) == {threads}


@pytest.mark.parametrize("form", FORMS)
def test_lines_that_others_write_as_the_first_request_comes_are_all_counted(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with told(form, tmp_path, monkeypatch) as seen, switching_often():
        handler = logs.sole_handler(logger)
        assert handler is not None
        own, counted, written = logging.getLogger("observability.own"), 0, len(seen.lines())
        for _ in range(100):
            families = Families()
            handler.writer, before = LineWriter(families), handler.writer
            meeting = threading.Barrier(2)

            def log(meeting: threading.Barrier = meeting) -> None:
                meeting.wait(30)
                for _ in range(10):
                    own.warning("of somebody else")

            other = threading.Thread(target=log)
            other.start()
            meeting.wait(30)
            seen.app.test_client().get("/status/404").get_data()
            other.join()
            counted += _count(families)
            handler.writer.close()
            handler.writer = before
        assert counted == len(seen.lines()) - written == 1100


def _count(families: Families) -> int:
    found = families.registry.get_sample_value("log_records_total", {"severity": "WARN"})
    return int(found or 0)


@pytest.mark.parametrize("form", FORMS)
def test_a_span_that_another_thread_ends_as_its_request_ends_is_sent_once(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, free, others = threading.Event(), threading.Event(), list[threading.Thread]()

    def held() -> int:
        """The time, for which the first that asks has to wait; it has begun to end the span by then."""
        if not asked.is_set():
            asked.set()
            assert free.wait(30)
        return time.time_ns()

    def plain() -> str:
        others.append(threading.Thread(target=trace.get_current_span().end))
        others[0].start()
        assert asked.wait(30)
        threading.Timer(0.2, free.set).start()
        return "plain"

    monkeypatch.setattr(spans, "time_ns", held)
    with told(form, tmp_path, monkeypatch) as seen:
        seen.app.view_functions["plain"] = plain
        seen.app.test_client().get("/plain").get_data()
        others[0].join(30)
        assert len(seen.spans()) == 1


def test_an_environ_that_is_no_plain_dictionary_is_answered(both: Both) -> None:
    class Environ(dict[str, Any]):
        """What PEP 3333 does not allow, and some middleware does."""

    def act(seen: Told) -> list[Any]:
        ask = get("/plain").values[0]
        inner = seen.app.wsgi_app
        answers = [ask(seen.app)]  # type: ignore[operator]
        seen.app.wsgi_app = lambda environ, start: inner(Environ(environ), start)  # type: ignore[method-assign]
        return [*answers, ask(seen.app)]  # type: ignore[operator]

    assert both(act)["answer"] == [(200, b"plain")] * 2


def test_a_processor_without_an_end_is_shown_the_next_span(both: Both) -> None:
    class Starts(SpanProcessor):
        def __init__(self) -> None:
            self.number = 0

        def on_start(self, span: Any, parent_context: Any = None) -> None:
            self.number += 1

    def act(seen: Told) -> int:
        starts, client = Starts(), seen.app.test_client()
        client.get("/plain").get_data()
        seen.telemetry.add_span_processor(starts)
        client.get("/plain").get_data()
        return starts.number

    assert both(act, traces_exporter="none")["answer"] == 1


def test_a_processor_that_comes_while_two_requests_run_sees_both_spans_whole(both: Both) -> None:
    def act(seen: Told) -> list[Any]:
        late = Late()

        def outer() -> str:
            seen.telemetry.add_span_processor(late)
            thread = threading.Thread(target=lambda: seen.app.test_client().get("/cars/a/1").get_data())
            thread.start()
            thread.join()
            return "outer"

        seen.app.view_functions["plain"] = outer
        seen.app.test_client().get("/plain").get_data()
        return [attributes["http.route"] for attributes in late.seen]

    assert both(act)["answer"] == ["/cars/<maker>/<int:number>", "/plain"]


def test_a_propagator_of_somebody_else_that_comes_later_is_asked(both: Both) -> None:
    class Own(TraceContextTextMapPropagator):
        headers = ("HTTP_TRACEPARENT",)  # means nothing: it is none of ours

        def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Context:
            return super().extract({"traceparent": getter.get(carrier, "x-mine")}, context)

    def act(seen: Told) -> None:
        client = seen.app.test_client()
        client.get("/plain").get_data()
        before = propagate.get_global_textmap()
        propagate.set_global_textmap(Own())
        try:
            client.get("/plain", headers={"x-mine": f"00-{TRACE}-{PARENT}-01"}).get_data()
        finally:
            propagate.set_global_textmap(before)

    _, span = both(act)["spans"]
    assert span["parentSpanId"] == "the caller's span"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sampler", ["always_on", "parentbased_traceidratio"])
def test_nothing_of_a_request_is_left_to_the_collector(
    sampler: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans: list[weakref.ref[Any]] = []

    def plain() -> str:
        spans.append(weakref.ref(trace.get_current_span()))
        return "plain"

    with told(form, tmp_path, monkeypatch, sampler=sampler, sampler_ratio=0.0) as seen:
        seen.app.view_functions["plain"] = plain
        environ = EnvironBuilder(path="/plain").get_environ()
        gc.disable()
        try:
            for piece in seen.app.wsgi_app(environ, lambda *_: lambda _: None):
                assert piece == b"plain"
            del environ
            assert spans[0]() is None
        finally:
            gc.enable()


def test_an_application_may_call_another_with_its_own_environ(both: Both) -> None:
    def act(seen: Told) -> Any:
        inner = application(lambda: trace.get_tracer("inner"))
        telemetry = instrument(inner, "inner", settings=seen.telemetry.settings)

        def outer() -> str:
            environ = request.environ
            environ["PATH_INFO"] = "/cars/bentz/5"
            return str(len(b"".join(inner(environ, lambda status, headers, *error: lambda data: None))))

        seen.app.view_functions["plain"] = outer
        try:
            answers = [seen.app.test_client().get("/plain").get_data() for _ in range(2)]
            assert trace.get_current_span() is trace.INVALID_SPAN
        finally:
            telemetry.shutdown()
        return answers

    said = both(act)
    assert [line["http.route"] for line in said["lines"]] == ["/cars/<maker>/<int:number>", "/plain"] * 2
    assert Counter((span["name"], span["kind"], "parentSpanId" in span) for span in said["spans"]) == {
        ("GET /cars/<maker>/<int:number>", "SPAN_KIND_INTERNAL", True): 2,
        ("GET /plain", "SPAN_KIND_SERVER", False): 2,
    }


def test_a_process_without_stdout_answers(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    def act(seen: Told) -> Any:
        with monkeypatch.context() as patch:
            patch.delattr(sys, "stdout")
            return get("/plain").values[0](seen.app)  # type: ignore[operator]

    said = both(act)
    assert said["answer"] == (200, b"plain")
    assert said["lines"] == []


def test_the_usual_request_takes_none_of_the_steps_in_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    for name in ("begin", "end", "answer", "measure", "handed_on", "finished", "attributes", "encoded"):
        original = getattr(incoming.Request, name)

        def step(self: Any, *given: Any, _name: str = name, _original: Any = original) -> Any:
            called.append(_name)
            return _original(self, *given)

        monkeypatch.setattr(incoming.Request, name, step, raising=False)
    ask = get("/cars/bentz/5?a=1", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}).values[0]
    with told("dashcam", tmp_path, monkeypatch) as seen:
        ask(seen.app)
        assert [span["name"] for span in seen.spans()] == ["GET /cars/<maker>/<int:number>"]
    assert called == []


@pytest.mark.parametrize("form", FORMS)
def test_header_line_and_exemplar_name_the_span(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with told(form, tmp_path, monkeypatch) as seen:
        seen.app.before_request(lambda: time.sleep(0.02))
        began = time.perf_counter()
        seen.app.test_client().get("/plain").get_data()
        took = time.perf_counter() - began
        (span,), (line,), (exemplar,) = seen.spans(), seen.lines(), seen.exemplars()
        labels = {"http_request_method": "GET", "http_route": "/plain", "http_response_status_code": "200"}
        total = seen.telemetry.families.registry.get_sample_value(f"{DURATION}_sum", labels)
        assert 0.02 < total < line["http.server.request.duration"] + 1e-6 < took + 2e-6
        below = seen.telemetry.families.registry.get_sample_value
        assert below(f"{DURATION}_bucket", {**labels, "le": "0.01"}) == 0
        assert below(f"{DURATION}_bucket", {**labels, "le": "10.0"}) == 1
    trace_id, span_id = _hexadecimal(span["traceId"], 16), _hexadecimal(span["spanId"], 8)
    assert seen.headers[0][1]["traceresponse"] == f"00-{trace_id}-{span_id}-03"
    assert (line["trace_id"], line["span_id"]) == (trace_id, span_id)
    assert exemplar == {"trace_id": trace_id, "span_id": span_id}


@pytest.mark.parametrize("form", FORMS)
def test_a_request_that_gets_slow_after_its_response_began_is_kept(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with told(form, tmp_path, monkeypatch, **{**SAMPLING["kept where slow"], "traces_slow": 0.2}) as seen:
        ends = [0.0, 0.25]
        seen.app.teardown_request(lambda _: time.sleep(ends.pop(0)))
        client = seen.app.test_client()
        client.get("/plain").get_data()
        client.get("/cars/a/1").get_data()
        assert [span["name"] for span in seen.spans()] == ["GET /cars/<maker>/<int:number>"]
        assert [headers["traceresponse"][-2:] for _, headers in seen.headers] == ["02", "02"]


class Late(SpanProcessor):
    """Keeps what it is shown, and looks at it later."""

    def __init__(self) -> None:
        self._spans: list[Any] = []

    def on_end(self, span: Any) -> None:
        self._spans.append(span)

    @property
    def seen(self) -> list[dict[str, Any]]:
        return [dict(span.attributes) for span in self._spans]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("when", ["between requests", "within a request"])
def test_a_processor_that_comes_later_sees_the_next_span_whole(
    when: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = Late()
    with told(form, tmp_path, monkeypatch) as seen:
        client = seen.app.test_client()
        client.get("/plain").get_data()
        if when == "between requests":
            seen.telemetry.add_span_processor(late)
        else:
            view = seen.app.view_functions["car"]

            def adding(**arguments: Any) -> Any:
                seen.telemetry.add_span_processor(late)
                return view(**arguments)

            seen.app.view_functions["car"] = adding
        client.get("/cars/a/1").get_data()
        assert len(seen.spans()) == 2
    (attributes,) = late.seen
    assert (attributes["http.route"], attributes["http.response.status_code"]) == (
        "/cars/<maker>/<int:number>",
        200,
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_filter_that_comes_later_sees_the_next_line(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records: list[logging.LogRecord] = []

    def note(record: logging.LogRecord) -> bool:
        records.append(record)
        return True

    with told(form, tmp_path, monkeypatch) as seen:
        client = seen.app.test_client()
        client.get("/plain").get_data()
        logger.addFilter(note)
        try:
            client.get("/plain").get_data()
        finally:
            logger.removeFilter(note)
        client.get("/plain").get_data()
        assert len(seen.lines()) == 3
    assert len(records) == 1


@pytest.mark.parametrize("form", FORMS)
def test_a_level_above_that_of_a_line_leaves_it_out(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with told(form, tmp_path, monkeypatch, log_level="WARNING") as seen:
        client = seen.app.test_client()
        for path in ("/plain", "/nowhere", "/status/503"):
            client.get(path).get_data()
        assert [line["severity"] for line in seen.lines()] == ["WARN", "ERROR"]


class OwnLogger(logging.Logger):
    """Answers itself what others keep."""

    disabled = property(lambda self: False, lambda self, value: None)  # type: ignore[assignment]

    def isEnabledFor(self, level: int) -> bool:
        return level >= logging.WARNING


class ApartLogger(logging.Logger):
    """Passes nothing on."""

    propagate = property(lambda self: False, lambda self, value: None)  # type: ignore[assignment]


class OwnLines(JsonLines):
    """Ends each line in its own way."""

    def format(self, record: logging.LogRecord) -> str:
        return f'{super().format(record)[:-1]},"own":true}}'


def record_factory(*arguments: Any, **named: Any) -> logging.LogRecord:
    record = logging.LogRecord(*arguments, **named)
    record.msg = f"made elsewhere: {record.msg}"
    return record


Patch = pytest.MonkeyPatch
CHANGED: dict[str, Callable[[Patch, logging.Handler], None]] = {
    "the handler's level": lambda patch, handler: patch.setattr(handler, "level", logging.ERROR),
    "the handler's filters": lambda patch, handler: patch.setattr(handler, "filters", [lambda _: False]),
    "another handler": lambda patch, _: patch.setattr(logger, "handlers", [logging.NullHandler()]),
    "handlers that are no list": lambda patch, handler: patch.setattr(
        logging.getLogger(), "handlers", (handler,)
    ),
    "no propagation": lambda patch, _: patch.setattr(logger, "propagate", False),
    "none below": lambda patch, _: patch.setattr(logging.getLogger("observability"), "propagate", False),
    "a disabled logger": lambda patch, _: patch.setattr(logger, "disabled", True),
    "a logger's own class": lambda patch, _: patch.setattr(logger, "__class__", OwnLogger),
    "the class of one above": lambda patch, _: patch.setattr(
        logging.getLogger("observability"), "__class__", ApartLogger
    ),
    "a logger's own method": lambda patch, _: patch.setattr(logger, "isEnabledFor", lambda level: level > 30),
    "the record factory": lambda patch, _: patch.setattr(logging, "_logRecordFactory", record_factory),
    "the formatter": lambda patch, handler: patch.setattr(handler.formatter, "__class__", OwnLines),
}


@pytest.mark.parametrize("changed", CHANGED)
def test_what_is_changed_about_logging_holds_for_the_next_line(
    changed: str, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(seen: Told) -> None:
        client = seen.app.test_client()
        handler = logs.sole_handler(logger)
        assert handler is not None
        client.get("/plain").get_data()
        with monkeypatch.context() as patch:
            CHANGED[changed](patch, handler)
            for path in ("/plain", "/status/404", "/status/503"):
                client.get(path).get_data()
        client.get("/plain").get_data()

    said = both(act)
    assert len(said["spans"]) == 5
    assert {line["message"] for line in said["lines"] if "message" in line} >= {"GET /plain 200"}


def test_the_next_line_goes_to_another_stdout(
    both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(seen: Told) -> str:
        client = seen.app.test_client()
        client.get("/plain").get_data()
        with (tmp_path / "other").open("w+") as other, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", other)
            client.get("/status/404").get_data()
            return str(json.loads((tmp_path / "other").read_text())["message"])

    assert both(act)["answer"] == "GET /status/404 404"


@pytest.mark.parametrize("form", FORMS)
def test_a_line_waits_behind_those_that_wait(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with told(form, tmp_path, monkeypatch) as seen:
        client = seen.app.test_client()
        client.get("/plain").get_data()
        handler = logs.sole_handler(logger)
        assert handler is not None
        writer = handler.writer
        writer._thread = threading.current_thread()  # so that none is started which would write them
        writer._keep(b'{"message": "waits"}\n', "INFO")
        client.get("/plain").get_data()
        assert len(seen.lines()) == 1
        writer._run()
        assert [line["message"] for line in seen.lines()] == ["GET /plain 200", "waits", "GET /plain 200"]


@pytest.mark.parametrize(
    ("step", "duration"), [(-1.0, -1.0), (0.0, 0.0), (0.12345678, 0.246914), (0.5, 1.0), (3600.0, 7200.0)]
)
def test_the_duration_is_what_the_clock_says(
    step: float, duration: float, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    from observability.http import _speedups

    def act(seen: Told) -> float:
        moments = itertools.count()
        with monkeypatch.context() as patch:
            for module in (time, _speedups):
                patch.setattr(module, "perf_counter", lambda: next(moments) * step)
            seen.app.test_client().get("/plain").get_data()
        (line,) = seen.lines()
        seen.clear()  # no other line takes less than no time, or an hour
        # A negative one leaves the compiled form, which looks at the clock once more.
        return max(-1.0, float(line["http.server.request.duration"]))

    # The first reading is that of the arrival, the second for the metrics, the third for the line.
    assert both(act)["answer"] == duration


def test_a_response_propagator_that_comes_later_is_asked(both: Both) -> None:
    class Own:
        def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:
            setter.set(carrier, "x-own", "told")

    def act(seen: Told) -> None:
        client = seen.app.test_client()
        client.get("/plain").get_data()
        propagators.set_global_response_propagator(Own())  # type: ignore[arg-type, no-untyped-call]
        try:
            client.get("/plain").get_data()
        finally:
            propagators.set_global_response_propagator(None)  # type: ignore[arg-type, no-untyped-call]

    assert [headers.get("x-own") for _, headers in both(act)["headers"]] == [None, "told"]


def test_a_span_can_be_copied(both: Both) -> None:
    def act(seen: Told) -> Any:
        def plain() -> Any:
            span: Any = trace.get_current_span()
            span.own = "mine"
            copied = copy.copy(span)
            copied.update_name("copied")
            return {
                "kept": [copied.own, copied.name, dict(copied.attributes)["url.path"]],
                "same": [span.name, copied.context == span.context, copied.start_time == span.start_time],
            }

        seen.app.view_functions["plain"] = plain
        return seen.app.test_client().get("/plain").get_json()

    answer = both(act)["answer"]
    assert answer == {"kept": ["mine", "copied", "/plain"], "same": ["GET /plain", True, True]}


@pytest.mark.parametrize("form", FORMS)
def test_a_line_that_a_full_disk_cut_is_ended_before_the_next(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with told(form, tmp_path, monkeypatch) as seen:
        client = seen.app.test_client()
        client.get("/plain").get_data()
        file = tmp_path / f"{form}.log"
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 100, limits[1]))
        try:
            client.get("/plain").get_data()
            client.get("/plain").get_data()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        client.get("/plain").get_data()
        whole, cut, last = file.read_text().splitlines()
        registry = seen.telemetry.families.registry
        assert registry.get_sample_value("log_records_lost_total", {"error_type": "OSError"}) == 2
        assert registry.get_sample_value("log_records_total", {"severity": "INFO"}) == 2
    assert len(cut) == 100
    assert json.loads(whole)["message"] == json.loads(last)["message"] == "GET /plain 200"


@pytest.mark.parametrize("form", FORMS)
def test_lines_wait_for_a_slow_reader_and_none_is_torn_or_lost(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with told(form, tmp_path, monkeypatch) as seen:
        client = seen.app.test_client()
        reading, writing = os.pipe()
        with os.fdopen(writing, "w") as stdout, os.fdopen(reading, "rb", closefd=True) as reader:
            monkeypatch.setattr(sys, "stdout", stdout)
            asked = 300  # of some 400 bytes: more than the 64 KiB of a pipe
            for number in range(asked):
                client.get(f"/cars/bentz/{number}").get_data()
            lines = [json.loads(reader.readline()) for _ in range(asked)]
            seen.telemetry.shutdown()
    assert [line["url.path"] for line in lines] == [f"/cars/bentz/{number}" for number in range(asked)]


def test_without_it_everything_is_done_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speedups, "available", lambda: False)
    with told("dashcam", tmp_path, monkeypatch) as seen:
        seen.app.test_client().get("/plain").get_data()
        assert len(seen.spans()) == len(seen.lines()) == 1


def test_what_was_compiled_from_an_older_source_is_left_alone(tmp_path: Path) -> None:
    compiled, source = tmp_path / "it.so", tmp_path / "it.pyx"
    compiled.touch()
    assert speedups.current(compiled, source), "an image has no source"
    source.touch()
    os.utime(compiled, ns=(0, source.stat().st_mtime_ns - 1_000_000_000))
    assert not speedups.current(compiled, source)
    os.utime(compiled, ns=(0, source.stat().st_mtime_ns))
    assert speedups.current(compiled, source)


def test_the_tests_run_on_a_compiled_form() -> None:
    assert speedups.available(), "compile it: make speedups"
