"""`python -m benchmarks.overhead`: what telemetry costs, side by side, on each server (docs/overhead.md)."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.overhead.report import page
from benchmarks.overhead.rounds import Figures, Measured, measure
from benchmarks.overhead.subject import Sink, Subject
from benchmarks.overhead.variants import VARIANTS, named
from benchmarks.servers.load import missing

PAGE = Path("docs/overhead.md")
SETTLE_SECONDS = 6
"""Longer than any of them lets a span wait for others."""


def measured(server: str, options: argparse.Namespace) -> Measured:
    """All chosen variants on one server, up at the same time and loaded in turn.

    They are started several times: a process keeps, for as long as it lives, what chance gave its memory and
    its hashes. Five bare servers side by side differ by a tenth, the same ones in every round.
    """
    seen = Measured({name: Figures() for name in options.variants.split(";")})
    for start in range(1, options.starts + 1):
        _start(server, seen, options)
        print(f"{server}: start {start} of {options.starts} done", file=sys.stderr)
    return seen


def _start(server: str, seen: Measured, options: argparse.Namespace) -> None:
    """Start all of them once, and add what is measured."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sink = stack.enter_context(Sink())
        subjects = [
            stack.enter_context(Subject(server, named(name), sink, folder, options.threads))
            for name in seen.figures
        ]
        measure(subjects, seen, options)
        time.sleep(SETTLE_SECONDS)
        for subject in subjects:
            seen.figures[subject.variant.name].spans_lost += subject.spans_lost()
            subject.stop()
        arrived = sink.spans()
        for subject in subjects:
            figures = seen.figures[subject.variant.name]
            figures.requests += subject.requests
            figures.spans += arrived.get(subject.label, 0)
            figures.lines += subject.lines()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--servers", default="granian,gunicorn", help="of benchmarks/servers/launch.py")
    parser.add_argument("--variants", default=";".join(variant.name for variant in VARIANTS))
    parser.add_argument("--starts", type=int, default=6, help="of all servers, each with rounds of its own")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE}")
    return parser.parse_args()


def main() -> None:
    options = _arguments()
    if complaint := missing():
        sys.exit(complaint)
    seen = {server: measured(server, options) for server in options.servers.split(",")}
    text = page(seen, options)
    print(text)
    if options.write:
        before, begin, rest = PAGE.read_text().partition("<!-- measured: begin -->\n")
        _, end, after = rest.partition("<!-- measured: end -->")
        PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}")


if __name__ == "__main__":
    main()
