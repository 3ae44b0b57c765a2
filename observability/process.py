"""What there is only once in a process: logging, propagators, global providers, patched libraries.

It follows the telemetry that was activated last; when that one is shut down, the one before it, if it
is still there. The usual process has one; tests make many.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

from opentelemetry import metrics, propagate, trace

from observability import database
from observability.configuration import TelemetrySettings
from observability.http import clients, installed
from observability.logs import handler as logs
from observability.metrics.current import CurrentMeterProvider
from observability.metrics.meters import Families
from observability.traces import propagation
from observability.traces.provider import CurrentTracerProvider


class Wired(Protocol):
    """What the process is wired to: a Telemetry, as far as it is needed here."""

    settings: TelemetrySettings
    service: str
    families: Families
    logger_names: tuple[str, ...]
    tracers: trace.TracerProvider
    meters: metrics.MeterProvider
    declared_meters: metrics.MeterProvider


class _Process:
    """The stack of active telemetries and the wiring of the last one."""

    def __init__(self) -> None:
        self.active: list[Wired] = []
        self._lock = threading.RLock()
        self._wiring = ExitStack()
        self._tracers = CurrentTracerProvider()
        self._meters = CurrentMeterProvider()
        self._global = False

    def activate(self, telemetry: Wired) -> None:
        with self._lock:
            self._set_globals()
            self.active.append(telemetry)
            try:
                self._rewire()
            except BaseException:
                self.active.remove(telemetry)
                self._rewire()
                raise

    def deactivate(self, telemetry: Wired) -> None:
        with self._lock:
            self.active.remove(telemetry)
            self._rewire()

    def _set_globals(self) -> None:
        """OpenTelemetry lets them be set once: these pass on to what is active."""
        if not self._global:
            trace.set_tracer_provider(self._tracers)
            metrics.set_meter_provider(self._meters)
            self._global = True

    def _rewire(self) -> None:
        self._wiring.close()
        self._tracers.reset()
        self._meters.reset()
        if not self.active:
            return
        telemetry = self.active[-1]
        undo = self._wiring.callback
        undo(logs.install(telemetry.service, telemetry.settings, telemetry.families, telemetry.logger_names))
        chosen = telemetry.settings
        undo(propagate.set_global_textmap, propagation.install(chosen.propagators, chosen.trust_incoming))
        self._tracers.point_at(telemetry.tracers)
        self._meters.point_at(telemetry.meters)
        undo(clients.install(telemetry.tracers, telemetry.declared_meters))
        undo(installed.install(telemetry.tracers, telemetry.declared_meters))
        undo(database.install(telemetry.tracers, telemetry.declared_meters))


_process = _Process()


def activate(telemetry: Wired) -> Callable[[], None]:
    """Wire the process to `telemetry`. Answers the function that takes it out again."""
    _process.activate(telemetry)
    return lambda: _process.deactivate(telemetry)


def current() -> Wired | None:
    """The telemetry that the process is wired to, or None."""
    return _process.active[-1] if _process.active else None
