"""`python -m benchmarks.overhead.parts`: where the microseconds of a request go, in pure Python.

The functions that make up the instrumentation are timed one inside the other, in one process and without a
server. What a function takes is its own time, without the timed functions that it calls and without what
timing takes. Medians over some thousand requests; the application itself is a part too, for comparison.
"""

from __future__ import annotations

import argparse
import functools
import io
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from benchmarks import pages
from benchmarks.overhead.inprocess import ENVIRON, call
from benchmarks.overhead.variants import named

REQUESTS = 5000
WARM = 1000

APPLICATION = "the application: Flask, Flask-RESTful, the view"
LAYER = "the WSGI layer around it, requests in flight"

_now = time.perf_counter_ns


class Clock:
    """Adds up the own time of each part of one request; a row for each request."""

    def __init__(self) -> None:
        self.rows: list[dict[str, int]] = []
        self._row: dict[str, int] = defaultdict(int)
        self._within: list[int] = [0]
        self._cost = 0
        self._cost = statistics.median_low(self._costs(self.timed("", lambda: None)))

    def _costs(self, nothing: Callable[[], None]) -> list[int]:
        costs = []
        for _ in range(1000):
            began = _now()
            nothing()
            costs.append(_now() - began)
        return costs

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, of which the own time is added to `part`."""
        within = self._within

        @functools.wraps(function)
        def wrapper(*arguments: Any, **named: Any) -> Any:
            within.append(0)
            began = _now()
            try:
                return function(*arguments, **named)
            finally:
                took = _now() - began
                self._row[part] += took - within.pop()
                within[-1] += took + self._cost  # what timing takes is nobody's

        return wrapper

    def next(self) -> None:
        """The request is over."""
        self.rows.append(dict(self._row))
        self._row.clear()

    def medians(self) -> dict[str, float]:
        """Microseconds of each part, the longest first."""
        parts = {part for row in self.rows for part in row if part}
        found = {part: statistics.median(row.get(part, 0) for row in self.rows) / 1000 for part in parts}
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def instrumented(clock: Clock) -> Any:
    """The application under Dashcam, with its functions timed."""
    from observability.http import access, access_line, conventions, incoming
    from observability.logs import output
    from observability.traces import keeper, otlp, span_queue, spans, tracer

    parts: dict[str, list[tuple[Any, str]]] = {
        LAYER: [(incoming.Incoming, "__call__"), (incoming.Request, "__init__")],
        "the span's start: name, context, what the caller sent": [(incoming.Request, "begin")],
        "the span's start: ids, sampling": [(tracer.SpanTracer, "start_span")],
        "the span's end: status, exceptions, context": [(incoming.Request, "end")],
        "the span's end: who wants it": [(spans.RecordedSpan, "end"), (keeper.Keeper, "on_end")],
        "the span as OTLP": [(otlp, "encoded"), (conventions.ServerConventions, "encoded")],
        "the span's queue": [(span_queue.SpanQueue, "put")],
        "the response: status, route, `traceresponse`": [(incoming.Request, "answer")],
        "the metrics, with exemplar": [(incoming.Request, "measure")],
        "the body handed on, what the line says": [
            (incoming.Request, "handed_on"),
            (access.Exchange, "finished"),
        ],
        "the access line as JSON": [(access_line.AccessLines, "write")],
        "the access line written": [(output.LineWriter, "write")],
    }
    for part, functions in parts.items():
        for owner, name in functions:
            setattr(owner, name, clock.timed(part, getattr(owner, name)))
    from benchmarks.servers.application import create_app

    app = create_app()
    app.wsgi_app = clock.timed(APPLICATION, app.wsgi_app)  # type: ignore[method-assign]
    return named("Dashcam").build(app).wsgi_app


def measured() -> dict[str, float]:
    """Microseconds of each part of a request."""
    clock = Clock()
    app = instrumented(clock)
    for number in range(WARM + REQUESTS):
        if number == WARM:
            clock.rows.clear()
        call(app, {**ENVIRON, "wsgi.input": io.BytesIO()})
        clock.next()
    return clock.medians()


def table(found: dict[str, float]) -> str:
    """The parts as Markdown, as microseconds and as a share of what is added to the application."""
    bare = found.pop(APPLICATION)
    added = sum(found.values())
    rows = [f"{pages.machine()}.", "", "| part | µs | share of what is added |", "|---|---|---|"]
    rows += [f"| {part} | {micros:.1f} | {micros / added:.0%} |" for part, micros in found.items()]
    rows.append(f"| **all that is added** | **{added:.0f}** | {added / bare:.0%} of the application |")
    rows.append(f"| {APPLICATION} | {bare:.0f} | |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead.parts", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/overhead.md")
    options = parser.parse_args()
    report = os.fdopen(os.dup(1), "w")
    with tempfile.TemporaryFile() as lines:
        os.dup2(lines.fileno(), 1)
        os.environ.update(
            {
                **named("Dashcam").environ,
                "DASHCAM_INSTRUMENTATION": "python",  # of the compiled form, benchmarks.overhead.steps tells
                "LOG_FORMAT": "json",
                "OTEL_EXPORTER_PROMETHEUS_PORT": "none",
                # Nothing is exported meanwhile: that is another thread's time.
                "OTEL_BSP_SCHEDULE_DELAY": "600000",
                "OTEL_BSP_MAX_QUEUE_SIZE": str(2 * (WARM + REQUESTS)),
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": str(2 * (WARM + REQUESTS)),
            }
        )
        text = table(measured())
    print(text, file=report, flush=True)
    if options.write:
        pages.replace("overhead.md", "parts", text)
    os._exit(0)  # there is no receiver, and nothing to wait for


if __name__ == "__main__":
    main()
