"""`python -m benchmarks.overhead.inprocess [VARIANT ...]`: the cost of a call of the WSGI application alone.

No server, no socket, one thread: each variant in a process of its own, which is told in turn to answer a
few hundred requests and tells how much CPU that took it. Good for comparing two states of the code within
minutes; what a request costs in a server is `make bench`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from typing import Any

from benchmarks.overhead.variants import named
from benchmarks.servers.application import PATH

REQUESTS = 200
ROUNDS = 40

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "PATH_INFO": PATH,
    "QUERY_STRING": "x=5&y=3",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "SCRIPT_NAME": "",
    "REMOTE_ADDR": "127.0.0.1",
    "HTTP_HOST": "127.0.0.1:8000",
    "HTTP_USER_AGENT": "wrk",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
    "wsgi.errors": sys.stderr,
}
"""What granian gives for the request of the benchmark."""


def call(app: Any, environ: dict[str, Any]) -> None:
    """One request as a server makes it."""
    body = app(environ, lambda status, headers, exc_info=None: None)
    for _ in body:
        pass
    if hasattr(body, "close"):
        body.close()


def answer(name: str) -> None:
    """The child: for every line on stdin, answer REQUESTS requests and print the microseconds of each."""
    import io

    from benchmarks.servers.application import create_app

    report = os.fdopen(os.dup(1), "w")
    lines = os.open(os.environ["BENCH_LINES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(lines, 1)
    app = named(name).build(create_app()).wsgi_app
    for _ in sys.stdin:
        began = time.process_time()
        for _ in range(REQUESTS):
            call(app, {**ENVIRON, "wsgi.input": io.BytesIO()})
        print(1e6 * (time.process_time() - began) / REQUESTS, file=report, flush=True)


def measure(names: list[str], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Microseconds of CPU a request of each variant, one value for each round; exporting threads included."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        sink = stack.enter_context(
            subprocess.Popen([sys.executable, "-m", "benchmarks.overhead.sink"], stdout=subprocess.PIPE)
        )
        stack.callback(sink.kill)
        assert sink.stdout is not None
        port = int(sink.stdout.readline())
        children = {}
        for name in names:
            environ = {
                **os.environ,
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
                "OTEL_EXPORTER_PROMETHEUS_PORT": "0",
                "LOG_FORMAT": "json",
                "BENCH_LINES": os.path.join(folder, "lines"),
                **named(name).environ,
            }
            command = [sys.executable, "-m", "benchmarks.overhead.inprocess", "--answer", name]
            children[name] = stack.enter_context(
                subprocess.Popen(  # noqa: S603 # this module itself
                    command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            stack.callback(children[name].kill)
        seen: dict[str, list[float]] = {name: [] for name in names}
        for round_ in range(rounds + 1):
            for name, child in children.items():
                assert child.stdin is not None
                assert child.stdout is not None
                child.stdin.write("go\n")
                child.stdin.flush()
                micros = float(child.stdout.readline())
                if round_:
                    seen[name].append(micros)
    return seen


def main() -> None:
    names = sys.argv[1:] or ["bare", "Dashcam", "Dashcam, 1 %", "Dashcam, 0 %"]
    seen = measure(names)
    # The quiet rounds: what else the machine does only ever adds.
    quiet = {name: statistics.quantiles(values, n=10)[0] for name, values in seen.items()}
    for name, micros in quiet.items():
        more = micros - quiet[names[0]]
        print(f"{name:32} {micros:7.1f} us  +{more:5.1f}  x {micros / quiet[names[0]]:.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--answer"]:
        answer(sys.argv[2])
    else:
        main()
