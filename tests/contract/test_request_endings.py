"""How a request ends is said alike by its span, series and line, also where it streams or fails late."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask, Response, stream_with_context
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from werkzeug.test import EnvironBuilder

from observability import Telemetry, instrument, schema
from observability.testing import Captured, capture, settings

FORMS = ("dashcam", "python")
DURATION, ACTIVE = schema.HTTP_SERVER_DURATION.name, schema.HTTP_SERVER_ACTIVE.name


@dataclass
class Subject:
    """An application under one form, and what it said."""

    app: Flask
    telemetry: Telemetry
    got: Captured
    status: str = ""

    def ask(self, path: str) -> list[bytes]:
        """As a server does it, which answers what escapes; what was raised is in `status` then."""
        body: Any = None
        environ = EnvironBuilder(path=path).get_environ()

        def start(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
            self.status = status
            return lambda data: None

        pieces = []
        try:
            body = self.app(environ, start)
            pieces += body
        except BaseException as error:
            self.status = type(error).__name__
        finally:
            if hasattr(body, "close"):
                body.close()
        return pieces

    def series(self) -> dict[tuple[str, str], float]:
        """How often each route was answered with each status."""
        return {
            (labels["http_route"], labels["http_response_status_code"]): value
            for labels, value in self._samples(f"{DURATION}_count")
        }

    def seconds(self) -> float:
        return sum(value for _, value in self._samples(f"{DURATION}_sum"))

    def active(self) -> float:
        return sum(value for _, value in self._samples(ACTIVE))

    def _samples(self, name: str) -> list[tuple[dict[str, str], float]]:
        families = self.telemetry.families.registry.collect()
        samples = [sample for family in families for sample in family.samples]
        return [(sample.labels, sample.value) for sample in samples if sample.name == name]

    @property
    def line(self) -> dict[str, Any]:
        (line,) = self.got.lines(logger="observability.access")
        return line

    @property
    def span(self) -> Any:
        (span,) = [span for span in self.got.spans if span.name.startswith("GET")]
        return span


def application() -> Flask:
    app = Flask("demo", static_folder=None)

    @app.get("/raise/<kind>")
    def raises(kind: str) -> str:
        raise {"error": ValueError, "exit": SystemExit}[kind]("no fuel")

    @app.get("/broken/<int:after>")
    def broken(after: int) -> Response:
        def rows() -> Iterator[str]:
            yield from ["row"] * after
            raise OSError("the disk is gone")

        return Response(rows())

    @app.get("/unclosable")
    def unclosable() -> Response:
        def rows() -> Iterator[str]:
            try:
                yield "row"
            finally:
                raise OSError("cannot close")

        return Response(rows())

    def events() -> Iterator[str]:
        with trace.get_tracer("views").start_as_current_span("query"):
            yield "first"
            threading.Event().wait(0.06)
            logging.getLogger("demo").warning("half way")
            yield "second"
        logging.getLogger("demo").warning("all the way")

    app.add_url_rule("/events", view_func=lambda: Response(events()))
    app.add_url_rule("/events/kept", "kept", lambda: Response(stream_with_context(events())))
    return app


@contextmanager
def subject(form: str) -> Iterator[Subject]:
    app = application()
    telemetry = instrument(app, "subject", settings=settings(instrumentation=form))
    try:
        with capture(telemetry) as got:
            yield Subject(app, telemetry, got)
    finally:
        telemetry.shutdown()


@pytest.fixture(params=FORMS)
def asked(request: pytest.FixtureRequest) -> Iterator[Subject]:
    with subject(request.param) as made:
        yield made


def failed(span: Any, kind: str) -> bool:
    """Whether the span is an error for one exception of this kind."""
    kinds = [(event.attributes or {}).get("exception.type") for event in span.events]
    return bool(span.status.status_code is StatusCode.ERROR and kinds == [kind])


@pytest.mark.parametrize(("kind", "name"), [("error", "ValueError"), ("exit", "SystemExit")])
def test_what_escapes_the_application_is_the_500_that_the_client_gets(
    asked: Subject, kind: str, name: str
) -> None:
    asked.app.config["PROPAGATE_EXCEPTIONS"] = True

    asked.ask(f"/raise/{kind}")

    assert asked.status == name
    assert asked.series() == {("/raise/<kind>", "500"): 1}
    assert failed(asked.span, name)
    assert asked.span.attributes["http.response.status_code"] == 500
    assert (asked.line["severity"], asked.line["http.response.status_code"]) == ("ERROR", 500)
    assert asked.active() == 0


@pytest.mark.parametrize("form", FORMS)
def test_what_a_middleware_raises_before_flask_is_counted(form: str) -> None:
    app = application()

    def locked(environ: Any, start_response: Any) -> Any:
        raise PermissionError("no entry")

    app.wsgi_app = locked  # type: ignore[method-assign]
    telemetry = instrument(app, "subject", settings=settings(instrumentation=form))
    with capture(telemetry) as got:
        made = Subject(app, telemetry, got)
        made.ask("/events")

        assert made.series() == {(schema.UNMATCHED_ROUTE, "500"): 1}
        assert made.line["http.response.status_code"] == 500
    telemetry.shutdown()


@pytest.mark.parametrize("path", ["/events", "/events/kept"])
def test_a_stream_takes_until_its_last_byte_in_all_signals(asked: Subject, path: str) -> None:
    assert asked.ask(path) == [b"first", b"second"]

    span = (asked.span.end_time - asked.span.start_time) / 1e9
    seconds = (span, asked.seconds(), asked.line["http.server.request.duration"])
    assert min(seconds) >= 0.06, seconds
    assert asked.series() == {(path, "200"): 1}
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.parametrize("path", ["/events", "/events/kept"])
def test_what_a_stream_does_is_part_of_its_trace(asked: Subject, path: str) -> None:
    asked.ask(path)

    (query,) = [span for span in asked.got.spans if span.name == "query"]
    assert query.parent
    assert query.context
    assert query.parent.span_id == asked.span.context.span_id
    said = {line["message"]: line.get("span_id") for line in asked.got.lines(logger="demo")}
    assert said == {
        "half way": f"{query.context.span_id:016x}",
        "all the way": f"{asked.span.context.span_id:016x}",
    }


def test_a_stream_is_active_until_its_last_byte(asked: Subject) -> None:
    body: Any = asked.app(EnvironBuilder(path="/events").get_environ(), lambda *_: lambda data: None)
    assert (asked.active(), asked.series()) == (1, {})

    body.close()  # the client went away

    assert (asked.active(), asked.series()) == (0, {("/events", "200"): 1})
    assert asked.span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("after", [0, 1])
def test_a_stream_that_fails_is_a_failure_in_all_signals(asked: Subject, after: int) -> None:
    assert asked.ask(f"/broken/{after}") == [b"row"] * after

    # Before the first byte the head has not been sent: the server answers 500.
    sent = 200 if after else 500
    assert failed(asked.span, "OSError")
    assert asked.span.attributes["http.response.status_code"] == sent
    assert asked.span.attributes["error.type"] == ("OSError" if after else "500")
    assert asked.series() == {("/broken/<int:after>", "500"): 1}
    assert (asked.line["severity"], asked.line["http.response.status_code"]) == ("ERROR", sent)
    assert asked.line["exception.type"] == "OSError"
    assert asked.active() == 0


def test_a_stream_that_cannot_be_closed_is_a_failure(asked: Subject) -> None:
    body = iter(asked.app(EnvironBuilder(path="/unclosable").get_environ(), lambda *_: lambda data: None))
    assert next(body) == b"row"
    with pytest.raises(OSError, match="cannot close"):
        body.close()  # type: ignore[attr-defined]

    assert failed(asked.span, "OSError")
    assert asked.series() == {("/unclosable", "500"): 1}


def test_a_stream_that_is_taken_by_another_thread_leaves_nothing_behind(asked: Subject) -> None:
    body = asked.app(EnvironBuilder(path="/events").get_environ(), lambda *_: lambda data: None)
    assert trace.get_current_span() is trace.INVALID_SPAN
    taken: list[Any] = []

    def take() -> None:
        taken.extend(body)
        taken.append(trace.get_current_span())

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()

    assert taken == [b"first", b"second", trace.INVALID_SPAN]
    assert time.time_ns() >= asked.span.end_time
