"""Measure the embedded backend: intake on one core, queries on a large store, disk and memory.

    python -m benchmarks.backend.embedded [--spans 1000000] [--lines 1000000] [--rounds 3] [--core 0]

Intake is measured end to end: the receiver runs as its own process pinned to one core; senders in
another process, on the other cores, post prepared OTLP requests (and append log lines to a file it
tails); the clock stops when the store holds every record. Queries are asked over HTTP of the query
process, which is not pinned, on a store filled to the given size.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import platform
import random
import shutil
import sqlite3
import statistics
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from benchmarks.backend.load import BATCH, ROUTES, Load
from benchmarks.backend.processes import Backend, get, post_all


def bench_spans(backend: Backend, spans: int, senders: int) -> tuple[float, float, int]:
    """(spans a second, spans a second of the receiver's CPU, spans refused) for `spans` prepared spans."""
    load = Load(1)
    bodies = [load.request(time.time())[0] for _ in range(spans // BATCH)]
    before = backend.count("span_block")
    cpu = sum(backend.processes["receiver"].cpu_times()[:2])
    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(senders) as pool:
        jobs = [pool.submit(post_all, backend.http, iter(bodies[i::senders])) for i in range(senders)]
        refused = sum(job.result()[1] for job in jobs) * BATCH
    seconds = time.perf_counter() - started
    cpu = sum(backend.processes["receiver"].cpu_times()[:2]) - cpu
    stored = backend.count("span_block") - before
    if stored + refused != len(bodies) * BATCH:
        raise AssertionError(f"{len(bodies) * BATCH} spans sent, {refused} refused, {stored} stored")
    return stored / seconds, stored / cpu, refused


def bench_lines(backend: Backend, lines: int) -> tuple[float, float]:
    """(lines a second, lines a second of the receiver's CPU) for a file that appears at once."""
    load = Load(2)
    logs = backend.folder / "logs"
    logs.mkdir(exist_ok=True)
    prepared = backend.folder / "prepared"
    now = time.time()
    prepared.write_bytes(b"".join(load.line(now - 3600 * (1 - i / lines)) for i in range(lines)))
    before = backend.count("log_block")
    cpu = sum(backend.processes["receiver"].cpu_times()[:2])
    started = time.perf_counter()
    prepared.rename(logs / f"bench-{before}.log")
    deadline = started + 600
    while backend.count("log_block") - before < lines:
        if time.perf_counter() > deadline:
            raise TimeoutError(f"{backend.count('log_block') - before} of {lines} lines after 600 s")
        time.sleep(0.02)
    seconds = time.perf_counter() - started
    cpu = sum(backend.processes["receiver"].cpu_times()[:2]) - cpu
    return lines / seconds, lines / cpu


def fill(backend: Backend, spans: int) -> list[str]:
    """Fill the store with `spans` spans of the last hour; trace ids spread over it."""
    load = Load(3)
    sample: list[str] = []
    now = time.time()
    requests = spans // BATCH

    def bodies() -> Iterator[bytes]:
        for i in range(requests):
            body, ids = load.request(now - 3600 * (1 - i / requests))
            sample.append(ids[0])
            yield body

    post_all(backend.http, bodies())
    return sample


def queries(sample: list[str], logs_sample: list[str]) -> dict[str, list[str]]:
    """The queries, each as the paths to ask."""
    dice = random.Random(4)  # noqa: S311 - a benchmark repeats itself
    now = int(time.time() * 1e6)

    def search(**parameters: str) -> str:
        return "/api/traces?" + urllib.parse.urlencode({"service": "car", "limit": "20", **parameters})

    def many(n: int, make: object) -> list[str]:
        return [make() for _ in range(n)]  # type: ignore[operator]

    def window() -> dict[str, str]:
        start = now - dice.randrange(3600) * 1_000_000
        return {"start": str(start), "end": str(start + 300_000_000)}

    return {
        "services": ["/api/services"] * 10,
        "operations": ["/api/operations?service=car"] * 10,
        "search: service": many(20, search),
        "search: service, 200 traces": many(20, lambda: search(limit="200")),
        "summaries: service, 200 traces": [_summaries(now)] * 20,
        "search: service, operation, window": many(
            20, lambda: search(operation=f"GET {dice.choice(ROUTES)}", **window())
        ),
        "search: errors": many(20, lambda: search(tags='{"error":"true"}')),
        "search: min duration, rare": many(20, lambda: search(minDuration=f"{dice.randrange(220, 260)}ms")),
        "search: tag, common": many(20, lambda: search(tags='{"http.response.status_code":"200"}')),
        "search: tag, one span in the store": many(
            20, lambda: search(tags=json.dumps({"dashcam.request": str(dice.randrange(10_000_000))}))
        ),
        "search: tag that nothing has": many(20, lambda: search(tags='{"http.route":"/nowhere"}')),
        "search: operation, tag, duration, window": many(
            20,
            lambda: search(
                operation="GET /cars",
                tags='{"http.response.status_code":"500"}',
                minDuration="50ms",
                **window(),
            ),
        ),
        "trace by id": [f"/api/traces/{dice.choice(sample)}" for _ in range(50)],
        "v3 trace by id": [f"/api/v3/traces/{dice.choice(sample)}" for _ in range(20)],
        "dependencies": ["/api/dependencies"] * 10,
        "logs: newest": ["/api/logs?limit=100"] * 20,
        "logs: service, level": ["/api/logs?service=car&level=ERROR&limit=100"] * 20,
        "logs: text, rare": ["/api/logs?q=needle"] * 20,
        "logs: text, common": ["/api/logs?q=cars&limit=100"] * 10,
        "logs: text, absent": ["/api/logs?q=haystack"] * 20,
        "logs: field, rare": many(
            20, lambda: f"/api/logs?field=url.path:/cars/maker-7/model-{dice.randrange(5000)}"
        ),
        "logs: text of common words, rare": many(
            20, lambda: f"/api/logs?q=maker-{dice.randrange(50)}/model-{dice.randrange(5000)}"
        ),
        "logs: field, common": ["/api/logs?field=http.response.status_code:500"] * 10,
        "logs: trace id": [f"/api/logs?trace_id={dice.choice(logs_sample)}" for _ in range(20)],
        "logs: histogram": ["/api/logs/histogram?buckets=60"] * 10,
        "logs: histogram of a text, rare": ["/api/logs/histogram?buckets=60&q=needle"] * 10,
        "logs: histogram of a text, common": ["/api/logs/histogram?buckets=60&q=cars"] * 10,
    }


def _summaries(now: int) -> str:
    """What the console's list of results asks; `now` in microseconds."""

    def moment(seconds: int) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

    window = {
        "query.startTimeMin": moment(now // 1_000_000 - 7200),
        "query.startTimeMax": moment(now // 1_000_000 + 60),
    }
    asked = {"query.serviceName": "car", "query.searchDepth": "200", **window}
    return "/api/v3/trace-summaries?" + urllib.parse.urlencode(asked)


def bench_queries(backend: Backend, cases: dict[str, list[str]]) -> None:
    """Print p50 and p95 of each query, its processor time, and its largest answer."""
    for name, paths in cases.items():
        get(backend.query, paths[0])
        times, size = [], 0
        cpu = sum(backend.processes["query"].cpu_times()[:2])
        for path in paths:
            started = time.perf_counter()
            status, body = get(backend.query, path)
            times.append((time.perf_counter() - started) * 1000)
            size = max(size, len(body))
            if status != 200:
                raise AssertionError(f"{path} answered {status}: {body[:200]!r}")
        cpu = (sum(backend.processes["query"].cpu_times()[:2]) - cpu) * 1000 / len(paths)
        p95 = sorted(times)[max(0, int(len(times) * 0.95) - 1)]
        row = f"{statistics.median(times):.1f} | {p95:.1f} | {cpu:.0f} | {size / 1024:.0f}"
        print(f"| {name} | {row} |", flush=True)


def _log_sample(backend: Backend) -> list[str]:
    found = []
    for offset in range(10):
        end = int((time.time() - 3600 * offset / 10) * 1e6)
        body = json.loads(get(backend.query, f"/api/logs?limit=5&end={end}")[1])
        found += [line["trace_id"] for line in body["logs"]]
    return found


def main() -> None:
    """Run everything and print it as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--intake", type=int, default=100_000, help="records of an intake round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--core", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dashcam-bench-"))
    backend = Backend(folder, options.core)
    try:
        run(backend, options)
    finally:
        backend.stop()
        shutil.rmtree(folder)


def run(backend: Backend, options: argparse.Namespace) -> None:
    """The measurements, in order."""
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, load {os.getloadavg()[0]:.1f}\n"
    )
    backend.start("receiver")
    print(f"receiver idle: {backend.memory('receiver'):.0f} MiB resident")
    for _ in range(options.rounds):
        rate, per_cpu, refused = bench_spans(backend, options.intake, options.senders)
        print(f"spans: {rate:,.0f}/s, {per_cpu:,.0f}/s of CPU, {refused} refused", flush=True)
    for _ in range(options.rounds):
        rate, per_cpu = bench_lines(backend, options.intake)
        print(f"lines: {rate:,.0f}/s, {per_cpu:,.0f}/s of CPU, none lost", flush=True)
    print(
        f"receiver after intake: {backend.memory('receiver'):.0f} MiB resident, "
        f"{backend.disk():.0f} MiB on disk"
    )
    sample = fill(backend, max(BATCH, options.spans - backend.count("span_block")))
    if (missing := options.lines - backend.count("log_block")) > 0:
        bench_lines(backend, missing)
    print(
        f"store: {backend.count('span_block'):,} spans, {backend.count('log_block'):,} lines, "
        f"{backend.disk():.0f} MiB on disk\n"
    )
    backend.start("query")
    print(f"query idle: {backend.memory('query'):.0f} MiB resident\n")
    print("| query | p50 ms | p95 ms | CPU ms | KiB |\n|---|---|---|---|---|")
    bench_queries(backend, queries(sample, _log_sample(backend)))
    print(
        f"\nquery after: {backend.memory('query'):.0f} MiB resident, "
        f"receiver {backend.memory('receiver'):.0f} MiB"
    )


if __name__ == "__main__":
    main()
