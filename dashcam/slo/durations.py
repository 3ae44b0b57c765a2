"""Prometheus durations (`5m`, `1h30m`, `250ms`): parsed, written and scaled.

A live test cannot wait an hour. So that it runs the very same rules, :func:`scale_expression` divides the
ranges, steps and offsets of an expression; names, thresholds and counts stay as they are.
"""

from __future__ import annotations

import re
from fractions import Fraction

_UNITS = {
    "y": 31_536_000_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_TEXT = re.compile(r"(?:(?P<n>\d+)(?P<unit>ms|[ywdhms]))")
_IN_EXPRESSION = re.compile(r"(?P<before>\[|:(?=\d)|\boffset\s+)(?P<text>(?:\d+(?:ms|[ywdhms]))+)")


def milliseconds(text: str) -> int:
    """The length of a duration. Raises ValueError for a text that Prometheus would not take."""
    parts = list(_TEXT.finditer(text))
    if not parts or "".join(part.group() for part in parts) != text:
        raise ValueError(f"{text!r} is not a Prometheus duration: write it like 5m, 1h30m or 250ms")
    return sum(int(part["n"]) * _UNITS[part["unit"]] for part in parts)


def seconds(text: str) -> float:
    """The length of a duration in seconds."""
    return milliseconds(text) / 1000


def scaled(text: str, scale: Fraction) -> str:
    """The duration times `scale`, in the largest unit that keeps it whole, never below a millisecond."""
    length = max(1, round(milliseconds(text) * scale)) if milliseconds(text) else 0
    if length == milliseconds(text):
        return text
    unit = next(unit for unit in ("d", "h", "m", "s", "ms") if length % _UNITS[unit] == 0)
    return f"{length // _UNITS[unit]}{unit}"


def scale_expression(expression: str, scale: Fraction) -> str:
    """The same PromQL with every range, subquery step and offset times `scale`."""
    return _IN_EXPRESSION.sub(lambda found: found["before"] + scaled(found["text"], scale), expression)
