"""A trace begins in the browser: its spans go through the receiver's CORS and join the services'."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from exampleservices import QUOTE
from local.conftest import RunningStack, running
from playwright.sync_api import Page, expect
from polling import until

NewPage = Callable[..., Page]
Trace = dict[str, Any]
SERVICES = {"browser", "web", "car"}
SEEN_SECONDS = 120.0
SERVED = "GET /cars/<maker>/<model>"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running(tmp_path_factory.mktemp("browser-stack")) as started:
        yield started


def services(trace: Trace) -> set[str]:
    return {str(process["serviceName"]) for process in trace["processes"].values()}


def root(trace: Trace) -> Trace:
    (found,) = (span for span in trace["spans"] if not span["references"])
    return {**found, "service": trace["processes"][found["processID"]]["serviceName"]}


def tags(span: Trace) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in span["tags"]}


def names(trace: Trace, service: str) -> list[str]:
    return [
        str(span["operationName"])
        for span in trace["spans"]
        if trace["processes"][span["processID"]]["serviceName"] == service
    ]


def browser_traces(stack: RunningStack) -> list[Trace]:
    answer = httpx.get(f"{stack.console}/api/traces", params={"service": "browser", "limit": 50})
    return list(answer.json()["data"])


def trace_of(stack: RunningStack, operation: str, holds: Callable[[Trace], bool]) -> Trace:
    """The trace whose one root is the browser's `operation`, once `holds` of it."""

    def found() -> Trace | None:
        for trace in browser_traces(stack):
            roots = [span for span in trace["spans"] if not span["references"]]
            if [span["operationName"] for span in roots] == [operation] and holds(trace):
                return trace
        return None

    return until(found, f"a trace that begins with the browser's {operation}", within=SEEN_SECONDS, every=0.5)


def test_a_click_on_a_link_is_the_root_of_the_page_that_it_opens(
    stack: RunningStack, new_page: NewPage
) -> None:
    page = new_page()
    page.goto(f"{stack.web}/cars")
    page.get_by_role("link", name="Bentz E-Class").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Bentz E-Class")
    trace = trace_of(
        stack,
        "click",
        lambda trace: (
            services(trace) >= SERVICES
            and "documentLoad" in names(trace, "browser")
            and SERVED in names(trace, "web")
        ),
    )
    assert root(trace)["service"] == "browser"
    assert tags(root(trace))["url.full"].endswith("/cars/bentz/e-class")
    (served,) = (span for span in trace["spans"] if span["operationName"] == SERVED)
    assert served["references"][0]["spanID"] == root(trace)["spanID"]


def test_a_request_of_a_script_is_the_root_of_what_three_services_do(
    stack: RunningStack, new_page: NewPage
) -> None:
    page = new_page()
    page.goto(f"{stack.web}/cars/bentz/e-class")
    page.get_by_label("Discount").fill("500")
    page.get_by_role("button", name="Get a quote").click()
    expect(page.locator("#quote .total")).to_contain_text("€61,500")
    expect(page.get_by_label("Discount")).to_be_focused()
    assert page.url.endswith("?discount=500#quote")
    trace = trace_of(stack, "GET", lambda trace: services(trace) >= {*SERVICES, *QUOTE})
    assert root(trace)["service"] == "browser"
    assert tags(root(trace))["http.response.status_code"] == 200


def test_a_form_is_the_root_of_the_change_and_of_the_page_that_follows(
    stack: RunningStack, new_page: NewPage
) -> None:
    page = new_page()
    page.goto(f"{stack.web}/cars/bentz/c-class/edition")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Bentz C-Class is changed.")
    trace = trace_of(
        stack,
        "submit",
        lambda trace: (
            {"POST /cars/<maker>/<model>/edition", "GET /cars/<maker>/<model>"} <= set(names(trace, "web"))
        ),
    )
    assert tags(root(trace))["browser.element.text"] == "Save"


def test_a_page_that_is_typed_has_its_load_below_the_services_span(
    stack: RunningStack, new_page: NewPage
) -> None:
    page = new_page()
    page.goto(f"{stack.web}/new-car")
    shown = page.locator(".own-trace code").inner_text()

    def loaded() -> list[str]:
        (trace,) = httpx.get(f"{stack.console}/api/traces/{shown}").json().get("data") or [None]
        return names(trace, "browser") if trace and root(trace)["service"] == "web" else []

    until(lambda: {"documentLoad", "documentFetch"} <= set(loaded()), "its load", within=SEEN_SECONDS)


def test_errors_and_vitals_of_a_page_are_spans_of_its_trace(stack: RunningStack, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{stack.web}/cars/bentz/s-class")
    shown = page.locator(".own-trace code").inner_text()
    page.evaluate("setTimeout(() => { throw new TypeError('no such car'); })")
    page.evaluate("Promise.reject(new RangeError('too far')); null")
    page.goto("about:blank")

    def spans() -> list[Trace]:
        (trace,) = httpx.get(f"{stack.console}/api/traces/{shown}").json().get("data") or [None]
        return list(trace["spans"]) if trace else []

    until(
        lambda: {"web vital LCP", "web vital TTFB"} <= {span["operationName"] for span in spans()},
        "the vitals",
        within=SEEN_SECONDS,
    )
    found = spans()
    errors = [span for span in found if span["operationName"] == "error"]
    assert {tags(span)["otel.status_description"] for span in errors} == {"no such car", "too far"}
    assert all(span["logs"] for span in errors), "each has its exception"
    (vital,) = (span for span in found if span["operationName"] == "web vital LCP")
    assert tags(vital)["browser.web_vital.value"] * 1000 == pytest.approx(vital["duration"], abs=200)


def test_no_page_of_another_origin_may_send(stack: RunningStack, new_page: NewPage) -> None:
    page = new_page()
    # The same page under an origin that nobody listed: its requests are refused by the browser.
    page.route("http://elsewhere.test/**", lambda route: route.fulfill(body="<p>elsewhere</p>"))
    page.goto("http://elsewhere.test/")
    send = """async (url) => {
        const body = {method: 'POST', body: '{}', headers: {'Content-Type': 'application/json'}};
        return fetch(url, body).then(() => 'sent', () => 'refused');
    }"""
    assert page.evaluate(send, f"{stack.receiver}/v1/traces") == "refused"
    page.goto(f"{stack.web}/cars")
    assert page.evaluate(send, f"{stack.receiver}/v1/traces") == "sent"
