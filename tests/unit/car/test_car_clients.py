"""The client of `minus`, against a server on a socket that behaves as a test wants it to."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from dashcam.stack.ports import free_port
from services.car.clients import Away, CircuitOpen, Limits, Minus, Wrong

LONG = 60.0
"""Seconds that nothing here takes, however the machine stalls; who is to give up has limits of its own."""
LIMITS = Limits(timeout=LONG, deadline=LONG, attempts=3, failures=3, recovery=60.0)

Answer = Callable[[BaseHTTPRequestHandler], None]


def says(status: int, body: bytes, **headers: str) -> Answer:
    """An answer with this status and body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **headers,
        }.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


class Server:
    """A stand-in of `minus`: it gives the next of `answers`, and the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [says(200, b'{"result": 2}')]
        self.asked: list[dict[str, list[str]]] = []
        self.connections = 0
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                stand_in.connections += 1
                super().setup()

            def do_GET(self) -> None:
                stand_in.asked.append(parse_qs(urlsplit(self.path).query))
                answers = stand_in.answers
                (answers.pop(0) if len(answers) > 1 else answers[0])(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # a client that gives up is what many of these tests are about

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def make() -> Iterator[Callable[..., Minus]]:
    made: list[Minus] = []

    def make(url: str, limits: Limits = LIMITS, **parts: Any) -> Minus:
        made.append(Minus(url, limits, **parts))
        return made[-1]

    yield make
    for minus in made:
        minus.close()


def test_a_difference_is_asked_for_once_over_a_kept_connection(server: Server, make: Any) -> None:
    minus = make(server.url + "/")
    assert [minus.difference(62000, 500), minus.difference(5, 3)] == [2, 2]
    assert server.asked == [{"x": ["62000"], "y": ["500"]}, {"x": ["5"], "y": ["3"]}]
    assert server.connections == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_passing_failure_is_tried_again(server: Server, make: Any, status: int) -> None:
    server.answers = [says(status, b""), says(status, b""), says(200, b'{"result": 61500}')]
    assert make(server.url).difference(62000, 500) == 61500
    assert len(server.asked) == 3


def test_attempts_are_bounded(server: Server, make: Any) -> None:
    server.answers = [says(503, b"")]
    with pytest.raises(Away, match="503"):
        make(server.url).difference(5, 3)
    assert len(server.asked) == LIMITS.attempts


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b'{"result": 2}'),
        (400, b"{}"),
        (301, b""),
        (204, b""),
        (200, b""),
        (200, b"<html>"),
        (200, b"[2]"),
        (200, b"2"),
        (200, b"{}"),
        (200, b'{"result": "2"}'),
        (200, b'{"result": 2.0}'),
        (200, b'{"result": true}'),
        (200, b'{"result": null}'),
        (200, b'{"result": NaN}'),
        (200, b"\xff"),
        (200, b"[" * 60_000),
        (200, b'{"result": ' + b"1" * 5000 + b"}"),
        (200, b'{"result": 2, "x": "' + b"x" * 70_000 + b'"}'),
    ],
)
def test_an_answer_that_cannot_be_used_is_wrong_and_not_asked_for_again(
    server: Server, make: Any, status: int, body: bytes
) -> None:
    server.answers = [says(status, body, Location="/elsewhere")]
    with pytest.raises(Wrong):
        make(server.url).difference(5, 3)
    assert len(server.asked) == 1


def test_nobody_listening_is_away(make: Any) -> None:
    with pytest.raises(Away, match="cannot be reached"):
        make(f"http://127.0.0.1:{free_port()}").difference(5, 3)


def silent(handler: BaseHTTPRequestHandler) -> None:
    handler.rfile.read()  # until the client gives up


def cut_short(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"resu')
    handler.close_connection = True


def trickling(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "10000")
    handler.end_headers()
    for _ in range(int(LONG / 0.05)):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)  # the pace of the server that this stands in for


@pytest.mark.parametrize("answer", [silent, cut_short, trickling], ids=lambda answer: answer.__name__)
def test_a_call_ends_within_its_deadline_whatever_the_server_does(
    server: Server, make: Any, answer: Answer
) -> None:
    server.answers = [answer]
    began = time.monotonic()
    with pytest.raises(Away):
        make(server.url, replace(LIMITS, timeout=0.3, deadline=1.0)).difference(5, 3)
    assert time.monotonic() - began < LONG / 2


def test_pauses_grow_are_random_and_end_with_the_deadline(server: Server, make: Any) -> None:
    server.answers = [says(503, b"")]
    pauses: list[float] = []
    for chance in (0.0, 0.999):
        limits = Limits(timeout=LONG, deadline=100, attempts=4, failures=99, recovery=1)
        with pytest.raises(Away):
            make(server.url, limits, sleep=pauses.append, chance=lambda c=chance: c).difference(5, 3)
    assert pauses[:3] == [0.05, 0.1, 0.2]
    assert pauses[3:] == pytest.approx([0.025, 0.05, 0.1], rel=0.01)
    hurried = Limits(timeout=1, deadline=0.04, attempts=4, failures=99, recovery=1)
    with pytest.raises(Away):
        make(server.url, hurried, sleep=pauses.append, chance=lambda: 0.0).difference(5, 3)
    assert len(pauses) == 6, "a pause that outlasts the deadline is not begun"


def test_the_circuit_opens_after_failures_in_a_row_and_says_when_to_come_back(
    server: Server, make: Any
) -> None:
    states: list[bool] = []
    minus = make(server.url, on_circuit=states.append)
    server.answers = [says(500, b"")]
    for _ in range(LIMITS.failures):
        with pytest.raises(Wrong):
            minus.difference(5, 3)
    assert states == [True]
    with pytest.raises(CircuitOpen) as refused:
        minus.difference(5, 3)
    assert refused.value.retry_after == LIMITS.recovery
    assert len(server.asked) == LIMITS.failures, "an open circuit asks nothing"


def test_a_success_in_between_keeps_the_circuit_closed(server: Server, make: Any) -> None:
    minus = make(server.url)
    server.answers = [says(500, b""), says(500, b""), says(200, b'{"result": 2}'), says(500, b"")]
    for _ in range(5):
        with contextlib.suppress(Wrong):
            minus.difference(5, 3)
    assert len(server.asked) == 5


def test_the_circuit_closes_again_when_a_trial_succeeds(server: Server, make: Any) -> None:
    states: list[bool] = []
    limits = Limits(timeout=LONG, deadline=LONG, attempts=1, failures=1, recovery=0.0)
    minus = make(server.url, limits, on_circuit=states.append)
    server.answers = [says(500, b""), says(500, b""), says(200, b'{"result": 2}')]
    for _ in range(2):
        with pytest.raises(Wrong):
            minus.difference(5, 3)
    assert minus.difference(5, 3) == 2
    assert states[0] is True
    assert states[-1] is False


def test_calls_do_not_wait_for_each_other(server: Server, make: Any) -> None:
    together = threading.Barrier(4)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        together.wait(timeout=LONG / 2)  # broken, and the call fails, unless four requests are here at once
        says(200, b'{"result": 2}')(handler)

    server.answers = [answer]
    minus = make(server.url, Limits(timeout=LONG, deadline=LONG, attempts=1, failures=3, recovery=1))
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: minus.difference(5, 3), range(4))) == [2] * 4
