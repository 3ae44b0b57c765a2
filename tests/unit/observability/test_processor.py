"""The span queue: nothing blocks, nothing is lost without being counted, every wait has an end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SynchronousMultiSpanProcessor, TracerProvider, sampling
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from polling import until

from observability.metrics.meters import Families
from observability.traces import span_queue
from observability.traces.span_queue import SpanQueue


class Exporter(SpanExporter):
    """Keeps what it gets; `hold()` makes it wait, as for a receiver that never answers."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.result = SpanExportResult.SUCCESS
        self.error: Exception | None = None
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.entered.set()
        self.open.wait(30)
        self.batches.append([span.name for span in spans])
        if self.error is not None:
            raise self.error
        return self.result

    @property
    def names(self) -> list[str]:
        return [name for batch in self.batches for name in batch]


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    exporter = Exporter()
    yield exporter
    exporter.open.set()


class Setup:
    def __init__(self, exporter: Exporter, **arguments: Any) -> None:
        self.families = Families()
        self.queue = SpanQueue(exporter, self.families, **arguments)
        processors = SynchronousMultiSpanProcessor()  # type: ignore[no-untyped-call]
        processors.add_span_processor(self.queue)
        self.provider = TracerProvider(
            sampler=sampling.ALWAYS_ON, shutdown_on_exit=False, active_span_processor=processors
        )
        self.tracer = self.provider.get_tracer("test")

    def end(self, *names: str) -> None:
        for name in names:
            self.tracer.start_span(name).end()

    def count(self, name: str, error: str | None = None) -> float:
        labels = {} if error is None else {"error_type": error}
        return self.families.registry.get_sample_value(name, labels) or 0.0

    def by_reason(self, name: str) -> dict[str, float]:
        """The values of a counter by its error_type."""
        return {
            sample.labels["error_type"]: sample.value
            for family in self.families.registry.collect()
            for sample in family.samples
            if sample.name == name
        }

    def processed(self, error: str = "") -> float:
        return self.count("otel_sdk_processor_span_processed_total", error)

    def exported(self, error: str = "") -> float:
        return self.count("otel_sdk_exporter_span_exported_total", error)


Make = Callable[..., Setup]


@pytest.fixture
def make(exporter: Exporter) -> Iterator[Make]:
    made: list[Setup] = []

    def setup(**arguments: Any) -> Setup:
        made.append(Setup(exporter, **arguments))
        return made[-1]

    yield setup
    exporter.open.set()
    for each in made:
        each.queue.shutdown(5)


def test_spans_are_exported_in_order_after_the_delay(make: Make, exporter: Exporter) -> None:
    make(delay=0.01).end("a", "b", "c")
    until(lambda: exporter.names == ["a", "b", "c"], "the spans to be exported")


def test_a_full_batch_does_not_wait_for_the_delay(make: Make, exporter: Exporter) -> None:
    make(delay=60, batch=2).end("a", "b", "c")
    until(lambda: exporter.batches == [["a", "b"]], "the full batch to be exported")


def test_no_thread_runs_before_the_first_span(make: Make) -> None:
    before = threading.active_count()
    setup = make()
    assert threading.active_count() == before
    setup.end("a")
    assert threading.active_count() == before + 1


def test_a_full_queue_drops_the_newest_and_counts_them(make: Make, exporter: Exporter) -> None:
    exporter.open.clear()
    setup = make(capacity=3, batch=1, delay=0.01)
    setup.end("in flight")
    until(exporter.entered.is_set, "the export to begin")
    setup.end("a", "b", "c", "lost", "lost too")
    assert setup.processed("queue_full") == 2
    assert setup.count("otel_sdk_processor_span_queue_size") == 3
    assert setup.count("otel_sdk_processor_span_queue_capacity") == 3
    exporter.open.set()
    assert setup.queue.force_flush(5000)
    assert exporter.names == ["in flight", "a", "b", "c"]


def test_a_failed_export_is_counted_by_its_reason_and_the_next_one_goes_on(
    make: Make, exporter: Exporter
) -> None:
    setup = make(delay=60, failure=lambda: "503")
    exporter.result = SpanExportResult.FAILURE
    setup.end("a", "b")
    assert setup.queue.force_flush(5000)
    exporter.result = SpanExportResult.SUCCESS
    setup.end("c")
    assert setup.queue.force_flush(5000)
    assert (setup.exported("503"), setup.exported()) == (2, 1)
    assert setup.processed() == 3
    assert setup.count("otel_sdk_exporter_operation_duration_seconds_count", "503") == 1


