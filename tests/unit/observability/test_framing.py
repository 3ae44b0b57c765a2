"""Requests are as long as they say and name one host, or are answered with an error."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.test import run_wsgi_app

from observability import problems
from observability.http.framing import CHUNK, Body

CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}


def body(data: bytes, length: int) -> io.BufferedReader:
    return io.BufferedReader(Body(io.BytesIO(data), length), CHUNK)


@pytest.mark.parametrize(
    "read", [io.BufferedReader.read, lambda b: b"".join(iter(lambda: b.read(7000), b""))]
)
def test_a_whole_body_is_read_as_it_was_sent(read: Callable[[io.BufferedReader], bytes]) -> None:
    data = bytes(range(250)) * 800

    assert read(body(data, len(data))) == data


def test_lines_can_be_read() -> None:
    assert list(body(b"a\nb\nc", 5)) == [b"a\n", b"b\n", b"c"]


def test_what_follows_the_content_length_is_not_read() -> None:
    assert body(b"abcGET /", 3).read() == b"abc"


def test_a_body_that_ends_too_early_is_an_error_and_not_a_shorter_body() -> None:
    with pytest.raises(ClientDisconnected, match="7 bytes before its Content-Length"):
        body(b"abc", 10).read()


class BreaksOff(io.BytesIO):
    """A body in chunks as a server gives it that says where one breaks off."""

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        if not found:
            raise OSError("the last chunk is missing")
        return found


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    problems.install(app)

    @app.post("/length")
    def length() -> str:
        return str(len(request.get_data()))

    @app.post("/unread")
    def unread() -> str:
        return "not asked for"

    return app


def post(app: Flask, path: str = "/length", data: bytes = b"abc", **environ: Any) -> tuple[int, str]:
    """Status, and the answer or the problem's detail; a variable that is None is not there."""
    given = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "HTTP_HOST": "localhost:5001",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "5001",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(data),
        "CONTENT_LENGTH": "3",
        **environ,
    }
    there = {name: value for name, value in given.items() if value is not None}
    body, status, _ = run_wsgi_app(app, there, buffered=True)
    text = b"".join(body).decode()
    return int(status[:3]), json.loads(text)["detail"] if status > "400" else text


@pytest.mark.parametrize(
    ("environ", "status", "said"),
    [
        ({}, 200, "3"),
        ({"CONTENT_LENGTH": "10"}, 400, "ended 7 bytes before"),
        ({"CONTENT_LENGTH": "-1"}, 400, "no number"),
        ({"CONTENT_LENGTH": "٣"}, 400, "no number"),
        ({"CONTENT_LENGTH": "9" * 5000}, 400, "no number"),
        ({"CONTENT_LENGTH": None, **CHUNKED}, 200, "3"),
        ({"CONTENT_LENGTH": None, **CHUNKED, "wsgi.input": BreaksOff(b"abc")}, 400, "the last chunk is"),
        ({"CONTENT_LENGTH": None, **CHUNKED, "SERVER_SOFTWARE": "Granian"}, 411, "a Content-Length"),
        ({"CONTENT_LENGTH": "3", **CHUNKED}, 400, "without a Content-Length"),
        ({"CONTENT_LENGTH": None, **CHUNKED, "HTTP_TRANSFER_ENCODING": "gzip, chunked"}, 400, "only"),
        ({"HTTP_HOST": None}, 400, "Host header is missing"),
        ({"HTTP_HOST": ""}, 400, "Host header is missing"),
        ({"HTTP_HOST": "", "SERVER_PROTOCOL": "HTTP/1.0"}, 200, "3"),
        ({"HTTP_HOST": "a,b"}, 400, "one Host header"),
        ({"HTTP_HOST": "a/b"}, 400, "one Host header"),
        ({"HTTP_HOST": "[::1]:5001"}, 200, "3"),
        ({"HTTP_HOST": "car.dashcam.svc"}, 200, "3"),
    ],
)
def test_what_is_not_well_framed_is_refused_and_says_why(
    app: Flask, environ: dict[str, Any], status: int, said: str
) -> None:
    found, detail = post(app, **environ)

    assert (found, said in detail) == (status, True), detail


def test_a_body_that_nobody_reads_is_nobodys_fault(app: Flask) -> None:
    chunked = {"CONTENT_LENGTH": None, **CHUNKED, "SERVER_SOFTWARE": "Granian"}

    assert post(app, "/unread", **chunked) == (200, "not asked for")
