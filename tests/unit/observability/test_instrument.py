"""One call instruments a service, and it can be undone."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import pytest
import urllib3
from flask import Flask, Response, stream_with_context
from flask_restful import Api, Resource
from opentelemetry import propagate, trace
from opentelemetry.trace import StatusCode
from werkzeug.test import EnvironBuilder

from observability import current_trace_id, instrument, problems
from observability.testing import capture, settings

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


def ask(app: Flask, path: str, method: str = "GET", **arguments: Any) -> Any:
    response = app.test_client().open(path, method=method, **arguments)
    response.get_data()
    return response


@pytest.fixture
def app() -> Flask:
    app = Flask("demo", static_folder=None)

    @app.get("/cars/<maker>")
    def car(maker: str) -> dict[str, str | None]:
        return {"maker": maker, "trace": current_trace_id()}

    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError("the gearbox is gone")

    @app.get("/away")
    def away() -> str:
        raise problems.Problem(503, "Away", "price is away", headers={"Retry-After": "5"})

    @app.get("/teapot")
    def teapot() -> tuple[str, int]:
        return "short and stout", 418

    return app


def test_calling_it_again_answers_the_same_telemetry(app: Flask, instrumented: Any) -> None:
    telemetry = instrumented(app)
    assert instrument(app, service="other") is telemetry


def test_a_span_has_its_path_on_a_server_that_tells_no_target(app: Flask, instrumented: Any) -> None:
    environ = EnvironBuilder(path="/cars/bentz", query_string="token=hunter22&x=1").get_environ()
    for name in ("RAW_URI", "REQUEST_URI"):
        environ.pop(name, None)
    with capture(instrumented(app)) as got:
        list(app(environ, lambda status, headers, exc_info=None: lambda data: None))
    attributes = got.spans[0].attributes or {}
    assert attributes["url.path"] == "/cars/bentz"
    assert attributes["url.query"] == "token=[redacted]&x=1"


def test_utf8_of_a_client_is_text_in_the_span_and_in_the_line(
    app: Flask, instrumented: Any, caplog: pytest.LogCaptureFixture
) -> None:
    environ = EnvironBuilder(path="/grüße").get_environ()
    environ |= {"QUERY_STRING": "maker=\xc3\xbc", "HTTP_USER_AGENT": "\xc3\xa9t\xc3\xa9"}
    with capture(instrumented(app)) as got, caplog.at_level("INFO", "observability.access"):
        list(app(environ, lambda status, headers, exc_info=None: lambda data: None))
    expected = {"url.path": "/grüße", "url.query": "maker=ü", "user_agent.original": "été"}
    assert expected.items() <= dict(got.spans[0].attributes or {}).items()
    assert expected.items() <= vars(caplog.records[-1]).items()


def test_the_resource_says_which_process_it_is(app: Flask, instrumented: Any) -> None:
    telemetry = instrumented(
        app, resource_attributes=(("deployment.environment.name", "test"), ("team", "a"))
    )
    about = telemetry.resource.attributes
    assert about["service.name"] == "demo"
    assert about["service.version"] == "1.2.3"
    assert about["deployment.environment.name"] == "test"
    assert about["team"] == "a"
    assert len(str(about["service.instance.id"])) == 36
    assert about["telemetry.sdk.language"] == "python"


def test_the_services_name_can_be_given_by_the_environment(app: Flask, instrumented: Any) -> None:
    assert instrumented(app, service_name="car-blue").service == "car-blue"


def test_one_request_is_found_in_all_three_signals(app: Flask, instrumented: Any) -> None:
    with capture(instrumented(app)) as got:
        response = ask(app, "/cars/bentz", headers=PARENT)
    assert response.json["trace"] == got.trace_id() == TRACE
    assert got.lines(**{"http.route": "/cars/<maker>"})[0]["trace_id"] == TRACE
    labels = {"http_route": "/cars/<maker>"}
    assert {"trace_id": TRACE} in [
        {"trace_id": found["trace_id"]}
        for found in got.exemplars("http_server_request_duration_seconds_bucket", **labels)
    ]
    assert got.sample("http_server_request_duration_seconds_count", **labels) == 1


@pytest.mark.parametrize(
    ("path", "status"), [("/cars/bentz", 200), ("/broken", 500), ("/nowhere", 404), ("/teapot", 418)]
)
def test_every_response_carries_traceresponse(app: Flask, instrumented: Any, path: str, status: int) -> None:
    with capture(instrumented(app)) as got:
        response = ask(app, path)
    span = got.spans[0].context
    assert response.status_code == status
    # 03: sampled, and a trace id that is random (level 2 of the specification)
    assert response.headers.getlist("traceresponse") == [f"00-{span.trace_id:032x}-{span.span_id:016x}-03"]


def test_an_unsampled_response_says_so(app: Flask, instrumented: Any) -> None:
    instrumented(app, sampler="always_off")
    flags = int(ask(app, "/cars/bentz").headers["traceresponse"].rpartition("-")[2], 16)
    assert flags & 1 == 0


def test_unknown_paths_share_one_route_and_no_span_name(app: Flask, instrumented: Any) -> None:
    with capture(instrumented(app)) as got:
        for number in range(3):
            ask(app, f"/nowhere/{number}")
    assert {span.name for span in got.spans} == {"GET"}
    assert got.sample("http_server_request_duration_seconds_count", http_route="unmatched") == 3
    assert len(got.lines(**{"http.route": "unmatched"})) == 3


def test_a_wrong_method_and_an_invented_one_are_counted_without_new_labels(
    app: Flask, instrumented: Any
) -> None:
    with capture(instrumented(app)) as got:
        assert ask(app, "/cars/bentz", "DELETE").status_code == 405
        assert ask(app, "/cars/bentz", "BREW").status_code == 405
    count = "http_server_request_duration_seconds_count"
    assert got.sample(count, http_request_method="DELETE", http_response_status_code="405") == 1
    assert got.sample(count, http_request_method="_OTHER", http_response_status_code="405") == 1
    assert got.spans[1].name == "HTTP"
    assert got.lines()[-1]["http.request.method"] == "_OTHER"


def test_requests_in_flight_are_counted_and_end_at_zero(app: Flask, instrumented: Any) -> None:
    telemetry = instrumented(app)
    seen: list[float | None] = []

    @app.get("/look")
    def look() -> str:
        seen.append(
            telemetry.families.registry.get_sample_value(
                "http_server_active_requests", {"http_request_method": "GET"}
            )
        )
        return ""

    with capture(telemetry) as got:
        ask(app, "/look")
    assert seen == [1.0]
    assert got.value("http_server_active_requests", http_request_method="GET") == 0.0


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_exception_behind_flask_restful_is_recorded_and_is_a_problem(instrumented: Any, when: str) -> None:
    app = Flask("restful")

    class Broken(Resource):
        def get(self) -> None:
            raise KeyError("axle")

    if when == "before":
        problems.install(app)
        telemetry = instrumented(app)
    api = Api(app)
    api.add_resource(Broken, "/broken")
    if when == "after":
        problems.install(app)
        telemetry = instrumented(app)
    with capture(telemetry) as got:
        response = ask(app, "/broken")
    assert response.mimetype == "application/problem+json"
    assert [event.attributes["exception.type"] for event in got.spans[0].events] == ["KeyError"]


def test_a_handled_client_error_is_no_error_of_the_server(app: Flask, instrumented: Any) -> None:
    @app.errorhandler(RuntimeError)
    def handle(error: RuntimeError) -> tuple[str, int]:
        return "your fault", 422

    with capture(instrumented(app)) as got:
        ask(app, "/broken")
        ask(app, "/nowhere")
    for span in got.spans:
        assert span.status.status_code is StatusCode.UNSET
        assert not span.events


def test_a_server_problem_is_an_error_with_its_reason(app: Flask, instrumented: Any) -> None:
    problems.install(app)
    with capture(instrumented(app)) as got:
        response = ask(app, "/away")
    assert response.headers["Retry-After"] == "5"
    assert response.json["trace_id"] == got.trace_id()
    (event,) = got.spans[0].events
    assert "price is away" in event.attributes["exception.message"]


def test_a_streamed_body_is_counted_to_its_end(app: Flask, instrumented: Any) -> None:
    @app.get("/stream")
    def stream() -> Response:
        def rows() -> Any:
            yield "ab"
            logging.getLogger("rows").warning("between")
            yield "cde"

        return Response(stream_with_context(rows()))

    with capture(instrumented(app)) as got:
        ask(app, "/stream")
    access = got.lines(logger="observability.access")
    assert [line["http.response.body.size"] for line in access] == [5]
    assert [line["message"] for line in got.lines()] == ["between", "GET /stream 200"]


@pytest.mark.parametrize(
    ("sampler", "ratio", "headers", "recorded"),
    [
        ("always_on", 1.0, {}, True),
        ("always_off", 1.0, PARENT, False),
        ("traceidratio", 0.0, PARENT, False),
        ("parentbased_always_on", 1.0, {"traceparent": PARENT["traceparent"][:-1] + "0"}, False),
        ("parentbased_always_off", 1.0, PARENT, True),
        ("parentbased_traceidratio", 0.0, {}, False),
        ("parentbased_traceidratio", 0.0, PARENT, True),
    ],
)
def test_the_standard_samplers_decide(
    app: Flask, instrumented: Any, sampler: str, ratio: float, headers: dict[str, str], recorded: bool
) -> None:
    with capture(instrumented(app, sampler=sampler, sampler_ratio=ratio)) as got:
        ask(app, "/cars/bentz", headers=headers)
    assert bool(got.spans) is recorded
    assert bool(got.exemplars("http_server_request_duration_seconds_bucket")) is recorded
    assert got.lines()[-1]["trace_id"], "log lines carry the trace id of unsampled requests too"
    assert got.sample("http_server_request_duration_seconds_count") == 1


def test_a_disabled_sdk_passes_the_context_on_and_keeps_metrics_and_logs(
    app: Flask, instrumented: Any
) -> None:
    seen: list[dict[str, str]] = []

    @app.get("/relay")
    def relay() -> str:
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        seen.append(carrier)
        return ""

    with capture(instrumented(app, sdk_disabled=True)) as got:
        ask(app, "/relay", headers=PARENT)
    assert seen[0]["traceparent"] == PARENT["traceparent"]
    assert not got.spans
    assert not got.exemplars("http_server_request_duration_seconds_bucket")
    assert got.sample("http_server_request_duration_seconds_count") == 1
    assert got.lines()[-1]["trace_id"] == TRACE


def test_shutdown_leaves_nothing_behind(app: Flask, instrumented: Any) -> None:
    wsgi, handlers = app.wsgi_app, list(logging.getLogger().handlers)
    show, urlopen = warnings.showwarning, urllib3.HTTPConnectionPool.urlopen
    textmap = propagate.get_global_textmap()
    hooks = {name: list(found) for name, found in app.before_request_funcs.items()}
    telemetry = instrumented(app)
    tracer = trace.get_tracer("mine")
    telemetry.shutdown()
    assert app.wsgi_app == wsgi
    assert app.before_request_funcs.get(None, []) == hooks.get(None, [])
    assert app.teardown_request_funcs.get(None, []) == []
    assert not {"full_dispatch_request", "do_teardown_request", "handle_user_exception"} & set(vars(app))
    assert logging.getLogger().handlers == handlers
    assert warnings.showwarning is show
    assert urllib3.HTTPConnectionPool.urlopen is urlopen
    assert propagate.get_global_textmap() is textmap
    assert "traceresponse" not in ask(app, "/cars/bentz").headers
    assert not tracer.start_span("afterwards").is_recording()


def test_it_can_be_shut_down_twice_and_instrumented_again(app: Flask, instrumented: Any) -> None:
    first = instrumented(app)
    first.shutdown()
    first.shutdown()
    with capture(instrumented(app)) as got:
        ask(app, "/cars/bentz")
    assert len(got.spans) == 1
    assert got.sample("http_server_request_duration_seconds_count") == 1


def test_a_tracer_made_at_import_follows_whichever_service_is_instrumented(instrumented: Any) -> None:
    tracer = trace.get_tracer("module.level")
    for name in ("first", "second"):
        telemetry = instrumented(Flask(name), service=name)
        with capture() as got, tracer.start_as_current_span("work"):
            pass
        assert got.span("work").resource.attributes["service.name"] == name
        telemetry.shutdown()


def test_the_service_before_is_in_force_again_after_a_shutdown(instrumented: Any) -> None:
    first = instrumented(Flask("first"), service="first")
    second = instrumented(Flask("second"), service="second")
    second.shutdown()
    with capture(first) as got:
        logging.getLogger("any").warning("still here")
        with trace.get_tracer("any").start_as_current_span("work"):
            pass
    assert got.span("work").resource.attributes["service.name"] == "first"
    assert got.sample("log_records_total", severity="WARN") == 1


def test_settings_for_tests_send_nothing_whatever_the_environment_says(monkeypatch: Any) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    assert settings().traces_exporter == "none"


def test_capture_without_an_instrumented_service_says_what_to_do() -> None:
    with pytest.raises(LookupError, match="call instrument"), capture():
        pass
