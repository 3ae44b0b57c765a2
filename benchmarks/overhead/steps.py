"""`python -m benchmarks.overhead.steps`: what the steps of the compiled request path take, in instructions.

Counted by callgrind, as `benchmarks.guard` counts: each step with all that it calls, Python included. What an
instrumented request takes beyond a bare one and its steps is the export, on its own thread, and what moves.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

from benchmarks import guard, pages
from benchmarks.loss import Sink

STEPS = {
    "started": "the span's start: route, sampling, ids, context",
    "start": "the response: status, route, `traceresponse`",
    "ended": "the span's end, its OTLP bytes, the queue",
    "measured": "the metrics, with exemplar",
    "written": "the access line, written",
}
"""The methods of `_speedups.Way`, as steps of a request."""


def inclusive(counted: Path) -> dict[str, float]:
    """Instructions of a request within each of `STEPS`, from callgrind's file; LookupError without one."""
    told = subprocess.run(  # noqa: S603 # valgrind's own program
        ["callgrind_annotate", "--threshold=100", "--inclusive=yes", str(counted)],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = {}
    for line in told.splitlines():
        row = re.match(r"\s*([\d,]+) \(.*?__pyx_(?:f|pw)_\w*?_speedups_3Way_\d*([a-z_]+)\s", line)
        if row and row[2] in STEPS:
            found[row[2]] = int(row[1].replace(",", "")) / guard.REQUESTS
    if missing := STEPS.keys() - found.keys():
        raise LookupError(
            f"callgrind saw no {', '.join(sorted(missing))} of `_speedups.Way`: was it renamed?"
        )
    return found


def table(bare: float, whole: float, found: dict[str, float]) -> str:
    """The steps as Markdown."""
    added = whole - bare
    rows = [f"{pages.machine()}.", "", "| step | instructions | share of a bare request |", "|---|---|---|"]
    known = {STEPS[name]: number for name, number in found.items()}
    rows += [
        f"| {step} | {number:,.0f} | {number / bare:.1%} |"
        for step, number in sorted(known.items(), key=lambda item: -item[1])
    ]
    rest = added - sum(known.values())
    rows.append(f"| the rest: the export on its thread, the layer | {rest:,.0f} | {rest / bare:.1%} |")
    rows.append(f"| **all that is added** | **{added:,.0f}** | {added / bare:.1%} |")
    rows.append(f"| the application: Flask, Flask-RESTful, the view | {bare:,.0f} | |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead.steps", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/overhead.md")
    options = parser.parse_args()
    guard.require_current()
    found: dict[str, float] = {}
    sink = Sink()
    try:
        bare = guard.instructions("bare", sink)
        whole = guard.instructions("Dashcam", sink, lambda counted: found.update(inclusive(counted)))
    finally:
        sink.close()
    text = table(bare, whole, found)
    print(text)
    if options.write:
        pages.replace("overhead.md", "steps", text)


if __name__ == "__main__":
    main()
