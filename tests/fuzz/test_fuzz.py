"""Whatever is sent or typed, nothing of ours breaks: `make fuzz SECONDS=600` draws for ten minutes.

No answer is a 5xx, but a 503 that says when to come again; the process lives, within its 512 MiB; and one
good request afterwards is right in all three signals. FUZZ_SEED repeats a run.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import recorded
from backendkit import START, Request, add_span
from click.testing import CliRunner
from exampleservices import LAST, QUOTE
from fuzz.drawn_commands import COMMAND_LINES
from fuzz.drawn_otlp import REQUESTS, bodies, http_requests
from fuzz.drawn_requests import raw_requests
from fuzz.fuzzing import fuzz
from hypothesis import strategies as st
from limited import Limited
from polling import until

from dashcam.cli.main import main
from dashcam.stack.ports import free_ports
from dashcam.store.query import create_app
from dashcam.store.settings import LocalSettings
from observability.testing import OFFLINE

EXPORT = "/opentelemetry.proto.collector.{}/Export"
METHODS = {
    signal: EXPORT.format(service)
    for signal, service in {
        "traces": "trace.v1.TraceService",
        "logs": "logs.v1.LogsService",
        "metrics": "metrics.v1.MetricsService",
    }.items()
}
PATIENCE = 1.0
"""Seconds that an answer is waited for: of a request that is cut short, the service waits for the rest."""


class Backend:
    """A receiver that is limited, and what is in its store."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.grpc_port, port = free_ports(2)
        ports = {"OTLP_GRPC_PORT": str(self.grpc_port), "OTLP_HTTP_PORT": str(port)}
        self.program = Limited("dashcam.store.receiver", folder, port, ports)
        self.address = self.program.address
        self._store = create_app(LocalSettings(state_dir=folder)).test_client()

    def spans(self, trace_id: str) -> list[dict[str, Any]]:
        found: Any = self._store.get(f"/api/traces/{trace_id}").json
        return [span for trace in found["data"] or () for span in trace["spans"]]

    def lines(self, trace_id: str) -> list[dict[str, Any]]:
        found: Any = self._store.get(f"/api/logs?trace_id={trace_id}").json
        return list(found["logs"])


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = Backend(tmp_path / "backend")
    yield made
    made.program.close()


def refused_well(status: int, headers: httpx.Headers) -> bool:
    return status < 500 or (status == 503 and "Retry-After" in headers)


def test_the_receiver_answers_whatever_is_sent_and_goes_on(backend: Backend) -> None:
    grpc_requests = st.sampled_from(sorted(REQUESTS)).flatmap(
        lambda signal: st.tuples(st.just(METHODS[signal]), bodies(signal))
    )
    with (
        httpx.Client(base_url=backend.address, timeout=30) as client,
        grpc.insecure_channel(f"127.0.0.1:{backend.grpc_port}") as channel,
    ):

        def check(given: tuple[Any, ...]) -> None:
            if len(given) == 3:
                path, headers, body = given
                answer = client.post(path, headers=headers, content=body)
                assert refused_well(answer.status_code, answer.headers), answer.text
            else:
                method, body = given
                code = channel.unary_unary(method).future(body, timeout=30).code()
                assert code not in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED), code

        fuzz(http_requests() | grpc_requests, check, backend.program.check)
        trace_id = "5b" * 16
        for signal, body in good(trace_id).items():
            sent = client.post(
                f"/v1/{signal}", content=body, headers={"Content-Type": "application/x-protobuf"}
            )
            assert sent.status_code == 200
        assert [span["operationName"] for span in backend.spans(trace_id)] == ["after all"]
        assert [line["message"] for line in backend.lines(trace_id)] == ["after all"]
        assert "after_all_total{" in client.get("/metrics/otlp").text


def good(trace_id: str) -> dict[str, bytes]:
    """One span, log line and metric, encoded."""
    traces = Request()
    now = time.time_ns()
    add_span(traces.resource("car"), "after all", trace=bytes.fromhex(trace_id), start=(now - START) / 1e9)
    logs, metrics = REQUESTS["logs"](), REQUESTS["metrics"]()
    record = logs.resource_logs.add().scope_logs.add().log_records.add()
    record.trace_id, record.severity_number = bytes.fromhex(trace_id), 9
    record.body.string_value = "after all"
    total = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="after.all")
    total.sum.is_monotonic, total.sum.aggregation_temporality = True, 2
    total.sum.data_points.add(as_int=1, time_unix_nano=now)
    return {
        "traces": traces.body,
        "logs": logs.SerializeToString(),
        "metrics": metrics.SerializeToString(),
    }


