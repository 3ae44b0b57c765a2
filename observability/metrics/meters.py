"""The declared metric families, and OpenTelemetry's metrics API on top of them.

:class:`Families` owns one Prometheus registry and makes the families of `schema.py` when they are first
asked for. :class:`PrometheusMeterProvider` implements the *API* of OpenTelemetry metrics over them, so
that what the official instrumentations (or anyone's own code) measure lands on `/metrics` under its
Prometheus name, with an exemplar of the span it belongs to. An instrument that nobody declared measures
nothing: no family appears by accident.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import prometheus_client
from opentelemetry import metrics as api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.util.types import Attributes
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.metrics_core import Metric as Collected

from observability import schema
from observability.traces.local_trace import promised

ABSENT = {"http_route": schema.UNMATCHED_ROUTE}
"""The value of a label whose attribute is missing; empty for all others."""

UNIT_SUFFIXES = {"s": "seconds", "By": "bytes", "ms": "milliseconds"}


class UndeclaredMetric(LookupError):
    """A metric was asked for that `schema.py` does not declare."""


class Families:
    """The metric families of one service, in a registry of their own.

    A family exists from the moment it is first asked for, so that `/metrics` shows what this service
    measures and not what others could. Thread-safe.
    """

    def __init__(self, declared: Iterable[schema.Metric] = schema.METRICS) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # doubles the series
        self.registry = CollectorRegistry(auto_describe=False)
        self._declared = {metric.name: metric for metric in declared}
        self._made: dict[str, Any] = {}
        self._lock = threading.Lock()
        for collector in (
            prometheus_client.ProcessCollector,
            prometheus_client.PlatformCollector,
            prometheus_client.GCCollector,
        ):
            collector(registry=self.registry)

    def declared(self, name: str) -> schema.Metric | None:
        """The declaration of a family by its Prometheus name, or None."""
        return self._declared.get(name)

    def metric(self, metric: schema.Metric) -> Any:
        """The prometheus_client object of a declared family. Raises UndeclaredMetric."""
        if self._declared.get(metric.name) is not metric:
            raise UndeclaredMetric(f"{metric.name} is not declared: add it to observability/schema.py")
        with self._lock:
            made = self._made.get(metric.name)
            if made is None:
                made = self._made[metric.name] = self._make(metric)
        return made

    def _make(self, metric: schema.Metric) -> Any:
        name, text, labels = metric.name, metric.help, metric.labels
        unit = UNIT_SUFFIXES.get(metric.unit, "")
        if metric.kind == "counter":
            return Counter(name, text, labels, unit=unit, registry=self.registry)
        if metric.kind == "gauge":
            return Gauge(name, text, labels, unit=unit, registry=self.registry)
        if metric.kind == "info":
            return Info(name, text, registry=self.registry)
        return Histogram(name, text, labels, unit=unit, registry=self.registry, buckets=metric.buckets)


def exemplar(context: Context | None = None) -> dict[str, str] | None:
    """The labels of an exemplar for the span of `context` (the current one by default).

    None where no span of this process will be found: an exemplar of an unsampled (and not kept), invalid
    or merely passed-on span would be a link to nothing.
    """
    current = trace.get_current_span(context)
    span = current.get_span_context()
    if not span.is_valid or span.is_remote or not promised(current):
        return None
    return {"trace_id": trace.format_trace_id(span.trace_id), "span_id": trace.format_span_id(span.span_id)}


def prometheus_name(name: str, unit: str) -> str:
    """The Prometheus family name of an OpenTelemetry instrument, as its specification maps them."""
    family = name.replace(".", "_").replace("-", "_")
    suffix = UNIT_SUFFIXES.get(unit, "")
    return f"{family}_{suffix}" if suffix and not family.endswith(f"_{suffix}") else family


class PrometheusMeterProvider(api.MeterProvider):
    """OpenTelemetry's metrics API over declared Prometheus families."""

    def __init__(self, families: Families) -> None:
        self._meter = _Meter(families)

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> api.Meter:
        return self._meter


class CurrentMeterProvider(api.MeterProvider):
    """The process's meter provider, which passes on to the one in force; a null object without one."""

    def __init__(self) -> None:
        self._null = api.NoOpMeterProvider()
        self.target: api.MeterProvider = self._null

    def reset(self) -> None:
        """Nothing is instrumented any more."""
        self.target = self._null

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> api.Meter:
        return self.target.get_meter(name, version, schema_url, attributes)


