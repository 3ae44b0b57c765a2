"""Log lines over time as stacked columns, in a drawing 1000 wide and 80 high."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashcam.model.logs import SEVERITIES, LogBucket

WIDTH, HEIGHT = 1000, 80


@dataclass(frozen=True, slots=True)
class Part:
    """The lines of one severity in one column."""

    y: float
    height: float
    severity: str


@dataclass(frozen=True, slots=True)
class Column:
    """One span of time; `parts` from the bottom up, the most severe lowest so that it is easily compared."""

    bucket: LogBucket
    x: float
    width: float
    parts: Sequence[Part]


def columns(buckets: Sequence[LogBucket]) -> list[Column]:
    """Place the buckets side by side, scaled to the fullest."""
    fullest = max((bucket.total for bucket in buckets), default=0) or 1
    width = WIDTH / max(1, len(buckets))
    return [
        Column(bucket, place * width, width * 0.86, _parts(bucket, fullest))
        for place, bucket in enumerate(buckets)
    ]


def _parts(bucket: LogBucket, fullest: int) -> list[Part]:
    parts, top = [], float(HEIGHT)
    known = [name for name in reversed(SEVERITIES) if bucket.counts.get(name)]
    others = sum(bucket.counts.values()) - sum(bucket.counts[name] for name in known)
    for name, lines in [*((name, bucket.counts[name]) for name in known), ("OTHER", others)]:
        if lines:
            height = max(2.0, lines / fullest * (HEIGHT - 4))
            top -= height
            parts.append(Part(top, height, name))
    return parts
