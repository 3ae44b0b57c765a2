"""The figures as Markdown: the machine, one table for each server, and the servers against each other."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import statistics

from benchmarks.overhead.rounds import Figures, Measured, ratio

PACKAGES = (
    *("granian", "gunicorn", "flask", "flask-restful", "opentelemetry-sdk"),
    *("opentelemetry-instrumentation-flask", "prometheus-flask-exporter", "prometheus-client"),
)


def page(seen: dict[str, Measured], options: argparse.Namespace) -> str:
    """All tables, for the terminal and for docs/overhead.md."""
    parts = [machine(options)]
    for server, measured in seen.items():
        title = f"### On {server} (fixed rate {min(measured.rates)} to {max(measured.rates)}/s)"
        parts += [title, table(measured.figures)]
    if "granian" in seen and "gunicorn" in seen:
        parts += ["### The whole stack against the bare application on gunicorn", across(seen)]
    return "\n\n".join(parts)


def machine(options: argparse.Namespace) -> str:
    """What the figures belong to, and the command."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return (
        f"`make bench`: all started {options.starts} times, {options.rounds} rounds each of "
        f"{options.seconds} s under wrk and {options.seconds} s under h2load at a fixed rate, half of what "
        f"the bare application took at that start, {options.connections} connections, "
        f"1 worker process, "
        f"{options.threads} threads. {os.cpu_count()} cores of {_processor()}, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {versions}. Load average at the end {os.getloadavg()[0]:.1f}."
    )


def _processor() -> str:
    with open("/proc/cpuinfo") as about:
        names = [line.partition(":")[2].strip() for line in about if line.startswith("model name")]
    return names[0] if names else platform.machine()


def table(figures: dict[str, Figures]) -> str:
    """One row for each variant, medians with the range, and the ratio to `bare` round by round."""
    base = figures.get("bare") or next(iter(figures.values()))
    rows = [
        "| | CPU µs a request | against bare | requests/s | CPU µs at the rate | against bare "
        "| p50 ms | p99 ms | against bare | MiB "
        "| spans, lines of 1,000 requests | spans lost, where counted | errors |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, seen in figures.items():
        cells = [
            name,
            spread(seen.cpu, 0),
            f"**{ratio(seen.cpu, base.cpu):.2f}**",
            f"{statistics.median(seen.throughput):.0f}",
            f"{statistics.median(seen.cpu_fixed):.0f}",
            f"{ratio(seen.cpu_fixed, base.cpu_fixed):.2f}",
            f"{statistics.median(seen.p50):.2f}",
            spread(seen.p99, 2),
            f"**{ratio(seen.p99, base.p99):.2f}**",
            f"{statistics.median(seen.memory):.0f}",
            f"{seen.spans * 1000 // seen.requests}, {seen.lines * 1000 // seen.requests}",
            f"{sum(seen.spans_lost):,}" if seen.spans_lost else "",
            str(seen.errors),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def across(seen: dict[str, Measured]) -> str:
    """What choosing the server is worth."""
    rows = ["| | CPU µs a request | p99 ms at its rate |", "|---|---|---|"]
    for server, name in (("gunicorn", "bare"), ("granian", "bare"), ("granian", "Dashcam")):
        if name in seen[server].figures:
            figures = seen[server].figures[name]
            rows.append(f"| {name} on {server} | {spread(figures.cpu, 0)} | {spread(figures.p99, 2)} |")
    return "\n".join(rows)


def spread(values: list[float], digits: int) -> str:
    """Median, and the range over the rounds."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"
