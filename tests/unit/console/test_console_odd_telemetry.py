"""Whatever a source answers, a page comes back: telemetry is written by others."""

from __future__ import annotations

from typing import Any

import pytest
import recorded
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded import TRACE, Recorded

from dashcam.console import ConsoleSettings, create_app

SETTINGS = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
text = st.text(max_size=20)
scalar = st.one_of(
    text, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none(), st.floats(allow_nan=False)
)
values = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3)
)
moments = st.integers(0, 2**63 - 1) | st.integers(-(2**63), 2**63 - 1)
tag = st.fixed_dictionaries({"key": text, "type": text, "value": values})
identifier = st.sampled_from(["", "a", "b", "c", "../x", "<b>"]) | text
reference = st.fixed_dictionaries(
    {
        "refType": st.sampled_from(["CHILD_OF", "FOLLOWS_FROM", "x"]),
        "traceID": st.just(TRACE) | text,
        "spanID": identifier,
    }
)
span = st.fixed_dictionaries(
    {
        "traceID": st.just(TRACE),
        "spanID": identifier,
        "operationName": text,
        "references": st.lists(reference, max_size=2),
        "startTime": moments,
        "duration": moments,
        "tags": st.lists(tag, max_size=4),
        "logs": st.lists(
            st.fixed_dictionaries({"timestamp": moments, "fields": st.lists(tag, max_size=3)}), max_size=2
        ),
        "processID": st.sampled_from(["p1", "p2"]),
    }
)
trace = st.fixed_dictionaries({"traceID": st.just(TRACE), "spans": st.lists(span, min_size=1, max_size=5)})
lines = st.lists(
    st.dictionaries(
        st.sampled_from(["timestamp", "severity", "message", "service", "trace_id", "span_id", "x"]) | text,
        values,
        max_size=6,
    ),
    max_size=4,
)


@pytest.fixture(scope="module")
def played() -> tuple[FlaskClient, dict[str, Recorded]]:
    """A console, and the answers of its sources to change."""
    sources = {
        "jaeger": Recorded(recorded.jaeger_answers()),
        "logs": Recorded(recorded.log_answers()),
        "prometheus": Recorded(recorded.prometheus_answers()),
    }
    return create_app(ConsoleSettings(), recorded.sources(**sources)).test_client(), sources  # type: ignore[arg-type]


Played = tuple[FlaskClient, dict[str, Recorded]]


@SETTINGS
@given(trace, lines)
def test_any_trace_and_any_lines_make_a_page(played: Played, found: dict[str, Any], logs: list[Any]) -> None:
    client, sources = played
    data = {"data": [{**found, "processes": recorded.processes(p1="car")}]}
    sources["jaeger"].answers |= {f"/api/traces/{TRACE}": data, "/api/traces": data}
    sources["logs"].answers["/api/logs"] = {"logs": logs, "total": len(logs)}
    for path in (
        f"/trace/{TRACE}",
        f"/trace/{TRACE}...{TRACE}",
        "/search?service=car",
        "/logs",
        "/logs/live?place=5",
        "/",
    ):
        assert client.get(path).status_code == 200, path


number = st.sampled_from(["NaN", "+Inf", "-Inf", "0", "-1", "1e308", "-1e308", "1e-320"]) | st.floats().map(
    str
)
labels = st.dictionaries(st.sampled_from(["job", "http_route", "service", "x"]), text, max_size=3)


@SETTINGS
@given(st.lists(st.tuples(labels, number), max_size=4), st.lists(number, max_size=6))
def test_any_values_make_a_page(played: Played, samples: list[Any], points: list[str]) -> None:
    client, sources = played
    vector = [{"metric": metric, "value": [1.0, value]} for metric, value in samples]
    matrix = [
        {"metric": metric, "values": [[place * 5.0, value] for place, value in enumerate(points)]}
        for metric, _ in samples
    ]
    sources["prometheus"].answers |= {
        "/api/v1/query": {"status": "success", "data": {"resultType": "vector", "result": vector}},
        "/api/v1/query_range": {"status": "success", "data": {"resultType": "matrix", "result": matrix}},
        "/api/v1/label/job/values": {"status": "success", "data": ["car"]},
    }
    for path in (
        "/",
        "/monitor?lookback=custom&start=0&end=30000000",
        "/explore?expr=x&start=0&end=30000000",
    ):
        assert client.get(path).status_code == 200, path


@pytest.mark.parametrize(
    "answer", [{"logs": ["text"], "total": 1}, {"logs": [{}], "total": "many"}, {"logs": 7}]
)
def test_lines_that_are_none_are_a_source_that_did_not_answer(open_console: Any, answer: Any) -> None:
    page = open_console(logs=Recorded(recorded.log_answers() | {"/api/logs": answer})).get("/logs")
    assert page.status_code == 200
    assert "Log search did not answer" in page.text
