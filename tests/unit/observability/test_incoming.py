"""What the server is given in place of the application's body, and how long a request's span goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from flask import Flask, Response, request
from opentelemetry import trace
from werkzeug.test import EnvironBuilder

from observability.http import conventions
from observability.testing import capture


@pytest.fixture
def app() -> Flask:
    app = Flask("demo", static_folder=None)

    @app.get("/plain")
    def plain() -> Response:
        response = Response("seven b", headers={"ETag": '"1"'})
        return response.make_conditional(request.environ)

    @app.get("/afterwards")
    def afterwards() -> Response:
        response = Response("seven b")
        response.call_on_close(lambda: app.extensions["closed"].append("closed"))
        return response

    @app.get("/stream")
    def stream() -> Response:
        return Response((piece for piece in ("seven", " b")), headers={"Content-Length": "7"})

    app.extensions["closed"] = []
    return app


def environ(path: str = "/plain", **given: Any) -> dict[str, Any]:
    return {**EnvironBuilder(path=path).get_environ(), **given}


def answered(app: Flask, path: str, **given: Any) -> Iterable[bytes]:
    return app(environ(path, **given), lambda status, headers, exc_info=None: lambda data: None)


def end(body: Any) -> bytes:
    read = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return read


def test_a_response_in_memory_is_handed_on_as_a_list(app: Flask, instrumented: Any) -> None:
    with capture(instrumented(app)) as got:
        body = answered(app, "/plain")
    assert body == [b"seven b"]
    assert type(body) is list, "granian sends nothing else in one go"
    (line,) = got.lines(logger="observability.access")
    assert line["http.response.body.size"] == 7


def test_a_response_without_a_body_is_an_empty_list(app: Flask, instrumented: Any) -> None:
    with capture(instrumented(app)) as got:
        assert answered(app, "/plain", REQUEST_METHOD="HEAD") == []
        assert answered(app, "/plain", HTTP_IF_NONE_MATCH='"1"') == []
    sizes = [line["http.response.body.size"] for line in got.lines(logger="observability.access")]
    assert sizes == [0, 0]


def test_what_is_to_be_done_when_a_response_is_out_is_done_then(app: Flask, instrumented: Any) -> None:
    with capture(instrumented(app)) as got:
        body = answered(app, "/afterwards")
        assert not app.extensions["closed"], "the client still waits for its bytes"
        assert end(body) == b"seven b"
    assert app.extensions["closed"] == ["closed"]
    (line,) = got.lines(logger="observability.access")
    assert line["http.response.body.size"] == 7


def test_a_stream_of_a_known_length_is_not_read_ahead(app: Flask, instrumented: Any) -> None:
    with capture(instrumented(app)) as got:
        body = answered(app, "/stream")
        assert not got.lines(logger="observability.access")
        assert end(body) == b"seven b"
    assert len(got.lines(logger="observability.access")) == 1


def test_the_body_of_a_middleware_in_between_is_left_to_the_server(app: Flask, instrumented: Any) -> None:
    inner, read = app.wsgi_app, []

    def shouting(environ: Any, start_response: Any) -> Iterable[bytes]:
        for piece in inner(environ, start_response):
            read.append(piece)
            yield piece.upper()

    app.wsgi_app = shouting  # type: ignore[method-assign]
    with capture(instrumented(app)) as got:
        body = answered(app, "/plain")
        assert not read
        assert end(body) == b"SEVEN B"
    (span,) = got.spans
    assert span.name == "GET /plain"
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_span_covers_every_function_that_flask_calls_for_its_request(app: Flask, instrumented: Any) -> None:
    seen = []

    def look(*error: object) -> None:
        seen.append(trace.get_current_span().get_span_context().span_id)

    app.before_request(look)
    app.teardown_request(look)
    with capture(instrumented(app)) as got:
        end(answered(app, "/plain"))
    (span,) = got.spans
    assert seen == [span.context.span_id] * 2
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_span_ends_where_tearing_down_fails(app: Flask, instrumented: Any) -> None:
    @app.teardown_request
    def torn_down(error: BaseException | None) -> None:
        raise OSError("the session is gone")

    with capture(instrumented(app)) as got, pytest.raises(OSError, match="the session is gone"):
        answered(app, "/plain")
    assert len(got.spans) == 1
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_query_with_a_secret_is_not_encoded_in_advance_and_not_remembered() -> None:
    encoded = conventions.ServerConventions().encoded
    before = conventions._query.cache_info().currsize
    assert encoded({"QUERY_STRING": "token=hunter22"}, None) is None
    assert conventions._query.cache_info().currsize == before
    assert b"page=2" in (encoded({"QUERY_STRING": "page=2"}, None) or b"")


def test_a_middleware_that_streams_what_the_view_made_whole_goes_on_streaming(
    app: Flask, instrumented: Any
) -> None:
    inner = app.wsgi_app
    taken: list[bytes] = []

    def piecewise(environ: Any, start_response: Any) -> Iterable[bytes]:
        pieces = inner(environ, start_response)
        return (taken.append(piece) or piece for piece in pieces)  # type: ignore[func-returns-value]

    app.wsgi_app = piecewise  # type: ignore[method-assign]
    instrumented(app)
    body = answered(app, "/plain")
    assert not taken
    assert b"".join(body) == b"".join(taken) == b"seven b"