class _Series:
    """Children of one family, found by the attributes of a measurement."""

    def __init__(self, family: Any, labels: Sequence[str]) -> None:
        self._family = family
        self._labels = tuple(labels)
        self._children: dict[tuple[str, ...], Any] = {}

    def child(self, attributes: Attributes) -> Any:
        """The series of `attributes`; attributes that are no label are left out."""
        if not self._labels:
            return self._family
        given = {key.replace(".", "_"): value for key, value in (attributes or {}).items()}
        values = tuple(str(given.get(label, ABSENT.get(label, ""))) for label in self._labels)
        child = self._children.get(values)
        if child is None:
            child = self._children[values] = self._family.labels(*values)
        return child


class _Meter(api.NoOpMeter):
    """Makes instruments of declared families; every other instrument stays the API's null object."""

    def __init__(self, families: Families) -> None:
        super().__init__("observability")
        self._families = families

    def _declared(self, name: str, unit: str, kind: str) -> schema.Metric | None:
        metric = self._families.declared(prometheus_name(name, unit))
        return metric if metric is not None and metric.kind == kind else None

    def _series(self, metric: schema.Metric) -> _Series:
        return _Series(self._families.metric(metric), metric.labels)

    def create_counter(self, name: str, unit: str = "", description: str = "") -> api.Counter:
        metric = self._declared(name, unit, "counter")
        if metric is None:
            return super().create_counter(name, unit, description)
        return _Counter(name, self._series(metric))

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> api.UpDownCounter:
        metric = self._declared(name, unit, "gauge")
        if metric is None:
            return super().create_up_down_counter(name, unit, description)
        return _UpDownCounter(name, self._series(metric))

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> Any:
        metric = self._declared(name, unit, "gauge")
        if metric is None:
            return super().create_gauge(name, unit, description)
        return _Gauge(name, self._series(metric))

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> api.Histogram:
        metric = self._declared(name, unit, "histogram")
        if metric is None:
            return super().create_histogram(name, unit, description)
        return _Histogram(name, self._series(metric))

    def create_observable_gauge(
        self,
        name: str,
        callbacks: Sequence[Any] | None = None,
        unit: str = "",
        description: str = "",
    ) -> api.ObservableGauge:
        metric = self._declared(name, unit, "gauge")
        if metric is not None and callbacks:
            self._families.registry.register(_Observed(metric, callbacks))
        return super().create_observable_gauge(name, callbacks, unit, description)


class _Counter(api.Counter):
    def __init__(self, name: str, series: _Series) -> None:
        self._series = series

    def add(
        self, amount: float, attributes: Attributes | None = None, context: Context | None = None
    ) -> None:
        if amount >= 0:
            self._series.child(attributes).inc(amount, exemplar(context))


class _UpDownCounter(api.UpDownCounter):
    def __init__(self, name: str, series: _Series) -> None:
        self._series = series

    def add(
        self, amount: float, attributes: Attributes | None = None, context: Context | None = None
    ) -> None:
        self._series.child(attributes).inc(amount)


class _Gauge(api._Gauge):
    def __init__(self, name: str, series: _Series) -> None:
        self._series = series

    def set(
        self, amount: float, attributes: Attributes | None = None, context: Context | None = None
    ) -> None:
        self._series.child(attributes).set(amount)


class _Histogram(api.Histogram):
    def __init__(self, name: str, series: _Series) -> None:
        self._series = series

    def record(
        self, amount: float, attributes: Attributes | None = None, context: Context | None = None
    ) -> None:
        self._series.child(attributes).observe(max(amount, 0.0), exemplar(context))


class _Observed:
    """A gauge whose callbacks are asked at each scrape."""

    def __init__(self, metric: schema.Metric, callbacks: Sequence[Callable[[Any], Any]]) -> None:
        self._metric = metric
        self._callbacks = callbacks

    def collect(self) -> Iterable[Collected]:
        family = Collected(self._metric.name, self._metric.help, "gauge")
        for callback in self._callbacks:
            for observation in callback(api.CallbackOptions()):
                family.add_sample(
                    self._metric.name, self._by_label(observation.attributes), observation.value
                )
        yield family

    def _by_label(self, attributes: Mapping[str, Any] | None) -> dict[str, str]:
        given = {key.replace(".", "_"): value for key, value in (attributes or {}).items()}
        return {label: str(given.get(label, "")) for label in self._metric.labels}
