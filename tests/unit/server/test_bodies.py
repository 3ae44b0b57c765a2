"""Slow clients wait for their turn to send a body, and leave threads for others."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from observability.server.bodies import Gate, NoTurn, gated


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

    slow, turned = Stalling(), gated(app, Gate(1))
    environ = {"wsgi.input": slow, "REMOTE_ADDR": "10.1.2.3", "HTTP_USER_AGENT": "snail/1", **headers}
    holding = threading.Thread(target=lambda: turned(environ, lambda *_: None))
    holding.start()
    assert slow.asked.wait(10)

    with pytest.raises(NoTurn, match=r"wait for slow clients .* on 10\.1\.2\.3 \(snail/1\)") as error:
        turned({"wsgi.input": io.BytesIO(b"x" * 9), **headers}, lambda *_: None)

    assert "10.1.2.3" not in str(error.value.description), "one client is told of another"
    slow.released.set()
    holding.join(10)
    assert list(turned({"wsgi.input": io.BytesIO(b"x" * 9), **headers}, lambda *_: None)) == [b"x" * 9]


def test_a_turn_is_given_back_whatever_the_server_raises() -> None:
    class Broken:
        def read(self, size: int, /) -> bytes:
            raise ConnectionResetError("gone")

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return [environ["wsgi.input"].read(5)]

    turned = gated(app, Gate(1))
    for _ in range(2):
        with pytest.raises(ConnectionResetError, match="gone"):
            turned({"wsgi.input": Broken(), "CONTENT_LENGTH": "5"}, lambda *_: None)
