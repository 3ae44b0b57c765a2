"""Commands and links that ask again what the diagnosis has asked."""

from __future__ import annotations

import math
import shlex
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from dashcam.diagnose.findings import Evidence
from dashcam.diagnose.observe import Observed, short
from dashcam.model.logs import SEVERITIES
from dashcam.sources import LogLine, Trace


def metric(seen: Observed, query: str, result: str, narrowed: str = "") -> Evidence:
    """Evidence from one of the queries to Prometheus."""
    minutes = max(1, math.ceil((seen.end - seen.start) / 60))
    then = "" if seen.live else f" --at {_moment(seen.end)}"
    typed = shlex.quote(narrowed or short(seen, query))
    command = f"dashcam metrics {typed} --range {minutes}m{then}"
    return Evidence("metrics", narrowed or seen.queries.get(query, query), result, command)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def trace(seen: Observed, one: Trace, result: str) -> Evidence:
    """Evidence from a trace that shows it."""
    link = f"{seen.console}/trace/{one.trace_id}" if seen.console else ""
    return Evidence("traces", f"trace {one.trace_id}", result, f"dashcam trace {one.trace_id}", link)


def log(seen: Observed, line: LogLine, count: int, kind: str, result: str = "") -> Evidence:
    """Evidence from log lines of one kind."""
    fixed = max(kind.split("*"), key=len).strip()[:80]
    level = line.severity if line.severity in SEVERITIES else "DEBUG"
    level = min(level, "WARN", key=SEVERITIES.index)
    asked = {"service": line.service, "level": level, "q": fixed}
    link = f"{seen.console}/logs?{urlencode(asked)}" if seen.console else ""
    then = "" if seen.live else f" --since {_moment(seen.start)} --until {_moment(seen.end)}"
    command = f"dashcam logs --service {line.service} --level {level} {shlex.quote(fixed)}{then}"
    said = f"{result or f'{count} lines'} «{line.message[:200]}»"
    return Evidence("logs", urlencode(asked, quote_via=quote), said, command, link)


def clock(moment: float) -> str:
    """A time of day, in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S")


def seconds(value: float) -> str:
    """A duration."""
    return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def times(before: float, during: float) -> str:
    """How a figure changed."""
    if before <= 0:
        return "from none"
    return f"{during / before:.1f} times as much"
