"""`/metrics` of a program of one's own is found where it has one, and no request is made of others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dashcam.stack import scrape_targets
from dashcam.stack.metrics_signs import compiled_may_serve
from dashcam.stack.own_metrics import MetricsFinder, listening

SERVER = """
import http.server
class Page(http.server.SimpleHTTPRequestHandler):
    def send_head(self):
        %s
server = http.server.HTTPServer(("127.0.0.1", 0), Page)
print(server.server_port, flush=True)
server.serve_forever()
"""
NO_PAGE = "self.send_error(404)"
A_PAGE = """import io
        self.send_response(200 if self.path == '/metrics' else 404)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        return io.BytesIO(b"# TYPE a counter\\na_total 1\\n")"""


class Serving:
    """A person's HTTP server, which logs each request, in a folder of its own."""

    _log = ""

    def __init__(self, folder: Path, does: str) -> None:
        (folder / "app.py").write_text(SERVER % does)
        self._process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())
        self.ports = listening(self._process.pid)

    def end(self) -> str:
        """What it wrote into its log."""
        if self._process.returncode is None:
            self._process.terminate()
            _, self._log = self._process.communicate(timeout=60)
        return self._log


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Serving]]:
    """`serving(does)`: a server that answers with that code; its environment has no library for metrics."""
    monkeypatch.setattr("dashcam.stack.metrics_signs._PACKAGES", "none")
    started: list[Serving] = []

    def begin(does: str) -> Serving:
        started.append(Serving(tmp_path, does))
        return started[-1]

    yield begin
    for one in started:
        one.end()


def test_metrics_are_found_on_the_ports_it_listens_on_and_scraped_until_it_ends(
    tmp_path: Path, serving: Callable[[str], Serving]
) -> None:
    said: list[str] = []
    finder = MetricsFinder(tmp_path, "orders", "orders-1", None, said.append)
    server = serving(A_PAGE)
    assert server.port in server.ports
    finder.look(server.ports)
    file = tmp_path / "prometheus" / "found" / "run-orders-1.json"
    target = {"targets": [f"127.0.0.1:{server.port}"], "labels": {"job": "orders"}}
    assert json.loads(file.read_text()) == [target]
    assert said == [f"/metrics of port {server.port} is scraped"]
    finder.end()
    assert not file.exists()


@pytest.mark.parametrize(
    ("shows", "asked"),
    [
        ({}, False),
        ({"package-lock.json": '{"node_modules/prom-client": {}}'}, False),
        ({"mine/pyvenv.cfg": "", "mine/lib/site-packages/a.py": "import prometheus_client"}, False),
        ({"telemetry.js": "fetch('http://127.0.0.1:4318/v1/metrics')"}, False),
        ({"package.json": '{"dependencies": {"prom-client": "15"}}'}, True),
        ({"routes.py": "@app.get('/metrics')"}, True),
    ],
)
def test_a_program_that_shows_no_page_of_metrics_has_no_request_for_it_in_its_log(
    tmp_path: Path, serving: Callable[[str], Serving], shows: dict[str, str], asked: bool
) -> None:
    for name, text in shows.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    server = serving(NO_PAGE)
    MetricsFinder(tmp_path, "orders", "orders-1", None, print).look(server.ports)
    assert not (tmp_path / "prometheus").exists()
    assert ("GET /metrics" in server.end()) is asked


@pytest.mark.parametrize("told", ["its own", "another"])
def test_a_told_port_is_asked_whatever_the_program_shows_and_no_other_is(
    tmp_path: Path, serving: Callable[[str], Serving], told: str
) -> None:
    server = serving(NO_PAGE)
    finder = MetricsFinder(
        tmp_path, "orders", "orders-1", server.port if told == "its own" else server.port + 1, print
    )
    finder.look(server.ports)
    assert ("GET /metrics" in server.end()) is (told == "its own")


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (b"\x7fELF of C", True),
        (b"\xff Go buildinf:\x08\x02 runtime/metrics /v1/metrics", False),
        (b"\xff Go buildinf:\x08\x02 # HELP # TYPE ", True),
    ],
)
def test_a_compiled_program_is_asked_where_it_can_write_such_a_page_or_one_cannot_tell(
    tmp_path: Path, text: bytes, asked: bool
) -> None:
    (tmp_path / "program").write_bytes(text)
    assert compiled_may_serve(tmp_path / "program") is asked


def test_a_persons_targets_stay_where_found_ones_are_forgotten(tmp_path: Path) -> None:
    mine = tmp_path / "prometheus" / "targets" / "mine.json"
    mine.parent.mkdir(parents=True)
    mine.write_text("[]")
    found = scrape_targets.write(tmp_path, "run-x", [("x", ["127.0.0.1:1"])])
    scrape_targets.prepare(tmp_path)
    assert mine.exists()
    assert not found.exists()
