"""What the pages show, over recorded answers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import recorded
from flask import Flask
from flask.testing import FlaskClient
from recorded import OTHER, START, TRACE, Recorded
from unit.console.conftest import text_of

from dashcam.console import ConsoleSettings, register
from dashcam.console.app import CONTENT_SECURITY_POLICY
from dashcam.sources.elasticsearch import ElasticsearchLogs

PAGES = (
    "/",
    "/search",
    "/search?service=car",
    f"/trace/{TRACE}",
    f"/trace/{TRACE}/span/c1",
    f"/trace/{TRACE}...{OTHER}",
    "/logs",
    "/monitor?service=car",
    "/monitor?service=car&route=/cars",
    "/explore",
    "/explore?expr=up",
    "/alerts",
    "/runbooks/ServiceDown",
    "/services/car",
    f"/download?of=trace&trace={TRACE}",
    f"/trace/{TRACE}/flame",
    "/flame?service=car",
    "/flame?service=car&operation=x",
)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_with_strict_headers_and_nothing_inline(
    console: FlaskClient, markup: Any, path: str
) -> None:
    answer = console.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert markup(answer.text).complaints() == []
    assert len(answer.data) < 300_000


def test_static_files_are_kept_by_their_content(console: FlaskClient) -> None:
    page = console.get("/search").text
    address = re.search(r"/console/static/console\.css\?v=[0-9a-f]+", page)
    assert address
    with console.get(address[0]) as answer:
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
    assert "no-store" in console.get("/search").headers["Cache-Control"]


def test_the_search_asks_jaeger_as_jaegers_own_page_does(open_console: Any) -> None:
    jaeger = Recorded(recorded.jaeger_answers())
    path = (
        '/search?service=car&operation=GET%20%2Fcars&tags={"http.route":"/cars"}&lookback=custom'
        "&start=1000000&end=9000000&minDuration=10ms&maxDuration=2s&limit=7"
    )
    assert open_console(jaeger=jaeger).get(path).status_code == 200
    asked = dict(jaeger.asked)["/api/traces"]
    assert asked == {
        "service": "car",
        "operation": "GET /cars",
        "tags": '{"http.route":"/cars"}',
        "start": 1_000_000,
        "end": 9_000_000,
        "minDuration": "10ms",
        "maxDuration": "2s",
        "limit": 7,
    }


def test_without_a_service_every_service_is_searched_and_each_trace_shown_once(open_console: Any) -> None:
    jaeger = Recorded(recorded.jaeger_answers())
    page = open_console(jaeger=jaeger).get("/search?errors=1").text
    asked = [params for path, params in jaeger.asked if path == "/api/traces"]
    assert {params["service"] for params in asked} == {"web", "car", "price"}
    assert {params["tags"] for params in asked} == {'{"error":"true"}'}
    assert page.count('class="trace-name"') == 1


def test_more_services_than_can_be_searched_at_once_are_named_by_number(open_console: Any) -> None:
    answers = recorded.jaeger_answers()
    answers["/api/services"] = {"data": [f"service{n}" for n in range(15)]}
    page = text_of(open_console(jaeger=Recorded(answers)).get("/search").text)
    assert "The first 12 services were searched; choose one of the other 3" in page


def test_a_limit_that_jaegers_ui_allows_is_cut_to_what_a_page_holds(open_console: Any) -> None:
    jaeger = Recorded(recorded.jaeger_answers())
    assert open_console(jaeger=jaeger).get("/search?service=car&limit=1500").status_code == 200
    assert dict(jaeger.asked)["/api/traces"]["limit"] == 200


def test_errors_only_asks_for_the_error_tag(open_console: Any) -> None:
    jaeger = Recorded(recorded.jaeger_answers())
    open_console(jaeger=jaeger).get("/search?service=car&errors=1")
    assert dict(jaeger.asked)["/api/traces"]["tags"] == '{"error":"true"}'


def test_a_result_names_its_services_errors_and_duration(console: FlaskClient) -> None:
    page = text_of(console.get("/search?service=car").text)
    assert "web: GET /cars/{maker}/{model}" in page
    assert "car 3 price 1 web 2 2 errors 50 ms" in page


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("lookback=soon", "lookback=&#39;soon&#39;"),
        ("minDuration=fast", "minDuration=&#39;fast&#39;"),
        ("limit=0", "limit=&#39;0&#39;"),
        ("limit=9e9", "limit=&#39;9e9&#39;"),
        ("tags={", "tags=&#39;{&#39;"),
        ("tags=x", "tags=&#39;x&#39;"),
        ("start=9&end=1&lookback=custom", "start=&#39;9&#39;"),
        ("sort=sideways", "sort=&#39;sideways&#39;"),
    ],
)
def test_a_bad_parameter_is_named_with_its_value(console: FlaskClient, query: str, named: str) -> None:
    answer = console.get(f"/search?service=car&{query}")
    assert answer.status_code == 400
    assert named in answer.text


def test_a_trace_shows_its_spans_their_details_and_log_lines_in_place(console: FlaskClient) -> None:
    page = console.get(f"/trace/{TRACE}").text
    rows = re.split(r'<li class="wf-row', page)[1:]
    assert [re.search(r'id="span-(\w+)"', row)[1] for row in rows] == ["a1", "a2", "b1", "b2", "b3", "c1"]  # type: ignore[index]
    failing = text_of(rows[-1])
    assert "ZeroDivisionError division by zero" in failing
    assert "host.name laptop" in failing
    assert "ERROR price GET /price 500" in failing
    assert "GET /cars/bentz/e-class/quote 503" in text_of(rows[2])
    assert "40% of the critical path" in text_of(page)


def test_a_trace_says_where_its_time_went_and_a_span_has_an_address_of_its_own(console: FlaskClient) -> None:
    page = console.get(f"/trace/{TRACE}").text
    assert "car SELECT cars 1 0 3 ms 6% 3 ms 3 ms 3 ms 3 ms" in text_of(page)
    assert f'href="/trace/{TRACE}#span-b2"' in page


def test_a_trace_can_be_cut_to_its_errors(console: FlaskClient) -> None:
    page = console.get(f"/trace/{TRACE}?only=errors").text
    assert re.findall(r'id="span-(\w+)"', page) == ["b3", "c1"]


def test_a_trace_id_is_found_whatever_its_case_and_leading_zeros(console: FlaskClient) -> None:
    assert console.get(f"/trace/{TRACE.upper()}").status_code == 200
    assert console.get("/trace?id=" + TRACE).headers["Location"] == f"/trace/{TRACE}"


def test_an_unknown_trace_is_a_404_that_says_why_and_shows_its_lines(console: FlaskClient) -> None:
    answer = console.get("/trace/" + "0" * 31 + "1")
    assert answer.status_code == 404
    assert "not in the store" in answer.text
    assert "GET /price 500" in answer.text


def test_downloads_are_jaegers_and_otlps_own_bytes(console: FlaskClient) -> None:
    jaeger = console.get(f"/trace/{TRACE}/download/jaeger")
    assert jaeger.json["data"][0]["traceID"] == TRACE  # type: ignore[index]
    assert f"{TRACE}-jaeger.json" in jaeger.headers["Content-Disposition"]
    assert console.get(f"/trace/{TRACE}/download/otlp").json == {"resourceSpans": []}
    assert console.get(f"/trace/{TRACE}/download/csv").status_code == 400


def test_two_traces_are_compared_span_by_span(console: FlaskClient) -> None:
    page = text_of(console.get(f"/trace/{TRACE}...{TRACE}").text)
    assert "only first" not in page
    assert "only second" in text_of(console.get(f"/trace/{TRACE}...{OTHER}").text)
    answer = console.get(f"/compare?id={TRACE}&id={OTHER}")
    assert answer.headers["Location"] == f"/trace/{TRACE}...{OTHER}"
    assert console.get(f"/compare?id={TRACE}").status_code == 400


def test_a_long_trace_comes_in_pages_with_details_on_demand(open_console: Any) -> None:
    spans = [recorded.span("r", None, "root", "p1", 0, 10_000)]
    spans += [recorded.span(f"s{n}", "r", f"step {n}", "p1", n, 1, note="x" * 200) for n in range(10_000)]
    trace = {"traceID": TRACE, "spans": spans, "processes": recorded.processes(p1="car")}
    jaeger = Recorded(recorded.jaeger_answers() | {f"/api/traces/{TRACE}": {"data": [trace]}})
    console = open_console(jaeger=jaeger)
    answer = console.get(f"/trace/{TRACE}")
    assert len(answer.data) < 300_000
    assert "Spans 1 to 200 of 10 001" in text_of(answer.text)
    assert f'data-load="/trace/{TRACE}/span/s0"' in answer.text
    assert 'id="span-s199"' in console.get(f"/trace/{TRACE}?first=200").text
    part = console.get(f"/trace/{TRACE}/span/s0", headers={"X-Requested-With": "console"})
    assert "x" * 200 in part.text
    assert "<html" not in part.text


def test_logs_are_asked_with_every_field_of_the_form(open_console: Any) -> None:
    logs = Recorded(recorded.log_answers())
    open_console(logs=logs).get(
        f"/logs?service=car&level=WARN&q=two+words&fields=http.route%3D/cars&trace_id={TRACE}"
        "&lookback=custom&start=1&end=9&limit=5"
    )
    asked = dict(logs.asked)
    assert asked["/api/logs"] == {
        "service": "car",
        "trace_id": TRACE,
        "level": "WARN",
        "q": "two words",
        "field": ["http.route:/cars"],
        "start": 1,
        "end": 9,
        "limit": 6,  # one more, to know whether there are older ones
    }
    assert asked["/api/logs/histogram"]["buckets"] > 10


def test_a_number_of_lines_that_was_estimated_is_called_so(open_console: Any) -> None:
    answers = recorded.log_answers()
    answers["/api/logs"] |= {"total": 90, "total_relation": "gte"}  # type: ignore[operator]
    bucket = {"start": START, "counts": {"INFO": 123_456}}
    answers["/api/logs/histogram"] = {"width": 1, "total_relation": "about", "buckets": [bucket]}
    page = text_of(open_console(logs=Recorded(answers)).get("/logs?q=cars").text)
    assert "about 120 000 lines" in page
    assert "estimated from a part of them" in page


def test_a_log_line_opens_to_its_fields_and_links_to_its_span(console: FlaskClient) -> None:
    page = console.get("/logs").text
    assert f'href="/trace/{TRACE}#span-c1"' in page
    assert "exception.type" in page


def test_following_asks_only_for_what_was_stored_since(open_console: Any) -> None:
    twin = recorded.line("same")
    logs = Recorded(recorded.log_answers())
    client = open_console(logs=logs)
    place = re.search(r'data-live-place="(\d+)"', client.get("/logs?service=car").text)
    assert place
    logs.answers["/api/logs"] = {"logs": [twin, twin], "total": 250, "latest": 259}
    answer = client.get(f"/logs/live?service=car&place={place[1]}")
    assert logs.asked[-1] == ("/api/logs", {"service": "car", "limit": 200, "after": 7})
    assert (answer.headers["X-Place"], answer.headers["X-Left-Out"]) == ("259", "248")
    assert len(set(re.findall(r'data-key="([\w-]+)"', answer.text))) == 2


def test_following_goes_on_when_the_store_was_made_anew(open_console: Any) -> None:
    logs = Recorded({"/api/logs": {"logs": [recorded.line("first")], "total": 1, "latest": 1}})
    answer = open_console(logs=logs).get("/logs/live?place=900")
    assert "first" in answer.text
    assert answer.headers["X-Place"] == "1"


def test_following_a_store_that_repeats_lines_gives_them_the_keys_they_had(open_console: Any) -> None:
    twin = recorded.line("same")
    hits = {"hits": {"total": {"value": 2}, "hits": [{"_source": twin}, {"_source": twin}]}}
    client = open_console(
        search=ElasticsearchLogs(Recorded({"/logs/_search": hits}), "http://es.test", "logs")
    )
    pages = [client.get("/logs/live?place=1790000000000000") for _ in range(2)]
    assert "X-Left-Out" not in pages[0].headers
    keys = [re.findall(r'data-key="(\w+)-(\d)"', page.text) for page in pages]
    assert keys[0] == keys[1]
    assert [number for _, number in keys[0]] == ["2", "1"]


@pytest.mark.parametrize("place", ["", "x", "-1", "9" * 30, "\u0663"])
def test_following_from_nowhere_is_refused(console: FlaskClient, place: str) -> None:
    answer = console.get("/logs/live", query_string={"place": place})
    assert answer.status_code == 400
    assert "place" in answer.text


def prometheus(**answers: Any) -> Recorded:
    """Prometheus with answers by a word of the expression."""
    empty = recorded.vector()

    def instant(params: Any, json: Any) -> Any:
        return next((answer for word, answer in answers.items() if word in params["query"]), empty)

    return Recorded(recorded.prometheus_answers() | {"/api/v1/query": instant})


def test_the_overview_shows_figures_state_and_the_map(open_console: Any) -> None:
    source = prometheus(
        up=recorded.vector(car=0, web=1),
        histogram_quantile=recorded.vector(car=0.25, web=0.01),
        http_server_request_duration_seconds_count=recorded.vector(car=0.1, web=0.1),
    )
    source.answers["/api/v1/alerts"] = recorded.alerts(
        recorded.alert("Burning", service="web"), recorded.alert("Watchdog", severity="none")
    )
    page = open_console(prometheus=source).get("/").text
    text = text_of(page)
    assert re.search(r"car +down", text)
    assert re.search(r"web +1 alert", text)
    assert "Burning" in text
    assert "Watchdog" not in text
    assert "250 ms" in text
    assert 'class="edge edge-bad"' in page
    assert "0.1/s" in text


def test_metrics_draw_lines_and_exemplars_that_open_their_trace(open_console: Any) -> None:
    now = START / 1e6
    series = {"metric": {"job": "car"}, "values": [[now - 20, "1"], [now - 10, "2"]]}
    exemplar = {"labels": {"trace_id": TRACE}, "value": "0.2", "timestamp": now - 15}
    source = Recorded(
        {
            "/api/v1/query_range": {
                "status": "success",
                "data": {"resultType": "matrix", "result": [series]},
            },
            "/api/v1/query": recorded.vector(car=1),
            "/api/v1/query_exemplars": {
                "status": "success",
                "data": [{"seriesLabels": {}, "exemplars": [exemplar]}],
            },
            "/api/v1/label/job/values": {"status": "success", "data": ["car"]},
        }
    )
    path = f"/monitor?service=car&at={START - 10_000_000}"
    page = open_console(prometheus=source).get(path).text
    assert f'href="/trace/{TRACE}"' in page
    assert '<polyline points="' in page


def test_an_alert_links_to_its_runbook_and_to_what_to_look_at_first(open_console: Any) -> None:
    source = Recorded({"/api/v1/alerts": recorded.alerts(recorded.alert("ServiceDown", service="car"))})
    page = open_console(prometheus=source).get("/alerts").text
    assert 'href="/runbooks/ServiceDown"' in page
    assert "Failing traces of car" in page


def test_an_alert_with_a_script_for_a_runbook_has_no_link(open_console: Any) -> None:
    row = recorded.alert("X")
    row["annotations"]["runbook_url"] = "javascript:alert(1)"
    page = open_console(prometheus=Recorded({"/api/v1/alerts": recorded.alerts(row)})).get("/alerts").text
    assert "javascript:" not in page


def test_a_runbook_outside_its_folder_is_not_served(tmp_path: Path, console: FlaskClient) -> None:
    assert console.get("/runbooks/NoSuchRunbook").status_code == 404
    assert console.get("/runbooks/..%2F..%2FREADME").status_code == 404


def test_an_application_that_answers_jaegers_api_is_asked_in_its_own_process() -> None:
    app = Flask("backend")
    app.add_url_rule("/api/traces", view_func=lambda: {"data": []})
    app.add_url_rule("/api/services", view_func=lambda: {"data": ["from-here"]}, endpoint="services")
    register(app, ConsoleSettings(console_port=9, prometheus_port=9, source_timeout=30))
    assert "from-here" in app.test_client().get("/search").text


def test_a_page_of_lines_never_cuts_a_moment_in_two(open_console: Any) -> None:
    """The lines of the millisecond at the limit go to the next page together, so that none is lost."""
    lines = [
        recorded.line("new", 2),
        *[recorded.line(f"same {n}", 1) for n in range(3)],
        recorded.line("old"),
    ]

    def search(params: Any, json: Any) -> Any:
        kept = [line for line in lines if recorded.microseconds_of(line) <= params.get("end", 10**17)]
        return {"logs": kept[: params["limit"]], "total": len(kept)}

    console = open_console(logs=Recorded(recorded.log_answers() | {"/api/logs": search}))
    address, seen = "/logs?limit=3&lookback=custom&start=1790000000000000&end=1790000009000000", []
    while address:
        page = console.get(address).text
        seen += re.findall(r'<span class="message">([^<]+)</span>', page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        address = following[1].replace("&amp;", "&") if following else ""
    assert seen == ["new", "same 0", "same 1", "same 2", "old"]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("select", ["b2"]),
        ("DB.SYSTEM.NAME=sqlite", ["b2"]),
        ("zerodivision", ["c1"]),
        ("GET /price 500", ["c1"]),
        ("price", ["c1"]),
        ("b3", ["b3"]),
        ("nowhere", []),
        (" ", []),
    ],
)
def test_spans_are_found_by_whatever_they_and_their_log_lines_say(
    console: FlaskClient, text: str, spans: list[str]
) -> None:
    answer = console.get(f"/trace/{TRACE}/find", query_string={"find": text}).get_json()
    assert [span for span, _ in answer["spans"]] == spans
    page = console.get(f"/trace/{TRACE}", query_string={"find": text}).text
    assert re.findall(r'class="wf-row[^"]* match" id="span-(\w+)"', page) == spans
    assert ("No span has that." in page) == (not spans and bool(text.strip()))


def test_a_span_on_a_later_page_is_found_with_its_row(open_console: Any) -> None:
    spans = [recorded.span("r", None, "root", "p1", 0, 10_000)]
    spans += [recorded.span(f"s{n}", "r", f"step {n}", "p1", n, 1) for n in range(300)]
    trace = {"traceID": TRACE, "spans": spans, "processes": recorded.processes(p1="car")}
    jaeger = Recorded(recorded.jaeger_answers() | {f"/api/traces/{TRACE}": {"data": [trace]}})
    console = open_console(jaeger=jaeger)
    assert console.get(f"/trace/{TRACE}/find?find=step+250").get_json() == {"spans": [["s250", 251]]}
    assert "find=step+250" in console.get(f"/trace/{TRACE}?find=step+250").text


def test_finding_in_an_unknown_trace_is_not_found(console: FlaskClient) -> None:
    assert console.get(f"/trace/{'0' * 32}/find?find=x").status_code == 404


def test_drawings_over_time_say_where_their_times_are(console: FlaskClient) -> None:
    page = console.get("/logs?service=car&q=x").text
    assert f'data-zoom-times="{START} {START + 1_000_000}"' in page
    assert 'data-zoom="/logs?service=car&amp;q=x&amp;limit=50"' in page
    page = console.get("/search?service=car&sort=longest").text
    assert 'data-zoom-places="20.0 980.0"' in page
    assert f'data-zoom-times="{START} ' in page
