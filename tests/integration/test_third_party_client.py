"""A client of Jaeger's API that others wrote, unmodified, sees in the embedded backend what Jaeger shows it.

It is jaeger-mcp, which answers questions about traces to assistants; the locked packages of jaeger_client/
come from the package registry into an environment of their own. It is spoken to as assistants do: JSON-RPC,
a line each, over its standard input and output.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from backendkit import START, Request, add_span
from integration.twobackends import Both, both
from realprograms import record_jaeger
from verifying import Recorder

from dashcam.sources import Jaeger, TraceQuery
from dashcam.sources.transport import HttpTransport, WsgiTransport
from dashcam.store.http_server import HttpServer

CLIENT = "jaeger-mcp"
LOCK = Path(__file__).parent / "jaeger_client" / "requirements.txt"
UV = Path(sys.executable).parent / "uv"
BEGIN = time.time_ns() - 60_000_000_000
QUOTE, FAILED = b"\x11" * 16, b"\x22" * 16
UNKNOWN = "3" * 32
NOT_SAID_OF_TRACES = {"content", "url", "end_ts_us"}
"""The same once more as text, the address, and the moment of asking."""

QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("jaeger_list_services", {}),
    ("jaeger_list_operations", {"service": "car"}),
    ("jaeger_search_traces", {"service": "car", "limit": 10}),
    ("jaeger_search_traces", {"service": "web", "operation": "GET /", "min_duration": "1ms"}),
    ("jaeger_search_traces", {"service": "web", "min_duration": "5s"}),
    ("jaeger_get_trace", {"trace_id": QUOTE.hex()}),
    ("jaeger_get_trace", {"trace_id": UNKNOWN}),
    ("jaeger_compare_traces", {"trace_id_a": QUOTE.hex(), "trace_id_b": FAILED.hex()}),
    ("jaeger_critical_path", {"trace_id": FAILED.hex()}),
    ("jaeger_span_statistics", {"service": "car"}),
    ("jaeger_get_dependencies", {}),
]


def sample() -> bytes:
    """Two requests through web and car, one of which fails."""
    request = Request()
    ago = (BEGIN - START) / 1e9
    for trace, status in ((QUOTE, 200), (FAILED, 503)):
        web, car = (
            request.resource("web", "flask", "1"),
            request.resource("car", "flask", "1", host__name="h"),
        )
        add_span(web, "GET /", trace=trace, span=1, start=ago, duration=0.05)
        add_span(web, "GET", trace=trace, span=2, parent=1, kind=3, start=ago + 0.001, duration=0.04)
        failing = {"start": ago + 0.002, "duration": 0.03, "error": status == 503}
        span = add_span(car, "GET /cars", trace=trace, span=3, parent=2, **failing)
        span.attributes.add(key="http.response.status_code").value.int_value = status
        event = span.events.add(name="exception", time_unix_nano=BEGIN + 3_000_000)
        event.attributes.add(key="exception.type").value.string_value = "Größe"
    return request.body


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, ran: Recorder) -> str:
    """The client's command, installed."""
    folder = tmp_path_factory.mktemp("client")
    told = {"UV_SYSTEM_CERTS": "1", **os.environ}
    for command in (
        ["venv", "--quiet", "--python", sys.executable, str(folder)],
        [
            "pip",
            "install",
            "--quiet",
            "--python",
            str(folder / "bin/python"),
            "--require-hashes",
            "-r",
            str(LOCK),
        ],
    ):
        done = subprocess.run([UV, *command], env=told, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stderr
    version = next(line for line in LOCK.read_text().splitlines() if line.startswith(f"{CLIENT}=="))
    ran(CLIENT, version=version.partition("==")[2].rstrip(" \\"), had="its release on the package index")
    return str(folder / "bin" / CLIENT)


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory, ran: Recorder) -> Iterator[Both]:
    with both(tmp_path_factory.mktemp("backends"), record_jaeger(ran)) as started:
        started.send(sample())
        yield started


@contextmanager
def served(backends: Both) -> Iterator[str]:
    """The embedded query service on a port of its own."""
    server = HttpServer(backends.app, host="127.0.0.1", port=0, threads=4)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.stop(5)


def answers_of(program: str, address: str) -> list[Any]:
    """What the client answers to each of QUESTIONS, of the Jaeger at `address`."""
    told = {**os.environ, "JAEGER_URL": address, "JAEGER_CACHE_TTL": "0"}
    with subprocess.Popen(
        [program], env=told, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        numbers = itertools.count(1)

        def ask(method: str, params: dict[str, Any]) -> Any:
            assert process.stdin is not None
            assert process.stdout is not None
            message = {"jsonrpc": "2.0", "id": next(numbers), "method": method, "params": params}
            print(json.dumps(message), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())["result"]

        me = {"name": "test", "version": "1"}
        ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": me})
        print('{"jsonrpc":"2.0","method":"notifications/initialized"}', file=process.stdin, flush=True)
        found = [ask("tools/call", {"name": name, "arguments": given}) for name, given in QUESTIONS]
        process.stdin.close()
        process.wait(20)
    return found


@pytest.mark.verifies(
    component=CLIENT,
    claim="a client of Jaeger's API that others wrote, unmodified, says of the embedded backend "
    "what it says of the real Jaeger",
)
def test_a_client_that_others_wrote_sees_what_it_sees_in_jaeger(backends: Both, program: str) -> None:
    with served(backends) as address:
        own = answers_of(program, address)
    real = answers_of(program, str(backends.jaeger.base_url).rstrip("/"))
    for question, ours, theirs in zip(QUESTIONS, own, real, strict=True):
        assert same_order(ours) == same_order(theirs), question
        assert ours.get("isError", False) is (question[1].get("trace_id") == UNKNOWN), ours
    assert [FAILED.hex() in json.dumps(answer) for answer in own[2:5]] == [True, True, False]


@pytest.mark.verifies(
    component="Jaeger",
    claim="lists traces in the console as the embedded backend does, without the API of summaries too",
)
def test_the_console_lists_the_same_traces_over_both(backends: Both) -> None:
    real_address = str(backends.jaeger.base_url).rstrip("/")
    clients = [
        Jaeger(HttpTransport(real_address, 20), real_address),
        Jaeger(WsgiTransport(backends.app.wsgi_app, "http://localhost"), "http://localhost"),
    ]
    query = TraceQuery("car", BEGIN // 1000 - 1_000_000, BEGIN // 1000 + 60_000_000)
    real, own = (sorted(client.summaries(query), key=lambda one: one.trace_id) for client in clients)
    assert [one.trace_id for one in own] == [QUOTE.hex(), FAILED.hex()]
    assert own == real


def same_order(answer: Any) -> Any:
    """What the client found, its lists in one order: Jaeger's memory has none."""
    if isinstance(answer, dict):
        named = {key: value for key, value in answer.items() if key not in NOT_SAID_OF_TRACES}
        return {key: same_order(value) for key, value in named.items()}
    if isinstance(answer, list):
        return sorted(
            (same_order(value) for value in answer), key=lambda value: json.dumps(value, sort_keys=True)
        )
    return answer
