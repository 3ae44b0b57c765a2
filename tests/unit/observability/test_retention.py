"""What failed or was slow is exported though head sampling left it out, whole, once, and told apart."""

from __future__ import annotations

import asyncio
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import aiohttp
import httpx
import pytest
import urllib3
from flask import Flask
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SynchronousMultiSpanProcessor, TracerProvider, sampling
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from werkzeug.serving import make_server

from observability import Telemetry, schema
from observability.exemplars import promised
from observability.metrics.meters import Families, exemplar
from observability.testing import settings
from observability.traces import provider as tracing
from observability.traces.keeper import Keeper
from observability.traces.local_trace import MAX_SPANS, keep, kept_downstream
from observability.traces.sampling import HeadSampler
from observability.traces.span_queue import SpanQueue
from observability.traces.tracer import SpanTracerProvider

ERROR = Status(StatusCode.ERROR)


class Exporter(SpanExporter):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS

    @property
    def found(self) -> dict[str, Any]:
        """Why each span was kept, by its name."""
        return {span.name: (span.attributes or {}).get(schema.SAMPLED_BY) for span in self.spans}


class Setup:
    def __init__(self, kind: type[TracerProvider], ratio: float = 0.0, slow: float = 60.0) -> None:
        self.exporter, self.families = Exporter(), Families()
        self.queue = SpanQueue(self.exporter, self.families, capacity=5000, delay=60)
        processors = SynchronousMultiSpanProcessor()
        processors.add_span_processor(Keeper(self.queue, self.families, slow))
        self.provider = kind(
            sampler=HeadSampler(ratio, follows_parent=True, records_all=True),
            shutdown_on_exit=False,
            active_span_processor=processors,
        )
        self.tracer = self.provider.get_tracer("test")

    def exported(self) -> dict[str, Any]:
        assert self.queue.force_flush(5000)
        return self.exporter.found

    def kept(self, reason: str) -> float:
        labels = {"reason": reason}
        return self.families.registry.get_sample_value("dashcam_traces_kept_total", labels) or 0.0


Make = Callable[..., Setup]


@pytest.fixture(params=[TracerProvider, SpanTracerProvider], ids=["sdk", "ours"])
def make(request: Any) -> Iterator[Make]:
    made: list[Setup] = []

    def setup(**arguments: Any) -> Setup:
        made.append(Setup(request.param, **arguments))
        return made[-1]

    yield setup
    for each in made:
        each.queue.shutdown(5)


def remote(sampled: bool) -> Any:
    identity = trace.SpanContext(0xABC << 64 | 0xFFF, 0xDEF, True, trace.TraceFlags(int(sampled)))
    return trace.set_span_in_context(trace.NonRecordingSpan(identity))


def test_a_trace_that_goes_well_leaves_nothing(make: Make) -> None:
    setup = make()
    with setup.tracer.start_as_current_span("root"), setup.tracer.start_as_current_span("child"):
        pass
    assert setup.exported() == {}
    assert setup.families.registry.get_sample_value("otel_sdk_processor_span_queue_size") == 0


@pytest.mark.parametrize("where", ["root", "first", "second", "inner"])
def test_an_error_anywhere_keeps_all_spans_of_the_request(make: Make, where: str) -> None:
    setup = make()
    spans = {}
    with setup.tracer.start_as_current_span("root") as spans["root"]:
        with setup.tracer.start_as_current_span("first") as spans["first"]:
            if where == "first":
                spans["first"].set_status(ERROR)
        with (
            setup.tracer.start_as_current_span("second") as spans["second"],
            setup.tracer.start_as_current_span("inner") as spans["inner"],
        ):
            if where != "first":
                spans[where].set_status(ERROR)
    assert setup.exported() == dict.fromkeys(("root", "first", "second", "inner"), "error")
    parents = {span.name: span.parent and span.parent.span_id for span in setup.exporter.spans}
    assert parents["inner"] == spans["second"].get_span_context().span_id
    assert setup.kept("error") == 1


def test_a_request_slower_than_the_bound_is_kept(make: Make) -> None:
    setup = make(slow=10.0)
    now = time.time_ns()
    for name, seconds in (("slow", 10.1), ("fast", 9.9)):
        setup.tracer.start_span(name, start_time=now).end(now + int(seconds * 1e9))
    assert setup.exported() == {"slow": "slow"}
    assert setup.kept("slow") == 1


