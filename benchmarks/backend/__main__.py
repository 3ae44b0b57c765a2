"""Measure the embedded backend beside Jaeger (memory, badger) and otel-desktop-viewer.

    python -m benchmarks.backend [--spans 100000] [--lines N] [--only NAME] [--results FILE]

The same input and the same questions to each, one program at a time, on both cores. Intake is over OTLP/HTTP
in requests of 512; "of its own processor" divides by the processor time of all its processes, which is what a
core gives. Each question is asked up to 20 times, and no longer than 20 seconds; the time is of the whole
answer. With `--results` a program's figures are kept in a file, so that the next run of another program is
shown beside them.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.backend.load import BATCH, Load
from benchmarks.backend.processes import post_all
from benchmarks.backend.programs import PROGRAMS, Program
from benchmarks.backend.questions import Question, questions

SENDERS, TIMES, MOST_SECONDS = 2, 20, 20.0
ROUND = 40
"""Requests that are made before the clock runs: making them costs more than taking them."""
NONE = "-"
Figures = dict[str, float | None]


def main() -> None:
    """Measure, keep, and print it as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spans", type=int, default=100_000)
    parser.add_argument("--lines", type=int, help="[as many as spans]")
    parser.add_argument("--only", choices=PROGRAMS, action="append", help="This program; may be repeated.")
    parser.add_argument("--results", type=Path, help="Where figures are kept, and found.")
    options = parser.parse_args()
    found: dict[str, Figures] = {}
    if options.results and options.results.exists():
        found = json.loads(options.results.read_text())
    for name in options.only or PROGRAMS:
        with tempfile.TemporaryDirectory(prefix="dashcam-bench-") as folder:
            program = PROGRAMS[name](Path(folder), options.spans)
            found[name] = measured(program, options.spans, options.lines or options.spans)
        if options.results:
            options.results.write_text(json.dumps(found, indent=2))
    load = f"load {os.getloadavg()[0]:.1f}"
    print(f"{platform.platform()}, {os.cpu_count()} cores, {load}; {options.spans:,} spans\n")
    print(table(found))


def measured(program: Program, spans: int, lines: int) -> Figures:
    """All figures of one program."""
    load, sample = Load(1), list[str]()
    try:
        program.start()
        figures: Figures = {"memory, idle, MiB": program.memory()}

        def traces(moment: float) -> bytes:
            body, ids = load.request(moment)
            sample.append(ids[0])
            return body

        figures |= _taken(program, traces, spans // BATCH, "/v1/traces", "spans")
        figures["bytes on disk a span"] = program.disk() / spans or None
        if program.keeps_lines:
            figures |= _taken(program, load.records, lines // BATCH, "/v1/logs", "lines")
        figures["memory, full, MiB"] = program.memory()
        for name, asked in questions(sample, load.of_lines, TIMES).items():
            figures[f"{name}, p95 ms"], found = _p95(program, asked)
            _say(program, f"{name} ({found} in the last answer), p95 ms", figures[f"{name}, p95 ms"])
        figures["memory, after the questions, MiB"] = program.memory()
        return figures
    finally:
        program.stop()


def _taken(program: Program, make: Any, requests: int, path: str, what: str) -> Figures:
    """Send `requests` requests of the last hour; how many records a second, and of its own processor."""
    before = (program.stored() or (0, 0))[what == "lines"]
    seconds = processor = 0.0
    moments = [time.time() - 3600 * (1 - i / requests) for i in range(requests)]
    for first in range(0, requests, ROUND):
        bodies = [make(moment) for moment in moments[first : first + ROUND]]
        began, used = time.perf_counter(), program.processor_seconds()
        _send(program, bodies, path)
        _until_stored(program, before + (first + len(bodies)) * BATCH, what)
        seconds += time.perf_counter() - began
        processor += program.processor_seconds() - used
    count = requests * BATCH
    _say(program, what, count / processor)
    return {f"{what} a second": count / seconds, f"{what} a second of its own processor": count / processor}


def _send(program: Program, bodies: list[bytes], path: str) -> None:
    def part(at: int) -> Iterator[bytes]:
        return iter(bodies[at::SENDERS])

    with concurrent.futures.ThreadPoolExecutor(SENDERS) as pool:
        jobs = [pool.submit(post_all, program.otlp, part(at), path) for at in range(SENDERS)]
        if refused := sum(job.result()[1] for job in jobs):
            raise AssertionError(f"{program.name} refused {refused} of {len(bodies)} requests")


def _until_stored(program: Program, count: int, what: str) -> None:
    deadline = time.monotonic() + 120
    while (stored := program.stored()) is not None and stored[what == "lines"] < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{program.name} has {stored} after 120 s; {count} {what} were acknowledged")
        time.sleep(0.02)


def _p95(program: Program, asked: list[Question]) -> tuple[float | None, int]:
    """Milliseconds, and how many traces or lines the last answer has: who finds less is quick for nothing."""
    times: list[float] = []
    answer: bytes | None = b""
    began = time.monotonic()
    for one in asked:
        started = time.perf_counter()
        if (answer := program.ask(one)) is None:
            return None, 0
        times.append((time.perf_counter() - started) * 1000)
        if time.monotonic() - began > MOST_SECONDS and len(times) >= 3:
            break
    ids = re.findall(rb'"trace_?[iI][dD]":"([0-9a-f]{32})"', answer or b"")
    return sorted(times)[max(0, round(len(times) * 0.95) - 1)], len(set(ids))


def table(found: dict[str, Figures]) -> str:
    """The figures as Markdown, a column a program; what one does not have is a dash."""
    names = [name for name in PROGRAMS if name in found]
    rows = list(dict.fromkeys(row for name in names for row in found[name]))
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for row in rows:
        cells = [_cell(found[name].get(row)) for name in names]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _say(program: Program, what: str, value: float | None) -> None:
    print(f"{program.name}: {what} {_cell(value)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
