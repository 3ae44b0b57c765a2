"""The data points of OTLP metrics as values of series.

An exponential histogram becomes one with explicit bounds, which Prometheus of any age and every dashboard can
read: its own bounds, at a scale of at most EXPONENTIAL_SCALE (four buckets for each doubling).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
    SummaryDataPoint,
)

from dashcam.store.metric_series import COUNT, SUM, VALUE, Values

EXPONENTIAL_SCALE = 2
_FIRST, _LAST = -30 * 4, 40 * 4
# From a nanosecond in seconds to a terabyte in bytes.
EXPONENTIAL_BOUNDS = (0.0, *(2.0 ** (place / 4) for place in range(_FIRST, _LAST + 1)))


EXPONENTIAL_SAMPLES = 40
"""What a series with exponential bounds counts for: only the buckets between its least and most are given."""


class BadPoint(ValueError):
    """A point that cannot be a sample; the message says why."""


class Point(NamedTuple):
    """The values of a point, and the bounds of a histogram's buckets without +Inf."""

    values: Values
    bounds: tuple[float, ...] = ()

    @property
    def samples(self) -> int:
        """How many samples a series of such points is."""
        if self.bounds == EXPONENTIAL_BOUNDS:
            return EXPONENTIAL_SAMPLES
        return len(self.bounds) + 3 if COUNT in self.values else len(self.values)


def number(point: NumberDataPoint) -> Point:
    """A gauge's or a sum's."""
    return Point({VALUE: float(point.as_int) if point.HasField("as_int") else point.as_double})


def histogram(point: HistogramDataPoint) -> Point:
    """One with explicit bounds; without buckets it is a count and a sum."""
    bounds, counts = tuple(point.explicit_bounds), point.bucket_counts
    if counts and len(counts) != len(bounds) + 1:
        raise BadPoint(f"it has {len(counts)} buckets for {len(bounds)} bounds")
    if list(bounds) != sorted(set(bounds)):
        raise BadPoint("its bounds do not rise")
    values: dict[Hashable, float] = {place: float(count) for place, count in enumerate(counts) if count}
    values[COUNT] = float(point.count)
    if point.HasField("sum"):
        values[SUM] = point.sum
    return Point(values, bounds)


def exponential(point: ExponentialHistogramDataPoint) -> Point:
    """One with exponential bounds. Negative values are in the lowest bucket, that of zero."""
    values: dict[Hashable, float] = {}
    if below := point.zero_count + sum(point.negative.bucket_counts):
        values[0] = float(below)
    for place, count in enumerate(point.positive.bucket_counts):
        if count:
            bucket = _bucket(point.positive.offset + place, point.scale)
            values[bucket] = values.get(bucket, 0.0) + count
    values[COUNT] = float(point.count)
    if point.HasField("sum"):
        values[SUM] = point.sum
    return Point(values, EXPONENTIAL_BOUNDS)


def summary(point: SummaryDataPoint) -> Point:
    """A count, a sum and quantiles, whose keys are numbers from 0 to 1."""
    values: dict[Hashable, float] = {("quantile", one.quantile): one.value for one in point.quantile_values}
    return Point({**values, SUM: point.sum, COUNT: float(point.count)})


def _bucket(index: int, scale: int) -> int:
    """The place in EXPONENTIAL_BOUNDS of a bucket, which ends at 2 ** ((index + 1) / 2 ** scale)."""
    if scale >= EXPONENTIAL_SCALE:
        upper = (index >> (scale - EXPONENTIAL_SCALE)) + 1
    else:
        upper = (index + 1) << (EXPONENTIAL_SCALE - scale)
    return min(max(upper - _FIRST + 1, 1), len(EXPONENTIAL_BOUNDS))
