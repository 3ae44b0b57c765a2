"""A span processor that never blocks a request and counts every span it could not keep.

The stock batch processor drops spans with only a log line and may hold a shutdown for the exporter's
whole time limit. This one has a bounded queue, one daemon thread that starts with the first span (in the
process that records it, so also after a fork), and a flush and a shutdown that keep their time limit
whatever the exporter does.

Each span that is put in is counted exactly once in `otel_sdk_processor_span_processed_total`: with an
empty `error_type` when it was handed to the exporter, with `queue_full`, `already_shutdown`,
`shutdown_timeout` or the class of what kept it from being encoded when it was dropped.
`otel_sdk_exporter_span_exported_total` counts what became of the handed ones; `error_type` is empty for
the exported ones. A batch that the receiver finds too large goes in halves, down to the span that is. A
process that has lost spans says how many, and why, as it ends; and of how many it does not know.
"""

from __future__ import annotations

import contextvars
import logging
import os
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult

from observability import schema
from observability.metrics.meters import Families

_logger = logging.getLogger(__name__)

QUEUE_BYTES = 64 * 1024 * 1024
"""What the spans that wait may take in memory, where they are encoded and known by their size."""

TOO_LARGE = frozenset({"413", "too_large"})
"""Why an export failed whose half may pass."""

UNANSWERED = frozenset({"ReadTimeout"})
"""Why an export failed that may have arrived all the same."""