def test_ending_a_span_does_not_wait_for_the_exporter(make: Make, exporter: Exporter) -> None:
    exporter.open.clear()
    setup = make(capacity=10, batch=1, delay=0.001)
    setup.end("first")
    until(exporter.entered.is_set, "the export to begin")
    began = time.perf_counter()
    setup.end(*["x"] * 1000)
    assert time.perf_counter() - began < 10


def test_flush_and_shutdown_keep_their_time_limit(make: Make, exporter: Exporter) -> None:
    exporter.open.clear()
    setup = make(batch=1, delay=0.001)
    setup.end("in flight", "left", "left")
    until(exporter.entered.is_set, "the export to begin")
    began = time.monotonic()
    assert setup.queue.force_flush(100) is False
    setup.queue.shutdown(0.2)
    assert time.monotonic() - began < 10
    assert setup.processed("shutdown_timeout") == 2
    assert setup.exported("shutdown_timeout") == 1
    exporter.open.set()
    until(lambda: exporter.names == ["in flight"], "the abandoned export to end")
    assert setup.exported() == 0, "an abandoned span is counted once"


def test_shutdown_exports_what_is_queued(make: Make, exporter: Exporter) -> None:
    setup = make(delay=60, batch=2)
    setup.end("a", "b", "c")
    setup.queue.shutdown(5)
    assert exporter.names == ["a", "b", "c"]
    assert setup.processed() == 3


def test_shutdown_without_a_span_is_immediate(make: Make) -> None:
    began = time.monotonic()
    make().queue.shutdown(60)
    assert time.monotonic() - began < 10


def test_unsampled_spans_are_not_queued(exporter: Exporter, make: Make) -> None:
    setup = make()
    setup.provider.sampler = sampling.ALWAYS_OFF
    setup.provider.get_tracer("other").start_span("a").end()
    assert setup.count("otel_sdk_processor_span_queue_size") == 0


