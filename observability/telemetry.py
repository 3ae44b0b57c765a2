"""`instrument(app, service=...)`: the one call that a service writes, and what it answers.

Everything that it does to the application and to the process is kept in one undo list, so that
`Telemetry.shutdown()` leaves both as they were and the next application can be instrumented.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import prometheus_client
from flask import Flask
from opentelemetry import metrics, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor
from prometheus_client import CollectorRegistry

from observability import process, schema
from observability.admin import AdminServer
from observability.configuration import TelemetrySettings
from observability.health import Check, Readiness
from observability.http import incoming, official, speedups, wiring
from observability.http.access_line import AccessLines
from observability.http.conventions import ServerConventions
from observability.http.server_metrics import ServerMetrics
from observability.logs import handler as logs
from observability.metrics.exposition import OwnMetrics, Source
from observability.metrics.instruments import OpenMeterProvider
from observability.metrics.meters import Families, PrometheusMeterProvider
from observability.metrics.workers import WorkerGroup, group_folder
from observability.settings import SettingError, from_environ
from observability.traces import provider as tracing
from observability.traces.processors import Processors

_EXTENSION = "observability"


def instrument(
    app: Flask,
    service: str,
    version: str | None = None,
    settings: TelemetrySettings | None = None,
    ready: Mapping[str, Check] | None = None,
    registry: CollectorRegistry | None = prometheus_client.REGISTRY,
) -> Telemetry:
    """Give `app` traces, metrics, logs and an admin port. Call it once its extensions exist.

    `service` and `version` name it (OTEL_SERVICE_NAME wins). `settings` come from the environment when
    they are not given. `ready` maps the name of each dependency that the service cannot work without to
    a callable that raises, or answers False, while it is away. `registry` holds your own prometheus_client
    metrics, which /metrics shows too: the client's default one, another, or None for none.
    Calling it again for the same application answers the same Telemetry. Raises SettingError, and NameTaken
    where a metric of yours has the name of another.
    """
    known = app.extensions.get(_EXTENSION)
    if isinstance(known, Telemetry):
        return known
    settings = settings or from_environ(TelemetrySettings)
    telemetry = Telemetry(app, service, version, settings, ready or {}, registry)
    app.extensions[_EXTENSION] = telemetry
    return telemetry


class Telemetry:
    """The telemetry of one application, from `instrument()` to `shutdown()`.

    `service` is the name in force, `settings` what it was built with, `resource` the attributes of every
    span, `families` the metrics, `readiness` what /readyz answers.
    """

    def __init__(
        self,
        app: Flask,
        service: str,
        version: str | None,
        settings: TelemetrySettings,
        ready: Mapping[str, Check],
        registry: CollectorRegistry | None = None,
    ) -> None:
        self.settings = settings
        self.resource: Resource = tracing.resource(service, version, settings)
        self.service = str(self.resource.attributes["service.name"])
        self.families = Families(theirs=registry)
        self.readiness = Readiness(
            ready,
            self.families,
            timeout=settings.ready_timeout,
            cache=settings.ready_cache,
            starting=settings.worker is not None,  # `serve` says when it listens
        )
        self.logger_names: tuple[str, ...] = (app.name,)
        self._app = app
        self._undo = ExitStack()
        self._lock = threading.Lock()
        self._closed = False
        self._describe()
        # First what can fail: a taken port must leave nothing half done.
        self._admin: AdminServer | None = None
        self._group: WorkerGroup | None = None
        self._open_admin_port()
        self._processors = Processors()
        self._queue = tracing.span_queue(settings, self.families, self.resource)
        if self._queue is not None:
            self._processors.add_span_processor(tracing.entrance(settings, self._queue, self.families))
        self.tracers: trace.TracerProvider = tracing.provider(settings, self.resource, self._processors)
        self.meters: metrics.MeterProvider = OpenMeterProvider(self.families)
        self.declared_meters: metrics.MeterProvider = PrometheusMeterProvider(self.families)
        try:
            self._wire()
        except BaseException:
            self._undo.close()
            raise
        at_exit(self.shutdown, self._undo)

    @property
    def admin_address(self) -> tuple[str, int] | None:
        """Host and port of the admin server, or None where there is none."""
        return self._admin.address if self._admin is not None else None

    @property
    def workers(self) -> WorkerGroup | None:
        """The group of worker processes that this one belongs to, or None where it is alone."""
        return self._group

    def metric(self, metric: schema.Metric) -> Any:
        """The prometheus_client object of a declared family: `.labels(...)`, `.inc()`, `.observe()`.

        `metric` may be the library's or your own. Raises NameTaken where another one has its name.
        """
        return self.families.metric(metric)

    def add_span_processor(self, processor: SpanProcessor) -> None:
        """Also show every span to `processor`."""
        self._processors.add_span_processor(processor)

    def accept(self) -> None:
        """The server listens: /readyz asks the dependencies from now on. Called by `server.serve`."""
        self.readiness.start()

    def drain(self) -> None:
        """Answer /readyz with 503 from now on: the service is about to stop."""
        self.readiness.stop()

    def force_flush(self, timeout: float = 5.0) -> bool:
        """Export what is queued, within `timeout` seconds; False when it took longer."""
        return self._processors.force_flush(int(timeout * 1000))

    def shutdown(self, timeout: float | None = None) -> None:
        """Flush, and undo everything, within `timeout` seconds (DASHCAM_SHUTDOWN_TIMEOUT by default).

        Safe to call more than once and at the end of the process. Spans that could not be exported in
        time are counted as lost.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        deadline = time.monotonic() + (self.settings.shutdown_timeout if timeout is None else timeout)
        self.drain()
        if self._queue is not None:
            self._queue.shutdown(max(0.0, deadline - time.monotonic()))
        # Those that were added: bounded, for theirs may wait for whom they send to as long as they like.
        ending = threading.Thread(target=self._processors.shutdown, name="span-processors", daemon=True)
        ending.start()
        ending.join(max(0.1, deadline - time.monotonic()))
        logs.drain(max(0.0, deadline - time.monotonic()))
        self._undo.close()

    # -- building ---------------------------------------------------------------------------------

    def _describe(self) -> None:
        about = self.resource.attributes
        named = {label: str(about[label.replace("_", ".")]) for label in schema.TARGET.labels[:3]}
        named["deployment_environment_name"] = str(about["deployment.environment.name"])
        self.families.metric(schema.TARGET).info(named)
        version = str(about["service.version"])
        self.families.metric(schema.BUILD).info({"version": version, "revision": self.settings.revision})

    def _open_admin_port(self) -> None:
        if self.settings.admin_port is None:
            return
        self._group = self._make_group()
        if self._group is None:
            self._undo.callback(self._serve_admin(OwnMetrics(*self.families.registries)))
            return
        self._undo.callback(self._group.stop)
        self._group.start()
        itself = weakref.ref(self)
        os.register_at_fork(
            before=lambda: _of_group(itself, WorkerGroup.before_fork),
            after_in_parent=lambda: _of_group(itself, WorkerGroup.after_fork),
            after_in_child=lambda: _of_group(itself, WorkerGroup.rejoin),
        )

    def _make_group(self) -> WorkerGroup | None:
        """The group of this process: of the workers of our own server, or of all that share an admin port.

        None for one with a port of its own, or that has no folder where it could meet others.
        """
        settings = self.settings
        several = settings.workers > 1
        if settings.admin_port == 0 and not several:
            return None
        # One server's processes are of one group of the system's; what else is started with this port is told
        # that it is taken.
        about = f"{self.service} {settings.admin_host} {settings.admin_port} {os.getpgrp()}"
        common = None if several else about
        folder = group_folder(settings.run_dir, common)
        name = settings.worker or str(os.getpid())
        try:
            return WorkerGroup(folder, name, self.families.registries, self._serve_admin, several=several)
        except (OSError, SettingError):  # nothing can be written there, or the path of a socket is too long
            if several:
                raise
            return None

    def _serve_admin(self, metrics: Source) -> Callable[[], None]:
        port = self.settings.admin_port or 0
        server = AdminServer(self.settings.admin_host, port, metrics, self.readiness)
        server.start()
        self._admin = server
        return server.stop

    def _wire(self) -> None:
        official.stable_conventions()
        self._undo.callback(process.activate(self))
        self._undo.callback(self._app.extensions.pop, _EXTENSION, None)
        self._undo.callback(self._instrument_app())

    def _instrument_app(self) -> Callable[[], None]:
        lines = AccessLines(self.service)
        if self.settings.instrumentation == "official":
            return official.install(self._app, self.tracers, self.declared_meters, lines)
        tracer = self.tracers.get_tracer(incoming.__name__, schema_url=schema.CONVENTIONS)
        parts = incoming.Parts(tracer, ServerMetrics(self.families), lines, ServerConventions())
        compiled = self.settings.instrumentation != "python" and speedups.available()
        return wiring.install(self._app, parts, compiled)


def at_exit(do: Callable[[], None], undo: ExitStack) -> None:
    """Have `do` called as the process ends, until `undo` is closed."""
    atexit.register(do)
    undo.callback(atexit.unregister, do)
    known = sys.modules.get("multiprocessing.process")
    if known is not None and known.parent_process() is not None:
        # A worker that multiprocessing has forked ends without `atexit`: that of granian's command, for one.
        from multiprocessing.util import Finalize

        undo.callback(Finalize(None, do, exitpriority=0).cancel)


def _of_group(reference: weakref.ref[Telemetry], do: Callable[[WorkerGroup], None]) -> None:
    """Around a fork, where the telemetry is still in force and one of a group."""
    telemetry = reference()
    if telemetry is None or telemetry._closed or telemetry._group is None:
        return
    if do is WorkerGroup.rejoin and telemetry._admin is not None:
        telemetry._admin.forget()
        telemetry._admin = None
    do(telemetry._group)
