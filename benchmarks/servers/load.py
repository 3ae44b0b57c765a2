"""The two loads: as much as the server takes (wrk), and a fixed rate (h2load)."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

TOOLS = {"wrk": "wrk", "h2load": "nghttp2-client"}
"""The programs and the Debian packages they come from."""


@dataclass(frozen=True)
class Load:
    """What one round of load saw. Latencies are in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    errors: int


def missing() -> str | None:
    """A line that says what to install, or None."""
    absent = [package for program, package in TOOLS.items() if shutil.which(program) is None]
    return f"the load generators are missing: apt-get install {' '.join(absent)}" if absent else None


def saturate(url: str, *, seconds: int, connections: int) -> Load:
    """Requests one after another on each connection: how many can it answer?"""
    output = _run(["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--latency", url])
    done, took, unit = re.search(r"(\d+) requests in ([\d.]+)(s|m)", output).groups()  # type: ignore[union-attr]
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    errors = sum(map(int, broken.groups())) if broken else 0
    errors += int(refused[1]) if refused else 0
    return Load(
        int(done),
        float(took) * (60 if unit == "m" else 1),
        _wrk_time(output, "50%"),
        _wrk_time(output, "99%"),
        errors,
    )


def fixed_rate(url: str, *, seconds: int, connections: int, rate: int) -> Load:
    """`rate` requests a second, evenly over the connections: how long does each take?"""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "requests"
        each = str(max(1, rate // connections))
        command = ["h2load", "--h1", "-t", "1", "-c", str(connections), "--rps", each]
        _run([*command, "-D", str(seconds), "--log-file", str(log), url])
        rows = [line.split("\t") for line in log.read_text().splitlines()]
    times = sorted(int(row[2]) / 1000 for row in rows)
    errors = sum(1 for row in rows if row[1] != "200")
    count = len(times)
    return Load(count, seconds, times[count // 2], times[int(count * 0.99)], errors)


def _run(command: list[str]) -> str:
    completed = subprocess.run(  # noqa: S603 # the two load generators, on a loopback address
        command, capture_output=True, text=True, check=True, timeout=120
    )
    return completed.stdout


def _wrk_time(output: str, quantile: str) -> float:
    value, unit = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s)\b", output).groups()  # type: ignore[union-attr]
    return float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]
