"""`python -m benchmarks.overhead`: what telemetry costs, side by side, on each server (docs/overhead.md)."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from benchmarks.overhead.report import page
from benchmarks.overhead.rounds import Figures, measure
from benchmarks.overhead.subject import Sink, Subject
from benchmarks.overhead.variants import VARIANTS, named
from benchmarks.servers.load import missing

PAGE = Path("docs/overhead.md")


def measured(server: str, options: argparse.Namespace) -> tuple[dict[str, Figures], int]:
    """All chosen variants on one server, up at the same time and loaded in turn."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sink = stack.enter_context(Sink())
        subjects = [
            stack.enter_context(Subject(server, named(name), sink, folder, options.threads))
            for name in options.variants.split(";")
        ]
        seen, rate = measure(subjects, options)
        for subject in subjects:
            subject.stop()
        arrived = sink.spans()
        for subject in subjects:
            figures = seen[subject.variant.name]
            figures.spans = arrived.get(subject.label, 0) * 1000 // subject.requests
            figures.lines = subject.lines() * 1000 // subject.requests
        return seen, rate


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--servers", default="granian,gunicorn", help="of benchmarks/servers/launch.py")
    parser.add_argument("--variants", default=";".join(variant.name for variant in VARIANTS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3)
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
