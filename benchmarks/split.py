"""The price of a split: `car` and `minus` as one process and as two, side by side (docs/from-a-monolith.md).

    python -m benchmarks.split [--rounds 7] [--requests 1500] [--threads 4]

Both forms run at the same time, each with its own database, as `make up` starts them: with traces sent (to a
receiver that takes and drops them), metrics and access lines. They are loaded in turn with quotes, which need
`minus`, and with pages of the catalogue, which do not; the figures are medians over the rounds. Processor
time and memory (proportional set size) are those of all processes of a form.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import urllib3

from benchmarks.forms import Form, end_process
from dashcam.stack.ports import free_port

QUOTE, PAGE = "/cars/bentz/e-class/quote?discount=500", "/cars/bentz/e-class"


@contextlib.contextmanager
def form(modules: dict[str, int], otlp: int, folder: Path) -> Iterator[Form]:
    """The services `modules`, with their ports, as processes; the first is the one that is asked."""
    urls = {
        f"{name.rpartition('.')[2].upper()}_URL": f"http://127.0.0.1:{port}" for name, port in modules.items()
    }
    with contextlib.ExitStack() as ended:
        processes = []
        for name, port in modules.items():
            environ = {
                **{key: value for key, value in os.environ.items() if not key.startswith("OTEL_")},
                **urls,
                "PORT": str(port),
                "OTEL_EXPORTER_PROMETHEUS_PORT": str(free_port()),
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{otlp}",
                "DASHCAM_STATE_DIR": str(folder),
            }
            log = ended.enter_context((folder / f"{name}.log").open("wb"))
            process = psutil.Popen([sys.executable, "-m", name], env=environ, stdout=log, stderr=log)
            ended.callback(end_process, process)
            processes.append(process)
        made = Form(f"http://127.0.0.1:{next(iter(modules.values()))}", processes)
        _ready(made.url + QUOTE)
        yield made


def _ready(url: str) -> None:
    end = time.monotonic() + 60
    while True:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            if urllib3.request("GET", url, retries=False, timeout=2).status == 200:
                return
        if time.monotonic() > end:
            raise RuntimeError(f"{url} was not answered within a minute")
        time.sleep(0.1)


def load(url: str, requests: int, threads: int) -> tuple[list[float], int]:
    """Seconds of `requests` requests, sorted, sent by threads one after the other; and how many failed."""
    times: list[float] = []
    failed: list[float] = []
    left = itertools.repeat(None, requests)
    lock = threading.Lock()

    def client() -> None:
        with urllib3.PoolManager(maxsize=1, retries=False) as pool:
            while True:
                with lock:
                    if next(left, 0) == 0:
                        return
                began = time.perf_counter()
                status = pool.request("GET", url).status
                (times if status == 200 else failed).append(time.perf_counter() - began)

    clients = [threading.Thread(target=client) for _ in range(threads)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    if len(times) + len(failed) != requests:
        raise RuntimeError(f"{url}: {requests} requests were to be sent, {len(times)} answered")
    return sorted(times), len(failed)


@contextlib.contextmanager
def receiver() -> Iterator[int]:
    """A receiver of OTLP that takes everything and keeps nothing; its port."""

    class Take(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Take)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


def measure(one: Form, requests: int, threads: int) -> None:
    """One round of one form."""
    for name, path in (("quote", QUOTE), ("page", PAGE)):
        before = one.cpu()
        alone, _ = load(one.url + path, requests // 3, 1)
        busy, failed = load(one.url + path, requests, threads)
        one.note(f"{name}: CPU ms", (one.cpu() - before) * 1e3 / (requests + requests // 3))
        one.note(f"{name}: p50 ms", statistics.median(alone) * 1e3)
        one.note(f"{name}: p50 ms, {threads} at once", statistics.median(busy) * 1e3)
        one.note(f"{name}: p99 ms, {threads} at once", busy[int(len(busy) * 0.99)] * 1e3)
        one.failed += failed
    one.note("memory MiB", one.memory())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.split", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=1500)
    parser.add_argument("--threads", type=int, default=4)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        otlp = stack.enter_context(receiver())
        two = {"services.car": free_port(), "services.minus": free_port()}
        together = stack.enter_context(form({"examples.monolith": free_port()}, otlp, folders[0]))
        split = stack.enter_context(form(two, otlp, folders[1]))
        for one in (together, split):
            load(one.url + QUOTE, 200, options.threads)  # warm
        for number in range(options.rounds):
            for one in (together, split) if number % 2 else (split, together):
                measure(one, options.requests, options.threads)
    report(together, split)


def report(together: Form, split: Form) -> None:
    """Print the table of the page."""
    print("| figure, median of rounds | one process | two | ratio, lowest to highest |\n|---|---|---|---|")
    for name, whole in together.figures.items():
        parts = split.figures[name]
        ratios = sorted(two / one for one, two in zip(whole, parts, strict=True))
        spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"| {name} | {statistics.median(whole):.2f} | {statistics.median(parts):.2f} | {spread} |")
    print(f"| requests that failed, all rounds | {together.failed} | {split.failed} | |")


if __name__ == "__main__":
    main()
