"""What becomes of spans when Jaeger is away, and when the Collector is restarted or killed.

The Collector has the local overlay's configuration, which keeps every trace, so that each that is missing
in the end was lost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from exampleservices import LAST
from load import load
from pipeline import (
    Page,
    Pipeline,
    config_map,
    faster,
    fetch,
    pipeline,
    queue_in_memory,
    small_queue,
    total,
)
from polling import until
from realprograms import record_collector, record_jaeger
from spans import Piece, Sender
from verifying import Recorder

pytestmark = pytest.mark.takes(60)

FASTER = 60
"""Ten seconds of an outage stand for ten minutes: retries wait a sixtieth of what they do in a cluster."""

OUTAGE_SECONDS = 600 / FASTER
RATE = 60.0
TICK = 1.0
"""Seconds between two rounds of sampling decisions."""

EXPORT_SECONDS = 3.0
"""How long a span may wait in the service before it is sent, and a trace's clock differ from ours."""


@pytest.fixture(scope="module", autouse=True)
def real(ran: Recorder) -> None:
    record_collector(ran)
    record_jaeger(ran)


@pytest.fixture
def started(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pipeline]:
    """A Collector and a Jaeger in scaled time; a parameter changes the Collector's configuration further."""
    changes = [faster(FASTER), *([request.param] if hasattr(request, "param") else [])]

    def change(page: Page) -> None:
        for each in changes:
            each(page)

    with pipeline(tmp_path, change=change) as running:
        yield running


@pytest.mark.verifies(
    component="OpenTelemetry Collector",
    claim="a ten-minute outage of Jaeger (in a sixtieth of the time) under load loses no span",
)
def test_an_outage_of_jaeger_loses_no_span(started: Pipeline) -> None:
    running = started
    with load(running, RATE) as asking:
        asking.start()
        until(lambda: running.sent_on() > 0, "spans in Jaeger before the outage", within=20)
        running.jaeger.kill()
        away = time.time()
        until(lambda: time.time() > away + OUTAGE_SECONDS, "the end of the outage", within=2 * OUTAGE_SECONDS)
        waiting = running.queued()
        running.jaeger.start()
        back = time.time()
        until(lambda: max(asking.began.values()) > back + TICK, "requests after the outage")
        asking.stop()
        assert not asking.failures
        assert waiting > 0
        # What Jaeger had acknowledged went with its memory; all that came while it was away must come back.
        meanwhile = {trace_id for trace_id, began in asking.began.items() if began > away}
        assert len(meanwhile) > RATE * OUTAGE_SECONDS / 4
        until(lambda: meanwhile <= running.stored(LAST.name).keys(), "every trace of the outage", within=30)
        until(lambda: asking.exported() == len(asking.began), "every span exported")
        assert asking.given_up() == 0
        assert running.counted("otelcol_receiver_accepted_spans_total") == len(asking.began)
        until(lambda: running.sent_on() == len(asking.began), "every span sent on, once")
        assert running.counted("otelcol_exporter_enqueue_failed_spans_total") == 0


def fill(running: Pipeline, count: int) -> set[str]:
    """Traces that wait in the Collector's queue because Jaeger is away."""
    running.jaeger.kill()
    sent = set()
    with Sender(running.otlp, seed=count) as sender:
        for _ in range(0, count, 50):
            traces = [sender.trace([Piece("waiting", 0, 5)]) for _ in range(50)]
            sender.send(span for _, spans in traces for span in spans)
            sent |= {trace_id for trace_id, _ in traces}
    until(lambda: running.decided() == count, "a decision on every trace", within=20)
    assert running.queued() > 0
    return sent


@pytest.mark.verifies(
    component="OpenTelemetry Collector",
    claim="a restart while its queue waits for Jaeger loses no span",
)
@pytest.mark.parametrize("ending", ["end", "kill"])
def test_a_restart_with_a_queue_that_waits_loses_no_span(started: Pipeline, ending: str) -> None:
    running = started
    sent = fill(running, 1000)
    getattr(running.collector, ending)()
    running.collector.start()
    running.jaeger.start()
    until(lambda: running.stored("waiting").keys() == sent, "every trace that waited", within=30)


