"""Building the traces' part: resource, sampler, exporter, provider; and the process-wide tracer provider.

OpenTelemetry lets the global tracer provider be set once in a process. :class:`CurrentTracerProvider`
is set that once and passes every call on to whichever service is instrumented now, so that
`trace.get_tracer(__name__)` in any module works before `instrument()`, after it, and after a shutdown
(then as the API's null object).
"""

from __future__ import annotations

import socket
import uuid
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    SpanLimits,
    SpanProcessor,
    SynchronousMultiSpanProcessor,
    TracerProvider,
)
from opentelemetry.util.types import Attributes
from werkzeug.serving import is_running_from_reloader

from observability.configuration import TelemetrySettings
from observability.metrics.meters import Families
from observability.traces import otlp
from observability.traces.exporter import otlp_exporter
from observability.traces.keeper import Keeper
from observability.traces.sampling import HeadSampler
from observability.traces.span_queue import SpanQueue
from observability.traces.tracer import SpanTracerProvider

RELOADED_DELAY = 0.1
"""Seconds after which spans leave below Flask's reloader, which kills its process soon after Ctrl-C."""

DEFAULT_ENVIRONMENT = "local"
"""`deployment.environment.name` where OTEL_RESOURCE_ATTRIBUTES does not give it."""


def resource(service: str, version: str | None, settings: TelemetrySettings) -> Resource:
    """The attributes that say which process this is.

    The environment's attributes beat what the code gives; OTEL_SERVICE_NAME beats both, as specified.
    """
    attributes: dict[str, Any] = {
        "service.name": service,
        "service.version": version or "unknown",
        "service.instance.id": str(uuid.uuid4()),
        "deployment.environment.name": DEFAULT_ENVIRONMENT,
        "host.name": socket.gethostname(),
        **dict(settings.resource_attributes),
    }
    if settings.service_name:
        attributes["service.name"] = settings.service_name
    return Resource(_sdk_attributes()).merge(Resource(attributes))


def _sdk_attributes() -> Mapping[str, Any]:
    """`telemetry.sdk.*`, without what the SDK would read from the environment again."""
    known = Resource.create().attributes
    return {key: value for key, value in known.items() if key.startswith("telemetry.")}


def sampler(settings: TelemetrySettings) -> HeadSampler:
    """The sampler of OTEL_TRACES_SAMPLER and its argument."""
    name = settings.sampler.removeprefix("parentbased_")
    ratio = {"always_on": 1.0, "always_off": 0.0}.get(name, settings.sampler_ratio)
    follows = settings.sampler.startswith("parentbased_")
    return HeadSampler(ratio, follows_parent=follows, records_all=keeps(settings))


def keeps(settings: TelemetrySettings) -> bool:
    """Whether requests that failed or were slow are exported where head sampling leaves them out.

    A sampler that shall record nothing (`..._always_off`) has its way.
    """
    exports = not settings.sdk_disabled and settings.traces_exporter != "none"
    return exports and settings.traces_keep and not settings.sampler.endswith("always_off")


def entrance(settings: TelemetrySettings, queue: SpanQueue, families: Families) -> SpanProcessor:
    """What spans go through to the queue."""
    return Keeper(queue, families, settings.traces_slow) if keeps(settings) else queue


def span_queue(settings: TelemetrySettings, families: Families, about: Resource) -> SpanQueue | None:
    """The queue before the exporter, or None where nothing is to be exported."""
    if settings.sdk_disabled or settings.traces_exporter == "none":
        return None
    exporter, failure = otlp_exporter(settings, about)
    delay = settings.schedule_delay / 1000
    if is_running_from_reloader():
        delay = min(delay, RELOADED_DELAY)
    return SpanQueue(
        exporter,
        families,
        capacity=settings.max_queue_size,
        batch=settings.max_batch_size,
        delay=delay,
        failure=failure,
        prepare=None if settings.instrumentation == "official" else otlp.encoded,
    )


def sole_queue(processors: SynchronousMultiSpanProcessor) -> SpanQueue | None:
    """The queue of encoded spans, where it is all that gets to see the spans of `processors`."""
    shown = processors._span_processors
    only = shown[0] if len(shown) == 1 else None
    queue = only.queue if type(only) is Keeper else only
    return queue if type(queue) is SpanQueue and queue.prepare is otlp.encoded else None


def provider(
    settings: TelemetrySettings,
    about: Resource,
    processors: SynchronousMultiSpanProcessor,
) -> trace.TracerProvider:
    """A tracer provider of these settings; the API's null object when OTEL_SDK_DISABLED is true."""
    if settings.sdk_disabled:
        return trace.NoOpTracerProvider()
    kind = TracerProvider if settings.instrumentation == "official" else SpanTracerProvider
    return kind(
        sampler=sampler(settings),
        resource=about,
        shutdown_on_exit=False,
        active_span_processor=processors,
        span_limits=SpanLimits(max_attribute_length=MAX_ATTRIBUTE_LENGTH),
    )


MAX_ATTRIBUTE_LENGTH = 4096
"""Characters of one attribute's text; a longer one is cut. A stack trace of a usual request fits."""


class CurrentTracerProvider(trace.TracerProvider):
    """The process's tracer provider, which passes on to the one in force."""

    def __init__(self) -> None:
        self._null = trace.NoOpTracerProvider()
        self.target: trace.TracerProvider = self._null
        self._early: list[SpanProcessor] = []

    def point_at(self, target: trace.TracerProvider) -> None:
        """Pass on to `target` from now on."""
        self.target = target
        early, self._early = self._early, []
        for processor in early:
            self.add_span_processor(processor)

    def reset(self) -> None:
        """Nothing is instrumented any more: the null object again."""
        self.target = self._null

    def add_span_processor(self, processor: SpanProcessor) -> None:
        """As the SDK's provider has it: show every span of the service in force to `processor`.

        Before `instrument()`: every span of the service that is instrumented next.
        """
        if self.target is self._null:
            self._early.append(processor)
        elif isinstance(self.target, TracerProvider):  # not where OTEL_SDK_DISABLED is true
            self.target.add_span_processor(processor)

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> trace.Tracer:
        return _CurrentTracer(
            self, (instrumenting_module_name, instrumenting_library_version, schema_url, attributes)
        )


class _CurrentTracer(trace.Tracer):
    """A tracer of the provider in force at the time of each call."""

    def __init__(self, provider: CurrentTracerProvider, scope: tuple[Any, ...]) -> None:
        self._provider = provider
        self._scope = scope
        self._for: trace.TracerProvider | None = None
        self._made: trace.Tracer | None = None

    def _tracer(self) -> trace.Tracer:
        target = self._provider.target
        if self._made is None or self._for is not target:
            self._for, self._made = target, target.get_tracer(*self._scope)
        return self._made

    def start_span(self, name: str, context: Context | None = None, *args: Any, **kwargs: Any) -> trace.Span:
        return self._tracer().start_span(name, context, *args, **kwargs)

    def start_as_current_span(
        self, name: str, context: Context | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        return self._tracer().start_as_current_span(name, context, *args, **kwargs)