class Services:
    """Those that a quote goes through, each limited, on free ports; their spans go to `backend`."""

    def __init__(self, folder: Path, backend: Backend) -> None:
        ports = dict(zip(QUOTE, free_ports(len(QUOTE)), strict=True))
        self.ports = ports
        self.programs: dict[str, Limited] = {}
        for name, admin in zip(reversed(QUOTE), free_ports(len(QUOTE)), strict=True):
            (folder / name).mkdir()
            self.programs[name] = Limited(
                f"services.{name}",
                folder / name,
                admin,
                {
                    **OFFLINE,
                    **{f"{other.upper()}_URL": f"http://127.0.0.1:{port}" for other, port in ports.items()},
                    "PORT": str(ports[name]),
                    "OTEL_EXPORTER_PROMETHEUS_PORT": str(admin),
                    "OTEL_TRACES_EXPORTER": "otlp",
                    "OTEL_SDK_DISABLED": "false",
                    "OTEL_EXPORTER_OTLP_ENDPOINT": backend.address,
                },
            )

    def healthy(self) -> None:
        for program in self.programs.values():
            program.check()

    def said(self, name: str, request: bytes) -> tuple[int, bytes]:
        """Status and beginning of the answer; 0 where the server hung up, or still waits for the request."""
        with socket.create_connection(("127.0.0.1", self.ports[name]), timeout=20) as connection:
            connection.sendall(request)
            connection.settimeout(PATIENCE)
            try:
                answer = connection.recv(1 << 16)
            except (ConnectionResetError, TimeoutError):
                return 0, b""
        found = re.match(rb"HTTP/1\.[01] (\d+)", answer)
        return (int(found[1]) if found else 0), answer


@pytest.fixture
def services(tmp_path: Path, backend: Backend) -> Iterator[Services]:
    made = Services(tmp_path, backend)
    yield made
    for program in made.programs.values():
        program.close()


TARGETS = {
    "requests": st.tuples(st.sampled_from(QUOTE), raw_requests()),
    "headers": st.tuples(st.just(LAST.name), raw_requests(LAST.example)),
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_service_answers_whatever_is_asked_and_goes_on(
    target: str, services: Services, backend: Backend
) -> None:
    def check(given: tuple[str, bytes]) -> None:
        status, answer = services.said(*given)
        assert status < 500 or (status == 503 and b"retry-after" in answer.lower()), answer[:2000]

    fuzz(TARGETS[target], check, services.healthy)

    shop = f"http://127.0.0.1:{services.ports[QUOTE[0]]}"
    # Whatever was drawn may have deleted it, or all.
    car = {"maker": "bentz", "model": "e-class", "price": 62_000, "release_date": "2020-09-01"}
    stored = httpx.put(f"http://127.0.0.1:{services.ports['car']}/cars/bentz/e-class", json=car, timeout=20)
    assert stored.status_code in (200, 201), stored.text
    quote = httpx.get(f"{shop}/cars/bentz/e-class?discount=500", timeout=20)
    assert quote.status_code == 200
    trace_id = quote.headers["traceresponse"].split("-")[1]
    until(
        lambda: (
            {span["processID"] for span in backend.spans(trace_id)}
            if len(backend.spans(trace_id)) >= 5
            else ()
        ),
        "the spans of a good request",
    )
    for name, program in services.programs.items():
        assert trace_id in program.output, f"{name} wrote no line of it"
        assert "http_server_request_duration_seconds_count{" in httpx.get(f"{program.address}/metrics").text


def test_a_command_says_what_is_wrong_with_its_arguments_and_never_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {**recorded.jaeger_answers(), **recorded.log_answers(), **recorded.prometheus_answers()}
    monkeypatch.setenv("DASHCAM_STATE_DIR", str(tmp_path))
    with recorded.serve(answers) as address:
        for name in ("JAEGER_QUERY_URL", "PROMETHEUS_URL"):
            monkeypatch.setenv(name, address)

        def check(line: list[str]) -> None:
            done = CliRunner().invoke(main, line)
            assert isinstance(done.exception, (SystemExit, type(None))), repr(done.exception)
            assert "Traceback" not in done.output

        fuzz(COMMAND_LINES, check, lambda: None)
        done = CliRunner().invoke(main, ["trace", recorded.TRACE])
        assert done.exit_code == 0, done.output
