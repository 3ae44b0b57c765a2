"""Query API and console take at most 512 MiB whatever is stored and asked."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import hostile
import httpx
import pytest
from backendkit import START, Store
from limited import Limited, at_once
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from polling import until

from dashcam.stack.ports import free_port
from dashcam.store.otlp import decode_traces, parse_traces
from dashcam.store.otlp_logs import decode_logs
from dashcam.store.otlp_parts import Parts
from dashcam.store.records import Batch

LONG, MANY = "f" * 32, "e" * 32
"""A trace of spans of a MiB each, and one of very many."""

WHEN = hostile.times(START)
EVER = {"start": START // 1000 - 10**9, "end": START // 1000 + 10**9}
V3 = {
    "query.serviceName": "car",
    "query.startTimeMin": "2026-11-22T00:00:00Z",
    "query.startTimeMax": "2026-11-23T00:00:00Z",
    "query.searchDepth": 5000,
}


def put(store: Store, body: bytes) -> None:
    for part in Parts(body):
        store.put(Batch(spans=decode_traces(parse_traces(part)).spans))


def fill(folder: Path) -> None:
    """Store what the receiver lets through."""
    store = Store(folder)
    try:
        for first in range(1, 150, 15):
            put(store, hostile.long_spans(first, rest=WHEN))
            put(store, hostile.long_spans(1000 + first, trace=int(LONG, 16), rest=WHEN))
        attributes = b"\x4a\x00" * 7_500
        for first in range(0, 3000, 500):
            put(
                store,
                hostile.traces(*[hostile.span(5000 + first + i, WHEN + attributes) for i in range(500)]),
            )
        for first in range(0, 60_000, 20_000):
            spans = [hostile.span(10_000 + first + i, WHEN, int(MANY, 16)) for i in range(20_000)]
            put(store, hostile.traces(*spans))
        for body in (hostile.words(1), hostile.words(2), hostile.escapes(6)):
            rows = decode_logs(ExportLogsServiceRequest.FromString(body), START // 1000).rows
            store.put(Batch(logs=rows))
    finally:
        store.close()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    fill(folder)
    return folder


@pytest.fixture(scope="module")
def console(stored: Path) -> Iterator[Limited]:
    port = free_port()
    made = Limited("dashcam.stack.console", stored, port, {"CONSOLE_PORT": str(port)})
    yield made
    made.close()


def asking(console: Limited, path: str, **params: object) -> Callable[[], int]:
    url = f"{console.address}{path}"
    return functools.partial(lambda: httpx.get(url, params=params, timeout=120).status_code)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/api/traces", EVER | {"service": "car", "limit": 5000}),
        ("/api/traces", EVER | {"service": "car", "limit": 5000, "prettyPrint": "true"}),
        (f"/api/traces/{LONG}", {}),
        (f"/api/traces/{MANY}", {}),
        (f"/api/v3/traces/{MANY}", {}),
        ("/api/v3/traces", V3),
        ("/api/v3/trace-summaries", V3),
        ("/api/logs", {"limit": 5000}),
        ("/api/logs", {"limit": 5000, "q": "a", "order": "asc"}),
    ],
)
def test_answers(console: Limited, path: str, params: dict[str, object]) -> None:
    """What led to 3.9 GB for a search and to 2.7 GB for lines."""
    answers = at_once(*[asking(console, path, **params)] * 4, times=2)
    assert answers == [200] * 8, console.output[-3000:]
    console.check()


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/search", EVER | {"service": "car", "limit": 1500}),
        (f"/trace/{LONG}", {}),
        (f"/trace/{MANY}", {}),
        ("/logs", EVER | {"limit": 100}),
        ("/logs/patterns", EVER),
        ("/diagnose", EVER),
    ],
)
def test_pages(console: Limited, path: str, params: dict[str, object]) -> None:
    # A page that takes too long on a busy machine says so with a 503.
    assert set(at_once(*[asking(console, path, **params)] * 4)) <= {200, 503}, console.output[-3000:]
    until(lambda: asking(console, path, **params)() == 200, f"{path} alone", within=60)
    console.check()
