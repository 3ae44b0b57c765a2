"""The console as people meet it, against the running stack: from a symptom to its cause and back."""

from __future__ import annotations

import os
import re
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from exampleservices import LAST
from local.conftest import RunningStack, running
from playwright.sync_api import Page, expect
from polling import until

from observability.version import VERSION

NewPage = Callable[..., Page]
Check = Callable[[Page], None]
SCRIPT = "<script>window.owned = true</script>"
IMAGE = '"><img src=x onerror="window.owned = true">'
QUOTE = "/cars/bentz/e-class/quote?discount=500"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack with some requests in it, one of them failing because the last service hung."""
    with running(tmp_path_factory.mktemp("console-stack")) as started:
        for _ in range(4):
            httpx.get(f"{started.web}/cars/bentz/e-class?discount=500", timeout=20)
            httpx.get(f"{started.car}/cars/bentz", timeout=20)
        # A rate needs the series before the failure that it counts.
        fail(started)
        until(lambda: errors_of(started, "count"), "a failure of car in Prometheus", every=0.5)
        fail(started)
        until(lambda: errors_of(started, "rate"), "the failures of car as a rate", every=0.5)
        until(lambda: traces_of(started, "car", '{"error":"true"}'), "a failing trace of car")
        yield started


@contextmanager
def last_hanging(stack: RunningStack) -> Iterator[None]:
    """Freeze the last service of a quote and what it started: calls to it run into their time limit."""
    import psutil

    (pid,) = (part.pid for part in stack.status().parts if part.name == LAST.name)
    frozen = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in frozen:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in frozen:
            os.kill(process.pid, signal.SIGCONT)


def fail(stack: RunningStack) -> None:
    """Make one quote fail."""
    with last_hanging(stack):
        assert httpx.get(stack.car + QUOTE, timeout=30).status_code == 503


def errors_of(stack: RunningStack, how: str) -> list[Any]:
    """The failures of car that Prometheus knows, as a `count` or as a `rate`."""
    selector = 'http_server_request_duration_seconds_count{job="car",http_response_status_code="503"}'
    query = f"rate({selector}[1m]) > 0" if how == "rate" else selector
    answer = httpx.get(f"{stack.prometheus}/api/v1/query", params={"query": query})
    return list(answer.json()["data"]["result"])


def traces_of(stack: RunningStack, service: str, tags: str = "{}") -> list[Any]:
    params: dict[str, Any] = {"service": service, "tags": tags, "limit": 5}
    return list(httpx.get(f"{stack.console}/api/traces", params=params).json()["data"])


def send_span(stack: RunningStack, service: str, name: str, **attributes: str) -> str:
    """Send one span by OTLP, with a log line; its trace id once both can be found."""
    trace, span, now = secrets.token_hex(16), secrets.token_hex(8), time.time_ns()

    def values(**pairs: str) -> list[dict[str, Any]]:
        return [{"key": key, "value": {"stringValue": value}} for key, value in pairs.items()]

    resource = {"attributes": values(**{"service.name": service, **attributes})}
    event = {"timeUnixNano": str(now), "name": name, "attributes": values(**attributes)}
    spans = [
        {
            "traceId": trace,
            "spanId": span,
            "name": name,
            "kind": 2,
            "startTimeUnixNano": str(now),
            "endTimeUnixNano": str(now + 5_000_000),
            "attributes": values(**attributes),
            "events": [event],
            "status": {"code": 2, "message": name},
        }
    ]
    record = {
        "timeUnixNano": str(now),
        "severityNumber": 17,
        "severityText": "ERROR",
        "body": {"stringValue": name},
        "attributes": values(**attributes),
        "traceId": trace,
        "spanId": span,
    }
    for path, body in (
        ("traces", {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}),
        ("logs", {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}),
    ):
        assert httpx.post(f"{stack.receiver}/v1/{path}", json=body).status_code == 200
    found = f"{stack.console}/api/logs?trace_id={trace}"
    until(lambda: httpx.get(found).json()["total"] == 1, "the log line")
    until(lambda: httpx.get(f"{stack.console}/api/traces/{trace}").status_code == 200, "the span")
    return trace


def test_from_the_overview_to_the_failing_trace_its_lines_its_metric_and_back(
    stack: RunningStack, new_page: NewPage
) -> None:
    page = new_page()
    page.goto(stack.console)
    row = page.get_by_role("region", name="Services").get_by_role("row", name=re.compile("^car"))
    expect(row).to_contain_text(VERSION)
    row.get_by_role("link", name=re.compile("%$")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Traces of car")
    page.locator(".trace-row.failed .trace-name").first.click()
    failing = page.locator(".wf-row.failed", has_text="/quote")
    expect(failing).to_contain_text("503")
    failing.locator(".wf-span > summary").click()
    expect(failing.locator(".span-details")).to_contain_text("http.response.status_code")
    trace = page.url
    failing.locator(".span-details").get_by_role("link", name="Its metrics").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Metrics of car")
    exemplars = page.get_by_role("group", name="Exemplars: points that open their trace").get_by_role("link")
    exemplars.first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".wf-row").first).to_contain_text("/quote")
    page.go_back()
    page.go_back()
    assert page.url.split("#")[0] == trace
    page.locator(".title-row").get_by_role("link", name="Its log lines").click()
    line = page.locator(".line", has_text="/quote 503").first
    line.locator("summary").click()
    line.get_by_role("link", name="Its trace").click()
    assert page.url.split("#")[0] == trace
    expect(page.locator(".wf-row:target .wf-span")).to_have_attribute("open", "")


def test_the_search_form_finds_sorts_and_compares(stack: RunningStack, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{stack.console}/search")
    page.get_by_label("Service").select_option("web")
    expect(page.get_by_label("Operation").locator("option")).not_to_have_count(1)
    page.get_by_label("Longer than").fill("1us")
    page.get_by_role("button", name="Find traces").click()
    expect(page.locator(".trace-row")).not_to_have_count(0)
    assert "tags" not in urlsplit(page.url).query
    page.get_by_role("link", name="longest").click()
    expect(page.get_by_role("link", name="longest")).to_have_attribute("aria-current", "true")
    boxes = page.get_by_role("checkbox", name=re.compile("Compare trace"))
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.get_by_role("button", name="Compare the two chosen").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Two traces side by side")
    expect(page.get_by_role("row", name=re.compile("Difference"))).to_have_count(2)


def test_a_bad_duration_is_named_and_the_way_back_offered(stack: RunningStack, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{stack.console}/search?service=web&minDuration=quick")
    expect(page.get_by_role("alert")).to_contain_text("minDuration='quick'")
    page.get_by_role("link", name="Begin anew").click()
    expect(page.get_by_role("button", name="Find traces")).to_be_visible()


def test_older_lines_are_one_link_away_and_none_comes_twice(stack: RunningStack, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{stack.console}/logs?limit=3&service=car")
    first = page.locator(".lines .line summary").all_inner_texts()
    page.get_by_role("link", name="Older lines").click()
    page.wait_for_url("**/logs?**lookback=custom**")
    second = page.locator(".lines .line summary").all_inner_texts()
    assert len(first) == len(second) == 3
    assert not set(first) & set(second)


def test_a_followed_log_shows_each_new_line_once(stack: RunningStack, new_page: NewPage) -> None:
    page = new_page()
    marker = f"no-such-maker-{secrets.token_hex(4)}"
    page.goto(f"{stack.console}/logs?service=car")
    page.get_by_role("button", name="Follow live").click()
    for number in range(3):
        httpx.get(f"{stack.car}/cars/{marker}-{number}")
    lines = page.locator("[data-live-lines] .line", has_text=marker)
    expect(lines).to_have_count(3)
    with page.expect_response("**/logs/live**"):
        pass
    expect(lines).to_have_count(3)
    page.get_by_role("button", name="Stop following").click()
    expect(page.get_by_role("status")).to_have_text("Stopped.")


def drag(page: Page, drawing: str, begin: float, end: float) -> None:
    """Drag across a drawing, from and to parts of its width."""
    box = page.locator(drawing).bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + begin * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], middle, steps=5)
    page.mouse.up()


@pytest.mark.parametrize(
    ("path", "drawing"), [("/logs?service=car", "svg.histogram"), ("/search?service=car", "svg.scatter")]
)
def test_dragging_across_a_drawing_looks_at_that_time(
    stack: RunningStack, new_page: NewPage, path: str, drawing: str
) -> None:
    page = new_page()
    page.goto(stack.console + path)
    whole = [int(moment) for moment in str(page.locator(drawing).get_attribute("data-zoom-times")).split()]
    drag(page, drawing, 0.25, 0.75)
    page.wait_for_url("**lookback=custom**")
    asked = parse_qs(urlsplit(page.url).query)
    start, end = int(asked["start"][0]), int(asked["end"][0])
    assert asked["service"] == ["car"]
    assert (end - start) / (whole[1] - whole[0]) == pytest.approx(0.5, abs=0.05)
    assert (start - whole[0]) / (whole[1] - whole[0]) == pytest.approx(0.25, abs=0.05)


def test_a_drag_that_is_given_up_and_a_click_do_what_they_did(stack: RunningStack, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{stack.console}/search?service=car")
    before = page.url
    box = page.locator("svg.scatter").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 40, steps=3)
    expect(page.locator(".zoom-box")).to_have_count(1)
    page.keyboard.press("Escape")
    page.mouse.up()
    expect(page.locator(".zoom-box")).to_have_count(0)
    assert page.url == before
    page.locator("svg.scatter a circle").first.click(force=True)
    page.wait_for_url("**/trace/**")


def test_spans_of_a_trace_are_found_by_typing_and_visited_by_keys(
    stack: RunningStack, new_page: NewPage, assert_accessible: Check
) -> None:
    page = new_page()
    trace = traces_of(stack, "car", '{"error":"true"}')[0]["traceID"]
    page.goto(f"{stack.console}/trace/{trace}")
    page.keyboard.press("/")
    expect(page.get_by_label("Find in this trace").locator("input[type=search]")).to_be_focused()
    # What was typed so far is looked for too, when typing is slow.
    with page.expect_response(lambda answer: answer.url.endswith("503")):
        page.keyboard.type("HTTP.RESPONSE.STATUS_CODE=503")
    matches = page.locator(".wf-row.match")
    expect(matches).not_to_have_count(0)
    count = matches.count()
    assert count < page.locator(".wf-row").count()
    status = page.locator("[data-find-status]")
    expect(status).to_have_text(f"{count} found")
    page.keyboard.press("Enter")
    expect(status).to_have_text(f"1 of {count}")
    expect(page.locator(".wf-row.match-here")).to_be_in_viewport()
    page.keyboard.press("Shift+Enter")
    expect(status).to_have_text(f"{count} of {count}")
    assert_accessible(page)
    page.reload()
    expect(matches).to_have_count(count)
    page.get_by_label("Find in this trace").locator("input[type=search]").focus()
    page.keyboard.press("Escape")
    expect(matches).to_have_count(0)


def test_a_trace_is_searched_without_scripts_too(stack: RunningStack, new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    trace = traces_of(stack, "car", '{"error":"true"}')[0]["traceID"]
    page.goto(f"{stack.console}/trace/{trace}")
    page.locator(".find input[type=search]").fill("503")
    page.get_by_role("button", name="Find", exact=True).click()
    expect(page.locator(".wf-row.match")).not_to_have_count(0)


def test_the_theme_follows_the_system_and_a_choice_is_remembered(
    stack: RunningStack, new_page: NewPage
) -> None:
    page = new_page(color_scheme="dark")
    page.goto(f"{stack.console}/search")

    def background() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    dark = background()
    page.get_by_role("button", name="Change between light and dark").click()
    light = background()
    assert light != dark
    page.goto(f"{stack.console}/logs")
    assert background() == light


def test_the_way_to_a_spans_details_needs_no_mouse(stack: RunningStack, new_page: NewPage) -> None:
    page = new_page()
    trace = traces_of(stack, LAST.name)[0]["traceID"]
    page.goto(f"{stack.console}/trace/{trace}")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.keyboard.press("Enter")
    focus = page.locator(":focus")
    for _ in range(40):
        page.keyboard.press("Tab")
        if focus.evaluate("element => element.hasAttribute('data-fold')"):
            break
    rows = page.locator(".wf-row:visible")
    before = rows.count()
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    page.keyboard.press("Space")
    expect(rows).to_have_count(before)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".wf-row .span-details").first).to_be_visible()


def test_markup_in_telemetry_is_shown_as_text_and_never_runs(stack: RunningStack, new_page: NewPage) -> None:
    trace = send_span(stack, SCRIPT, f"{SCRIPT} {IMAGE}", note=SCRIPT, image=IMAGE)
    page = new_page()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))  # type: ignore[call-overload, func-returns-value]
    paths = [
        "/",
        f"/search?service={quote(SCRIPT)}",
        f"/trace/{trace}",
        f"/trace/{trace}...{trace}",
        f"/logs?trace_id={trace}",
    ]
    for path in paths:
        page.goto(stack.console + path)
        for summary in page.locator(".wf-span > summary, .line > summary").all():
            summary.click()
        expect(page.locator("body")).to_contain_text("<script>window.owned")
        assert page.evaluate("window.owned") is None
        assert page.locator("main img").count() == 0
    page.goto(f"{stack.console}/logs?service={quote(SCRIPT)}&lookback=5m")
    page.get_by_role("button", name="Follow live").click()
    send_span(stack, SCRIPT, f"live {SCRIPT}{IMAGE}", note=SCRIPT)
    expect(page.locator("[data-live-lines] .line", has_text="live <script>")).to_have_count(1)
    assert page.evaluate("window.owned") is None
    assert dialogs == []


PAGES = [
    "/",
    "/search",
    "/search?service=car",
    "/logs",
    "/logs?level=FATAL",
    "/monitor?service=car",
    "/explore",
    "/explore?expr=up",
    "/alerts",
    "/diagnose",
    "/faults",
    "/runbooks/ServiceDown",
    "/services/car",
    "/download?of=search&service=car&lookback=5m",
    "/search?service=car&limit=none",
]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_no_page_is_too_wide_too_heavy_or_hard_to_hear(
    stack: RunningStack, new_page: NewPage, assert_accessible: Check, width: int, scheme: str
) -> None:
    trace = traces_of(stack, LAST.name)[0]["traceID"]
    page = new_page(width, color_scheme=scheme)
    elsewhere: list[str] = []
    messages: list[str] = []
    page.on("request", lambda request: elsewhere.append(request.url))
    page.on("console", lambda message: messages.append(message.text) if message.type == "error" else None)
    for path in [*PAGES, f"/trace/{trace}#span-{traces_of(stack, LAST.name)[0]['spans'][0]['spanID']}"]:
        answer = page.goto(stack.console + path)
        assert answer is not None
        assert len(answer.body()) < 300_000, path
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{path} is {wider} pixels wider than the screen"
        # axe-core is put into the page by the test's own hand, past the page's policy.
        assert_accessible(page)
    assert {urlsplit(url).netloc for url in elsewhere} == {urlsplit(stack.console).netloc}
    assert [text for text in messages if "400" not in text] == []


def test_the_pages_work_without_script(stack: RunningStack, new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{stack.console}/search")
    page.get_by_label("Service").select_option(LAST.name)
    page.get_by_role("button", name="Find traces").click()
    page.locator(".trace-name").first.click()
    page.locator(".wf-span > summary").last.click()
    expect(page.locator(".span-details").last).to_contain_text("Self time")
    expect(page.get_by_role("button", name="Expand all")).to_be_hidden()


def test_a_search_is_saved_and_a_trace_pinned_by_keyboard(
    stack: RunningStack, new_page: NewPage, assert_accessible: Check
) -> None:
    page = new_page(390, color_scheme="dark")
    page.goto(f"{stack.console}/search?service=car&minDuration=1us")
    page.get_by_role("link", name="Save this search").press("Enter")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("all of car")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="all of car").press("Enter")
    assert parse_qs(urlsplit(page.url).query)["minDuration"] == ["1us"]
    page.locator(".trace-name").first.press("Enter")
    page.get_by_role("link", name="Pin").press("Enter")
    page.get_by_role("button", name="Pin it").press("Enter")
    expect(page.get_by_role("region", name="Traces").get_by_role("link")).to_have_count(1)
    assert_accessible(page)


def test_a_part_is_stopped_and_started_from_the_page(
    stack: RunningStack, new_page: NewPage, assert_accessible: Check
) -> None:
    page = new_page()
    page.goto(f"{stack.console}/parts")
    assert_accessible(page)
    page.get_by_role("button", name="Stop minus").press("Enter")
    expect(page.get_by_role("button", name="Start minus")).to_be_visible(timeout=60_000)
    assert not next(part for part in stack.status().parts if part.name == "minus").ready
    page.get_by_role("button", name="Start minus").press("Enter")
    until(lambda: stack.status().ready, "minus being ready again", every=0.5)
    page.get_by_role("link", name="Look again").press("Enter")
    expect(page.get_by_role("button", name="Stop minus")).to_be_visible()
