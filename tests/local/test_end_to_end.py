"""One request through `web`, found again in every signal: the claim of the whole stack, on real programs.

The stack is started on free ports by the functions behind `make up`, with real Prometheus. What is asserted
is what a person would look up: Jaeger's query API, the log search, Prometheus' HTTP API.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from exampleservices import LAST, QUOTE, ROUTE, SERVICES
from polling import until
from tracelinks import metrics_queries

from observability.testing import expected, wait_for_trace
from observability.version import VERSION

if TYPE_CHECKING:
    from local.conftest import RunningStack


@dataclass(frozen=True)
class Sent:
    """A request that was sent, and the trace id its response named."""

    trace_id: str
    response: httpx.Response


@pytest.fixture(scope="module")
def quote(stack: RunningStack) -> Sent:
    """A page whose quote crosses all three services."""
    response = httpx.get(f"{stack.web}/cars/bentz/e-class", params={"discount": "500"}, timeout=30)
    return Sent(trace_id_of(response), response)


@pytest.fixture(scope="module")
def trace(stack: RunningStack, quote: Sent) -> dict[str, Any]:
    return until(
        lambda: complete_trace(stack, quote.trace_id), "the trace of the quote in Jaeger's query API"
    )


def trace_id_of(response: httpx.Response) -> str:
    match = re.fullmatch(r"00-([0-9a-f]{32})-[0-9a-f]{16}-0[13]", response.headers["traceresponse"])
    assert match, response.headers["traceresponse"]
    return match[1]


def complete_trace(stack: RunningStack, trace_id: str) -> dict[str, Any] | None:
    """The trace in Jaeger's JSON once it holds a server span of every service."""
    answer = httpx.get(f"{stack.jaeger}/api/traces/{trace_id}", timeout=30)
    if answer.status_code == 404:
        return None
    trace: dict[str, Any] = answer.raise_for_status().json()["data"][0]
    servers = {service_of(trace, span) for span in trace["spans"] if tags(span).get("span.kind") == "server"}
    return trace if servers == {*QUOTE} else None


def tags(span: dict[str, Any]) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in span["tags"]}


def service_of(trace: dict[str, Any], span: dict[str, Any]) -> str:
    name: str = trace["processes"][span["processID"]]["serviceName"]
    return name


def ancestry(trace: dict[str, Any], span: dict[str, Any]) -> list[str]:
    """From the span up to the root, as `service kind`."""
    by_id = {each["spanID"]: each for each in trace["spans"]}
    path = []
    current: dict[str, Any] | None = span
    while current:
        path.append(f"{service_of(trace, current)} {tags(current).get('span.kind', 'internal')}")
        parents = [ref["spanID"] for ref in current["references"] if ref["refType"] == "CHILD_OF"]
        current = by_id[parents[0]] if parents else None
    return path


def query(stack: RunningStack, promql: str) -> list[dict[str, Any]]:
    answer = httpx.get(
        f"{stack.prometheus}/api/v1/query", params={"query": promql}, timeout=30
    ).raise_for_status()
    result: list[dict[str, Any]] = answer.json()["data"]["result"]
    return result


def test_the_page_shows_the_quote(quote: Sent) -> None:
    assert quote.response.status_code == 200
    assert re.search(r"61[,.\u202f\u00a0 ]?500", quote.response.text), "62000 less 500 is not on the page"


def test_one_trace_holds_the_spans_of_all_three_services_in_their_order(
    stack: RunningStack, quote: Sent
) -> None:
    car = "/cars/<string:maker>/<string:model>"
    last = expected(f"GET {ROUTE}", service=LAST.name, attributes={"http.response.status_code": 200})
    asked = expected("GET", last, service="car", attributes={"span.kind": "client"})
    wanted = expected(
        "GET /cars/<maker>/<model>",
        expected("GET", expected(f"GET {car}", service="car"), attributes={"span.kind": "client"}),
        expected("GET", expected(f"GET {car}/quote", expected("SELECT cars"), asked, service="car")),
        service="web",
    )
    wait_for_trace(stack.jaeger, quote.trace_id, wanted, within=120)