def test_a_client_error_that_was_answered_is_no_failure(make: Make) -> None:
    setup = make()
    for kind, code in ((SpanKind.CLIENT, 404), (SpanKind.CLIENT, 503), (SpanKind.CLIENT, None)):
        with (
            setup.tracer.start_as_current_span(f"asked for {code}"),
            setup.tracer.start_as_current_span(f"call {code}", kind=kind) as call,
        ):
            call.set_status(ERROR)
            if code is not None:
                call.set_attribute("http.response.status_code", code)
    assert set(setup.exported()) == {"asked for 503", "call 503", "asked for None", "call None"}


def test_what_the_head_sampled_is_exported_as_ever_and_has_no_reason(make: Make) -> None:
    setup = make(ratio=1.0)
    with setup.tracer.start_as_current_span("root") as root:
        root.set_status(ERROR)
    assert setup.exported() == {"root": None}
    assert setup.kept("error") == 0


def test_a_part_of_anothers_unsampled_trace_is_judged_for_itself(make: Make) -> None:
    setup = make(ratio=1.0)
    for name, error in (("fails", True), ("works", False)):
        span = setup.tracer.start_span(name, context=remote(sampled=False))
        if error:
            span.set_status(ERROR)
        span.end()
    setup.tracer.start_span("sampled", context=remote(sampled=True)).end()
    assert setup.exported() == {"fails": "error", "sampled": None}


def test_two_requests_of_one_trace_in_one_process_are_two_local_traces(make: Make) -> None:
    setup = make()
    one = setup.tracer.start_span("one", context=remote(sampled=False))
    other = setup.tracer.start_span("other", context=remote(sampled=False))
    one.set_status(ERROR)
    other.end()
    one.end()
    assert setup.exported() == {"one": "error"}


def test_a_span_that_outlives_its_root_goes_the_way_of_the_others(make: Make) -> None:
    setup = make()
    for name, error in (("fails", True), ("works", False)):
        root = setup.tracer.start_span(name)
        late = setup.tracer.start_span(f"late {name}", context=trace.set_span_in_context(root))
        if error:
            root.set_status(ERROR)
        root.end()
        late.end()
    assert setup.exported() == {"fails": "error", "late fails": "error"}


def test_a_span_started_under_a_root_that_has_ended_is_a_root_of_its_own(make: Make) -> None:
    setup = make()
    root = setup.tracer.start_span("root")
    root.end()
    after = setup.tracer.start_span("after", context=trace.set_span_in_context(root))
    after.set_status(ERROR)
    after.end()
    assert setup.exported() == {"after": "error"}


