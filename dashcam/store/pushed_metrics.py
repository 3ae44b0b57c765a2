"""The metrics that were pushed over OTLP, held for Prometheus to scrape: bounded, and forgotten in time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2 as otlp
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from dashcam.store import metric_points, old_conventions, values
from dashcam.store.metric_points import BadPoint, Point
from dashcam.store.metric_series import STREAMS, VALUE, Exemplar, Series, Span
from dashcam.store.otlp import service_name
from dashcam.store.prometheus_names import labels_of, metric_name

Labels = tuple[tuple[str, str], ...]

_IDENTITY = frozenset({"service.name", "service.namespace", "service.instance.id"})
_NO_VALUE = otlp.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
_DELTA, _CUMULATIVE = otlp.AGGREGATION_TEMPORALITY_DELTA, otlp.AGGREGATION_TEMPORALITY_CUMULATIVE
_SWEEP_SECONDS = 10.0
_SAMPLE_BYTES = 256
_VALUE_BYTES = 150
_FEW = 4
"""Processes of one identity told apart where half of HELD_BYTES is taken."""

_LONGEST = 1000
"""Characters of a metric's name, and of its help, which is cut."""

HELD_BYTES = 32 * 1024 * 1024
"""What series and the page of them may take; each line of the page repeats its labels."""
_JUST_BEGUN = 60_000_000_000
"""Nanoseconds that the first point of a series covers at most where it has begun just now."""

_READ: Mapping[str, Callable[..., Point]] = {
    "gauge": metric_points.number,
    "sum": metric_points.number,
    "histogram": metric_points.histogram,
    "exponential_histogram": metric_points.exponential,
    "summary": metric_points.summary,
}


@dataclass
class Family:
    """Every series of one name. `kind` is counter, gauge, histogram, summary or info."""

    name: str
    kind: str
    help: str
    unit: str
    series: dict[Labels, Series] = field(default_factory=dict)


@dataclass
class Refusals:
    """The points of one request that were not taken, by reason."""

    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def points(self) -> int:
        return self.reasons.total()

    @property
    def text(self) -> str:
        return "; ".join(f"{reason} ({count})" for reason, count in self.reasons.most_common(5))


