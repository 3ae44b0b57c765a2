"""The metric families of one service, and OpenTelemetry's metrics API over those that are declared.

:class:`Families` owns one Prometheus registry: the families of `schema.py` and those that a service declares
are made when they are first asked for, those of a user's OpenTelemetry instruments (instruments.py) when the
instrument is created. :class:`PrometheusMeterProvider` is for the instrumentations that the library itself
installs: what they measure lands on `/metrics` under its Prometheus name, with an exemplar of the span it
belongs to, and an instrument of theirs that is not declared measures nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import prometheus_client
from opentelemetry import metrics as api
from opentelemetry.context import Context
from opentelemetry.util.types import Attributes
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from observability import schema
from observability.exemplars import exemplar
from observability.metrics.names import prometheus_name, sample_names, unit_suffix
from observability.metrics.open_families import OpenFamily

ABSENT = {"http_route": schema.UNMATCHED_ROUTE}
"""The value of a label whose attribute is missing; empty for all others."""


class NameTaken(ValueError):
    """Two metrics would have the same name on `/metrics`. The message names both."""


class Families:
    """The metric families of one service, in a registry of their own.

    A family exists from the moment it is first asked for, so that `/metrics` shows what this service
    measures and not what others could. `theirs` is a registry of the user's own prometheus_client metrics,
    which are shown too. Thread-safe.
    """

    def __init__(
        self,
        declared: Iterable[schema.Metric] = schema.METRICS,
        theirs: CollectorRegistry | None = None,
    ) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # doubles the series
        self.registry = CollectorRegistry(auto_describe=False)
        self.theirs = theirs
        self._owners: dict[str, str] = {}
        self._declared: dict[str, schema.Metric] = {}
        self._made: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._check_theirs(declared)
        for metric in declared:
            self._declare(metric)
        for collector in (
            prometheus_client.ProcessCollector,
            prometheus_client.PlatformCollector,
            prometheus_client.GCCollector,
        ):
            collector(registry=self.registry)

    @property
    def registries(self) -> tuple[CollectorRegistry, ...]:
        """All that `/metrics` shows: the library's, and the user's where there is one."""
        return (self.registry,) if self.theirs is None else (self.registry, self.theirs)

    def declared(self, name: str) -> schema.Metric | None:
        """The declaration of a family by its Prometheus name, or None."""
        return self._declared.get(name)

    def metric(self, metric: schema.Metric) -> Any:
        """The prometheus_client object of a declared family, of the library's or anyone's own.

        Raises NameTaken where another metric has its name.
        """
        with self._lock:
            made = self._made.get(metric.name)
            if made is None or self._declared.get(metric.name) != metric:
                self._declare(metric)
                made = self._made[metric.name] = self._make(metric)
        return made

    def open(self, name: str, kind: str, who: str, make: Callable[[], OpenFamily]) -> OpenFamily:
        """The family of an instrument, made by `make` the first time. `who` is the instrument, for errors.

        Raises NameTaken where the name is a declared family's, or one of another kind.
        """
        with self._lock:
            known = self._made.get(name)
            if isinstance(known, OpenFamily) and known.kind == kind:
                return known
            self._take(name, kind, who)
            family = self._made[name] = make()
            self.registry.register(family)
        return family

    def _declare(self, metric: schema.Metric) -> None:
        if self._declared.get(metric.name) == metric:
            return
        about = f"the declared {metric.kind} {metric.name} ({metric.help.rstrip('.')})"
        self._take(metric.name, metric.kind, about)
        self._declared[metric.name] = metric

    def _take(self, name: str, kind: str, who: str) -> None:
        """Note who has the names of a family. Raises NameTaken where somebody has one of them."""
        wanted = sample_names(kind, name)
        for taken in sorted(wanted & self._owners.keys()):
            raise NameTaken(
                f"{who} would be {taken} on /metrics, which is {self._owners[taken]}: give yours another name"
            )
        if self.theirs is not None and (taken_there := sorted(wanted & registered_names(self.theirs))):
            raise NameTaken(
                f"{who} would be {taken_there[0]} on /metrics, which is a metric of the prometheus_client "
                "registry that is shown there too: give yours another name"
            )
        self._owners |= dict.fromkeys(wanted, who)

    def _check_theirs(self, declared: Iterable[schema.Metric]) -> None:
        """Raise NameTaken where the user's registry has a name of the library's already."""
        if self.theirs is None:
            return
        there = registered_names(self.theirs)
        for metric in declared:
            if clash := sorted(sample_names(metric.kind, metric.name) & there):
                raise NameTaken(
                    f"the metric {clash[0]} of your prometheus_client registry has the name of the declared "
                    f"{metric.kind} {metric.name} ({metric.help.rstrip('.')}): give yours another name"
                )

    def _make(self, metric: schema.Metric) -> Any:
        name, text, labels = metric.name, metric.help, metric.labels
        unit = unit_suffix(metric.unit)
        if metric.kind == "counter":
            return Counter(name, text, labels, unit=unit, registry=self.registry)
        if metric.kind == "gauge":
            return Gauge(
                name, text, labels, unit=unit, registry=self.registry, multiprocess_mode=metric.across
            )
        if metric.kind == "info":
            return Info(name, text, registry=self.registry)
        return Histogram(name, text, labels, unit=unit, registry=self.registry, buckets=metric.buckets)


def registered_names(registry: CollectorRegistry) -> set[str]:
    """Every name that a registry knows to be taken, without the client's own of the process."""
    with registry._lock:
        return {name for name in registry._names_to_collectors if not name.startswith(schema.RUNTIME)}


class PrometheusMeterProvider(api.MeterProvider):
    """OpenTelemetry's metrics API over declared Prometheus families."""

    def __init__(self, families: Families) -> None:
        self._meter = DeclaredMeter(families)

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> api.Meter:
        return self._meter


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


class DeclaredMeter(api.NoOpMeter):
    """Makes instruments of declared families; every other instrument stays the API's null object."""

    def __init__(self, families: Families) -> None:
        super().__init__("observability")
        self._families = families

    def has(self, name: str, unit: str, kind: str) -> bool:
        """Whether an instrument of this name is declared as a family of this kind."""
        return self._declared(name, unit, kind) is not None

    def _declared(self, name: str, unit: str, kind: str) -> schema.Metric | None:
        metric = self._families.declared(prometheus_name(name, unit, kind))
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


class _Histogram(api.Histogram):
    def __init__(self, name: str, series: _Series) -> None:
        self._series = series

    def record(
        self, amount: float, attributes: Attributes | None = None, context: Context | None = None
    ) -> None:
        self._series.child(attributes).observe(max(amount, 0.0), exemplar(context))