def test_spans_that_end_in_other_threads_are_kept_too(make: Make) -> None:
    setup = make()
    with setup.tracer.start_as_current_span("root") as root:
        context = trace.set_span_in_context(root)
        threads = [
            threading.Thread(target=lambda: setup.tracer.start_span("child", context=context).end())
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        root.set_status(ERROR)
    setup.exported()
    assert sorted(span.name for span in setup.exporter.spans) == ["child"] * 8 + ["root"]


def test_a_request_of_very_many_spans_is_bounded_and_what_is_cut_is_counted(make: Make) -> None:
    setup = make()
    with setup.tracer.start_as_current_span("root") as root:
        for _ in range(MAX_SPANS + 5):
            setup.tracer.start_span("child").end()
        root.set_status(ERROR)
    setup.exported()
    assert len(setup.exporter.spans) == MAX_SPANS + 1
    assert setup.exporter.spans[-1].name == "root"
    name = "otel_sdk_processor_span_processed_total"
    lost = setup.families.registry.get_sample_value(name, {"error_type": "local_trace_full"})
    assert lost == 5


def test_a_kept_span_is_the_span_that_ended(make: Make) -> None:
    setup = make()
    link = trace.Link(trace.SpanContext(1, 2, True))
    with setup.tracer.start_as_current_span("root", links=[link], attributes={"a": 1}) as root:
        root.add_event("happened", {"b": 2})
        root.set_status(ERROR)
    setup.exported()
    kept = setup.exporter.spans[0]
    assert dict(kept.attributes or {}) == {"a": 1, schema.SAMPLED_BY: "error"}
    assert [event.name for event in kept.events] == ["happened"]
    assert [link.context.span_id for link in kept.links] == [2]
    assert kept.status.status_code is StatusCode.ERROR
    assert kept.instrumentation_scope.name == "test"  # type: ignore[union-attr]


def test_an_exemplar_points_only_to_what_will_be_found(make: Make) -> None:
    setup = make(slow=10.0)
    long_ago = time.time_ns() - int(11e9)
    for name, start, error, expected in (
        ("well", None, False, False),
        ("failed", None, True, True),
        ("slow", long_ago, False, True),
    ):
        span = setup.tracer.start_span(name, start_time=start)
        if error:
            span.set_status(ERROR)
        context = trace.set_span_in_context(span)
        assert (exemplar(context) is not None) is expected, name
        span.end()
        assert (exemplar(context) is not None) is expected, f"{name}, after its end"
    assert set(setup.exported()) == {"failed", "slow"}


def test_a_promise_is_kept_although_the_end_looks_well(make: Make) -> None:
    setup = make(slow=10.0)
    began = time.time_ns() - int(11e9)
    span = setup.tracer.start_span("root", start_time=began)
    assert promised(span)
    span.end(began + 1)
    assert set(setup.exported()) == {"root"}


def answer(span: trace.Span, flags: str, trace_id: int | None = None) -> str:
    found = span.get_span_context().trace_id if trace_id is None else trace_id
    return f"00-{found:032x}-00000000000000ff-{flags}"


def test_a_caller_keeps_its_part_when_the_called_says_that_it_does(make: Make) -> None:
    setup = make()
    for name, flags, trace_id in (
        ("kept", "01", None),
        ("random and kept", "03", None),
        ("not kept", "00", None),
        ("random", "02", None),
        ("another's", "01", 77),
    ):
        with (
            setup.tracer.start_as_current_span(name),
            setup.tracer.start_as_current_span(f"call, {name}") as call,
        ):
            kept_downstream(call, answer(call, flags, trace_id))
    for nonsense in ("", "x", "00-1", "00---zz", None):
        with setup.tracer.start_as_current_span("nonsense") as call:
            kept_downstream(call, nonsense)
    assert setup.exported() == dict.fromkeys(
        ("kept", "call, kept", "random and kept", "call, random and kept"), "downstream"
    )


def test_nothing_can_be_kept_that_was_never_recorded() -> None:
    span = trace.NonRecordingSpan(trace.SpanContext(1, 2, False))
    keep(span)
    assert not promised(span)


# -- as a service has it ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sampler", "on", "keeps"),
    [
        ("parentbased_traceidratio", True, True),
        ("traceidratio", True, True),
        ("parentbased_always_on", True, True),
        ("parentbased_always_off", True, False),
        ("always_off", True, False),
        ("parentbased_traceidratio", False, False),
    ],
)
def test_which_samplers_have_unsampled_requests_recorded(sampler: str, on: bool, keeps: bool) -> None:
    chosen = settings(traces_exporter="otlp", sampler=sampler, sampler_ratio=0.0, traces_keep=on)
    assert tracing.keeps(chosen) is keeps
    decision = tracing.sampler(chosen).should_sample(remote(sampled=False), 1, "x").decision
    expected = sampling.Decision.RECORD_ONLY if keeps else sampling.Decision.DROP
    assert decision is expected


def test_nothing_is_recorded_for_nobody() -> None:
    assert not tracing.keeps(settings(traces_exporter="none", sampler="traceidratio"))
    assert not tracing.keeps(settings(sdk_disabled=True, traces_exporter="otlp"))


@pytest.fixture
def exporters(monkeypatch: pytest.MonkeyPatch) -> list[Exporter]:
    """The exporter of each service that is instrumented, in place of one that sends."""
    made: list[Exporter] = []

    def span_queue(chosen: Any, families: Families, *others: Any) -> SpanQueue:
        made.append(Exporter())
        return SpanQueue(made[-1], families, delay=60)

    monkeypatch.setattr(tracing, "span_queue", span_queue)
    return made


AT_1_PERCENT = {"traces_exporter": "otlp", "sampler": "parentbased_traceidratio", "sampler_ratio": 0.0}