@pytest.mark.parametrize("started", [queue_in_memory], indirect=True)
def test_the_same_restart_with_the_queue_in_memory_is_seen_to_lose_spans(started: Pipeline) -> None:
    """That the test above can fail: it is the disk that keeps the spans."""
    running = started
    fill(running, 1000)
    running.collector.kill()
    running.collector.start()
    running.jaeger.start()
    with Sender(running.otlp, seed=1) as sender:
        trace_id, spans = sender.trace([Piece("waiting", 0, 5)])
        sender.send(spans)
    until(lambda: trace_id in running.stored("waiting"), "a trace sent after the restart", within=30)
    assert running.stored("waiting").keys() == {trace_id}


@pytest.mark.verifies(
    component="OpenTelemetry Collector",
    claim="what does not fit into a full queue is lost and counted to the span; what was in it is not lost",
)
@pytest.mark.parametrize("started", [small_queue], indirect=True)
def test_what_a_full_queue_refuses_is_counted_to_the_span(started: Pipeline) -> None:
    running = started
    sent = fill(running, 5000)
    refused = running.counted("otelcol_exporter_enqueue_failed_spans_total")
    assert 0 < refused < len(sent)
    running.jaeger.start()
    until(lambda: running.queued() == 0 and running.sent_on() > 0, "an empty queue", within=30)
    until(lambda: len(running.stored("waiting")) == len(sent) - refused, "what was not refused", within=30)
    assert running.stored("waiting").keys() < sent


@pytest.mark.verifies(
    component="OpenTelemetry Collector",
    claim="kill -9 under load loses only spans that it was still deciding upon, and the service's counters "
    "less Jaeger's say exactly how many",
)
def test_a_killed_collector_loses_at_most_what_it_was_deciding_upon(started: Pipeline) -> None:
    running = started
    wait = float(config_map("local", "collector-sampling")["SAMPLING_DECISION_WAIT"].removesuffix("s"))
    with load(running, RATE) as asking:
        asking.start()
        until(lambda: running.sent_on() > 0, "spans in Jaeger before the kill", within=20)
        before = time.time()
        until(lambda: max(asking.began.values()) > before + wait, "more load")
        killed = time.time()
        running.collector.kill()
        running.collector.start()
        back = time.time()
        until(lambda: max(asking.began.values()) > back + wait, "load after the restart")
        asking.stop()
        assert not asking.failures
        made = asking.began
        until(
            lambda: asking.exported() + asking.given_up() == len(made),
            lambda: f"{asking.exported()} exported + {asking.given_up()} given up to be {len(made)}",
            within=40,
        )
        everything_is_delivered(running, after=back, made=made)
        stored = running.stored(LAST.name)
        lost = made.keys() - stored.keys()
        assert stored.keys() <= made.keys()
        assert lost, "nothing was in flight: the kill proved nothing"
        earliest = min(made[trace_id] for trace_id in lost)
        assert earliest > killed - wait - TICK - EXPORT_SECONDS, f"{killed - earliest:.1f} s before the kill"
        received = total(jaeger_metrics(running), "otelcol_receiver_accepted_spans_total")
        again = copies(running, stored) if received > len(stored) else 0
        assert len(lost) == asking.exported() + asking.given_up() - (received - again)


def everything_is_delivered(running: Pipeline, after: float, made: dict[str, float]) -> None:
    """Wait until the Collector has nothing left that came after its restart, and Jaeger has it."""
    late = {trace_id for trace_id, began in made.items() if began > after}
    until(lambda: late <= running.stored(LAST.name).keys(), "every trace after the restart", within=30)
    until(
        lambda: (
            running.queued() == 0
            and running.decided()
            == running.counted("otelcol_processor_tail_sampling_new_trace_id_received_total")
        ),
        "an empty queue",
        within=30,
    )


def copies(running: Pipeline, stored: dict[str, set[str]]) -> int:
    """Spans that Jaeger holds once more: the Collector was killed while it waited for the acknowledgement."""
    found = 0
    for trace_id, spans in stored.items():
        answer = fetch(f"{running.query}/api/traces/{trace_id}", params={"raw": "true"}, timeout=10)
        found += len(answer.raise_for_status().json()["data"][0]["spans"]) - len(spans)
    return found


def jaeger_metrics(running: Pipeline) -> str:
    return f"http://127.0.0.1:{running.settings.jaeger_metrics_port}/metrics"
