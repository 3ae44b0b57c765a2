"""Request bodies are whole, or an error."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from werkzeug.exceptions import ClientDisconnected

from observability.server.bodies import CHUNK, Body, Gate, NoTurn, whole


def body(data: bytes, length: int) -> io.BufferedReader:
    return io.BufferedReader(Body(io.BytesIO(data), length, Gate(1)), CHUNK)


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
    whole(app, Gate(1))({"wsgi.input": source, **headers}, lambda *_: None)

    assert (seen[0] is not source) == wrapped
    assert seen[0].read() == b"abc"


class Stalling:
    """A client that sends nothing until it is `released`."""

    def __init__(self) -> None:
        self.asked, self.released = threading.Event(), threading.Event()

    def read(self, size: int, /) -> bytes:
        self.asked.set()
        self.released.wait(10)
        return b"a" * size


@pytest.mark.parametrize("headers", [{"CONTENT_LENGTH": "9"}, {"HTTP_TRANSFER_ENCODING": "chunked"}])
def test_where_all_turns_are_taken_by_slow_clients_one_more_body_is_refused_and_they_are_named(
    headers: dict[str, str],
) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return [environ["wsgi.input"].read(9)]

    slow, gated = Stalling(), whole(app, Gate(1))
    environ = {"wsgi.input": slow, "REMOTE_ADDR": "10.1.2.3", "HTTP_USER_AGENT": "snail/1", **headers}
    holding = threading.Thread(target=lambda: gated(environ, lambda *_: None))
    holding.start()
    assert slow.asked.wait(10)

    with pytest.raises(NoTurn, match=r"wait for slow clients .* on 10\.1\.2\.3 \(snail/1\)") as error:
        gated({"wsgi.input": io.BytesIO(b"x" * 9), **headers}, lambda *_: None)

    assert "10.1.2.3" not in str(error.value.description), "one client is told of another"
    slow.released.set()
    holding.join(10)
    assert list(gated({"wsgi.input": io.BytesIO(b"x" * 9), **headers}, lambda *_: None)) == [b"x" * 9]


def test_a_turn_is_given_back_whatever_the_server_raises() -> None:
    class Broken:
        def read(self, size: int, /) -> bytes:
            raise ConnectionResetError("gone")

    gate = Gate(1)
    for _ in range(2):
        with pytest.raises(ConnectionResetError, match="gone"):
            Body(Broken(), 5, gate).readall()
