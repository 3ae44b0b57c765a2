"""Measure the console's pages on a large store: time to answer and size.

    python -m benchmarks.console [--spans 1000000] [--lines 200000]

The store is filled as `benchmarks.backend` fills it; Prometheus is the running stack's or another by
PROMETHEUS_URL, so that pages that ask it are measured whole. Each page is asked over HTTP, one after another.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import tempfile
from pathlib import Path

from benchmarks.backend.embedded import bench_lines, bench_queries, fill
from benchmarks.backend.processes import Backend

ROUNDS = 20


def pages(sample: list[str]) -> dict[str, list[str]]:
    """The pages, each as the paths to ask."""
    dice = random.Random(5)  # noqa: S311 - a benchmark repeats itself
    traces = [dice.choice(sample) for _ in range(2 * ROUNDS)]
    return {
        "overview": ["/"] * ROUNDS,
        "traces: 20 of every service": ["/search"] * ROUNDS,
        "traces: 20 of a service": ["/search?service=car"] * ROUNDS,
        "traces: 200 of a service": ["/search?service=car&limit=200"] * ROUNDS,
        "traces: errors only": ["/search?service=car&errors=1"] * ROUNDS,
        "traces: route, longer than": ["/search?service=car&tags=http.route%3D/cars&minDuration=100ms"]
        * ROUNDS,
        "trace": [f"/trace/{trace}" for trace in traces[:ROUNDS]],
        "comparison": [f"/trace/{a}...{b}" for a, b in zip(traces[::2], traces[1::2], strict=True)],
        "logs": ["/logs"] * ROUNDS,
        "logs: 100 errors of a service": ["/logs?service=car&level=ERROR&limit=100"] * ROUNDS,
        "logs: text, rare": ["/logs?q=needle"] * ROUNDS,
        "logs: text, common": ["/logs?q=cars"] * ROUNDS,
        "logs: field, common": ["/logs?fields=http.response.status_code%3D500"] * ROUNDS,
        "metrics": ["/monitor?service=car"] * ROUNDS,
        "query": ["/explore?expr=up"] * ROUNDS,
        "alerts": ["/alerts"] * ROUNDS,
    }


def main() -> None:
    """Fill, ask, and print it as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--lines", type=int, default=200_000)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dashcam-bench-"))
    backend = Backend(folder, None)
    try:
        backend.start("receiver")
        sample = fill(backend, options.spans)
        bench_lines(backend, options.lines)
        backend.start("query")
        print(
            f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
            f"load {os.getloadavg()[0]:.1f}; store of {backend.count('span_block'):,} spans and "
            f"{backend.count('log_block'):,} lines\n\n"
            "| page | p50 ms | p95 ms | CPU ms | KiB |\n|---|---|---|---|---|"
        )
        bench_queries(backend, pages(sample))
    finally:
        backend.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
