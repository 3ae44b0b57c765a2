"""The programs that are measured, each behind the same few words: start, send to, ask, stop."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.backend.load import SPANS_A_TRACE
from benchmarks.backend.processes import PARTS, get, until_ready
from benchmarks.backend.questions import Question, of_dashcam, of_jaeger, of_viewer
from dashcam.stack.ports import free_ports
from dashcam.stack.tools import JAEGER, OTEL_DESKTOP_VIEWER


class Program:
    """One or more processes over a folder, that take OTLP/HTTP on the port `otlp` and answer on `query`."""

    name = ""
    keeps_lines = False

    def __init__(self, folder: Path, spans: int) -> None:
        self.folder, self.spans = folder, spans
        self.otlp, self.query, self._health, self._other = free_ports(4)
        self._running: list[psutil.Process] = []

    def start(self) -> None:
        """Start it and wait until it is ready."""
        raise NotImplementedError

    def stored(self) -> tuple[int, int] | None:
        """Spans and lines that it has; None where what was acknowledged is stored."""
        return None

    def ask(self, asked: Question) -> bytes | None:
        """The answer; None for what it cannot be asked. Raises AssertionError for an error."""
        raise NotImplementedError

    def stop(self) -> None:
        """End what was started, and wait for it."""
        for process in self._running:
            process.terminate()
        for process in psutil.wait_procs(self._running, timeout=60)[1]:
            process.kill()
        self._running.clear()

    def processor_seconds(self) -> float:
        """Processor time of all its processes so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self._running)

    def memory(self) -> float:
        """MiB of resident memory."""
        return sum(process.memory_info().rss for process in self._running) / 2**20

    def disk(self) -> int:
        """Bytes that its files take on the disk; badger's are longer than what is in them."""
        data = self.folder / "data"
        return sum(path.stat().st_blocks * 512 for path in data.rglob("*") if path.is_file())

    def _run(self, command: list[str], **variables: str) -> None:
        log = (self.folder / f"{self.name.replace(' ', '-')}.log").open("ab")
        with log:
            process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=log, stderr=log)  # noqa: S603
        self._running.append(psutil.Process(process.pid))


class Dashcam(Program):
    """The receiver and the query process of `make up`."""

    name = "Dashcam"
    keeps_lines = True

    def start(self) -> None:
        variables = {
            "DASHCAM_STATE_DIR": str(self.folder / "data"),
            "OTLP_GRPC_PORT": str(self._other),
            "OTLP_HTTP_PORT": str(self.otlp),
            "CONSOLE_PORT": str(self.query),
            "DASHCAM_STORE_MAX_MIB": "8192",
        }
        for part, port in (("receiver", self.otlp), ("query", self.query)):
            self._run([sys.executable, "-m", PARTS[part]], **variables)
            until_ready(port)

    def ask(self, asked: Question) -> bytes | None:
        return _answer(self.query, of_dashcam(asked))


class Jaeger(Program):
    """Jaeger with a storage of its own; 200 means stored, because nothing is batched before it."""

    def start(self) -> None:
        config = self.folder / "jaeger.yaml"
        config.write_text(yaml.safe_dump(self._configuration()))
        self._run([JAEGER.path(), f"--config={config}"])
        until_ready(self._health, "/status")

    def ask(self, asked: Question) -> bytes | None:
        return _answer(self.query, of_jaeger(asked))

    def _backend(self) -> dict[str, Any]:
        raise NotImplementedError

    def _configuration(self) -> dict[str, Any]:
        def at(port: int) -> dict[str, str]:
            return {"endpoint": f"127.0.0.1:{port}"}

        return {
            "service": {
                "extensions": ["jaeger_storage", "jaeger_query", "healthcheckv2"],
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
                "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
            },
            "extensions": {
                "healthcheckv2": {"use_v2": True, "http": at(self._health)},
                "jaeger_query": {"storage": {"traces": "main"}, "http": at(self.query), "grpc": at(0)},
                "jaeger_storage": {"backends": {"main": self._backend()}},
            },
            "receivers": {"otlp": {"protocols": {"http": at(self.otlp)}}},
            "exporters": {"jaeger_storage_exporter": {"trace_storage": "main"}},
        }


class JaegerMemory(Jaeger):
    """All traces in memory: room for those that are sent."""

    name = "Jaeger, memory"

    def _backend(self) -> dict[str, Any]:
        return {"memory": {"max_traces": 2 * self.spans // SPANS_A_TRACE + 1000}}


class JaegerBadger(Jaeger):
    """Badger's files in a folder."""

    name = "Jaeger, badger"

    def _backend(self) -> dict[str, Any]:
        data = self.folder / "data"
        folders = {name: str(data / name) for name in ("keys", "values")}
        return {"badger": {"directories": folders, "ephemeral": False, "ttl": {"spans": "48h"}}}


class Viewer(Program):
    """otel-desktop-viewer with a file, and nothing pruned."""

    name = "otel-desktop-viewer"
    keeps_lines = True

    def start(self) -> None:
        (self.folder / "data").mkdir(exist_ok=True)
        command = [OTEL_DESKTOP_VIEWER.path(), "--open-browser=false", "--host", "127.0.0.1"]
        command += ["--http", str(self.otlp), "--grpc", str(self._other), "--browser-port", str(self.query)]
        command += ["--db", str(self.folder / "data" / "telemetry.duckdb"), "--db-max-size", "0"]
        self._run(command)
        until_ready(self.query, "/")

    def stored(self) -> tuple[int, int] | None:
        found = json.loads(self._call("getStats", []))["result"]
        return found["traces"]["spanCount"], found["logs"]["logCount"]

    def ask(self, asked: Question) -> bytes | None:
        call = of_viewer(asked)
        return None if call is None else self._call(*call)

    def _call(self, method: str, parameters: list[Any]) -> bytes:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
        connection = http.client.HTTPConnection("127.0.0.1", self.query, timeout=300)
        with contextlib.closing(connection):
            connection.request("POST", "/rpc", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        if answer.status != 200 or b'"error":{' in text[:200] or b'"result"' not in text:
            raise AssertionError(f"{method} answered {answer.status}: {text[:300]!r}")
        return text


PROGRAMS = {one.name: one for one in (Dashcam, JaegerMemory, JaegerBadger, Viewer)}


def _answer(port: int, path: str | None) -> bytes | None:
    if path is None:
        return None
    status, body = get(port, path)
    if status not in (200, 404):  # a trace that is not there; so says Jaeger of a sample's
        raise AssertionError(f"{path} answered {status}: {body[:200]!r}")
    return body
