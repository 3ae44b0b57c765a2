"""One redaction for all signals: what a line hides, a span hides, on either form of the request path."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from opentelemetry import trace
from werkzeug.test import EnvironBuilder

from observability import instrument, redaction
from observability.testing import capture, settings

SECRET = "hunter22hunter22"
JWT = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{SECRET}"

LISTED = ("AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature")
"""Those of OpenTelemetry's conventions for url.full and url.query."""
QUERIES = [
    *(f"{name}={SECRET}" for name in LISTED),
    *(f"a=1&{name}={SECRET}&b=2" for name in LISTED),
    *(
        f"{name}={SECRET}"
        for name in ("code", "auth", "jwt", "passphrase", "token", "client_secret", "key", "Pass")
    ),
    *(f"x=1;{name}={SECRET}" for name in ("X-Amz-Security-Token", "X-Amz-Credential")),
    f"to%6ben={SECRET}",
    f"%73%69%67={SECRET}",
    f"next=https%3A%2F%2Fx.example%2F%3Ftoken%3D{SECRET}",
    f"next=https%253A%252F%252Fx.example%252F%253Fsig%253D{SECRET}",
    f"x={JWT}",
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_shows_no_secret_and_keeps_the_rest(query: str) -> None:
    shown = redaction.query(query)
    assert SECRET not in shown
    assert redaction.HIDDEN in shown
    assert SECRET not in redaction.text(f"GET https://x.example/a?{query} failed")
    for kept in ("a=1", "b=2", "x=1"):
        assert (kept in query) == (kept in shown)


@pytest.mark.parametrize(
    "text",
    [
        "page=2&sort=name",
        "q=a%20b%26c",
        "barcode=5&design=x",
        "monkey=1&compass=n",
        "",
        "a=%ZZ",
        "=",
        "x=1&=&&",
        "assign=1",
    ],
)
def test_a_query_without_a_secret_stays_as_it_is(text: str) -> None:
    assert redaction.query(text) == text


def test_words_that_are_secret_in_a_query_are_words_elsewhere() -> None:
    assert redaction.text("exit code=5, auth=none") == "exit code=5, auth=none"


def test_parameters_of_a_statement_are_hidden() -> None:
    error = (
        f"(OperationalError) locked\n[SQL: UPDATE car SET name=?]\n[parameters: ('{SECRET}', 'a]b')]\n(see x)"
    )
    assert redaction.text(error) == (
        "(OperationalError) locked\n[SQL: UPDATE car SET name=?]\n[parameters: [redacted]]\n(see x)"
    )


def test_a_value_that_is_encoded_without_end_is_looked_at_in_bounded_time() -> None:
    redaction.query("x=" + "%25" * 5000 + f"41&token={SECRET}")


ASKED: dict[str, dict[str, Any]] = {
    **{query: {"QUERY_STRING": query} for query in QUERIES},
    "path": {"PATH_INFO": f"/cars/token={SECRET}"},
    "path with a scheme": {"PATH_INFO": f"/to/https://user:{SECRET}@host/"},
    "agent": {"HTTP_USER_AGENT": f"curl/8 Bearer {SECRET}"},
    "host": {"HTTP_HOST": f"x.example/?token={SECRET}"},
}


@pytest.mark.parametrize("form", ["dashcam", "python", "official"])
def test_no_signal_of_a_request_shows_a_secret(form: str, tmp_path: Path) -> None:
    app = Flask("demo")
    app.add_url_rule("/<path:rest>", view_func=lambda rest: "fine")
    telemetry = instrument(app, "subject", settings=settings(instrumentation=form))
    try:
        for what, given in ASKED.items():
            with capture(telemetry) as got:
                environ = {**EnvironBuilder(path="/cars").get_environ(), **given}
                list(app(environ, lambda *_: lambda data: None))
            said = json.dumps([dict(span.attributes or {}) for span in got.spans]) + json.dumps(got.lines())
            assert SECRET not in said, what
            assert "/cars" in said or "path" in what
    finally:
        telemetry.shutdown()


def _by_attribute(span: trace.Span) -> None:
    span.set_attribute("password", SECRET)
    span.set_attributes(
        {"url.full": f"https://x/?sig={SECRET}", "tokens": (SECRET, SECRET), "url.query": f"sig={SECRET}"}
    )


def _by_event(span: trace.Span) -> None:
    span.add_event("noted", {"password": SECRET, "said": f"Bearer {SECRET}"})


def _by_status(span: trace.Span) -> None:
    span.set_status(trace.StatusCode.ERROR, f"token={SECRET}")


@pytest.mark.parametrize("say", [_by_attribute, _by_event, _by_status])
def test_no_span_of_ones_own_shows_a_secret(say: Callable[[trace.Span], None]) -> None:
    app = Flask("demo")
    telemetry = instrument(app, "subject", settings=settings())
    try:
        with (
            capture(telemetry) as got,
            telemetry.tracers.get_tracer("own").start_as_current_span("own") as span,
        ):
            say(span)
            span.set_attribute("input_tokens", 512)
    finally:
        telemetry.shutdown()
    (own,) = got.spans
    events = [dict(event.attributes or {}) for event in own.events]
    said = f"{dict(own.attributes or {})} {events} {own.status.description}"
    assert SECRET not in said
    assert redaction.HIDDEN in said
    assert (own.attributes or {})["input_tokens"] == 512
