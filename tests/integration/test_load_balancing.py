"""Several Collectors behind the one that spreads traces: a trace is decided upon where all its spans are."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from pipeline import Pipeline, pipeline, router
from polling import until
from realprograms import record_collector, record_jaeger
from spans import Piece, Sender
from verifying import Recorder

COMBINATION = "local+collector-load-balancing"
TRACES = 300
DECISION_WAIT = "5s"
"""Instead of the component's ten. All is sent within it, which the test holds."""

AT_ONCE = 50
"""Traces of which a request has a span each: one request for each span takes too long on a busy machine."""


@pytest.fixture(scope="module")
def collectors(
    tmp_path_factory: pytest.TempPathFactory, ran: Recorder
) -> Iterator[tuple[str, Pipeline, Pipeline]]:
    """Where to send spans to, and two Collectors behind it, each with a Jaeger of its own."""
    record_collector(ran)
    record_jaeger(ran)
    folder = tmp_path_factory.mktemp
    with (
        pipeline(folder("one"), COMBINATION, SAMPLING_DECISION_WAIT=DECISION_WAIT) as one,
        pipeline(folder("two"), COMBINATION, SAMPLING_DECISION_WAIT=DECISION_WAIT) as two,
        router(folder("router"), one, two) as before,
    ):
        yield before.name, one, two


@pytest.mark.verifies(
    component="OpenTelemetry Collector",
    claim="spread over two by a third, keeps every failed trace whole, though its spans come in one by one",
)
def test_a_trace_whose_spans_come_one_by_one_is_whole_in_one_place(
    collectors: tuple[str, Pipeline, Pipeline],
) -> None:
    address, one, two = collectors
    sent: dict[str, set[str]] = {}
    pieces = [Piece("front", 0, 40), Piece("front", 5, 30), Piece("front", 6, 20, failed=True)]
    with Sender(address, seed=6) as sender:
        made = [sender.trace(pieces) for _ in range(TRACES)]
        began = time.monotonic()
        for number in range(len(pieces)):
            for first in range(0, TRACES, AT_ONCE):
                batch = made[first : first + AT_ONCE]
                sender.send(spans[number] for _, spans in batch)
                for trace_id, spans in batch:
                    sent.setdefault(trace_id, set()).add(spans[number][1].span_id.hex())
        took = time.monotonic() - began
        assert took < float(DECISION_WAIT.removesuffix("s")), f"sent in {took:.1f} s: decided upon before"

    def kept() -> list[dict[str, set[str]]]:
        return [each.stored("front") for each in (one, two)]

    until(
        lambda: sum(map(len, kept())) >= TRACES, lambda: f"{TRACES} traces: {[*map(len, kept())]}", within=30
    )
    until(lambda: one.queued() == two.queued() == 0, "empty queues")
    here, there = kept()
    assert not here.keys() & there.keys()
    assert here | there == sent
    # A consistent hash of the trace's id: not just halves, but a good part each.
    assert min(len(here), len(there)) > TRACES / 10
