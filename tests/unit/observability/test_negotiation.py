"""The form of `/metrics` is negotiated as HTTP says, and no header of a scraper breaks the answer."""

from __future__ import annotations

import http.client

import pytest
from flask import Flask

from observability.metrics.negotiation import content_type, gzip_accepted

PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        (PROMETHEUS_3, True),
        ("application/openmetrics-text", True),
        ('application/openmetrics-text; version="1.0.0"', True),
        ("APPLICATION/OpenMetrics-Text;Version=1.0.0", True),
        ("application/openmetrics-text; version=9.9.9", False),
        ("application/openmetrics-text; version=abc", False),
        ("application/openmetrics-text; version=1.0.0-rc1", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=0.1,text/plain;q=0.9", False),
        ("application/openmetrics-text;q=0.9,text/plain;q=0.1", True),
        ("application/openmetrics-text,text/plain", True),
        ("application/openmetrics-text;q=0,*/*", False),
        ("text/plain;q=0,*/*", True),
        ("*/*", False),
        ("", False),
        ("text/html", False),
        (";;=,,q=,\x00", False),
        ("text/plain;q=nan, application/openmetrics-text;q=1e9", False),
    ],
)
def test_the_form_is_the_one_that_is_preferred(accept: str, openmetrics: bool) -> None:
    shown, chosen = content_type(accept)
    assert chosen == openmetrics
    kind = "application/openmetrics-text; version=1.0.0" if openmetrics else "text/plain; version=0.0.4"
    assert shown == f"{kind}; charset=utf-8"


def test_several_lines_are_one_list() -> None:
    assert content_type("text/plain;q=0.5", "application/openmetrics-text")[1]
    assert not content_type("text/plain", "application/openmetrics-text;q=0.5")[1]


@pytest.mark.parametrize(
    ("accepted", "used"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*", True),
        ("identity", False),
        ("", False),
        ("notgzip", False),
    ],
)
def test_gzip_is_used_where_it_is_accepted(accepted: str, used: bool) -> None:
    assert gzip_accepted(accepted) == used


def test_the_admin_port_answers_what_it_does_not_understand(app: Flask, instrumented: object) -> None:
    telemetry = instrumented(app, admin_port=0)  # type: ignore[operator]
    kind = "application/openmetrics-text; version="
    for accept in (f'{kind}"1.0.0"', f"{kind}abc", '"'):
        connection = http.client.HTTPConnection(*telemetry.admin_address)
        connection.putrequest("GET", "/metrics")
        connection.putheader("Accept", accept)
        connection.putheader("Accept", "text/plain;q=0.1")
        connection.putheader("Accept-Encoding", "gzip;q=0")
        connection.endheaders()
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.headers["Content-Encoding"] is None
        assert answer.read().startswith(b"# HELP")
        connection.close()
