"""/metrics as text: what the client's own encoders write, only sooner, and without holding up requests."""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.exposition import generate_latest as text_format
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_format

from observability import schema
from observability.metrics import handover, merging, slices
from observability.metrics.exposition import OwnMetrics, render
from observability.metrics.meters import Families
from observability.metrics.registry_reader import RegistryReader
from observability.metrics.slices import Slices
from observability.metrics.snapshot import decode, encode

AWKWARD = 'a "quoted" \\ back\nslash, {brace} é \u2028'


class Custom:
    """A collector that makes its families anew at each scrape."""

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily("custom", "Made anew.", labels=("which",))
        family.add_metric([AWKWARD], 1.5)
        return [family]


@pytest.fixture(autouse=True)
def without_created_series() -> None:
    prometheus_client.disable_created_metrics()  # as Families does


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    counter = Counter("things", "Things, counted.\nIn lines.", ("kind", "other"), registry=registry)
    counter.labels("x", AWKWARD).inc(3, {"trace_id": "a" * 32, "span_id": AWKWARD[:20]})
    counter.labels("", "").inc(2**60)
    Counter("bare", "No labels.", registry=registry).inc()
    gauge = Gauge("level", "Goes up and down.", ("where",), unit="bytes", registry=registry)
    for value in (float("inf"), float("-inf"), float("nan"), 0.0, 1e-9, 123456789.5, 1e21):
        gauge.labels(str(value)).set(value)
    Gauge("asked", "Asked at each scrape.", registry=registry).set_function(lambda: 7)
    histogram = Histogram("took_seconds", "Times.", ("route",), buckets=(0.1, 1), registry=registry)
    histogram.labels("/a").observe(0.05, {"trace_id": "b" * 32})
    histogram.labels("/a").observe(50)
    histogram.labels("/b")
    Histogram("signed", "May be negative.", buckets=(-1, 0, 1), registry=registry).observe(-5)
    Summary("sizes", "Sizes.", registry=registry).observe(3)
    Info("about", "What it is.", registry=registry).info({"version": "1", "text": AWKWARD})
    Enum("state", "How it is.", states=["good", "bad"], registry=registry).state("bad")
    Counter("children_without", "None yet.", ("label",), registry=registry)
    registry.register(Custom())
    return registry


@pytest.mark.parametrize("openmetrics", [True, False])
def test_every_kind_of_family_is_written_as_the_client_writes_it(
    registry: CollectorRegistry, openmetrics: bool
) -> None:
    official = openmetrics_format(registry) if openmetrics else text_format(registry)
    metrics = OwnMetrics(registry)
    for _ in range(2):
        assert render(metrics.snapshot(), openmetrics).decode() == official.decode()


def test_what_changes_between_two_scrapes_shows() -> None:
    registry = CollectorRegistry()
    counter = Counter("things", "Things.", ("kind",), registry=registry)
    info = Info("about", "What it is.", registry=registry)
    metrics = OwnMetrics(registry)
    counter.labels("a").inc()
    metrics.snapshot()
    steps: list[Any] = [
        lambda: counter.labels("a").inc(5, {"trace_id": "c"}),
        lambda: counter.labels("b").inc(),
        lambda: counter.remove("a"),
        lambda: counter.labels("a"),
        lambda: info.info({"version": "2"}),
        lambda: Gauge("late", "Registered late.", registry=registry),
        counter.clear,
    ]
    for step in steps:
        step()
        assert render(metrics.snapshot(), True) == openmetrics_format(registry)


def test_a_label_that_is_no_text_does_not_end_the_scrape() -> None:
    registry = CollectorRegistry()
    Counter("things", "Things.", ("kind",), registry=registry).labels("\udcff").inc()
    assert b'things_total{kind="?"} 1.0' in render(OwnMetrics(registry).snapshot(), True)


def test_a_negative_zero_is_a_zero() -> None:
    registry = CollectorRegistry()
    gauge = Gauge("level", "Level.", ("which",), registry=registry)
    for value in (-0.0, 0.0):
        gauge.labels(str(value)).set(value)
    assert b"} -0.0\n" not in render(OwnMetrics(registry).snapshot(), True)


def test_a_snapshot_survives_its_way_as_bytes(registry: CollectorRegistry) -> None:
    snapshot = RegistryReader(registry).read()
    data = encode(snapshot, snapshot.layout.encoded())
    for known in ({}, {snapshot.layout.id: snapshot.layout}):
        assert render(decode(data, known), True) == render(snapshot, True)


@pytest.mark.parametrize("keep", [0, 1, 40, 300, -1])
def test_a_snapshot_that_was_cut_short_is_refused(registry: CollectorRegistry, keep: int) -> None:
    snapshot = RegistryReader(registry).read()
    with pytest.raises(ValueError, match=r".+"):
        decode(encode(snapshot, snapshot.layout.encoded())[:keep], {})


def test_series_that_only_one_worker_has_stay_and_the_others_are_summed() -> None:
    snapshots = []
    for number in range(3):
        registry = CollectorRegistry()
        counter = Counter("things", "Things.", ("kind",), registry=registry)
        for kind in ("all", f"only {number}"):
            counter.labels(kind).inc(number + 1)
        snapshots.append(RegistryReader(registry).read())
    merger = merging.Merger()
    for _ in range(2):
        text = render(merger.merge(snapshots), True).decode()
        assert text.splitlines()[2:-1] == [
            'things_total{kind="all"} 6.0',
            'things_total{kind="only 0"} 1.0',
            'things_total{kind="only 1"} 2.0',
            'things_total{kind="only 2"} 3.0',
        ]


def test_departed_workers_are_added_once_even_when_the_owner_was_killed_in_between(tmp_path: Any) -> None:
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry).inc(5)
    last = RegistryReader(registry).read()
    left = tmp_path / "gone.snapshot"
    for _ in range(3):  # an owner that is killed before it has deleted the file, and its successors
        left.write_bytes(encode(last, last.layout.encoded()))
        total = handover.Departed(tmp_path / "departed").add({"gone": last})
        assert "things_total 5.0" in render(total, True).decode()
        assert not left.exists()


def test_ten_thousand_series_are_read_merged_and_written_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    breaths = 0

    def breathe(self: Slices) -> None:
        nonlocal breaths
        breaths += 1

    monkeypatch.setattr(Slices, "breathe", breathe)
    families = Families()
    histogram = families.metric(schema.HTTP_CLIENT_DURATION)
    for number in range(600):
        histogram.labels("GET", f"host-{number}", "80", "200", "").observe(0.1, {"trace_id": "a"})
    reader, merger = RegistryReader(families.registry), merging.Merger()
    for stage, often in (
        (reader.read, 600),
        (lambda: merger.merge([reader.read()] * 4), 600 + 4 * 5),
        (lambda: render(reader.read(), True), 600 + 20),
    ):
        breaths = 0
        stage()  # type: ignore[operator]
        assert breaths >= often


def test_a_slice_ends_with_a_pause_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    now, pauses = [100.0], []
    clock = types.SimpleNamespace(perf_counter=lambda: now[0], sleep=pauses.append)
    monkeypatch.setattr(slices, "time", clock)
    work = Slices()
    for moment, expected in ((100.0005, 0), (100.002, 1), (100.0025, 1), (100.0031, 2)):
        now[0] = moment
        work.breathe()
        assert len(pauses) == expected
    assert all(pause > 0 for pause in pauses), "giving the interpreter away for no time gives it to nobody"
