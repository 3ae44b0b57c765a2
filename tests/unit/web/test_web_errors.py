"""Errors are pages that say what happened, what to do and which trace to quote; programs get problems."""

from __future__ import annotations

import pytest
from fakecar import FakeCar
from flask import Flask, abort
from flask.testing import FlaskClient

from observability.testing import capture
from services.web import asking
from services.web.errors import ADVICE

CAR_ERRORS = [
    asking.Away("The car service cannot be reached."),
    asking.Slow("The car service gave no answer within 5 seconds."),
    asking.Misbehaved("The car service sent a list that cannot be read."),
    asking.Busy("Too many questions."),
]


def trace_of(headers: object) -> str:
    return str(headers["traceresponse"].split("-")[1])  # type: ignore[index]


@pytest.mark.parametrize("status", [400, 404, 405, 409, 412, 413, 422, 429, 500, 502, 503, 504])
def test_every_error_is_a_page_with_advice_and_the_trace_id(app: Flask, status: int) -> None:
    app.add_url_rule("/failing", view_func=lambda: abort(status))
    answer = app.test_client().get("/failing")
    assert answer.status_code == status
    assert answer.mimetype == "text/html"
    said = ADVICE[status]
    for text in (said.title, said.happened, said.remedy, trace_of(answer.headers)):
        assert text in answer.text
    assert f'href="http://console.test/trace/{trace_of(answer.headers)}"' in answer.text


@pytest.mark.parametrize("error", CAR_ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("path", ["/cars", "/cars/bentz/e-class", "/cars/bentz/e-class/edition"])
def test_what_car_does_not_give_is_a_page_of_its_kind(
    client: FlaskClient, fake: FakeCar, error: asking.ServiceError, path: str
) -> None:
    fake.failure = error
    answer = client.get(path)
    assert answer.status_code == error.status
    assert str(error) in answer.text
    assert trace_of(answer.headers) in answer.text
    assert f'href="{path}">Try again' in answer.text


def test_while_car_is_away_the_rest_works(client: FlaskClient, fake: FakeCar) -> None:
    fake.failure = CAR_ERRORS[0]
    assert client.get("/hello").status_code == 200
    with client.get("/static/web.css") as style:
        assert style.status_code == 200
    assert client.get("/new-car").status_code == 200
    assert client.get("/openapi.json").status_code == 200
    away = client.get("/cars")
    assert away.headers["Retry-After"] == "5"
    assert 'href="/new-car"' in away.text, "the frame of the page stands"


def test_an_unforeseen_failure_shows_no_insides_and_leaves_them_in_the_log(
    client: FlaskClient, fake: FakeCar, caplog: pytest.LogCaptureFixture
) -> None:
    fake.failure = RuntimeError("password=hunter2")
    answer = client.get("/cars")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    assert "RuntimeError" not in answer.text
    assert trace_of(answer.headers) in answer.text
    assert any(record.exc_info and "hunter2" in str(record.exc_info[1]) for record in caplog.records)


def test_a_wrong_method_says_which_ones_there_are(client: FlaskClient) -> None:
    answer = client.delete("/cars")
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert "text/html" in answer.headers["Content-Type"]


def test_a_form_that_is_too_big_is_refused(client: FlaskClient, token: str) -> None:
    answer = client.post("/new-car", data={"csrf_token": token, "description": "x" * 300_000})
    assert answer.status_code == 413
    assert ADVICE[413].title in answer.text


@pytest.mark.parametrize(
    "accept", ["application/problem+json", "application/json", "application/json, text/html;q=0.5"]
)
def test_a_program_gets_a_problem(client: FlaskClient, accept: str) -> None:
    answer = client.get("/cars/bentz/none", headers={"Accept": accept})
    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"
    problem = answer.get_json()
    assert problem["status"] == 404
    assert problem["instance"] == "/cars/bentz/none"
    assert problem["trace_id"] == trace_of(answer.headers)


@pytest.mark.parametrize("accept", ["*/*", "text/html,application/xhtml+xml,*/*;q=0.8", "", "text/plain"])
def test_everybody_else_gets_a_page(client: FlaskClient, accept: str) -> None:
    assert client.get("/nowhere", headers={"Accept": accept}).mimetype == "text/html"


def test_the_address_of_an_error_page_cannot_smuggle_markup(client: FlaskClient, fake: FakeCar) -> None:
    fake.failure = CAR_ERRORS[0]
    page = client.get('/cars?maker="><script>alert(1)</script>').text
    assert "<script" not in page


@pytest.mark.parametrize("path", ["/cars", "/hello", "/nowhere", "/static/web.css", "/openapi.json"])
def test_every_response_carries_the_headers_that_keep_a_browser_safe(client: FlaskClient, path: str) -> None:
    with client.get(path) as answer:
        headers = answer.headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(client: FlaskClient) -> None:
    cookie = client.get("/new-car").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_a_failure_of_car_marks_the_trace_and_the_log(app: Flask, fake: FakeCar) -> None:
    fake.failure = CAR_ERRORS[0]
    with capture() as got:
        app.test_client().get("/cars").get_data()
    assert got.span("GET /cars").attributes["http.response.status_code"] == 503  # type: ignore[index]
    written = got.lines(logger="services.web.errors")
    assert [(line["severity"], line["trace_id"]) for line in written] == [("WARN", got.trace_id())]
