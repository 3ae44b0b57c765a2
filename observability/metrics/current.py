"""The process's meter provider: instruments that may be created before `instrument()`, and outlive it.

OpenTelemetry lets the global provider be set once in a process. :class:`CurrentMeterProvider` is set that
once; each of its instruments passes on to that of whichever service is instrumented now, so that
`get_meter(__name__).create_counter(...)` in any module measures, whenever it is run.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

from opentelemetry import metrics as api
from opentelemetry.util.types import Attributes

Scope = tuple[str, str | None, str | None, Any]


class CurrentMeterProvider(api.MeterProvider):
    """Passes on to the provider in force; a null object where nothing is instrumented."""

    def __init__(self) -> None:
        self._target: api.MeterProvider = api.NoOpMeterProvider()
        self._lock = threading.RLock()
        self._held: WeakValueDictionary[Any, _Instrument] = WeakValueDictionary()
        self._asked: dict[Any, _Instrument] = {}

    def point_at(self, target: api.MeterProvider) -> None:
        """Pass on to `target` from now on. Raises NameTaken for an instrument that cannot be made there."""
        with self._lock:
            self._target = target
            for instrument in [*self._held.values(), *self._asked.values()]:
                instrument.make(target)

    def reset(self) -> None:
        """Nothing is instrumented any more."""
        self.point_at(api.NoOpMeterProvider())

    def forget(self) -> None:
        """Make no observable instrument again that exists now; a test that makes some calls it at its end."""
        with self._lock:
            for instrument in self._asked.values():
                instrument.make(api.NoOpMeterProvider())
            self._asked.clear()

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> api.Meter:
        return _CurrentMeter(self, (name, version, schema_url, attributes))

    def instrument(
        self, kind: type[_Instrument], scope: Scope, create: str, *arguments: Any, **named: Any
    ) -> Any:
        """What `create(*arguments, **named)` makes in a scope; the same when it is asked for again."""
        key = (*scope[:3], create, *map(str, arguments))
        # One that is asked is held by nobody else; one that measures ends with whoever has it.
        kept: Any = self._asked if kind is _Observed else self._held
        with self._lock:
            known = kept.get(key)
            if known is None:
                known = kind(scope, create, arguments, named)
                known.make(self._target)
                kept[key] = known
        return known


class _Instrument:
    """One instrument, made anew for each provider."""

    def __init__(self, scope: Scope, create: str, arguments: Any, named: Any) -> None:
        self._scope, self._create = scope, create
        self._arguments, self._named = arguments, named
        self._made: Any = None

    def make(self, target: api.MeterProvider) -> None:
        before, self._made = self._made, None
        forget = getattr(before, "forget", None)
        if forget is not None:
            forget()
        meter = target.get_meter(*self._scope)
        self._made = getattr(meter, self._create)(*self._arguments, **self._named)


class _Added(_Instrument, api.Counter, api.UpDownCounter):
    def add(self, *arguments: Any, **named: Any) -> None:
        if (made := self._made) is not None:
            made.add(*arguments, **named)


class _Recorded(_Instrument, api.Histogram):
    def record(self, *arguments: Any, **named: Any) -> None:
        if (made := self._made) is not None:
            made.record(*arguments, **named)


class _SetTo(_Instrument, api._Gauge):
    def set(self, *arguments: Any, **named: Any) -> None:
        if (made := self._made) is not None:
            made.set(*arguments, **named)


class _Observed(_Instrument, api.ObservableCounter, api.ObservableUpDownCounter, api.ObservableGauge):
    pass


class _CurrentMeter(api.Meter):
    def __init__(self, provider: CurrentMeterProvider, scope: Scope) -> None:
        super().__init__(scope[0], scope[1], scope[2])
        self._provider = provider
        self._scope = scope

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Any:
        return self._provider.instrument(_Added, self._scope, "create_counter", name, unit, description)

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> Any:
        return self._provider.instrument(
            _Added, self._scope, "create_up_down_counter", name, unit, description
        )

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> Any:
        return self._provider.instrument(_SetTo, self._scope, "create_gauge", name, unit, description)

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> Any:
        advised = {"explicit_bucket_boundaries_advisory": explicit_bucket_boundaries_advisory}
        return self._provider.instrument(
            _Recorded, self._scope, "create_histogram", name, unit, description, **advised
        )

    def create_observable_counter(
        self, name: str, callbacks: Sequence[Any] | None = None, unit: str = "", description: str = ""
    ) -> Any:
        return self._observed("create_observable_counter", name, callbacks, unit, description)

    def create_observable_up_down_counter(
        self, name: str, callbacks: Sequence[Any] | None = None, unit: str = "", description: str = ""
    ) -> Any:
        return self._observed("create_observable_up_down_counter", name, callbacks, unit, description)

    def create_observable_gauge(
        self, name: str, callbacks: Sequence[Any] | None = None, unit: str = "", description: str = ""
    ) -> Any:
        return self._observed("create_observable_gauge", name, callbacks, unit, description)

    def _observed(
        self, create: str, name: str, callbacks: Sequence[Any] | None, unit: str, description: str
    ) -> Any:
        asked = list(callbacks or ())
        return self._provider.instrument(_Observed, self._scope, create, name, asked, unit, description)
