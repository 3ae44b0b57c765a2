"""Log lines by pattern: what is new since a moment, and what has become frequent."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from dashcam.sources import LogLine

_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|\b0x[0-9a-f]+\b|\b[0-9a-f]{8,}\b|\d+(?:\.\d+)?")
NEW = 3.0
"""How many times more frequent a pattern must be than before."""


def pattern(message: str) -> str:
    """The message with what varies between two of its kind taken out."""
    return " ".join(_VARYING.sub("*", message).split())[:160]


def _speaks(line: LogLine, service: str) -> bool:
    """Whether a line says something of the service: what a client did wrong does not."""
    status = str(line.fields.get("http.response.status_code", ""))
    return line.service == service and not status.startswith("4")


def novel(
    before: Sequence[LogLine], during: Sequence[LogLine], service: str, seconds: tuple[float, float]
) -> list[tuple[str, int, LogLine]]:
    """Patterns of a service that are new or far more frequent, most frequent first, each with a line."""
    old = Counter(pattern(line.message) for line in before if _speaks(line, service))
    new = Counter(pattern(line.message) for line in during if _speaks(line, service))
    last = {pattern(line.message): line for line in during if _speaks(line, service)}
    found = []
    for text, count in new.most_common():
        usual = old[text] / max(seconds[0], 1.0) * seconds[1]
        if count >= 2 and count > NEW * usual:
            found.append((text, count, last[text]))
    return found