class SpanQueue(SpanProcessor):
    """Queues sampled spans and exports them in batches from a thread of its own.

    `prepare` makes of a span what waits and is given to the exporter: by default the span itself. It is
    called in the thread that ended the span, and only for one that is queued. `failure` answers why the
    exporter's last call failed, for the `error_type` label. Times are seconds.
    """

    def __init__(
        self,
        exporter: Any,
        families: Families,
        *,
        capacity: int = 2048,
        batch: int = 512,
        delay: float = 1.0,
        failure: Callable[[], str | None] = lambda: None,
        prepare: Callable[[ReadableSpan], Any] | None = None,
    ) -> None:
        self._exporter = exporter
        self._capacity = capacity
        self._batch = min(batch, capacity)
        self._delay = delay
        self._failure = failure
        self.prepare = prepare
        self.reads_at_once = prepare is not None
        self._processed = families.metric(schema.SPANS_PROCESSED)
        self._exported = families.metric(schema.SPANS_EXPORTED)
        self._duration = families.metric(schema.EXPORT_DURATION)
        self._processed.labels(error_type="")
        self._exported.labels(error_type="")
        families.metric(schema.SPAN_QUEUE_CAPACITY).set(capacity)
        families.metric(schema.SPAN_QUEUE_SIZE).set_function(lambda: len(self._queue))
        self._reset()
        if hasattr(os, "register_at_fork"):
            itself = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: _reset_in_child(itself))

    def _reset(self) -> None:
        """An empty queue and no thread; a forked child starts so, for the parent exports its own spans."""
        self._queue: deque[Any] = deque()
        self._held = 0
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._losses: Counter[str] = Counter()
        self._in_flight = 0
        self._flushes = 0
        self._closed = False
        self._abandoned = False

    # -- the interface of a span processor --------------------------------------------------------

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing to do."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span."""
        if span.context is not None and span.context.trace_flags.sampled:
            self.put(span)

    def put(self, span: ReadableSpan) -> None:
        """Queue a span, sampled or not. Never blocks longer than it takes to append to a list."""
        dropped = self._refusal()  # looked at before it is encoded, and again when it is in hand
        if dropped is None:
            try:
                item = span if self.prepare is None else self.prepare(span)
            except Exception as error:
                dropped = type(error).__qualname__
                _logger.warning("A span could not be encoded", exc_info=True)
            else:
                dropped = self.take(item)
        if dropped is not None:
            self.lost(1, dropped)

    def take(self, item: Any) -> str | None:
        """Queue what `prepare` made of a span, or answer why not, which the caller gives to `lost`."""
        with self._lock:
            size = _size(item)
            refused = self._refusal(size)
            if refused is None:
                self._queue.append(item)
                self._held += size
                if self._thread is None:
                    self._start()
                elif len(self._queue) == self._batch:
                    self._changed.notify_all()
        return refused

    def lost(self, number: int, reason: str) -> None:
        """Count spans that ended and cannot be queued."""
        self._processed.labels(error_type=reason).inc(number)
        with self._lock:
            self._losses[reason] += number

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what is queued now; False when that took longer than `timeout_millis`."""
        deadline = time.monotonic() + timeout_millis / 1000
        with self._lock:
            if self._thread is None:
                return not self._queue
            self._flushes += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(self._idle, max(0.0, deadline - time.monotonic()))
            finally:
                self._flushes -= 1

    def shutdown(self, timeout: float = 5.0) -> None:
        """Export what is queued and stop, within `timeout` seconds; what is left then is counted lost.

        Safe to call again. An export that does not return is abandoned: its thread is a daemon.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            thread = self._thread
            self._changed.notify_all()
        deadline = time.monotonic() + timeout
        if thread is not None:
            thread.join(timeout)
        self._abandon()
        # The exporter's own shutdown interrupts its waiting between retries, but closes sockets too and
        # could wait for them: it gets what is left of the time, in a thread that may be left behind.
        closer = threading.Thread(target=self._exporter.shutdown, name="span-exporter-shutdown", daemon=True)
        closer.start()
        closer.join(max(0.1, deadline - time.monotonic()))

    # -- the thread -------------------------------------------------------------------------------

    def _refusal(self, size: int = 0) -> str | None:
        if self._closed:
            return "already_shutdown"
        full = len(self._queue) >= self._capacity or self._held + size > QUEUE_BYTES
        return "queue_full" if full else None

    def _idle(self) -> bool:
        return not self._queue and not self._in_flight

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="span-export", daemon=True)
        try:
            # In a context of its own: the request that it starts in would else be that of its lines for ever,
            # where threads carry the context on.
            contextvars.Context().run(thread.start)
        except RuntimeError:  # no more threads, or the interpreter is ending: the next span tries again
            return
        self._thread = thread

    def _run(self) -> None:
        while batch := self._next_batch():
            self._processed.labels(error_type="").inc(len(batch))
            self._send(batch)
            with self._lock:
                self._in_flight = 0
                self._changed.notify_all()

    def _send(self, batch: Sequence[Any]) -> None:
        """Export `batch`, in halves where it is too large, and count what became of each span."""
        error, seconds = self._export(batch)
        if error in TOO_LARGE and len(batch) > 1:
            middle = len(batch) // 2
            self._send(batch[:middle])
            self._send(batch[middle:])
            return
        with self._lock:
            if self._abandoned:  # what is given up was counted when it was
                return
            self._duration.labels(error_type=error).observe(seconds)
            self._exported.labels(error_type=error).inc(len(batch))
            self._in_flight -= len(batch)
            if error:
                self._losses[error] += len(batch)

    def _next_batch(self) -> list[Any]:
        """Wait until there is something to export; an empty list means that all is done."""
        with self._lock:
            until = time.monotonic() + self._delay
            while not self._abandoned:
                due = len(self._queue) >= self._batch or self._closed or self._flushes
                if self._queue and (due or time.monotonic() >= until):
                    size = min(self._batch, len(self._queue))
                    self._in_flight = size
                    batch = [self._queue.popleft() for _ in range(size)]
                    self._held -= sum(map(_size, batch))
                    return batch
                if self._closed:
                    break
                waiting = until - time.monotonic()
                if waiting <= 0:
                    until = time.monotonic() + self._delay
                    continue
                self._changed.wait(waiting)
            return []

    def _export(self, batch: Sequence[Any]) -> tuple[str, float]:
        """Export `batch`; answers the reason of a failure (empty for none) and the seconds it took."""
        error = ""
        began = time.perf_counter()
        try:
            # Without this the HTTP client's own instrumentation would trace each export for ever.
            with suppress_instrumentation():
                if self._exporter.export(batch) is not SpanExportResult.SUCCESS:
                    error = self._failure() or "export_failed"
        except Exception as broken:
            error = type(broken).__qualname__
            _logger.warning("Exporting %d spans failed", len(batch), exc_info=True)
        return error, time.perf_counter() - began

    def _abandon(self) -> None:
        """Give up what is queued and what is being exported, and count both."""
        with self._lock:
            self._abandoned = True
            queued, in_flight = len(self._queue), self._in_flight
            self._queue.clear()
            self._held = 0
            self._losses["shutdown_timeout"] += queued + in_flight
            losses = {reason: number for reason, number in self._losses.items() if number}
            unknown = sum(losses.pop(reason, 0) for reason in UNANSWERED)
        if queued:
            self._processed.labels(error_type="shutdown_timeout").inc(queued)
        if in_flight:
            self._exported.labels(error_type="shutdown_timeout").inc(in_flight)
        if losses:
            _logger.warning(
                "%d spans of this process were lost: %s",
                sum(losses.values()),
                ", ".join(f"{number} {reason}" for reason, number in sorted(losses.items())),
            )
        if unknown:
            _logger.warning("%d spans of this process may be lost: no answer came in time", unknown)


def _size(item: Any) -> int:
    """Bytes of a span that is encoded; 0 for what is not known by its size."""
    return len(item[1]) if type(item) is tuple else 0


def _reset_in_child(reference: weakref.ref[SpanQueue]) -> None:
    processor = reference()
    if processor is not None:
        processor._reset()
