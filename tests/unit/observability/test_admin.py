"""The admin port: metrics, liveness, readiness; and that looking at them leaves no trace."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from typing import Any

import pytest
from flask import Flask
from opentelemetry import trace
from polling import until
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from observability import Telemetry
from observability.health import Readiness
from observability.metrics.meters import Families
from observability.settings import SettingError
from observability.testing import capture

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0, text/plain;q=0.5"}


def get(telemetry: Telemetry, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    assert telemetry.admin_address is not None
    host, port = telemetry.admin_address
    # Not urllib, whose calls are instrumented where the extra `clients` is: these are the test's own.
    connection = http.client.HTTPConnection(host, port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()


def ready(telemetry: Telemetry) -> tuple[int, dict[str, Any]]:
    status, _, body = get(telemetry, "/readyz")
    return status, json.loads(body)


def test_metrics_are_openmetrics_or_text_as_the_client_accepts(app: Flask, instrumented: Any) -> None:
    telemetry = instrumented(app, admin_port=0)
    _, headers, body = get(telemetry, "/metrics", **OPENMETRICS)
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")
    assert {"target", "dashcam_build"} <= {family.name for family in openmetrics(body.decode())}
    _, headers, body = get(telemetry, "/metrics")
    assert headers["Content-Type"].startswith("text/plain")
    assert "process_cpu_seconds" in {family.name for family in prometheus(body.decode())}


def test_exemplars_are_in_the_openmetrics_form(app: Flask, instrumented: Any) -> None:
    telemetry = instrumented(app, admin_port=0)
    app.test_client().get("/").get_data()
    _, _, body = get(telemetry, "/metrics", **OPENMETRICS)
    found = [s.exemplar for family in openmetrics(body.decode()) for s in family.samples if s.exemplar]
    assert len(found) == 1
    assert set(found[0].labels) == {"trace_id", "span_id"}


def test_no_series_about_when_a_series_was_created(app: Flask, instrumented: Any) -> None:
    telemetry = instrumented(app, admin_port=0)
    app.test_client().get("/").get_data()
    assert b"_created" not in get(telemetry, "/metrics", **OPENMETRICS)[2]


@pytest.mark.parametrize("hosts", ["", "Host: a\r\nHost: b\r\n"], ids=["no host", "two hosts"])
def test_a_request_that_names_not_one_host_is_a_400(app: Flask, instrumented: Any, hosts: str) -> None:
    address = instrumented(app, admin_port=0).admin_address
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(f"GET /metrics HTTP/1.1\r\n{hosts}\r\n".encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_a_large_scrape_is_compressed_for_who_accepts_it(app: Flask, instrumented: Any) -> None:
    telemetry = instrumented(app, admin_port=0)
    for number in range(20):
        app.test_client().open("/", method="GET", headers={"x": str(number)}).get_data()
    _, headers, body = get(telemetry, "/metrics", **{"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert b"http_server_request_duration_seconds" in gzip.decompress(body)


def test_alive_ready_and_unknown_paths(app: Flask, instrumented: Any) -> None:
    telemetry = instrumented(app, admin_port=0)
    assert get(telemetry, "/livez")[0] == 200
    assert ready(telemetry) == (200, {"status": "ready", "dependencies": {}})
    assert get(telemetry, "/")[0] == 404


def test_readiness_is_true_to_each_dependency(app: Flask, instrumented: Any) -> None:
    away: list[bool] = []

    def database() -> None:
        if away:
            raise ConnectionError("postgresql://ada:hunter22@db is away")

    checks = {"database": database, "disk": lambda: True}
    telemetry = instrumented(app, ready=checks, admin_port=0, ready_cache=0.0)
    assert ready(telemetry)[0] == 200
    away.append(True)
    status, report = ready(telemetry)
    assert (status, report["status"]) == (503, "not ready")
    assert report["dependencies"]["disk"]["ok"] is True
    assert "ConnectionError" in report["dependencies"]["database"]["error"]
    assert "hunter22" not in json.dumps(report)
    body = get(telemetry, "/metrics")[2]
    assert b'dashcam_dependency_up{dependency="database"} 0.0' in body
    away.clear()
    assert ready(telemetry)[0] == 200
    assert b'dashcam_dependency_up{dependency="database"} 1.0' in get(telemetry, "/metrics")[2]


def test_a_check_that_answers_false_is_not_ready(app: Flask, instrumented: Any) -> None:
    telemetry = instrumented(app, ready={"queue": lambda: False}, admin_port=0)
    assert ready(telemetry)[0] == 503


def test_a_check_that_hangs_costs_its_time_limit_once_and_is_not_started_again() -> None:
    release, calls = threading.Event(), []

    def hang() -> None:
        calls.append(1)
        release.wait(30)

    readiness = Readiness({"slow": hang, "slower": hang}, Families(), timeout=0.1, cache=0.0)
    began = time.monotonic()
    ok, report = readiness.report()
    assert time.monotonic() - began < 15
    assert not ok
    assert report["dependencies"]["slow"]["error"] == "no answer within 0.1 s"
    readiness.report()
    assert len(calls) == 2, "one call for each of the two checks"
    release.set()
    until(lambda: readiness.report()[0], "the checks to pass once they are released")


def test_many_probes_ask_a_dependency_once_in_a_while() -> None:
    calls: list[int] = []
    readiness = Readiness({"database": lambda: calls.append(1)}, Families(), cache=60.0)
    for _ in range(20):
        readiness.report()
    assert len(calls) == 1


def test_a_service_that_stops_is_not_ready_but_alive(app: Flask, instrumented: Any) -> None:
    telemetry = instrumented(app, admin_port=0)
    telemetry.drain()
    assert ready(telemetry) == (503, {"status": "stopping", "dependencies": {}})
    assert get(telemetry, "/livez")[0] == 200


def test_probes_and_scrapes_leave_no_spans_no_lines_and_no_samples(app: Flask, instrumented: Any) -> None:
    def check() -> None:
        with trace.get_tracer("check").start_as_current_span("asked"):
            urllib.request.urlopen("http://127.0.0.1:9/", timeout=1)

    telemetry = instrumented(app, ready={"other": check}, admin_port=0, ready_cache=0.0)
    with capture(telemetry) as got:
        for path in ("/metrics", "/livez", "/readyz", "/nothing"):
            get(telemetry, path)
    assert got.lines() == []
    assert got.sample("http_server_request_duration_seconds_count") == 0
    assert got.sample("http_client_request_duration_seconds_count") == 0


def test_a_taken_port_is_named_with_its_variable(app: Flask, instrumented: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=f"OTEL_EXPORTER_PROMETHEUS_PORT={port} cannot be used"):
            instrumented(app, admin_port=port)
    instrumented(app, admin_port=0)


def test_another_server_of_the_same_service_is_told_so_and_a_process_of_the_same_one_joins() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = (
        "from flask import Flask; from observability import instrument; "
        "instrument(Flask('x'), service='twice'); print('ready', flush=True); input()"
    )
    environ = {**os.environ, "OTEL_EXPORTER_PROMETHEUS_PORT": str(port), "OTEL_TRACES_EXPORTER": "none"}

    def start(group: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env=environ,
            process_group=group,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    with start(group=0) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "ready\n"
        with start(group=first.pid) as worker, start(group=0) as other:
            said, complaint = other.communicate("\n", 60)
            assert (other.returncode, said) == (1, "")
            assert f"OTEL_EXPORTER_PROMETHEUS_PORT={port} cannot be used" in complaint
            assert worker.communicate("\n", 60)[0] == "ready\n"
        first.communicate("\n", 60)


def test_a_host_that_is_not_ours_is_named_with_its_variable(app: Flask, instrumented: Any) -> None:
    with pytest.raises(SettingError, match="OTEL_EXPORTER_PROMETHEUS"):
        instrumented(app, admin_port=0, admin_host="192.0.2.1")


def test_the_port_is_free_again_after_a_shutdown(app: Flask, instrumented: Any) -> None:
    telemetry = instrumented(app, admin_port=0)
    address = telemetry.admin_address
    assert address is not None
    get(telemetry, "/livez")
    telemetry.shutdown()
    with socket.socket() as again:
        assert again.connect_ex(address) != 0


def test_no_admin_port_when_none_is_asked_for(app: Flask, instrumented: Any) -> None:
    assert instrumented(app).admin_address is None


def test_a_client_that_says_nothing_keeps_nobody_waiting(app: Flask, instrumented: Any) -> None:
    telemetry = instrumented(app, admin_port=0)
    assert telemetry.admin_address is not None
    with socket.create_connection(telemetry.admin_address):
        assert get(telemetry, "/livez")[0] == 200
