"""Prometheus and Alertmanager of `make up`, as they are started: no foreign page reads or writes there."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import urllib3
from monitoring import program
from polling import until

from dashcam.stack.ports import free_ports
from dashcam.stack.programs import programs, write_configurations
from dashcam.stack.settings import read

ASKED = {"prometheus": "/api/v1/query?query=up", "alertmanager": "/api/v2/silences"}


@dataclasses.dataclass
class Running:
    name: str
    address: str
    process: subprocess.Popen[bytes]

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> urllib3.BaseHTTPResponse:
        return urllib3.request(
            method, self.address + path, headers=headers, body=body, retries=False, redirect=False
        )


@pytest.fixture(scope="module", params=list(ASKED))
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    first, second = free_ports(2)
    settings = read({}, state_dir=folder, prometheus_port=first, alertmanager_port=second, traffic=False)
    write_configurations(settings)
    part = next(each for each in programs(settings) if each.name == name)
    assert part.ready
    environ = {**os.environ, **part.environ}
    with program(*part.command, log=folder / "log", ready=part.ready, env=environ) as process:
        yield Running(name, part.address, process)
    assert process.returncode == 0, (folder / "log").read_text()[-2000:]


def test_a_local_name_is_answered_as_by_the_program_itself(running: Running) -> None:
    answer = running.ask(ASKED[running.name])

    assert answer.status == 200
    assert answer.json() is not None


def test_no_other_origin_may_read(running: Running) -> None:
    answer = running.ask(ASKED[running.name], Origin="http://evil.example")
    asking = running.ask(
        ASKED[running.name],
        "OPTIONS",
        Origin="http://evil.example",
        **{"Access-Control-Request-Method": "POST"},
    )

    named = [
        name for name in (*answer.headers, *asking.headers) if name.lower().startswith("access-control-")
    ]
    assert named == []


def test_a_foreign_host_is_refused(running: Running) -> None:
    for host in ("evil.example", "evil.example:9090", "localhost.evil.example"):
        assert running.ask(ASKED[running.name], Host=host).status == 421


def test_the_port_behind_the_guard_answers_nothing_to_who_does_not_know_its_path(running: Running) -> None:
    behind = psutil.Process(running.process.pid).children()[0]
    ports = [each.laddr.port for each in behind.net_connections("tcp") if each.status == psutil.CONN_LISTEN]

    assert ports
    for port in ports:
        for path in (ASKED[running.name], "/", "/metrics", "/-/ready", "/%2e%2e/"):
            answer = urllib3.request("GET", f"http://127.0.0.1:{port}{path}", retries=False, redirect=False)
            assert answer.status in (301, 302, 404), path
            assert "evil" not in answer.headers.get("Location", "")


def test_a_silence_is_made_and_the_pages_load(running: Running) -> None:
    if running.name == "prometheus":
        page = running.ask(running.ask("/").headers["Location"])
    else:
        body = {
            "matchers": [{"name": "alertname", "value": "x/y", "isRegex": False}],
            "startsAt": "2026-11-29T00:00:00Z",
            "endsAt": "2100-01-01T00:00:00Z",
            "createdBy": "test",
            "comment": "test",
        }
        made = running.ask(
            "/api/v2/silences", "POST", json.dumps(body).encode(), **{"Content-Type": "application/json"}
        )
        assert made.status == 200, made.data
        page = running.ask("/")

    assert page.status == 200
    assert b"<html" in page.data


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_a_guard_that_is_killed_takes_its_program_along(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    (port,) = free_ports(1)
    guard = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "dashcam.stack.guarded_program",
            "--listen",
            f"127.0.0.1:{port}",
            "--",
            str(program),
        ]
    )
    try:
        (child,) = until(lambda: psutil.Process(guard.pid).children(), "the program")
        until(lambda: child.name() == "sleep", "the program to run")
        guard.kill()
        until(lambda: not alive(child), "the program to end")
    finally:
        guard.kill()
        guard.wait()