@pytest.mark.parametrize("instrumentation", ["dashcam", "official"])
def test_a_failing_request_of_a_service_is_found_and_a_good_one_leaves_metrics_and_a_line(
    app: Flask, instrumented: Any, exporters: list[Exporter], capsys: Any, instrumentation: str
) -> None:
    @app.get("/fails")
    def fails() -> str:
        raise ValueError("no")

    @app.get("/works")
    def works() -> str:
        return "ok"

    telemetry: Telemetry = instrumented(app, instrumentation=instrumentation, **AT_1_PERCENT)
    client = app.test_client()
    flags = {}
    for path in ("/works", "/fails"):
        response = client.get(path)
        response.get_data()
        flags[path] = response.headers["traceresponse"][-2:]
    assert telemetry.force_flush()
    assert exporters[0].found == {"GET /fails": "error"}
    exception = exporters[0].spans[0].events[0]
    assert exception.attributes["exception.type"] == "ValueError"  # type: ignore[index]
    assert (int(flags["/works"], 16) & 1, int(flags["/fails"], 16) & 1) == (0, 1)
    registry = telemetry.families.registry
    exemplars = {
        sample.labels["http_route"]: sample.exemplar.labels["trace_id"]
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "http_server_request_duration_seconds_bucket" and sample.exemplar
    }
    assert set(exemplars) == {"/fails"}
    assert exemplars["/fails"] == trace.format_trace_id(exporters[0].spans[0].context.trace_id)  # type: ignore[union-attr]
    for route in ("/works", "/fails"):
        labels = {"http_request_method": "GET", "http_route": route}
        labels["http_response_status_code"] = "500" if route == "/fails" else "200"
        assert registry.get_sample_value("http_server_request_duration_seconds_count", labels) == 1
    assert capsys.readouterr().out.count('"http.route":') == 2, "an access line for each"


def by_urllib3(url: str) -> None:
    urllib3.PoolManager().request("GET", url, retries=False)


def by_urllib(url: str) -> None:
    try:
        urllib.request.urlopen(url).close()
    except urllib.error.HTTPError as answer:
        answer.close()


def by_httpx(url: str) -> None:
    with httpx.Client(verify=False) as client:  # to read certificates takes so long that it is a slow request
        client.get(url)


def by_httpx_async(url: str) -> None:
    async def get() -> None:
        async with httpx.AsyncClient(verify=False) as client:
            await client.get(url)

    asyncio.run(get())


def by_aiohttp(url: str) -> None:
    async def get() -> None:
        async with aiohttp.ClientSession() as session, session.get(url):
            pass

    asyncio.run(get())


CLIENTS = (by_urllib3, by_urllib, by_httpx, by_httpx_async, by_aiohttp)


@pytest.mark.parametrize("call", CLIENTS, ids=lambda call: call.__name__)
def test_an_error_two_services_down_is_kept_up_to_the_first(
    instrumented: Any, exporters: list[Exporter], call: Callable[[str], None]
) -> None:
    inner, outer = Flask("inner"), Flask("outer")

    @inner.get("/<what>")
    def answer_(what: str) -> Any:
        return ("broken", 503) if what == "broken" else "ok"

    for app, service in ((inner, "inner"), (outer, "outer")):
        instrumented(app, service=service, **AT_1_PERCENT)
    server = make_server("127.0.0.1", 0, inner, threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    @outer.get("/<what>")
    def ask(what: str) -> str:
        call(f"http://127.0.0.1:{server.server_port}/{what}")
        return "answered all the same"

    try:
        for what in ("fine", "broken"):
            assert outer.test_client().get(f"/{what}").status_code == 200
    finally:
        server.shutdown()
        server.server_close()
    for app in (inner, outer):
        assert app.extensions["observability"].force_flush()
    spans = [span for exporter in exporters for span in exporter.spans]
    assert [(span.kind, (span.attributes or {})[schema.SAMPLED_BY]) for span in spans] == [
        (SpanKind.SERVER, "error"),
        (SpanKind.CLIENT, "downstream"),
        (SpanKind.SERVER, "downstream"),
    ]
    assert len({span.context.trace_id for span in spans if span.context}) == 1
