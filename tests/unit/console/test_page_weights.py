"""No page is over 300 KB, whatever telemetry brings, and what a page leaves out it says."""

from __future__ import annotations

from typing import Any

import pytest
import recorded
from flask.testing import FlaskClient
from recorded import START, TRACE, Recorded

STACK = '  File "/app/x.py", line 3, in <module>\n    return "a" & b\n' * 80
MANY = 15 * [None]


def big_lines(number: int, **fields: Any) -> dict[str, Any]:
    lines = [
        recorded.line(
            f"GET /cars 500 {place}",
            place % 39,
            severity="ERROR",
            span_id=f"s{place}",
            url__path="/x",
            **fields,
        )
        for place in range(number)
    ]
    return {"logs": lines, "total": number, "total_relation": "eq", "next": None, "latest": 7}


def big_trace(spans: int, events: int = 0, **attributes: Any) -> dict[str, Any]:
    happened = [{"timestamp": START, "fields": recorded.tags(event="x", note='"<&>"' * 20)}] * events
    return {
        "traceID": TRACE,
        "spans": [
            recorded.span(
                f"s{place}",
                f"s{place - 1}" if place else None,
                "GET /cars/{maker}/{model}/quote",
                "p1",
                place,
                9000 - place,
                happened,
                **attributes,
            )
            for place in range(spans)
        ],
        "processes": recorded.processes(p1="web"),
        "warnings": None,
    }


@pytest.fixture
def heavy(open_console: Any) -> Any:
    """Opens a console over one trace and 100 lines."""

    def opened(trace: dict[str, Any], lines: dict[str, Any]) -> FlaskClient:
        answers = recorded.jaeger_answers() | {f"/api/traces/{TRACE}": {"data": [trace]}}
        logs = recorded.log_answers() | {"/api/logs": lines}
        console: FlaskClient = open_console(jaeger=Recorded(answers), logs=Recorded(logs))
        return console

    return opened


@pytest.mark.parametrize("path", ["/logs?limit=100", "/logs/live?place=1", f"/trace/{TRACE}", "/trace/ab"])
@pytest.mark.parametrize("spans", [3, 60, 600])
def test_lines_with_stack_traces_are_cut_to_what_a_page_holds(heavy: Any, path: str, spans: int) -> None:
    lines = big_lines(100, exception__stacktrace=STACK, **{f"field{n}": '"' * 40 for n, _ in enumerate(MANY)})
    trace = big_trace(spans, **{f"attribute__{n}": "a value " * 5 for n, _ in enumerate(MANY)})  # type: ignore[arg-type]
    answer = heavy(trace, lines).get(path)
    assert len(answer.data) < 300_000
    assert "more characters" in answer.text or "Its fields</a>" in answer.text


def test_a_few_lines_are_shown_as_far_as_a_field_goes(heavy: Any) -> None:
    page = heavy(big_trace(1), big_lines(3, exception__stacktrace="x" * 1999)).get("/logs").text
    assert "x" * 1999 in page
    assert "more characters" not in page


def test_a_value_that_is_cut_says_so_to_the_script_that_offers_to_find_it(heavy: Any) -> None:
    page = heavy(big_trace(1), big_lines(1, long="y" * 3000, short="z")).get("/logs").text
    assert f"<dd data-cut>{'y' * 2000}… (1000 more characters)</dd>" in page
    assert "<dd>z</dd>" in page


def test_a_span_with_thousands_of_events_has_a_page_that_ends(heavy: Any) -> None:
    trace = big_trace(2, 3000, **{f"attribute__{n}": "<" * 3000 for n in range(120)})
    answer = heavy(trace, big_lines(0)).get(f"/trace/{TRACE}/span/s0")
    assert len(answer.data) < 300_000
    assert "and 2900 more events" in answer.text


def test_results_that_pass_through_many_services_stay_within_a_page(open_console: Any) -> None:
    names = {f"p{n}": f"service-number-{n}" for n in range(30)}

    def one(place: int) -> dict[str, Any]:
        trace_id = f"{place:032x}"
        spans = [
            recorded.span(f"{n:x}", "0" if n else None, f"GET /cars/{n}", f"p{n}", n, 100, trace=trace_id)
            for n in range(30)
        ]
        return {"traceID": trace_id, "spans": spans, "processes": recorded.processes(**names)}

    answers = recorded.jaeger_answers() | {"/api/traces": {"data": [one(place) for place in range(200)]}}
    answer = open_console(jaeger=Recorded(answers)).get("/search?service=service-number-0&limit=200")
    assert len(answer.data) < 300_000
    assert "27 more services" in answer.text


def test_a_name_as_long_as_a_page_is_not_offered_to_choose_from(open_console: Any) -> None:
    long = "GET /" + "x" * 2**20
    answers = recorded.jaeger_answers() | {"/api/services/car/operations": {"data": [long, "GET /cars"]}}
    console = open_console(jaeger=Recorded(answers))
    page = console.get("/search?service=car")
    assert len(page.data) < 300_000
    assert "GET /cars</option>" in page.text
    assert console.get("/search/operations?service=car").json == {"operations": ["GET /cars"]}


def test_more_alerts_than_anybody_reads_are_counted(open_console: Any) -> None:
    rows = [recorded.alert(f"ServiceDown{n}", service=f"service-{n}", pod=f"pod-{n}") for n in range(300)]
    source = Recorded({"/api/v1/alerts": recorded.alerts(*rows)})
    answer = open_console(prometheus=source).get("/alerts")
    assert len(answer.data) < 300_000
    assert "and 240 more" in answer.text
