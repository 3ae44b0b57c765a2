"""The client of `car` against a real server that answers, fails, hangs and talks nonsense."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fakecar import BENTZ
from polling import until

from services.web import asking
from services.web.asking import ATTEMPTS
from services.web.clients import CarClient

Reply = tuple[int, dict[str, str], bytes]
LONG = 60.0
"""Seconds that nothing here takes, however the machine stalls; who is to give up has a limit of its own."""


class Car:
    """A server whose answers a test writes down. An answer of None breaks the connection off."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: Callable[[int], Reply | None] = lambda _: (200, {"ETag": '"v1"'}, b"{}")
        self.release = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.seen.append((self.command, self.path, dict(self.headers), body))
                reply = outer.answer(len(outer.seen))
                if reply is None:
                    self.close_connection = True
                    return
                status, headers, content = reply
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(content))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def says(self, document: Any, status: int = 200, **headers: str) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.answer = lambda _: (status, {"ETag": '"v1"'} | headers, body)

    def hangs(self) -> None:
        def wait(_: int) -> None:
            self.release.wait(LONG)

        self.answer = wait

    def stop(self) -> None:
        self.release.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def car() -> Iterator[Car]:
    car = Car()
    yield car
    car.stop()


@pytest.fixture
def client(car: Car) -> CarClient:
    return CarClient(car.url, token="letmein", timeout=LONG)


def test_a_page_of_the_catalogue_is_read(car: Car, client: CarClient) -> None:
    makers = [{"maker": "bentz", "count": 4}]
    car.says({"cars": [BENTZ], "total": 31, "next": "/cars?limit=1&cursor=abc%3D", "makers": makers})
    listing = client.cars({"maker": "a b&c"})
    assert car.seen[0][1] == "/cars?maker=a+b%26c"
    assert [each.name for each in listing.cars] == ["Bentz E-Class"]
    assert (listing.total, listing.next_cursor, listing.makers[0].count) == (31, "abc=", 4)


def test_a_car_comes_with_its_entity_tag(car: Car, client: CarClient) -> None:
    car.says(BENTZ)
    found = client.car("bentz", "e-class")
    assert (found.car.price, found.etag) == (62000, '"v1"')


def test_a_name_cannot_leave_its_place_in_the_address(car: Car, client: CarClient) -> None:
    car.says(BENTZ)
    client.car("../makers", "x?y#z")
    assert car.seen[0][1] == "/cars/..%2Fmakers/x%3Fy%23z"


def test_a_change_carries_the_token_and_the_version(car: Car, client: CarClient) -> None:
    car.says(BENTZ)
    client.replace("bentz", "e-class", BENTZ, '"v1"')
    method, path, headers, body = car.seen[0]
    assert (method, path) == ("PUT", "/cars/bentz/e-class")
    assert headers["Authorization"] == "Bearer letmein"
    assert headers["If-Match"] == '"v1"'
    assert json.loads(body) == BENTZ


def test_a_read_carries_no_token(car: Car, client: CarClient) -> None:
    car.says(BENTZ)
    client.car("bentz", "e-class")
    assert "Authorization" not in car.seen[0][2]


@pytest.mark.parametrize("etag", ["", "v1", '"a" "b"', '"a"\r\nX: y'])
def test_without_a_version_nothing_is_sent(car: Car, client: CarClient, etag: str) -> None:
    with pytest.raises(asking.Changed):
        client.delete("bentz", "e-class", etag)
    assert not car.seen


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, asking.Rejected),
        (404, asking.NotFound),
        (409, asking.Exists),
        (412, asking.Changed),
        (422, asking.Rejected),
        (429, asking.Busy),
        (500, asking.Misbehaved),
        (502, asking.Misbehaved),
        (503, asking.Away),
        (504, asking.Slow),
        (418, asking.Misbehaved),
        (302, asking.Misbehaved),
    ],
)
def test_each_status_of_car_is_a_typed_error(
    car: Car, client: CarClient, status: int, kind: type[asking.ServiceError]
) -> None:
    errors = [{"field": "price", "value": -1, "detail": "give 0 or more"}]
    car.says({"detail": "what happened", "errors": errors}, status, **{"Retry-After": "9"})
    with pytest.raises(kind, match="what happened") as caught:
        client.car("bentz", "e-class")
    assert type(caught.value) is kind
    assert (caught.value.errors[0].field, caught.value.errors[0].detail) == ("price", "give 0 or more")
    assert caught.value.retry_after == "9"
    assert len(car.seen) == 1, "an answer is never asked for again"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_says_what_to_set(car: Car, client: CarClient, status: int) -> None:
    car.says({"detail": "no"}, status)
    with pytest.raises(asking.Misbehaved, match="CAR_WRITE_TOKEN"):
        client.create(BENTZ)


@pytest.mark.parametrize(
    "body", [b"", b"<html>oops</html>", b"[1, 2]", b"\xff\xfe", b"null", b'{"maker": 1}']
)
def test_nonsense_is_an_error_of_car_not_a_crash(car: Car, client: CarClient, body: bytes) -> None:
    car.says(body)
    for ask in (
        lambda: client.car("bentz", "e-class"),
        lambda: client.cars({}),
        lambda: client.quote("bentz", "e-class", 5),
    ):
        with pytest.raises(asking.Misbehaved):
            ask()


@pytest.mark.parametrize(
    "body", [b"", b"<html>Bad gateway</html>", b'{"errors": 5}', b'{"errors": [5, null]}', b"[]"]
)
def test_an_error_without_a_problem_is_still_typed(car: Car, client: CarClient, body: bytes) -> None:
    car.says(body, 503)
    with pytest.raises(asking.Away, match="answered 503"):
        client.car("bentz", "e-class")


def test_a_read_is_repeated_when_the_connection_breaks(car: Car, client: CarClient) -> None:
    good = (200, {"ETag": '"v1"'}, json.dumps(BENTZ).encode())
    car.answer = lambda count: None if count < ATTEMPTS else good
    assert client.car("bentz", "e-class").car.price == 62000
    assert len(car.seen) == ATTEMPTS


def test_a_read_is_not_repeated_for_ever(car: Car, client: CarClient) -> None:
    car.answer = lambda _: None
    with pytest.raises(asking.Away):
        client.car("bentz", "e-class")
    assert len(car.seen) == ATTEMPTS


def test_a_change_is_never_repeated(car: Car, client: CarClient) -> None:
    car.answer = lambda _: None
    with pytest.raises(asking.Away):
        client.create(BENTZ)
    assert len(car.seen) == 1


def test_no_answer_ends_within_the_time_limit(car: Car) -> None:
    car.hangs()
    started = time.monotonic()
    with pytest.raises(asking.Slow, match=r"within 0\.4 seconds"):
        CarClient(car.url, timeout=0.4).car("bentz", "e-class")
    assert time.monotonic() - started < LONG / 2
    until(lambda: car.seen, "the request to arrive")
    assert len(car.seen) == 1, "who is slow is not asked twice"


def test_nobody_listening_is_away_and_quickly_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening: connections are refused
        client = CarClient(f"http://127.0.0.1:{taken.getsockname()[1]}", timeout=LONG)
        started = time.monotonic()
        with pytest.raises(asking.Away) as caught:
            client.cars({})
    assert time.monotonic() - started < LONG / 4
    assert "127.0.0.1" not in str(caught.value), "a page tells nobody the address inside"
