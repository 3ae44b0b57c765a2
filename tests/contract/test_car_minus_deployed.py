"""Each service started as it is deployed.

With its own locked packages, the library, its own folder, and nothing else. Then what only a
real server shows: kept connections, HEAD, large, chunked and broken bodies, a signal.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from exampleservices import LAST
from polling import until

from dashcam.stack.ports import free_port

ROOT = Path(__file__).parents[2]
CACHES = shutil.ignore_patterns("__pycache__")
MAX_BODY = 1024 * 1024


@dataclass
class Deployed:
    """A running service and where it answers."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def answers(self) -> bool:
        assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.log.read_text()}"
        connection = self.connect()
        try:
            connection.request("GET", "/openapi.json")
            return connection.getresponse().status == 200
        finally:
            connection.close()


def deploy(service: str, folder: Path) -> tuple[Path, Path]:
    """Put the service into `folder` as an image would hold it; its Python and its folder."""
    uv, packages, home = Path(sys.executable).with_name("uv"), folder / "packages", folder / "app"
    environ = {**os.environ, "VIRTUAL_ENV": str(packages), "UV_LINK_MODE": "copy"}
    locked = ROOT / "services" / service / "requirements.txt"
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, packages],
        [uv, "pip", "install", "--quiet", "--require-hashes", "-r", locked],
    ):
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    dockerfile = (ROOT / "services/Dockerfile").read_text().replace("${SERVICE}", service)
    for part in dict.fromkeys(re.findall(r"^COPY (\S+) \1$", dockerfile, re.MULTILINE)):
        shutil.copytree(ROOT / part, home / part, ignore=CACHES)
    return packages / "bin" / "python", home


@pytest.fixture(scope="module", params=["car", LAST.name])
def deployed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp(request.param)
    python, home = deploy(request.param, folder)
    port = free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "PORT": str(port),
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_EXPORTER_PROMETHEUS_PORT": "0",
        "MINUS_URL": "http://127.0.0.1:1",  # nothing listens there
    }
    log = folder / "log"
    with log.open("wb") as output:
        command = [python, "-W", "error::DeprecationWarning:services", "-m", f"services.{request.param}"]
        process = subprocess.Popen(command, cwd=home, env=environ, stdout=output, stderr=output)
    service = Deployed(process, port, log)
    try:
        until(service.answers, f"{request.param} to answer on port {port}", within=60)
        yield service
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, log.read_text()


def is_car(deployed: Deployed) -> bool:
    return b"services.car" in b" ".join(map(os.fsencode, deployed.process.args))  # type: ignore[arg-type,union-attr]


def test_a_service_answers_on_one_kept_connection(deployed: Deployed) -> None:
    address = "/cars/bentz/e-class" if is_car(deployed) else LAST.example
    connection = deployed.connect()
    connection.connect()
    kept = connection.sock
    for method, path, status in (
        ("GET", address, 200),
        ("HEAD", address, 200),
        ("GET", "/nothing", 404),
        ("OPTIONS", address, 204),
        ("PATCH", address, 405),
        ("GET", address, 200),
    ):
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == status
        assert answer.headers["traceresponse"].startswith("00-")
        assert bool(body) == (method not in ("HEAD", "OPTIONS"))
        if status >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json"
    assert connection.sock is kept
    connection.close()


def test_a_service_logs_json_lines_with_its_name(deployed: Deployed) -> None:
    lines = [json.loads(line) for line in deployed.log.read_text().splitlines()]
    assert lines
    assert {line["service"] for line in lines} == {"car" if is_car(deployed) else LAST.name}


def put(deployed: Deployed, size: int, *, chunked: bool = False) -> tuple[int, dict[str, Any]]:
    """Put a description into a body of `size` bytes; status and answer."""
    body = json.dumps({"description": "x"}).encode().ljust(size)
    connection = deployed.connect()
    headers = {"Content-Type": "application/json"}
    parts = iter([body[:100], body[100:]]) if chunked else body
    connection.request("PUT", "/cars/bentz/e-class/description", parts, headers, encode_chunked=chunked)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


@pytest.mark.parametrize("deployed", ["car"], indirect=True)
def test_a_large_body_is_taken_up_to_the_limit_and_refused_above(deployed: Deployed) -> None:
    assert put(deployed, MAX_BODY)[0] == 200
    status, problem = put(deployed, MAX_BODY + 1)
    assert (status, problem["status"]) == (413, 413)


@pytest.mark.parametrize("deployed", ["car"], indirect=True)
def test_a_body_without_its_length_is_refused_for_nobody_could_tell_it_from_one_that_broke_off(
    deployed: Deployed,
) -> None:
    status, problem = put(deployed, 200, chunked=True)
    assert (status, problem["status"]) == (411, 411)
    assert "send the body with a content-length" in problem["detail"].lower()


CAR = b'{"maker": "tatra", "model": "t87"}'
HEAD = b"POST /cars HTTP/1.1\r\nHost: car\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("deployed", ["car"], indirect=True)
@pytest.mark.parametrize(
    "request_sent",
    [
        HEAD + b"Content-Length: 100\r\n\r\n" + CAR,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(CAR), CAR),
        HEAD + b"Host: else\r\nContent-Length: %d\r\n\r\n%s" % (len(CAR), CAR),
        HEAD.replace(b"Host: car\r\n", b"") + b"Content-Length: %d\r\n\r\n%s" % (len(CAR), CAR),
    ],
    ids=["shorter than its length", "without its last chunk", "for two hosts", "for no host"],
)
def test_a_car_that_is_not_sent_as_http_says_is_not_stored(deployed: Deployed, request_sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", deployed.port), timeout=10) as client:
        client.sendall(request_sent)
        if b"100" in request_sent or b"chunked" in request_sent:
            client.shutdown(socket.SHUT_WR)
        assert client.recv(4096).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 411 "))
    connection = deployed.connect()
    connection.request("GET", "/cars/tatra/t87")
    assert connection.getresponse().status == 404
    connection.close()


@pytest.mark.parametrize("deployed", ["car"], indirect=True)
def test_a_quote_without_minus_is_a_503_and_the_catalogue_goes_on(deployed: Deployed) -> None:
    connection = deployed.connect()
    for path, status in (("/cars/bentz/e-class/quote?discount=500", 503), ("/cars", 200)):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()
