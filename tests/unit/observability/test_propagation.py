"""A trace goes on through every header format that is configured, in and out, and survives rubbish."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from opentelemetry import baggage, propagate, trace

from observability.testing import capture

TRACE = "463ac35c9f6413ad48485a3953bb6124"
SHORT = "48485a3953bb6124"
SPAN = "a2fb4a1d1a96d312"


@pytest.fixture
def app() -> Flask:
    app = Flask("relay")

    @app.get("/")
    def relay() -> dict[str, Any]:
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        state = trace.get_current_span().get_span_context().trace_state
        return {"out": carrier, "baggage": dict(baggage.get_all()), "state": state.to_header()}

    return app


def relay(
    app: Flask, instrumented: Any, headers: dict[str, str], *names: str, **more: Any
) -> tuple[Any, Any]:
    with capture(instrumented(app, propagators=names or ("tracecontext", "baggage"), **more)) as got:
        answer = app.test_client().get("/", headers=headers).get_json()
    return answer, got.spans[0] if got.spans else None


@pytest.mark.parametrize(
    ("names", "headers", "trace_id"),
    [
        (("tracecontext",), {"traceparent": f"00-{TRACE}-{SPAN}-01"}, TRACE),
        (("b3",), {"b3": f"{TRACE}-{SPAN}-1"}, TRACE),
        (("b3",), {"b3": f"{SHORT}-{SPAN}-1"}, SHORT.zfill(32)),
        (("b3",), {"b3": f"{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90"}, TRACE),
        (("b3",), {"b3": f"{TRACE}-{SPAN}-d"}, TRACE),
        (("b3multi",), {"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-Sampled": "1"}, TRACE),
        (("b3multi",), {"X-B3-TraceId": SHORT, "X-B3-SpanId": SPAN, "X-B3-Sampled": "1"}, SHORT.zfill(32)),
        (("b3multi",), {"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-Flags": "1"}, TRACE),
        (("tracecontext", "baggage", "b3multi"), {"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN}, TRACE),
    ],
)
def test_a_trace_that_comes_in_goes_on(
    app: Flask, instrumented: Any, names: tuple[str, ...], headers: dict[str, str], trace_id: str
) -> None:
    sampled = {"sampler": "always_on"}
    _, span = relay(app, instrumented, headers, *names, **sampled)
    assert f"{span.context.trace_id:032x}" == trace_id
    assert f"{span.parent.span_id:016x}" == SPAN
    assert span.parent.is_remote


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("tracecontext",), {"traceparent"}),
        (("b3",), {"b3"}),
        (("b3multi",), {"x-b3-traceid", "x-b3-spanid", "x-b3-sampled"}),
        (("tracecontext", "b3"), {"traceparent", "b3"}),
        (("none",), set()),
    ],
)
def test_what_leaves_carries_every_configured_form(
    app: Flask, instrumented: Any, names: tuple[str, ...], expected: set[str]
) -> None:
    answer, span = relay(app, instrumented, {}, *names)
    assert {name.lower() for name in answer["out"]} - {"x-b3-parentspanid"} == expected
    for value in answer["out"].values():
        assert (
            value == "1"
            or f"{span.context.span_id:016x}" in value
            or f"{span.context.trace_id:032x}" in value
        )


@pytest.mark.parametrize(
    ("names", "headers"),
    [
        (("tracecontext",), {"traceparent": f"00-{TRACE}-{SPAN}-00"}),
        (("b3",), {"b3": f"{TRACE}-{SPAN}-0"}),
        (("b3multi",), {"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-Sampled": "0"}),
    ],
)
def test_the_callers_decision_not_to_sample_is_kept(
    app: Flask, instrumented: Any, names: tuple[str, ...], headers: dict[str, str]
) -> None:
    _, span = relay(app, instrumented, headers, *names)
    assert span is None


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": "rubbish"},
        {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
        {"traceparent": f"00-{TRACE}-{'0' * 16}-01"},
        {"traceparent": f"ff-{TRACE}-{SPAN}-01"},
        {"traceparent": f"00-{TRACE.replace('4', 'g')}-{SPAN}-01"},
        {"traceparent": "0" * 10_000},
        {"b3": "rubbish"},
        {"b3": f"{TRACE}-{SPAN[:-1]}-1"},
        {"b3": "-" * 5000},
        {"X-B3-TraceId": "xyz", "X-B3-SpanId": SPAN},
        {"X-B3-TraceId": TRACE},
        {"baggage": "=,=;;=" * 500},
        {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "=,,=" * 300},
    ],
)
def test_invalid_headers_start_a_new_trace_and_break_nothing(
    app: Flask, instrumented: Any, headers: dict[str, str]
) -> None:
    _, span = relay(app, instrumented, headers, "tracecontext", "baggage", "b3", "b3multi")
    assert span is not None
    if "tracestate" not in headers:
        assert span.parent is None
        assert f"{span.context.trace_id:032x}" != TRACE


def test_baggage_and_tracestate_travel_along(app: Flask, instrumented: Any) -> None:
    headers = {
        "traceparent": f"00-{TRACE}-{SPAN}-01",
        "tracestate": "vendor=value,other=1",
        "baggage": "tenant=acme,tier=gold%20plus",
    }
    answer, _ = relay(app, instrumented, headers)
    assert answer["baggage"] == {"tenant": "acme", "tier": "gold plus"}
    assert answer["state"] == "vendor=value,other=1"
    assert answer["out"]["tracestate"] == "vendor=value,other=1"
    assert set(answer["out"]["baggage"].split(",")) == {"tenant=acme", "tier=gold%20plus"}


def test_a_later_version_of_traceparent_is_understood(app: Flask, instrumented: Any) -> None:
    _, span = relay(app, instrumented, {"traceparent": f"cc-{TRACE}-{SPAN}-01-what-the-future-brings"})
    assert f"{span.context.trace_id:032x}" == TRACE


@pytest.mark.parametrize(
    ("headers", "sampled"),
    [
        ({"b3": "0"}, False),
        ({"b3": "1"}, True),
        ({"b3": "d"}, True),
        ({"X-B3-Sampled": "0"}, False),
        ({"X-B3-Sampled": "true"}, True),
        ({"X-B3-Flags": "1"}, True),
        # A decision that is left to the service is its own.
        ({"b3": f"{TRACE}-{SPAN}"}, None),
        ({"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN}, None),
    ],
)
@pytest.mark.parametrize("form", ["dashcam", "python", "official"])
@pytest.mark.parametrize("own", [False, True])
def test_a_decision_of_b3_is_kept_and_one_that_is_deferred_is_ours(
    app: Flask, instrumented: Any, headers: dict[str, str], sampled: bool | None, form: str, own: bool
) -> None:
    more = {"sampler": "parentbased_traceidratio", "sampler_ratio": float(own), "instrumentation": form}
    answer, _ = relay(app, instrumented, headers, "b3", "b3multi", **more)
    expected = own if sampled is None else sampled
    assert answer["out"]["b3"].split("-")[2] in ("1d" if expected else "0")


@pytest.mark.parametrize("headers", [{"b3": f"{TRACE}-{SPAN}-d"}, {"b3": "d"}, {"X-B3-Flags": "1"}])
def test_debug_goes_on_as_debug(app: Flask, instrumented: Any, headers: dict[str, str]) -> None:
    answer, span = relay(app, instrumented, headers, "b3", "b3multi")
    assert span.context.trace_flags & 1
    assert answer["out"]["b3"].endswith("-d")
    assert {name.lower(): value for name, value in answer["out"].items()}["x-b3-flags"] == "1"
    assert "x-b3-sampled" not in {name.lower() for name in answer["out"]}


@pytest.mark.parametrize(
    "text", ["a=a%20b", "a=1;secure;ttl=5", "a=x+y", "a=%C3%BC , b=2;p", "a=", "a=b=c", "k%20=v"]
)
def test_a_baggage_leaves_as_it_came(app: Flask, instrumented: Any, text: str) -> None:
    answer, _ = relay(app, instrumented, {"baggage": text})
    assert answer["out"]["baggage"] == ",".join(entry.strip() for entry in text.split(","))


def test_a_baggage_that_is_changed_is_encoded_by_the_specification(app: Flask, instrumented: Any) -> None:
    @app.get("/changed")
    def changed() -> dict[str, str]:
        carrier: dict[str, str] = {}
        context = baggage.set_baggage("new", "a b,ü;", baggage.set_baggage("old", "2"))
        propagate.inject(carrier, baggage.remove_baggage("gone", context))
        return carrier

    with capture(instrumented(app, propagators=("tracecontext", "baggage"))):
        headers = {"baggage": "old=1;p=q,gone=1,kept=%41"}
        answer = app.test_client().get("/changed", headers=headers).get_json()
    assert answer["baggage"] == "old=2,kept=%41,new=a%20b%2C%C3%BC%3B"


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "hello-world!!"},
        {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=" + "x" * 3000},
        {"baggage": "hello world,=1,a=" + "x" * 9000},
        {"baggage": "hello world,=1,,a=b c"},
    ],
)
def test_what_is_malformed_costs_no_line_with_the_senders_text(
    app: Flask, instrumented: Any, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    answer, _ = relay(app, instrumented, headers)
    assert {"tracestate", "baggage"}.isdisjoint(answer["out"])
    assert [record for record in caplog.records if record.levelname not in ("INFO", "DEBUG")] == []


@pytest.mark.parametrize("form", ["dashcam", "python", "official"])
def test_at_the_edge_nothing_of_a_caller_is_believed(app: Flask, instrumented: Any, form: str) -> None:
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=1", "baggage": "who=eve", "b3": "1"}
    more = {"trust_incoming": False, "sampler_ratio": 0.0, "sampler": "parentbased_traceidratio"}
    names = ("tracecontext", "baggage", "b3")
    answer, _ = relay(app, instrumented, headers, *names, instrumentation=form, **more)
    assert TRACE not in str(answer["out"])
    assert answer["out"]["traceparent"][-1] in "02"
    assert (answer["baggage"], answer["state"]) == ({}, "")
