"""`python -m benchmarks.servers`: measure the servers side by side and print tables for the ADR.

All servers are up at once and are loaded in turn, round after round, so that whatever else the machine
does falls on all of them. Figures are medians over the rounds with the range beside them; what counts are
the ratios within one run, not the absolute figures of a machine.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import os
import platform
import statistics
import sys
from dataclasses import dataclass, field

from benchmarks.servers.application import ROUTE
from benchmarks.servers.behaviour import CHECKS, observe
from benchmarks.servers.launch import LAUNCHERS
from benchmarks.servers.load import fixed_rate, missing, saturate
from benchmarks.servers.process import Server

BASE = "gunicorn"
"""The server that the others are compared with."""


@dataclass
class Figures:
    """What was measured of one server, one value for each round."""

    cpu_us: list[float] = field(default_factory=list)
    throughput: list[float] = field(default_factory=list)
    p99_saturated: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu_us_fixed: list[float] = field(default_factory=list)
    memory: float = 0.0
    errors: int = 0


def measure(servers: list[Server], options: argparse.Namespace) -> dict[str, Figures]:
    """Alternating rounds of both loads. The first, in which everything warms up, is not counted."""
    seen = {server.name: Figures() for server in servers}
    for round_ in range(options.rounds + 1):
        for server in servers:
            figures = seen[server.name] if round_ else Figures()
            _saturated(server, figures, options)
            _at_fixed_rate(server, figures, options)
            figures.memory = server.memory()
        print(f"round {round_} of {options.rounds} done", file=sys.stderr)
    return seen


def _saturated(server: Server, figures: Figures, options: argparse.Namespace) -> None:
    before = server.cpu()
    load = saturate(server.url(ROUTE), seconds=options.seconds, connections=options.connections)
    figures.cpu_us.append(1e6 * (server.cpu() - before) / load.requests)
    figures.throughput.append(load.requests / load.seconds)
    figures.p99_saturated.append(load.p99)
    figures.errors += load.errors


def _at_fixed_rate(server: Server, figures: Figures, options: argparse.Namespace) -> None:
    before = server.cpu()
    load = fixed_rate(
        server.url(ROUTE), seconds=options.seconds, connections=options.connections, rate=options.rate
    )
    figures.cpu_us_fixed.append(1e6 * (server.cpu() - before) / load.requests)
    figures.p50.append(load.p50)
    figures.p99.append(load.p99)
    figures.errors += load.errors


def figures_table(seen: dict[str, Figures]) -> str:
    """The figures as a Markdown table, the cheapest server first."""
    base = statistics.median(seen[BASE].cpu_us) if BASE in seen else None
    rows = [
        "| server | CPU µs a request | against gunicorn | requests/s | p99 ms at saturation "
        "| CPU µs at the fixed rate | p50 ms there | p99 ms there | MiB | errors |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, figures in sorted(seen.items(), key=lambda item: statistics.median(item[1].cpu_us)):
        ratio = f"{statistics.median(figures.cpu_us) / base:.2f}" if base else "-"
        cells = [
            name,
            _spread(figures.cpu_us, 0),
            ratio,
            _spread(figures.throughput, 0),
            _spread(figures.p99_saturated, 1),
            _spread(figures.cpu_us_fixed, 0),
            _spread(figures.p50, 1),
            _spread(figures.p99, 1),
            f"{figures.memory:.0f}",
            str(figures.errors),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def behaviour_table(seen: dict[str, dict[str, str]]) -> str:
    """What was observed, one row for each check."""
    rows = ["| | " + " | ".join(seen) + " |", "|---" * (len(seen) + 1) + "|"]
    rows += [
        f"| {label} | " + " | ".join(observed[label] for observed in seen.values()) + " |" for label in CHECKS
    ]
    return "\n".join(rows)


def machine(names: list[str], options: argparse.Namespace) -> str:
    """What the figures belong to."""
    versions = []
    for name in ["granian" if name == "dashcam" else name for name in names] + ["flask", "flask-restful"]:
        versions.append(f"{name} {importlib.metadata.version(name)}")
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}, "
        f"Python {platform.python_version()}; {', '.join(dict.fromkeys(versions))}. "
        f"{options.rounds} rounds of {options.seconds} s, {options.connections} connections, "
        f"1 worker of {options.threads} threads, fixed rate {options.rate}/s."
    )


def _spread(values: list[float], digits: int) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.servers", description=__doc__)
    parser.add_argument(
        "--servers",
        default="gunicorn,granian,dashcam,waitress",
        help=f"some of {', '.join(LAUNCHERS)}; cheroot and uvicorn (with a2wsgi) are to be installed first",
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--rate", type=int, default=480, help="requests a second, below every saturation")
    parser.add_argument("--skip-behaviour", action="store_true")
    return parser.parse_args()


def main() -> None:
    options = _arguments()
    names = [name.strip() for name in options.servers.split(",")]
    if unknown := [name for name in names if name not in LAUNCHERS]:
        sys.exit(f"no server named {unknown[0]}; there are {', '.join(LAUNCHERS)}")
    if complaint := missing():
        sys.exit(complaint)
    print(machine(names, options), end="\n\n")
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(name, options.threads)) for name in names]
        print(figures_table(measure(servers, options)), end="\n\n")
    if not options.skip_behaviour:
        print(behaviour_table({name: observe(name) for name in names}))


if __name__ == "__main__":
    main()