def test_this_version_fits_the_one_that_runs(stack: RunningStack) -> None:
    """Asked of the running versions, as Prometheus has them."""

    def answered() -> dict[str, Any] | None:
        command = [str(Path(sys.executable).with_name("dashcam")), "can-release", "car", "--json"]
        done = subprocess.run(command, env=stack.environ | {"PATH": os.environ["PATH"]}, capture_output=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer if done.returncode == 0 and answer["running"].keys() >= {*SERVICES} else None

    answer = until(answered, "all versions in Prometheus", every=1)
    assert answer["running"]["car"] == VERSION
    assert answer["misfits"] == []


def test_the_database_statement_is_a_client_span_below_the_car_server_and_shows_no_values(
    trace: dict[str, Any],
) -> None:
    statements = [span for span in trace["spans"] if "db.query.text" in tags(span)]
    assert statements
    for span in statements:
        assert ancestry(trace, span)[:2] == ["car client", "car server"]
        assert tags(span)["db.system.name"] == "sqlite"
        assert "e-class" not in tags(span)["db.query.text"]


def test_server_spans_carry_the_stable_http_conventions(trace: dict[str, Any]) -> None:
    for span in trace["spans"]:
        if tags(span).get("span.kind") == "server":
            assert tags(span)["http.request.method"] == "GET"
            assert tags(span)["http.response.status_code"] == 200
            assert tags(span)["http.route"].startswith("/")


def services_of_lines(stack: RunningStack, trace_id: str) -> set[str]:
    return {line["service"] for line in lines(stack, trace_id=trace_id)}


def lines(stack: RunningStack, **params: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{stack.console}/api/logs", params=params, timeout=30).raise_for_status()
    found: list[dict[str, Any]] = answer.json()["logs"]
    return found


def test_a_log_line_names_a_span_of_the_trace(
    stack: RunningStack, quote: Sent, trace: dict[str, Any]
) -> None:
    until(lambda: services_of_lines(stack, quote.trace_id) == {*QUOTE}, "lines of all services")
    spans = {span["spanID"] for span in trace["spans"]}
    for line in lines(stack, trace_id=quote.trace_id):
        assert line["span_id"] in spans
        assert {"timestamp", "severity", "message", "service"} <= line.keys()


@pytest.mark.parametrize("service", QUOTE)
def test_an_exemplar_in_prometheus_leads_to_a_trace_of_the_service(stack: RunningStack, service: str) -> None:
    """A bucket shows its newest exemplar at each scrape, so requests are sent until one of ours is it."""
    sent: set[str] = set()
    began = time.time()

    def ours() -> str | None:
        response = httpx.get(f"{stack.web}/cars/bentz/e-class", params={"discount": "2"}, timeout=30)
        sent.add(trace_id_of(response))
        answer = httpx.get(
            f"{stack.prometheus}/api/v1/query_exemplars",
            params={
                "query": f'http_server_request_duration_seconds_bucket{{job="{service}"}}',
                "start": began,
                "end": time.time(),
            },
            timeout=30,
        ).raise_for_status()
        found = {
            exemplar["labels"]["trace_id"]
            for series in answer.json()["data"]
            for exemplar in series["exemplars"]
        }
        return next(iter(sent & found), None)

    trace_id = until(ours, f"an exemplar of {service} with the trace id of a request sent", every=0.5)
    trace = until(lambda: complete_trace(stack, trace_id), "the exemplar's trace")
    assert service in {service_of(trace, span) for span in trace["spans"]}


@pytest.mark.parametrize("service", QUOTE)
def test_a_trace_leads_to_the_metrics_of_its_service_alone(
    stack: RunningStack, trace: dict[str, Any], service: str
) -> None:
    """By what Grafana makes of the tags that are really there."""
    (process,) = (each for each in trace["processes"].values() if each["serviceName"] == service)

    def jobs() -> bool:
        httpx.get(f"{stack.web}/cars/bentz/e-class", params={"discount": "3"}, timeout=30)
        chosen = metrics_queries(process)["Requests a second"].replace("by (http_route)", "by (job)")
        return [row["metric"] for row in query(stack, chosen)] == [{"job": service}]

    until(jobs, f"the metrics of {service} alone", every=0.5)


def test_the_counters_equal_the_requests_sent(stack: RunningStack) -> None:
    """An unusual method and route combination that nothing else sends, counted by hand."""
    selector = f'{{job="{LAST.name}",http_route="{ROUTE}",http_response_status_code="400"}}'
    counter = f"sum(http_server_request_duration_seconds_count{selector})"

    def value() -> float:
        result = query(stack, counter)
        return float(result[0]["value"][1]) if result else 0.0

    before = value()
    for _ in range(17):
        answer = httpx.get(stack.service(LAST.name) + ROUTE, params={"x": "five", "y": "3"}, timeout=30)
        assert answer.status_code == 400
    until(lambda: value() == before + 17, lambda: f"{before} + 17 in {counter}, now {value()}")


def test_a_failure_is_found_by_the_trace_id_its_problem_names(stack: RunningStack) -> None:
    nothing = secrets.token_hex(4)
    answer = httpx.get(f"{stack.car}/cars/nobody/{nothing}", timeout=30)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/problem+json")
    trace_id = answer.json()["trace_id"]
    assert trace_id == trace_id_of(answer)
    found = until(lambda: lines(stack, trace_id=trace_id), "the access line of the failure")
    assert any(line.get("http.response.status_code") == 404 for line in found)


def test_health_and_metrics_leave_no_traces_no_lines_and_no_samples(stack: RunningStack) -> None:
    for _ in range(5):
        for path in ("/livez", "/readyz", "/metrics"):
            assert httpx.get(f"{stack.admin('car')}{path}", timeout=30).status_code == 200
    marker = trace_id_of(httpx.get(f"{stack.car}/cars/bentz/e-class", timeout=30))
    until(lambda: lines(stack, trace_id=marker), "a line written after the probes")
    operations = httpx.get(f"{stack.jaeger}/api/services/car/operations", timeout=30).json()["data"]
    assert not [name for name in operations if re.search("livez|readyz|metrics", name)]
    assert not lines(stack, service="car", q="livez")
    exposition = httpx.get(f"{stack.admin('car')}/metrics", timeout=30).text
    assert "livez" not in exposition
    assert "readyz" not in exposition