class PushedMetrics:
    """Takes OTLP metrics of any number of services. Thread-safe.

    At most `max_series` samples are held; a point that would be a series beyond is refused, those that are
    known go on. What has not come for `expire_seconds` is forgotten. `promoted` attributes of the resource
    become labels; `translate` gives HTTP metrics by the old conventions the stable names.
    """

    def __init__(
        self,
        max_series: int,
        expire_seconds: float,
        promoted: tuple[str, ...] = (),
        translate: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max = max_series
        self._expire = expire_seconds
        self._promoted = promoted
        self._translate = translate
        self._clock = clock
        self._families: dict[str, Family] = {}
        self._held = 0
        self._bytes = 0
        self._swept = clock()
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Samples that a scrape gives now."""
        return self._held

    def take(self, request: ExportMetricsServiceRequest) -> Refusals:
        """Take what can be taken; what was refused, and why."""
        refused = Refusals()
        with self._lock:
            self._sweep()
            for resource_metrics in request.resource_metrics:
                common = self._resource(resource_metrics.resource)
                for scope_metrics in resource_metrics.scope_metrics:
                    labels = common | _scope(scope_metrics.scope)
                    for metric in scope_metrics.metrics:
                        self._metric(metric, labels, refused)
        return refused

    def families(self) -> Iterator[Family]:
        """Every family with its series, sorted by name; the series must not be changed meanwhile."""
        with self._lock:
            self._sweep()
            yield from sorted(self._families.values(), key=lambda family: family.name)

    def _resource(self, resource: Resource) -> dict[str, str]:
        """The labels that tell who sends, having noted what else is known of it as `target_info`."""
        given = {one.key: values.plain_text(values.plain(one.value)) for one in resource.attributes}
        namespace = given.get("service.namespace")
        job = service_name(resource)
        who = {"job": f"{namespace}/{job}" if namespace else job}
        if instance := given.get("service.instance.id"):
            who["instance"] = instance
        if given.keys() - _IDENTITY:
            # With what `job` and `instance` were made of: a span's process is found by it.
            self._target_info(who, labels_of(given.items()) | who)
        return who | labels_of((key, given[key]) for key in self._promoted if key in given)

    def _target_info(self, who: dict[str, str], labels: dict[str, str]) -> None:
        """Hold the newest `target_info` of a sender: two of one job and instance cannot be joined with."""
        family = self._family("target_info", "info", "Attributes of the resource.", "")
        if family is None:
            return  # a metric of that name was sent
        named = {("job", who["job"]), ("instance", who.get("instance", ""))} - {("instance", "")}
        for held in [held for held in family.series if named <= set(held)]:
            if dict(held).get("instance") == who.get("instance"):
                self._forget(family, dict(held))
        if series := self._series(family, labels, 1):
            series.latest(Span(0, 0), {VALUE: 1.0})

    def _metric(self, metric: otlp.Metric, common: dict[str, str], refused: Refusals) -> None:
        data = metric.WhichOneof("data")
        if data is None:
            return
        change = old_conventions.change_of(metric.name, metric.unit) if self._translate else None
        name, unit = (change.name, change.unit) if change else (metric.name, metric.unit)
        body = getattr(metric, data)
        kind = _kind(data, body)
        written = metric_name(name, unit, kind)
        usable = written.strip("_") and len(written) <= _LONGEST
        family = self._family(written, kind, metric.description[:_LONGEST], unit) if usable else None
        for point in body.data_points:
            if family is None:
                refused.reasons[f"{metric.name!r} has no usable name, or is not a {kind} elsewhere"] += 1
                continue
            labels = self._labels(name, point) | common
            if point.flags & _NO_VALUE:
                self._forget(family, labels)
                continue
            try:
                read = _READ[data](point)
            except BadPoint as error:
                refused.reasons[f"{metric.name}: {error}"] += 1
                continue
            read = change.scaled(read) if change else read
            if reason := self._point(family, labels, data, body, point, read):
                refused.reasons[reason] += 1
        if family and not family.series:
            del self._families[written]

    def _labels(self, metric: str, point: Any) -> dict[str, str]:
        given = [(one.key, values.plain_text(values.plain(one.value))) for one in point.attributes]
        return labels_of(old_conventions.attributes(metric, given) if self._translate else given)

    def _point(
        self, family: Family, labels: dict[str, str], data: str, body: Any, point: Any, read: Point
    ) -> str | None:
        """Take one point; why not, or None. A late one is no fault of the sender's."""
        temporality = getattr(body, "aggregation_temporality", _CUMULATIVE)
        if temporality not in (_DELTA, _CUMULATIVE):
            return f"{family.name} has no aggregation temporality"
        series = self._series(family, labels, read.samples)
        if series is None:
            return (
                f"{self._held} series of {self._bytes} bytes are held, the bounds are {self._max} "
                f"(OTLP_METRICS_MAX_SERIES) and {HELD_BYTES}: new ones of {family.name} are refused"
            )
        if not series.known and family.kind in ("counter", "histogram"):
            covered = point.time_unix_nano - point.start_time_unix_nano
            series.fresh = temporality == _DELTA or (
                0 < covered < _JUST_BEGUN and point.start_time_unix_nano > 0
            )
        series.rebounded(read.bounds)
        series.monotonic = family.kind != "gauge"
        span = Span(getattr(point, "start_time_unix_nano", 0), getattr(point, "time_unix_nano", 0))
        if data in ("gauge", "summary"):
            series.latest(span, read.values)
        elif temporality == _DELTA:
            series.delta(span, read.values)
        else:
            series.cumulative(span, read.values)
        _exemplars(series, point)
        self._charge(series)
        return None

    def _family(self, name: str, kind: str, help: str, unit: str) -> Family | None:
        """The family of a name, which has one kind; None for another."""
        family = self._families.setdefault(name, Family(name, kind, help, unit))
        return family if family.kind == kind else None

    def _series(self, family: Family, labels: dict[str, str], samples: int) -> Series | None:
        key = tuple(sorted(labels.items()))
        series = family.series.get(key)
        held = series or Series(size=0, own=0)
        if series is None or samples > held.size:  # later points may have more buckets or quantiles
            written = len(family.name) + sum(len(name) + len(value) for name, value in key)
            own = samples * (_SAMPLE_BYTES + written)
            more = samples - held.size
            if self._held + more > self._max or self._bytes + own - held.own > HELD_BYTES:
                return None
            held.size, held.own = samples, own
            series = family.series[key] = held
            self._held += more
            self._charge(series)
        series.seen = self._clock()
        series.room = STREAMS if self._bytes < HELD_BYTES // 2 else _FEW
        return series

    def _forget(self, family: Family, labels: dict[str, str]) -> None:
        key = tuple(sorted(labels.items()))
        series = family.series.pop(key, None)
        if series is not None:
            self._let_go(series)

    def _charge(self, series: Series) -> None:
        weight = series.own + series.remembered * _VALUE_BYTES
        self._bytes += weight - series.charged
        series.charged = weight

    def _let_go(self, series: Series) -> None:
        self._held -= series.size
        self._bytes -= series.charged

    def _sweep(self) -> None:
        now = self._clock()
        if now - self._swept < min(_SWEEP_SECONDS, self._expire):
            return
        self._swept = now
        for family in list(self._families.values()):
            for labels, series in list(family.series.items()):
                if now - series.seen > self._expire:
                    del family.series[labels]
                    self._let_go(series)
            if not family.series:
                del self._families[family.name]


def _kind(data: str, body: object) -> str:
    if data == "sum":
        return "counter" if getattr(body, "is_monotonic", False) else "gauge"
    return {"exponential_histogram": "histogram"}.get(data, data)


def _scope(scope: object) -> dict[str, str]:
    name, version = getattr(scope, "name", ""), getattr(scope, "version", "")
    pairs = {"otel_scope_name": name, "otel_scope_version": version}
    return {key: value for key, value in pairs.items() if value}


def _exemplars(series: Series, point: Any) -> None:
    """Keep the newest exemplar of each bucket that names a trace."""
    for one in getattr(point, "exemplars", ()):
        if not any(one.trace_id):
            continue
        value = float(one.as_int) if one.HasField("as_int") else one.as_double
        place = next((i for i, bound in enumerate(series.bounds) if value <= bound), len(series.bounds))
        made = Exemplar(value, one.time_unix_nano / 1e9, one.trace_id.hex(), one.span_id.hex())
        held = series.exemplars.get(place)
        if held is None or held.time <= made.time:
            series.exemplars[place] = made
