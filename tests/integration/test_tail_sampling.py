"""The sampling of the production overlay, with its own shares and limits, from OTLP in to Jaeger out."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest
from pipeline import Pipeline, config_map, manifest, pipeline
from polling import until
from realprograms import record_collector, record_jaeger
from spans import Piece, Sender
from verifying import Recorder

from dashcam.stack import jaeger

SEED = 20261122
ORDINARY = 4000
"""Traces of which a share is kept."""

SPECIAL = 150
"""Traces of each kind of which all are kept."""

CHANCE = 1e-6
"""How often a sampler that works would fall out of the bounds."""

DECISION_WAIT = "3s"
"""Instead of the overlay's ten: all spans of a trace are sent within a second here."""

QUICK = (Piece("front", 0, 40), Piece("back", 5, 30))

KINDS: dict[str, tuple[Piece, ...]] = {
    "failed at the root": (Piece("front", 0, 40, failed=True), Piece("back", 5, 30)),
    "failed below the root": (Piece("front", 0, 40), Piece("back", 5, 30, failed=True)),
    "slow": (Piece("front", 0, 501), Piece("back", 5, 30)),
    "slow below the root": (Piece("front", 0, 40), Piece("back", 5, 700)),
    "slow only as a whole": (Piece("front", 0, 300), Piece("back", 290, 300)),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, ran: Recorder) -> Iterator[Pipeline]:
    record_collector(ran)
    record_jaeger(ran)
    folder = tmp_path_factory.mktemp("sampling")
    with pipeline(folder, "production", SAMPLING_DECISION_WAIT=DECISION_WAIT) as started:
        yield started


@pytest.fixture(scope="module")
def sent(running: Pipeline) -> dict[str, dict[str, set[str]]]:
    """What was sent of each kind, decided upon and delivered: span ids by trace id."""
    kinds = [kind for kind in KINDS for _ in range(SPECIAL)] + ["ordinary"] * ORDINARY
    random.Random(SEED).shuffle(kinds)
    made: dict[str, dict[str, set[str]]] = {kind: {} for kind in [*KINDS, "ordinary", "late"]}
    with Sender(running.otlp, SEED) as sender:
        for number in range(0, len(kinds), 100):
            batch = []
            for kind in kinds[number : number + 100]:
                trace_id, spans = sender.trace(KINDS.get(kind, QUICK))
                made[kind][trace_id] = {span.span_id.hex() for _, span in spans}
                batch += spans
            sender.send(batch)
    everything_is_delivered(running, len(kinds))
    return made


def everything_is_delivered(running: Pipeline, traces: int) -> None:
    """Wait until `traces` were decided upon and what was kept of them is in Jaeger."""
    until(
        lambda: running.decided() == traces, lambda: f"{traces} decisions, not {running.decided()}", within=60
    )

    def arrived() -> bool:
        return running.queued() == 0 and sum(map(len, kept(running).values())) == running.sent_on() > 0

    until(arrived, "an empty queue, and in Jaeger what left it", within=30, every=0.25)


def kept(running: Pipeline) -> dict[str, set[str]]:
    return running.stored("front")


@pytest.mark.verifies(
    component="OpenTelemetry Collector",
    claim="tail sampling by the production overlay's policies keeps every failed and every slow trace, whole",
)
@pytest.mark.parametrize("kind", list(KINDS))
def test_every_failed_and_every_slow_trace_is_kept_whole(
    running: Pipeline, sent: dict[str, dict[str, set[str]]], kind: str
) -> None:
    found = kept(running)
    assert {trace_id: found.get(trace_id) for trace_id in sent[kind]} == sent[kind]


@pytest.mark.verifies(
    component="OpenTelemetry Collector",
    claim="of the others it keeps the stated share, within bounds that chance leaves once in a million",
)
def test_of_the_rest_the_stated_share_is_kept_each_whole(
    running: Pipeline, sent: dict[str, dict[str, set[str]]]
) -> None:
    share = float(config_map("production", "collector-sampling")["SAMPLING_PERCENTAGE"]) / 100
    low, high = bounds(ORDINARY, share, CHANCE)
    found = {trace_id: spans for trace_id, spans in kept(running).items() if trace_id in sent["ordinary"]}
    assert low <= len(found) <= high, f"{len(found)} of {ORDINARY}, for {share:.0%}: {low} to {high} expected"
    assert found == {trace_id: sent["ordinary"][trace_id] for trace_id in found}


@pytest.mark.verifies(
    component="OpenTelemetry Collector",
    claim="a span that comes after the decision follows it, kept or not",
)
def test_a_span_that_is_late_follows_the_decision(
    running: Pipeline, sent: dict[str, dict[str, set[str]]]
) -> None:
    before = kept(running)
    count = sum(map(len, before.values()))
    ordinary = list(sent["ordinary"])[:500]
    late = {}
    with Sender(running.otlp, SEED + 1) as sender:
        for trace_id in ordinary:
            _, ((service, span),) = sender.trace([Piece("late", 0, 1)])
            span.trace_id = bytes.fromhex(trace_id)
            late[trace_id] = span.span_id.hex()
            sender.send([(service, span)])
            sent["late"][trace_id] = {late[trace_id]}
    expected = sum(trace_id in before for trace_id in ordinary)
    until(lambda: sum(map(len, kept(running).values())) == count + expected, "the late spans of kept traces")
    after = kept(running)
    assert after.keys() == before.keys()
    # None was taken for the first of a trace, to be decided upon by itself.
    every = sum(len(each) for kind, each in sent.items() if kind != "late")
    assert running.counted("otelcol_processor_tail_sampling_new_trace_id_received_total") == every
    for trace_id in ordinary:
        if trace_id in before:
            assert after[trace_id] == before[trace_id] | {late[trace_id]}


@pytest.mark.verifies(
    component="OpenTelemetry Collector",
    claim="its own counters equal what was sent to it and what Jaeger holds, to the span",
)
def test_the_counters_say_what_came_in_and_what_went_on(
    running: Pipeline, sent: dict[str, dict[str, set[str]]]
) -> None:
    spans = sum(len(each) for kind in sent.values() for each in kind.values())
    assert running.counted("otelcol_receiver_accepted_spans_total") == spans
    assert running.sent_on() == sum(map(len, kept(running).values()))
    for lost in (
        "otelcol_receiver_refused_spans_total",
        "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total",
        "otelcol_exporter_send_failed_spans_total",
        "otelcol_exporter_enqueue_failed_spans_total",
    ):
        assert running.counted(lost) == 0, lost


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_what_runs_here_is_what_the_overlay_gives_the_pod(overlay: str) -> None:
    """And `make up BACKEND=jaeger` reads the same file, so that it needs no kustomize."""
    for part in ("collector", "jaeger") if overlay == "local" else ("collector",):
        assert manifest(overlay, part) == (jaeger.K8S / part / "config.yaml").read_text()


def bounds(count: int, share: float, chance: float) -> tuple[int, int]:
    """The least and most successes of `count` tries that are not rarer than `chance` on either side."""
    log = [
        math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        + k * math.log(share) + (count - k) * math.log1p(-share)
        for k in range(count + 1)
    ]  # fmt: skip
    low = high = tail = 0
    tail = 0.0
    for low in range(count + 1):
        tail += math.exp(log[low])
        if tail > chance / 2:
            break
    tail = 0.0
    for high in range(count, -1, -1):
        tail += math.exp(log[high])
        if tail > chance / 2:
            break
    return low, high
