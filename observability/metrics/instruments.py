"""OpenTelemetry's metrics API for anyone's instruments: what is measured arrives on `/metrics`.

Names and labels are mapped as the specification says (names.py), the instrumentation scope's included; an
exemplar is the span that a measurement belongs to. Counters, up-down counters and histograms of several
worker processes are summed; a gauge has a `worker` label there, for there is no other way to tell them apart.

A name that is taken, by a family of the library or by another kind of instrument, is a NameTaken error
where the instrument is created. Only the official instrumentations (`opentelemetry.instrumentation.*`) may
create an instrument that the library has too: they measure the same by the same conventions, and share it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from opentelemetry import metrics as api
from opentelemetry.context import Context
from opentelemetry.util.types import Attributes

from observability.exemplars import exemplar
from observability.metrics.meters import DeclaredMeter, Families
from observability.metrics.names import prometheus_name
from observability.metrics.open_families import DEFAULT_BOUNDARIES, OpenFamily

_logger = logging.getLogger(__name__)

OFFICIAL = "opentelemetry.instrumentation."

KINDS = {
    "counter": ("counter", "sum"),
    "up_down_counter": ("gauge", "sum"),
    "gauge": ("gauge", "each"),
    "histogram": ("histogram", "sum"),
    "observable_counter": ("counter", "sum"),
    "observable_up_down_counter": ("gauge", "sum"),
    "observable_gauge": ("gauge", "each"),
}
"""Of each instrument the kind of its family, and how the values of several workers become one."""


class OpenMeterProvider(api.MeterProvider):
    """Meters whose instruments become families of `families`."""

    def __init__(self, families: Families) -> None:
        self._families = families

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> api.Meter:
        scope = {"otel_scope_name": name, "otel_scope_version": version, "otel_scope_schema_url": schema_url}
        labels = {key: text for key, text in scope.items() if text}
        return OpenMeter(self._families, name, labels)


class OpenMeter(api.Meter):
    """Makes instruments of any name. `scope` are the labels that its measurements have on top."""

    def __init__(self, families: Families, name: str, scope: dict[str, str]) -> None:
        super().__init__(name)
        self._families = families
        self._scope = scope
        self._declared = DeclaredMeter(families) if name.startswith(OFFICIAL) else None

    def _shared(self, kind: str, name: str, unit: str) -> api.Meter | None:
        """The library's own meter, where it has the instrument that an official instrumentation asks for."""
        if self._declared is not None and self._declared.has(name, unit, KINDS[kind][0]):
            return self._declared
        return None

    def _family(
        self, kind: str, name: str, unit: str, description: str, boundaries: Sequence[float] = ()
    ) -> OpenFamily:
        family_kind, across = KINDS[kind]
        family_name = prometheus_name(name, unit, family_kind)
        who = f"the {kind.replace('_', '-')} {name!r} of the meter {self.name!r}"
        return self._families.open(
            family_name,
            family_kind,
            who,
            lambda: OpenFamily(family_kind, family_name, description, unit, across, boundaries),
        )

    def create_counter(self, name: str, unit: str = "", description: str = "") -> api.Counter:
        if shared := self._shared("counter", name, unit):
            return shared.create_counter(name, unit, description)
        return _Counter(self._family("counter", name, unit, description), self._scope)

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> api.UpDownCounter:
        if shared := self._shared("up_down_counter", name, unit):
            return shared.create_up_down_counter(name, unit, description)
        return _UpDownCounter(self._family("up_down_counter", name, unit, description), self._scope)

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> Any:
        return _Gauge(self._family("gauge", name, unit, description), self._scope)

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> api.Histogram:
        if shared := self._shared("histogram", name, unit):
            return shared.create_histogram(name, unit, description)
        boundaries = explicit_bucket_boundaries_advisory
        chosen = DEFAULT_BOUNDARIES if boundaries is None else boundaries
        return _Histogram(self._family("histogram", name, unit, description, chosen), self._scope)

    def create_observable_counter(
        self, name: str, callbacks: Sequence[Any] | None = None, unit: str = "", description: str = ""
    ) -> Any:
        return self._observed("observable_counter", name, callbacks, unit, description)

    def create_observable_up_down_counter(
        self, name: str, callbacks: Sequence[Any] | None = None, unit: str = "", description: str = ""
    ) -> Any:
        return self._observed("observable_up_down_counter", name, callbacks, unit, description)

    def create_observable_gauge(
        self, name: str, callbacks: Sequence[Any] | None = None, unit: str = "", description: str = ""
    ) -> Any:
        return self._observed("observable_gauge", name, callbacks, unit, description)

    def _observed(
        self, kind: str, name: str, callbacks: Sequence[Any] | None, unit: str, description: str
    ) -> Any:
        family = self._family(kind, name, unit, description)
        return Observable(name, family.observe(self._scope, callbacks or ()))


class Observable(api.ObservableCounter, api.ObservableUpDownCounter, api.ObservableGauge):
    """An instrument that is asked at each scrape, until `forget` is called."""

    def __init__(self, name: str, forget: Any) -> None:
        self.name = name
        self.forget = forget


class _Measured:
    def __init__(self, family: OpenFamily, scope: dict[str, str]) -> None:
        self._family = family
        self._scope = scope


class _Counter(_Measured, api.Counter):
    def add(
        self, amount: float, attributes: Attributes | None = None, context: Context | None = None
    ) -> None:
        if amount < 0:
            _logger.warning("The counter %s cannot go down by %s", self._family.name, -amount)
            return
        self._family.add(self._scope, attributes, amount, exemplar(context))


class _UpDownCounter(_Measured, api.UpDownCounter):
    def add(
        self, amount: float, attributes: Attributes | None = None, context: Context | None = None
    ) -> None:
        self._family.add(self._scope, attributes, amount, None)


class _Gauge(_Measured, api._Gauge):
    def set(
        self, amount: float, attributes: Attributes | None = None, context: Context | None = None
    ) -> None:
        self._family.set(self._scope, attributes, amount)


class _Histogram(_Measured, api.Histogram):
    def record(
        self, amount: float, attributes: Attributes | None = None, context: Context | None = None
    ) -> None:
        if amount < 0:
            _logger.warning("The histogram %s cannot take %s", self._family.name, amount)
            return
        self._family.record(self._scope, attributes, amount, exemplar(context))
