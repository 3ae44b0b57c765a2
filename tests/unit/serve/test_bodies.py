"""Request bodies are whole, or an error."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from werkzeug.exceptions import ClientDisconnected

from observability.bodies import CHUNK, Body, whole


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


@pytest.mark.parametrize(("headers", "wrapped"), [({}, False), ({"CONTENT_LENGTH": "3"}, True)])
def test_only_bodies_of_a_known_length_are_wrapped(headers: dict[str, str], wrapped: bool) -> None:
    seen: list[Any] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seen.append(environ["wsgi.input"])
        return []

    source = io.BytesIO(b"abc")
    whole(app)({"wsgi.input": source, **headers}, lambda *_: None)

    assert (seen[0] is not source) == wrapped
    assert seen[0].read() == b"abc"
