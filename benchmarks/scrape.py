"""`python -m benchmarks.scrape`: what a scrape of many series from several workers takes, and takes away.

A service on the real server has a histogram with exemplars of so many label sets that each worker has
SERIES series. Measured are the time and the CPU of a scrape, by the kernel's accounting over all processes
of the service, and the p99 of requests at a fixed rate with a scrape every second and without, in turn.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import threading
import time
import urllib.request
from typing import Any

from benchmarks import pages
from benchmarks.servers.application import ROUTE, Settings
from benchmarks.servers.application import create_app as bare_app
from benchmarks.servers.load import fixed_rate, missing
from benchmarks.servers.process import Server
from dashcam.stack.ports import free_port

PER_CHILD = 17
"""Series of one label set: 14 buckets, +Inf, count, sum."""

ACCEPT = {"Accept": "application/openmetrics-text; version=1.0.0"}


def create_app(settings: Settings) -> Any:
    """The application, instrumented, with SERIES series more."""
    from observability import instrument, schema

    app = bare_app()
    telemetry = instrument(app, service="bench", version="1")
    histogram = telemetry.metric(schema.HTTP_CLIENT_DURATION)
    for number in range(int(os.environ["BENCH_SERIES"]) // PER_CHILD):
        child = histogram.labels("GET", f"host-{number}.example", "443", "200", "")
        for seconds in (0.003, 0.03, 0.3):
            child.observe(seconds, {"trace_id": f"{number:032x}", "span_id": f"{number:016x}"})
    return app


class Service(Server):
    """The service with its workers and its admin port."""

    def __init__(self, workers: int, series: int) -> None:
        super().__init__("scrape", 8)
        self.admin = free_port()
        self._command = [sys.executable, "-m", "benchmarks.scrape", "--serve"]
        self._environ = {
            **os.environ,
            "PORT": str(self.port),
            "WEB_CONCURRENCY": str(workers),
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(self.admin),
            "OTEL_TRACES_EXPORTER": "none",
            "LOG_LEVEL": "WARNING",
            "BENCH_SERIES": str(series),
        }

    def scrape(self, **headers: str) -> bytes:
        """The body of /metrics, as it came."""
        request = urllib.request.Request(  # our own http URL
            f"http://127.0.0.1:{self.admin}/metrics", headers={**ACCEPT, **headers}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return bytes(answer.read())

    def wait_for_all(self, workers: int, seconds: float = 60.0) -> None:
        """Until every worker is in the scrape."""
        deadline = time.monotonic() + seconds
        seen = 0
        while time.monotonic() < deadline:
            try:
                seen = self.scrape().count(b"process_start_time_seconds{worker=") if workers > 1 else 1
            except OSError:
                seen = 0
            if seen == workers:
                return
            time.sleep(0.1)
        raise RuntimeError(f"{seen} of {workers} workers are in the scrape after {seconds:g} s")


def scrapes(service: Service, number: int) -> tuple[list[float], list[float], int, int]:
    """Milliseconds of wall time and of CPU of each scrape, the series, and the bytes on the wire."""
    wall, cpu, size = [], [], 0
    for _ in range(number):
        before, began = service.cpu(), time.perf_counter()
        size = len(service.scrape(**{"Accept-Encoding": "gzip"}))
        wall.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (service.cpu() - before))
        time.sleep(0.05)
    lines = service.scrape().splitlines()
    return wall, cpu, sum(1 for line in lines if not line.startswith(b"#")), size


def under_load(service: Service, rate: int, seconds: int, scraped: bool) -> float:
    """The p99 of requests in milliseconds, with a scrape every second or without."""
    done = threading.Event()

    def scrape() -> None:
        while not done.wait(1.0):
            service.scrape(**{"Accept-Encoding": "gzip"})

    thread = threading.Thread(target=scrape)
    if scraped:
        thread.start()
    try:
        return fixed_rate(service.url(ROUTE), seconds=seconds, connections=8, rate=rate).p99
    finally:
        done.set()
        if scraped:
            thread.join()


def measure(options: argparse.Namespace) -> str:
    """The result as a table in Markdown."""
    with Service(options.workers, options.series) as service:
        service.wait_for_all(options.workers)
        scrapes(service, 3)
        wall, cpu, series, size = scrapes(service, options.scrapes)
        plain, scraped = [], []
        for _ in range(options.rounds):
            plain.append(under_load(service, options.rate, options.seconds, scraped=False))
            scraped.append(under_load(service, options.rate, options.seconds, scraped=True))
    best, *_, worst = statistics.quantiles(wall, n=10)
    at = f"p99 of requests at {options.rate}/s"
    rows = (
        (f"a scrape of {series:,} series from {options.workers} workers, compressed", ""),
        ("---", "---"),
        (
            "time: median (best and worst tenth)",
            f"{statistics.median(wall):.0f} ms ({best:.0f} to {worst:.0f})",
        ),
        ("CPU of all processes, mean", f"{statistics.mean(cpu):.0f} ms"),
        ("bytes on the wire", f"{size:,}"),
        (f"{at}, no scrape, median of {options.rounds} rounds", f"{statistics.median(plain):.1f} ms"),
        (f"{at}, a scrape every second", f"{statistics.median(scraped):.1f} ms"),
    )
    table = "".join(f"| {name} | {value} |\n" for name, value in rows)
    return f"{table}\n{pages.machine()}.\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--series", type=int, default=10_000, help="series of each worker")
    parser.add_argument("--scrapes", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8, help="of each round of load")
    parser.add_argument("--rate", type=int, default=400, help="requests a second")
    parser.add_argument("--write", action="store_true", help="into docs/loss.md")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        from observability.server.serve import serve

        serve("benchmarks.scrape:create_app", Settings, service="bench")
        return
    if complaint := missing():
        sys.exit(complaint)
    table = measure(options)
    print(table)
    if options.write:
        pages.replace("loss.md", "scrape", table)


if __name__ == "__main__":
    main()
