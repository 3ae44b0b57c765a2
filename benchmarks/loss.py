"""`python -m benchmarks.loss`: saturation into a slow receiver, and what arrived of it.

The service (one worker, all signals, 100 % sampling) answers as many requests as it can, while the OTLP
receiver takes half a second for each export and the reader of stdout takes less than is written. Once with
bounds that hold what is made meanwhile, once with small ones; then it gets SIGTERM. Every request makes one
span and one line: what was made is the count of requests in the service's own metrics.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks import pages
from benchmarks.servers.application import ROUTE, Settings
from benchmarks.servers.application import create_app as bare_app
from benchmarks.servers.load import missing, saturate
from benchmarks.servers.process import Server, samples
from dashcam.stack.ports import free_port

ACCESS = b'"logger":"observability.access"'


def create_app(settings: Settings) -> Any:
    """The application, instrumented."""
    from observability import instrument

    app = bare_app()
    instrument(app, service="bench", version="1")
    return app


class Sink:
    """An OTLP/HTTP receiver that takes `delay` seconds for each export, and counts spans."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.spans = 0
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(handler) -> None:  # `self` is the sink
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                time.sleep(self.delay)
                message = ExportTraceServiceRequest.FromString(body)
                with lock:
                    self.spans += sum(
                        len(scope.spans) for group in message.resource_spans for scope in group.scope_spans
                    )
                handler.send_response(200)
                handler.send_header("Content-Length", "0")
                handler.end_headers()

            def log_message(handler, *arguments: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._server.server_close()


class Reader:
    """Reads a pipe to its end, at most `rate` bytes a second; counts access lines and keeps the others."""

    def __init__(self, pipe: int, rate: float) -> None:
        self.rate = rate
        self.lines = 0
        self.others: list[dict[str, Any]] = []
        self._pipe = pipe
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        rest = b""
        while data := os.read(self._pipe, 16_384):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if ACCESS in line:
                    self.lines += 1
                elif line:
                    self.others.append(json.loads(line))
            if self.rate:
                time.sleep(len(data) / self.rate)


class Service(Server):
    """The service; its stdout is a pipe."""

    def __init__(self, sink: Sink, **environ: str) -> None:
        super().__init__("loss", 8)
        self.admin = free_port()
        self.pipe, self._stdout = os.pipe()
        self._command = [sys.executable, "-m", "benchmarks.loss", "--serve"]
        self._environ = {
            **os.environ,
            "PORT": str(self.port),
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(self.admin),
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
            "OTEL_TRACES_SAMPLER": "parentbased_always_on",
            "LOG_FORMAT": "json",
            **environ,
        }

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._process.stderr.close()

    def metrics(self) -> dict[str, float]:
        """What `samples` finds now."""
        return samples(self.admin)


@dataclass
class Outcome:
    """What one run made, and what became of it."""

    requests: int
    per_second: float
    made: int
    received: int
    lines: int
    memory: float
    spans_lost: dict[str, int] = field(default_factory=dict)
    lines_lost: dict[str, int] = field(default_factory=dict)


def run(seconds: int, *, delay: float, rate: float, settle: bool, environ: dict[str, str]) -> Outcome:
    """Load for `seconds`, then the end. `settle` waits until what waits is out before SIGTERM."""
    sink = Sink()
    sink.delay = delay
    with Service(sink, **environ) as service:
        os.close(service._stdout)  # type: ignore[arg-type]
        reader = Reader(service.pipe, rate)
        before = service.memory()
        load = saturate(service.url(ROUTE), seconds=seconds, connections=8)
        memory = service.memory() - before
        made = _made(service)
        reader.rate = 0  # what waits is read to its end, so that it can be counted
        if settle:
            sink.delay = 0.0
            _wait(lambda: service.metrics().get("otel_sdk_processor_span_queue_size") == 0, 120)
        _wait(lambda: _logged(service) >= made, 120)
        lost = service.metrics()
        service.terminate()
        service.wait(30)
        reader.thread.join(30)
    os.close(service.pipe)
    sink.close()
    last = [line["message"] for line in reader.others if "spans of this process were lost" in line["message"]]
    spans_lost = {reason: int(number) for number, reason in re.findall(r"(\d+) (\w+)(?:,|$)", "".join(last))}
    prefix = "log_records_lost_total "
    lines_lost = {key[len(prefix) :]: int(value) for key, value in lost.items() if key.startswith(prefix)}
    return Outcome(
        load.requests,
        load.requests / load.seconds,
        made,
        sink.spans,
        reader.lines,
        memory,
        spans_lost,
        lines_lost,
    )


def _made(service: Service) -> int:
    """Requests that the service has answered, once none is on its way any more."""
    seen = -1
    while seen != (now := int(service.metrics()["http_server_request_duration_seconds_count"])):
        seen = now
        time.sleep(0.5)
    return seen


def _logged(service: Service) -> float:
    found = service.metrics()
    return sum(
        value for key, value in found.items() if key.startswith(("log_records_total", "log_records_lost"))
    )


def _wait(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"what waits was not out after {seconds:g} s")
        time.sleep(0.2)


def table(outcomes: dict[str, Outcome]) -> str:
    """The outcomes side by side, in Markdown."""
    rows: list[tuple[str, Any]] = [
        ("requests a second", lambda o: f"{o.per_second:,.0f}"),
        ("spans made, lines made", lambda o: f"{o.made:,}"),
        ("spans received", lambda o: f"{o.received:,}"),
        ("spans counted as lost", lambda o: _reasons(o.spans_lost)),
        (
            "made, less received, less counted",
            lambda o: f"{o.made - o.received - sum(o.spans_lost.values()):,}",
        ),
        ("lines read", lambda o: f"{o.lines:,}"),
        ("lines counted as lost", lambda o: _reasons(o.lines_lost)),
        ("made, less read, less lost", lambda o: f"{o.made - o.lines - sum(o.lines_lost.values()):,}"),
        ("memory grown during the load", lambda o: f"{o.memory:,.0f} MiB"),
    ]
    head = f"| | {' | '.join(outcomes)} |\n|---|{'---|' * len(outcomes)}\n"
    body = "".join(f"| {name} | {' | '.join(show(o) for o in outcomes.values())} |\n" for name, show in rows)
    return head + body


def _reasons(lost: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {reason}" for reason, number in sorted(lost.items())) or "none"


def _shown(environ: dict[str, str]) -> str:
    return ", ".join(f"`{name}={value}`" for name, value in environ.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--delay", type=float, default=0.5, help="seconds of the receiver for an export")
    parser.add_argument("--rate", type=float, default=100_000, help="bytes of lines read in a second")
    parser.add_argument("--write", action="store_true", help="into docs/loss.md")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        from observability.server.serve import serve

        serve("benchmarks.loss:create_app", Settings, service="bench")
        return
    if complaint := missing():
        sys.exit(complaint)
    large = {"OTEL_BSP_MAX_QUEUE_SIZE": "1000000", "DASHCAM_LOG_BUFFER": str(1 << 30)}
    small = {"DASHCAM_LOG_BUFFER": "100000", "DASHCAM_SHUTDOWN_TIMEOUT": "1"}
    slow = {"delay": options.delay, "rate": options.rate}
    text = table(
        {
            f"all fast, {options.seconds // 4} s": run(
                options.seconds // 4, delay=0.0, rate=0.0, settle=True, environ=large
            ),
            "slow, large bounds": run(options.seconds, **slow, settle=True, environ=large),
            "slow, small bounds": run(options.seconds, **slow, settle=False, environ=small),
        }
    )
    text += (
        f"\n{options.seconds} s at saturation, 8 connections; an export takes {options.delay:g} s, and "
        f"{options.rate / 1000:g} kB of lines are read in a second. Large bounds: {_shown(large)}. Small: "
        f"{_shown(small)}, and the usual queue of 2,048 spans. Less than nothing is left over where an "
        "export was on its way when the process had to end: counted as lost, received all the same. "
        f"{pages.machine()}.\n"
    )
    print(text)
    if options.write:
        pages.replace("loss.md", "loss", text)


if __name__ == "__main__":
    main()
