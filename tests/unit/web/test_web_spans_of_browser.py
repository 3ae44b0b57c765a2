"""What pages carry for the spans of the browser, and how a click's context arrives with a page's request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakecar import FakeCar
from flask.testing import FlaskClient
from webapps import web_app

from observability.testing import capture

OTLP = "http://otlp.test:4318"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
WAY = f"dashcam_way=00-{TRACE}-{SPAN}-01"
PAGE = {"Accept": "text/html,*/*;q=0.8"}


@pytest.fixture
def told(fake: FakeCar) -> Iterator[FlaskClient]:
    """A client of `web` whose pages send spans; it keeps no cookies, so that a header can be one."""
    with web_app(fake, browser_otlp_url=OTLP + "/") as app:
        yield app.test_client(use_cookies=False)


def test_pages_carry_no_telemetry_unless_told_where_it_goes(client: FlaskClient) -> None:
    answer = client.get("/cars")
    assert "telemetry.js" not in answer.text
    assert "traceparent" not in answer.text
    assert "connect-src 'self';" in answer.headers["Content-Security-Policy"]


def test_pages_say_where_spans_go_and_which_span_served_them(told: FlaskClient) -> None:
    with capture() as got:
        answer = told.get("/cars")
    context = got.span("GET /cars").context
    assert context
    assert f'data-traces="{OTLP}/v1/traces"' in answer.text
    assert f'content="00-{context.trace_id:032x}-{context.span_id:016x}-0' in answer.text
    assert f"connect-src 'self' {OTLP};" in answer.headers["Content-Security-Policy"]


def test_a_page_that_a_click_opened_belongs_to_the_clicks_trace(told: FlaskClient) -> None:
    with capture() as got:
        told.get("/cars", headers={**PAGE, "Cookie": f"other=1; {WAY}; more=2"})
    span = got.span("GET /cars")
    assert span.parent
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == SPAN


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "image/avif,*/*", "Cookie": WAY},
        {**PAGE, "Cookie": "dashcam_way=00-nothing-of-the-kind-01"},
        {**PAGE, "Cookie": f"not_{WAY}"},
        {**PAGE, "Cookie": WAY, "traceparent": f"00-{TRACE[::-1]}-{SPAN}-01"},
    ],
    ids=["a picture", "malformed", "another cookie", "a script's own header"],
)
def test_nothing_else_does(told: FlaskClient, headers: dict[str, str]) -> None:
    with capture() as got:
        told.get("/cars", headers=headers)
    assert f"{got.span('GET /cars').context.trace_id:032x}" != TRACE


def test_without_telemetry_no_cookie_decides_the_trace(client: FlaskClient) -> None:
    client.set_cookie("dashcam_way", WAY.split("=", 1)[1])
    with capture() as got:
        client.get("/cars", headers=PAGE)
    assert f"{got.span('GET /cars').context.trace_id:032x}" != TRACE
