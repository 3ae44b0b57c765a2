"""Spans and metrics of messages, by OpenTelemetry's messaging conventions.

A message is created in the transaction that decides on it, sent by the relay when that has held, and
processed by its consumer. Its headers carry the context of its creation, which both later spans have as
their parent: one trace leads from a click to its confirmation. A delivery that is not the first has a link
to the creation besides, for its parent has ended long ago.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.trace import Link, SpanKind, StatusCode

from observability import Telemetry, schema
from services.messages import signals
from services.messages.envelope import Delivery, Message

SYSTEM = "nats"


class MessageTracing:
    """What is seen in `telemetry` of messages that go over the broker at `server` (host and port)."""

    def __init__(self, telemetry: Telemetry, server: tuple[str, int]) -> None:
        self._telemetry = telemetry
        self._server: dict[str, Any] = {"server.address": server[0], "server.port": server[1]}
        self._tracer = telemetry.tracers.get_tracer(__name__)

    def created(self, message: Message) -> Message:
        """The message with headers that carry the span of its creation, a child of the present one."""
        named = _attributes("create", message.destination, message.id, message.key)
        with self._tracer.start_as_current_span(
            f"create {message.destination}", kind=SpanKind.PRODUCER, attributes=named
        ):
            return replace(message, headers={**message.headers, **current_headers()})

    @contextmanager
    def sending(self, message: Message) -> Iterator[None]:
        """Around giving a message to the broker; an exception says that it was not confirmed."""
        named = _attributes("send", message.destination, message.id, message.key) | self._server
        error, began = "", time.perf_counter()
        parent = propagate.extract(message.headers)
        try:
            with self._tracer.start_as_current_span(
                f"send {message.destination}", parent, SpanKind.CLIENT, named, record_exception=False
            ):
                yield
        except Exception as failure:
            error = type(failure).__qualname__
            raise
        finally:
            labels = (SYSTEM, "send", message.destination, error)
            self._telemetry.metric(signals.SENT).labels(*labels).inc()
            duration = self._telemetry.metric(signals.OPERATION_DURATION).labels(*labels)
            duration.observe(time.perf_counter() - began)

    @contextmanager
    def processing(self, delivery: Delivery, group: str, key: str) -> Iterator[Failure]:
        """Around processing a delivery. What is told to the Failure is what went wrong."""
        metric = self._telemetry.metric
        labels = (SYSTEM, "process", delivery.destination, group)
        metric(signals.CONSUMED).labels(*labels).inc()
        redelivered = metric(signals.REDELIVERED).labels(delivery.destination, group)
        redelivered.inc(int(delivery.count > 1))
        named = {
            **_attributes("process", delivery.destination, delivery.id, key),
            **self._server,
            "messaging.consumer.group.name": group,
            "messaging.message.body.size": len(delivery.data),
            "messaging.message.delivery_count": delivery.count,
        }
        parent = propagate.extract(delivery.headers)
        creation = trace.get_current_span(parent).get_span_context()
        links = [Link(creation)] if creation.is_valid and delivery.count > 1 else []
        failure, began = Failure(), time.perf_counter()
        with self._tracer.start_as_current_span(
            f"process {delivery.destination}", parent, SpanKind.CONSUMER, named, links
        ) as span:
            try:
                yield failure
            except Exception as error:  # a dead letter that cannot be sent, which the span records by itself
                failure.type = type(error).__qualname__
                raise
            finally:
                if failure.error is not None:
                    span.record_exception(failure.error)
                if failure.type:
                    span.set_attribute("error.type", failure.type)
                    span.set_status(StatusCode.ERROR, failure.type)
                duration = metric(signals.PROCESS_DURATION).labels(*labels, failure.type)
                duration.observe(time.perf_counter() - began)

    def dead(self, delivery: Delivery, group: str, reason: str) -> None:
        """A message was given up."""
        self._telemetry.metric(signals.DEAD_LETTERS).labels(delivery.destination, group, reason).inc()

    def broker(self, up: bool) -> None:
        """Whether the broker is connected. No service is unready without it: this is what says so."""
        self._telemetry.metric(schema.DEPENDENCY_UP).labels(dependency="broker").set(up)

    def outbox(self, count: int, oldest: float) -> None:
        """What waits to be sent."""
        self._telemetry.metric(signals.OUTBOX_MESSAGES).set(count)
        self._telemetry.metric(signals.OUTBOX_OLDEST).set(oldest)

    def queue(self, destination: str, group: str, count: int, oldest: float) -> None:
        """What waits at the broker for a consumer."""
        self._telemetry.metric(signals.QUEUE_MESSAGES).labels(destination, group).set(count)
        self._telemetry.metric(signals.QUEUE_OLDEST).labels(destination, group).set(oldest)

    def stream(self, name: str, used: float) -> None:
        """Which share of a stream's room is taken."""
        self._telemetry.metric(signals.STREAM_USED).labels(name).set(used)


class Failure:
    """What went wrong in a block: `type` is empty for nothing."""

    def __init__(self) -> None:
        self.type = ""
        self.error: Exception | None = None

    def of(self, error: Exception) -> None:
        """It was this."""
        self.type, self.error = type(error).__qualname__, error


def current_headers() -> dict[str, str]:
    """The headers that carry the present span."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


def trace_of(headers: Mapping[str, str]) -> str:
    """The id of the trace that `headers` carry; empty for none."""
    context = trace.get_current_span(propagate.extract(headers)).get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""


@contextmanager
def within(
    tracer: trace.Tracer, name: str, headers: Mapping[str, str], attributes: Mapping[str, str]
) -> Iterator[None]:
    """A span in the trace that `headers` carry."""
    with tracer.start_as_current_span(name, propagate.extract(headers), attributes=attributes):
        yield


def _attributes(operation: str, destination: str, message: str, key: str) -> dict[str, Any]:
    return {
        "messaging.system": SYSTEM,
        "messaging.destination.name": destination,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.message.id": message,
        "messaging.message.conversation_id": key,
    }
