"""The server as a process: it starts or says why not, and ends in order and in time."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from polling import until
from unit.server.served import Running

from dashcam.stack.ports import free_port
from observability.server.options import ServerSettings
from observability.server.serve import MainProcess

Launch = Callable[..., Running]


def refuses(running: Running) -> bool:
    try:
        running.connect().close()
    except ConnectionRefusedError:
        return True
    return False


# -- the end ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_is_finished_after_the_signal_and_new_connections_are_refused(
    launch: Launch, signum: int, tmp_path: Path
) -> None:
    let_go = tmp_path / "let go"
    running = launch(HELD_UNTIL=str(let_go)).ready()
    busy = running.start_request("/held")

    running.signal(signum)

    until(lambda: refuses(running), "new connections to be refused")
    running.get("/readyz", admin=True)
    assert running.status == 503
    let_go.touch()
    assert b"200 OK" in busy.recv(4096)
    assert running.end() == 0
    assert running.noise == []


def test_idle_connections_do_not_delay_the_end(launch: Launch) -> None:
    running = launch(DASHCAM_GRACE_PERIOD="60").ready()
    idle = [running.connect() for _ in range(100)]
    began = time.monotonic()

    running.signal()

    assert running.end() == 0
    assert time.monotonic() - began < 20
    for connection in idle:
        connection.close()


def test_a_request_that_outlasts_the_grace_period_is_cut_off_with_a_line_that_says_so(launch: Launch) -> None:
    running = launch(DASHCAM_GRACE_PERIOD="1").ready()
    busy = running.start_request("/held")
    began = time.monotonic()

    running.signal()

    assert running.end() == 0
    assert time.monotonic() - began < 1 + 14
    assert "DASHCAM_GRACE_PERIOD" in running.messages("WARN")[0]
    assert busy.recv(4096) == b""


@pytest.mark.parametrize("how", ["well", "fail", "hang"])
def test_what_runs_beside_the_requests_is_ended_within_the_grace_period(launch: Launch, how: str) -> None:
    running = launch(CLOSING=how, DASHCAM_GRACE_PERIOD="2").ready()
    began = time.monotonic()

    running.signal()

    assert running.end() == 0
    assert time.monotonic() - began < 2 + 14
    assert "closing" in running.messages("INFO")
    assert bool(running.messages("WARN")) == (how == "hang")
    assert bool(running.messages("ERROR")) == (how == "fail")


def test_half_sent_requests_do_not_hold_the_end_up(launch: Launch) -> None:
    running = launch(DASHCAM_GRACE_PERIOD="1").ready()
    with running.connect() as head, running.connect() as body:
        head.sendall(b"GET /pid HTTP/1.1\r\nHost: test\r\n")
        body.sendall(b"POST /length HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc")

        running.signal()

        assert running.end(within=1 + 14) == 0


@pytest.mark.parametrize("endpoint", ["absent", "silent"])
def test_the_end_is_bounded_when_nobody_takes_the_spans(
    launch: Launch, silent_endpoint: str, endpoint: str
) -> None:
    address = silent_endpoint if endpoint == "silent" else f"http://127.0.0.1:{free_port()}"
    running = launch(
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=address,
        OTEL_EXPORTER_OTLP_TIMEOUT="60000",
        DASHCAM_SHUTDOWN_TIMEOUT="2",
        DASHCAM_GRACE_PERIOD="60",
    ).ready()
    for _ in range(20):
        running.get("/pid")
    began = time.monotonic()

    running.signal()

    assert running.end() == 0
    assert time.monotonic() - began < 2 + 10


def test_the_end_is_bounded_when_the_telemetry_hangs(launch: Launch) -> None:
    running = launch(HANG="1", DASHCAM_SHUTDOWN_TIMEOUT="1").ready()
    began = time.monotonic()

    running.signal()

    assert running.end() == 0
    assert time.monotonic() - began < 1 + 9


def test_a_second_signal_ends_at_once_whatever_is_in_flight(launch: Launch) -> None:
    running = launch(DASHCAM_GRACE_PERIOD="60").ready()
    busy = running.start_request("/held")
    running.signal()
    until(lambda: refuses(running), "new connections to be refused")
    began = time.monotonic()

    running.signal()

    assert running.end() == 128 + signal.SIGTERM
    assert time.monotonic() - began < 20
    busy.close()


def test_workers_do_not_outlive_a_main_process_that_was_killed(launch: Launch) -> None:
    running = launch().ready()

    running.signal(signal.SIGKILL)

    until(lambda: refuses(running), "the worker to end by itself")


# -- the start -------------------------------------------------------------------------------------


def test_the_service_is_not_ready_before_its_port_accepts(launch: Launch) -> None:
    running = launch()

    def ready() -> bool:
        running.get("/readyz", admin=True)
        return running.status == 200

    until(ready, "the service to be ready", every=0.002)

    running.connect()  # raises where nobody listens yet


def test_a_taken_port_is_named_with_its_variable(launch: Launch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        running = launch(PORT=str(port))

        assert running.end() == 2
        assert f"PORT={port} cannot be used" in running.messages("FATAL")[0]
        assert running.noise == []


def test_a_port_is_not_shared_with_another_service(launch: Launch) -> None:
    first = launch().ready()

    second = launch(PORT=str(first.port))

    assert second.end() == 2
    assert "cannot be used" in second.messages("FATAL")[0]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "many"),
        ("PORT", "65536"),
        ("SERVER_THREADS", "0"),
        ("WEB_CONCURRENCY", "x"),
        ("HOST", "no.such.host.invalid"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
    ],
)
def test_a_setting_that_cannot_be_used_ends_the_start_with_one_line(
    launch: Launch, variable: str, value: str
) -> None:
    running = launch(**{variable: value})

    assert running.end() == 2
    assert [line["severity"] for line in running.lines] == ["FATAL"]
    assert f"{variable}={value!r} cannot be used" in running.messages("FATAL")[0]
    assert running.noise == []


@pytest.mark.parametrize("workers", ["1", "3"])
def test_an_application_that_refuses_a_setting_ends_the_start_with_one_line(
    launch: Launch, workers: str
) -> None:
    running = launch(BREAK="setting", WEB_CONCURRENCY=workers)

    assert running.end() == 2
    assert running.messages("FATAL") == ["CAR_COLOUR='loud' cannot be used: give a colour"]
    assert running.noise == []


def test_a_signal_that_stops_the_main_process_as_it_begins_to_wait_ends_it() -> None:
    main = MainProcess("module:factory", ServerSettings(), ServerSettings())  # type: ignore[arg-type]
    interrupted, returned = threading.Event(), threading.Event()
    main._server = SimpleNamespace(signal_handler_interrupt=interrupted.set)

    def stopped_within_wait() -> None:
        with interrupted._cond:  # type: ignore[attr-defined] # as `Event.wait()` holds it
            main._stop(signal.SIGTERM, None)
            main._failed[0] = 1
            main._stop(signal.SIGTERM, None)  # of a second worker
        returned.set()

    level = logging.getLogger("_granian").level
    try:
        threading.Thread(target=stopped_within_wait, daemon=True).start()
        assert returned.wait(10), "the handler waits for what its own thread holds"
        assert interrupted.wait(10)
    finally:
        logging.getLogger("_granian").setLevel(level)


def test_an_application_that_cannot_be_built_says_why_once(launch: Launch) -> None:
    running = launch(BREAK="error")

    assert running.end() == 2
    (line,) = running.lines
    assert line["exception.message"] == "the engine fell out"


# -- between the two -------------------------------------------------------------------------------


def test_every_line_on_stdout_is_a_line_of_ours(launch: Launch) -> None:
    running = launch().ready()
    # A worker may answer before the process above it has said where.
    address = f"http://127.0.0.1:{running.port}"
    until(lambda: any(address in message for message in running.messages("INFO")), "a line with the address")
    running.signal()
    running.end()

    assert running.noise == []
    assert {line["service"] for line in running.lines} == {"program"}


def test_the_number_of_threads_is_on_the_metrics_page(launch: Launch) -> None:
    running = launch(SERVER_THREADS="5").ready()

    assert "dashcam_server_threads 5.0" in running.get("/metrics", admin=True)


def test_a_worker_that_dies_is_replaced(launch: Launch) -> None:
    running = launch().ready()
    before = running.get("/pid")

    with pytest.raises(ConnectionError):
        running.get("/die")

    after = until(lambda: running.get("/pid"), "a new worker to answer")
    assert after != before
    running.signal()
    assert running.end() == 0


def test_several_workers_share_the_port(launch: Launch) -> None:
    running = launch(WEB_CONCURRENCY="3", OTEL_EXPORTER_PROMETHEUS_PORT="none").ready()

    seen = set()
    until(lambda: seen.add(running.get("/pid")) or len(seen) == 3, "answers of three workers")  # type: ignore[func-returns-value]

    running.signal()
    assert running.end() == 0


def test_clients_that_leave_are_no_errors_and_give_their_threads_back(launch: Launch) -> None:
    running = launch(SERVER_THREADS="2").ready()
    for _ in range(6):
        with running.connect() as client:
            client.sendall(b"GET /endless HTTP/1.1\r\nHost: test\r\n\r\n")
            client.recv(65536)

    assert running.get("/pid")
    running.signal()
    assert running.end() == 0
    assert running.messages("ERROR") == []
    assert running.noise == []


def test_the_service_goes_on_when_nobody_reads_its_lines(launch: Launch) -> None:
    reading, writing = os.pipe()
    running = launch(stdout=writing)
    os.close(writing)
    os.close(reading)

    running.ready()
    assert running.get("/pid")
    running.signal()
    assert running.end() == 0
    assert running.noise == []


def test_variables_of_the_process_are_not_taken_for_headers(launch: Launch) -> None:
    running = launch(HTTP_PROXY="http://proxy.invalid:3128").ready()

    assert running.get("/header/Proxy") == "none"


def test_an_upload_that_breaks_off_is_not_taken_for_a_shorter_one(launch: Launch) -> None:
    running = launch().ready()
    with running.connect() as client:
        client.sendall(b"POST /length HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc")
        client.shutdown(socket.SHUT_WR)
        client.recv(4096)

    until(
        lambda: [line for line in running.lines if line.get("http.response.status_code") == 400],
        "the access line of the upload",
    )


def test_clients_that_stall_in_their_bodies_leave_threads_for_others(launch: Launch) -> None:
    running = launch(SERVER_THREADS="4").ready()
    stalling = [running.connect() for _ in range(8)]
    for client in stalling:
        client.sendall(b"POST /length HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc")

    # Two are waited for; the others are sent away.
    sent_away, _, _ = select.select(stalling, [], [], 10)
    until(lambda: len(select.select(stalling, [], [], 0)[0]) == 6, "six of the eight clients to be answered")
    assert all(client.recv(4096).startswith(b"HTTP/1.1 503") for client in sent_away)
    assert running.get("/pid", timeout=10)


def test_a_large_body_arrives_whole(launch: Launch) -> None:
    running = launch().ready()
    with running.connect() as client:
        client.sendall(
            b"POST /length HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 20000000\r\n\r\n"
        )
        client.sendall(b"x" * 20_000_000)
        answer = b"".join(iter(lambda: client.recv(4096), b""))

    assert answer.endswith(b"20000000")
