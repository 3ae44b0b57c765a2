"""The receiver takes at most 512 MiB whatever is sent to it, and goes on to take what is right."""

from __future__ import annotations

import contextlib
import functools
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import grpc
import hostile
import httpx
import pytest
from backendkit import Request, add_span
from limited import Limited, at_once
from receiving import JSON, PROTOBUF

from dashcam.stack.ports import free_port

OPENMETRICS = {"Accept": "application/openmetrics-text"}
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Sending:
    """A limited receiver, and what is sent to it."""

    def __init__(self, folder: Path) -> None:
        self.grpc_port, http_port = free_port(), free_port()
        ports = {"OTLP_GRPC_PORT": str(self.grpc_port), "OTLP_HTTP_PORT": str(http_port)}
        self.program = Limited("dashcam.store.receiver", folder, http_port, ports)
        self.port = http_port

    def http(self, signal: str, body: bytes, headers: dict[str, str] = PROTOBUF) -> int:
        """Send it compressed; the answer's status."""
        sent = hostile.compressed(body)
        encoding = {"Content-Encoding": "gzip"}
        url = f"{self.program.address}/v1/{signal}"
        return httpx.post(url, content=sent, headers=headers | encoding, timeout=120).status_code

    def grpc(self, body: bytes) -> grpc.StatusCode:
        options = [("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}", options) as channel:
            export: Any = channel.unary_unary(TRACES)
            code: grpc.StatusCode = export.future(body, timeout=120, wait_for_ready=True).code()
            return code


@pytest.fixture
def sending(tmp_path: Path) -> Iterator[Sending]:
    made = Sending(tmp_path)
    yield made
    made.program.close()


def test_many_and_long_records_of_small_requests(sending: Sending) -> None:
    """What led to 4.2 GB in a merge, and to 3 GB while it was decoded."""
    long = hostile.long_spans(1)
    at_once(*[functools.partial(sending.http, "traces", long)] * 6, times=6)
    many = hostile.many_spans()
    answers = at_once(*[functools.partial(sending.http, "traces", many)] * 4)
    assert set(answers) <= {413, 429}
    sending.program.check()


@pytest.mark.parametrize(
    "make",
    [hostile.empty_attributes, hostile.shared_attributes, hostile.many_scopes, hostile.empty_resources],
    ids=lambda make: str(make.__name__),
)
def test_elements_that_are_nothing_on_the_wire(sending: Sending, make: Callable[[], bytes]) -> None:
    body = make()
    by_http = [functools.partial(sending.http, "traces", body)] * 4
    at_once(*by_http, *[functools.partial(sending.grpc, body)] * 4)
    sending.program.check()


def test_json_of_millions_of_values(sending: Sending) -> None:
    bodies = (hostile.json_objects(), hostile.json_numbers())
    at_once(*[functools.partial(sending.http, "traces", body, JSON) for body in bodies * 2])
    sending.program.check()


def test_log_records_of_long_and_ever_other_words(sending: Sending) -> None:
    bodies = [hostile.words(1), hostile.words(2), hostile.escapes(), hostile.escapes()]
    at_once(*[functools.partial(sending.http, "logs", body) for body in bodies], times=2)
    sending.program.check()


def test_metrics_of_long_labels_many_processes_and_ever_other_names(sending: Sending) -> None:
    bodies = [hostile.series(seed) for seed in range(8)] + [hostile.families(seed) for seed in range(4)]
    for body in bodies:
        sending.http("metrics", body)
    page = httpx.get(f"{sending.program.address}/metrics/otlp", headers=OPENMETRICS, timeout=60)
    assert page.text.endswith("# EOF\n")
    sending.program.check()


def test_slow_uploads_and_half_sent_calls(sending: Sending) -> None:
    head = b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (16 * 2**20)
    with ExitStack() as held:
        for _ in range(90):
            client = held.enter_context(closing(socket.create_connection(("127.0.0.1", sending.port))))
            with contextlib.suppress(OSError):  # it gave way while it was sent
                client.sendall(head + b"x" * (15 * 2**20))
        request = Request()
        add_span(request.resource("car"))
        assert sending.http("traces", request.body) == 200
        sending.program.check()