def test_what_is_made_is_what_is_exported_and_what_is_counted_as_lost(
    make: Make, exporter: Exporter, caplog: pytest.LogCaptureFixture
) -> None:
    """Every way to lose a span at once: a full queue, refusals, exceptions, a shutdown that is too short."""
    answers = iter(["", "503", "error"] * 1000)

    def export(spans: Sequence[ReadableSpan]) -> SpanExportResult:
        exporter.entered.set()
        exporter.open.wait(30)
        answer = next(answers)
        if answer == "error":
            raise ValueError("no")
        if answer:
            return SpanExportResult.FAILURE
        exporter.batches.append([span.name for span in spans])
        return SpanExportResult.SUCCESS

    exporter.export = export  # type: ignore[method-assign]
    setup = make(capacity=60, batch=10, delay=0.001, failure=lambda: "503")
    threads = [threading.Thread(target=setup.end, args=["x"] * 500) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert setup.queue.force_flush(5000)
    exporter.open.clear()
    exporter.entered.clear()
    setup.end("in flight")
    until(exporter.entered.is_set, "the export to begin")
    setup.end(*["waits"] * 70)
    setup.queue.shutdown(0.05)
    setup.end("late")

    processed = setup.by_reason("otel_sdk_processor_span_processed_total")
    exported = setup.by_reason("otel_sdk_exporter_span_exported_total")
    assert sum(processed.values()) == 4 * 500 + 1 + 70 + 1
    assert processed[""] == sum(exported.values())
    assert exported[""] == len(exporter.names)
    assert processed["shutdown_timeout"] == 60
    assert exported["shutdown_timeout"] == processed["already_shutdown"] == 1
    assert min(processed["queue_full"], exported["503"], exported["ValueError"]) > 0
    lost = sum(processed.values()) + sum(exported.values()) - processed[""] - exported[""]
    said = [record.getMessage() for record in caplog.records if "were lost" in record.getMessage()]
    assert len(said) == 1
    assert said[0].startswith(f"{lost - 1:.0f} spans of this process were lost: ")  # the late one was later
    for reason, number in {**exported, **processed, "shutdown_timeout": 61}.items():
        assert reason in ("", "already_shutdown") or f"{number:.0f} {reason}" in said[0]


def test_a_batch_that_is_too_large_goes_in_halves_and_only_what_is_too_large_itself_is_lost(
    exporter: Exporter, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def export(spans: Sequence[ReadableSpan]) -> SpanExportResult:
        tried.append(len(spans))
        if len(spans) > 2 or any(span.name == "huge" for span in spans):
            return SpanExportResult.FAILURE
        exporter.batches.append([span.name for span in spans])
        return SpanExportResult.SUCCESS

    monkeypatch.setattr(exporter, "export", export)
    setup = make(failure=lambda: "413")
    setup.end("a", "b", "c", "huge", "d", "e", "f")
    assert setup.queue.force_flush(5000)

    assert exporter.names == ["a", "b", "c", "d", "e", "f"]
    assert tried[0] == 7
    assert (setup.exported(), setup.exported("413"), setup.processed()) == (6, 1, 7)


def test_what_waits_is_bounded_by_its_bytes_too(
    exporter: Exporter, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(span_queue, "QUEUE_BYTES", 1000)
    monkeypatch.setattr(exporter, "export", lambda spans: SpanExportResult.SUCCESS)
    setup = make(delay=60, prepare=lambda span: (None, b"x" * 400))
    setup.end("a", "b", "c")
    assert setup.processed("queue_full") == 1
    assert setup.queue.force_flush(5000)
    setup.end("d", "e")
    assert setup.processed("queue_full") == 1, "what was exported gives its bytes back"


def test_an_export_without_an_answer_may_have_arrived_and_is_not_said_to_be_lost(
    exporter: Exporter, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    exporter.result = SpanExportResult.FAILURE
    setup = make(failure=lambda: "ReadTimeout")
    setup.end("a", "b")
    setup.queue.shutdown(5)
    assert setup.exported("ReadTimeout") == 2
    (said,) = [record.getMessage() for record in caplog.records if "of this process" in record.getMessage()]
    assert said == "2 spans of this process may be lost: no answer came in time"


def test_where_no_thread_can_be_started_the_span_waits_for_one(
    exporter: Exporter, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    setup = make()
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        setup.end("a")
        assert not setup.queue.force_flush(10)
    setup.end("b")
    assert setup.queue.force_flush(5000)
    assert exporter.names == ["a", "b"]


def test_a_process_that_lost_nothing_says_nothing_as_it_ends(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    setup = make()
    setup.end("a")
    setup.queue.shutdown(5)
    # An export that an earlier test gave up may still end meanwhile, and say so.
    assert not [record for record in caplog.records if "were lost" in record.getMessage()]


def test_a_span_is_made_ready_in_its_own_thread_and_only_when_there_is_room(
    make: Make, exporter: Exporter
) -> None:
    made_ready: list[tuple[str, int]] = []

    class Ready:
        def __init__(self, span: ReadableSpan) -> None:
            made_ready.append((span.name, threading.get_ident()))
            self.name = f"ready {span.name}"

    exporter.open.clear()
    setup = make(capacity=1, batch=1, delay=0.001, prepare=Ready)
    setup.end("in flight")
    until(exporter.entered.is_set, "the export to begin")
    setup.end("waits", "has no room")
    assert made_ready == [(name, threading.get_ident()) for name in ("in flight", "waits")]
    exporter.open.set()
    assert setup.queue.force_flush(5000)
    assert exporter.names == ["ready in flight", "ready waits"]


def test_a_span_that_cannot_be_made_ready_is_counted_and_ends_nothing(make: Make, exporter: Exporter) -> None:
    def refuse(span: ReadableSpan) -> Any:
        raise UnicodeError(span.name)

    setup = make(prepare=refuse)
    setup.end("a")
    assert setup.processed("UnicodeError") == 1
    assert setup.count("otel_sdk_processor_span_queue_size") == 0


def test_a_forked_child_exports_its_own_spans_and_not_its_parents(make: Make, exporter: Exporter) -> None:
    setup = make(delay=60)
    setup.end("parent's")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        setup.end("child's")
        setup.queue.force_flush(5000)
        os.write(writing, ",".join(exporter.names).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == "child's"
    assert setup.queue.force_flush(5000)
    assert exporter.names == ["parent's"]
