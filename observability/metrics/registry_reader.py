"""Reading Prometheus registries often and cheaply.

The client's own encoder makes a name, a dictionary and a text of every series at every scrape, some 20 µs
each. Here the beginning of a series' line is made once, and a scrape reads numbers. What is read beside the
client's public interface is held against its encoder by a test.
"""

from __future__ import annotations

import logging
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, chain
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry
from prometheus_client import metrics as client
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import escape_label_name, escape_metric_name
from prometheus_client.samples import Exemplar, Sample
from prometheus_client.utils import floatToGoString

from observability import schema
from observability.metrics.names import sample_names
from observability.metrics.open_families import OpenFamily
from observability.metrics.slices import Slices
from observability.metrics.snapshot import NOTHING, Family, Layout, Snapshot

_logger = logging.getLogger(__name__)

Keys = tuple[str, ...]
Readings = tuple[Sequence[float], Sequence[Exemplar | None]]


class RegistryReader:
    """Reads `registries`; `worker` becomes a label of what is each process's own, where it is given.

    Where two families have the same name, the first is shown and the other is named in an error line.
    """

    def __init__(self, *registries: CollectorRegistry, worker: str | None = None) -> None:
        self._registries = registries
        self._worker = worker
        self._children: dict[Any, dict[Any, _Child]] = {}
        self._collected_keys: dict[Any, Keys] = {}
        self._layout = NOTHING
        self._parts: list[Keys] = []
        self._complained: set[str] = set()

    def read(self) -> Snapshot:
        """All families as they are now. For one thread at a time."""
        reading = _Reading()
        for collector in self._collectors():
            if isinstance(collector, client.MetricWrapperBase) and not isinstance(collector, client.Info):
                if self._takes(collector._get_metric(), reading):  # type: ignore[no-untyped-call]
                    self._read_children(collector, reading)
            else:
                for metric in self._collected(collector):
                    if self._takes(metric, reading):
                        self._read_collected(metric, _across(collector, metric), reading)
        if reading.parts != self._parts or len(reading.families) != len(self._layout.families):
            self._parts = reading.parts
            self._layout = Layout(reading.families, list(chain.from_iterable(reading.parts)))
        return Snapshot(self._layout, reading.values, reading.exemplars)

    def label(self, worker: str) -> None:
        """From now on one of several: label what is each process's own."""
        if self._worker != worker:
            self._worker = worker
            self._children.clear()
            self._collected_keys.clear()

    def _collectors(self) -> Iterator[Any]:
        for number, registry in enumerate(self._registries):
            with registry._lock:
                collectors = list(registry._collector_to_names)
            # Those of the process are in the first registry, and in the client's default one too.
            yield from (one for one in collectors if number == 0 or not isinstance(one, OF_THE_PROCESS))

    def _collected(self, collector: Any) -> list[Metric]:
        """What a collector makes; nothing, and an error line, where it fails: the others shall be shown."""
        try:
            return list(collector.collect())
        except Exception:
            self._complain(f"The metrics of {collector!r} could not be collected", exc_info=True)
            return []

    def _takes(self, metric: Metric, reading: _Reading) -> bool:
        """Whether the names of a family are free in this reading; they are taken then."""
        wanted = sample_names(metric.type, metric.name)
        taken = wanted & reading.names
        if taken:
            self._complain(
                f"Two metrics have the name {min(taken)}: the {metric.type} {metric.name} "
                f"({metric.documentation}) is not on /metrics; give it another name"
            )
            return False
        reading.names |= wanted
        return True

    def _complain(self, what: str, exc_info: bool = False) -> None:
        if what not in self._complained:
            self._complained.add(what)
            _logger.error(what, exc_info=exc_info)

    def _read_children(self, collector: Any, reading: _Reading) -> None:
        metric: Metric = collector._get_metric()
        across = _across(collector, metric)
        more = self._apart(metric, across)
        began = len(reading.values)
        before = self._children.get(collector, {})
        known = self._children[collector] = {}
        for labels, child in _children(collector):
            reader = before.get(labels)
            if reader is None or reader.child is not child:  # new, or removed and made again
                named = dict(zip(collector._labelnames, labels, strict=False))
                reader = _Child(metric, {**named, **more}, child)
            known[labels] = reader
            reader.read(reading)
            reading.slices.breathe()
        reading.end_family(metric, across, began)

    def _read_collected(self, metric: Metric, across: str, reading: _Reading) -> None:
        """A family that a collector makes anew at each scrape."""
        began = len(reading.values)
        labels = self._apart(metric, across)
        given = [sample for sample in metric.samples if sample.native_histogram is None]
        samples = [_plain(sample, labels) for sample in given]
        which = tuple([(sample.name, *sample.labels.items()) for sample in samples])
        found = self._collected_keys.get((metric.name, which))
        if found is None:
            if len(self._collected_keys) >= MAX_COLLECTED:  # labels that are never the same twice
                self._collected_keys.clear()
            found = self._collected_keys[metric.name, which] = _keys(samples)
        reading.parts.append(found)
        reading.values.extend([sample.value for sample in samples])
        for place, sample in enumerate(given):
            if sample.exemplar is not None:
                made = float(sample.exemplar.timestamp or 0.0)
                reading.exemplars[began + place] = (made, _exemplar_text(sample.exemplar))
        reading.end_family(metric, across, began)

    def _apart(self, metric: Metric, across: str) -> dict[str, str]:
        """The label that keeps apart what several workers have each for itself."""
        apart = self._worker is not None and (across == EACH or metric.name.startswith(schema.RUNTIME))
        return {"worker": str(self._worker)} if apart else {}


EACH = "each"
"""How a gauge of several workers is shown that cannot become one: with a `worker` label."""

OF_THE_PROCESS = (
    prometheus_client.ProcessCollector,
    prometheus_client.PlatformCollector,
    prometheus_client.GCCollector,
)


def _across(collector: Any, metric: Metric) -> str:
    """How the values of several workers become one, by the family or the client's `multiprocess_mode`."""
    if metric.type != "gauge":
        return "sum"
    if isinstance(collector, OpenFamily):
        return collector.across
    mode = getattr(collector, "_multiprocess_mode", "mostrecent").removeprefix("live")
    return {"all": EACH, "mostrecent": "max"}.get(mode, mode)


MAX_COLLECTED = 1000
"""Families of collectors whose keys are remembered."""


class _Reading:
    """What one pass over the registry has found so far; `parts` are the keys of a child each."""

    def __init__(self) -> None:
        self.families: list[Family] = []
        self.parts: list[Keys] = []
        self.values = array("d")
        self.exemplars: dict[int, tuple[float, str]] = {}
        self.names: set[str] = set()
        self.slices = Slices()

    def end_family(self, metric: Metric, across: str, began: int) -> None:
        size = len(self.values) - began
        rule = "max" if across == EACH else across
        self.families.append(Family(metric.name, metric.documentation, metric.type, metric.unit, size, rule))


def _children(collector: Any) -> list[tuple[Any, Any]]:
    """The children of one collector of the client, by the values of their labels."""
    if not collector._is_parent():
        return [((), collector)]
    with collector._lock:
        return list(collector._metrics.items())


class _Child:
    """The lines of one child: one of a counter or gauge, one a bucket and two more of a histogram."""

    __slots__ = ("_exemplars", "_keys", "_read", "child")

    def __init__(self, metric: Metric, labels: dict[str, str], child: Any) -> None:
        self.child = child
        samples = [_plain(sample, labels) for sample in _samples(child)]
        self._keys = _keys([sample._replace(name=metric.name + sample.name) for sample in samples])
        self._read = _reader(child)
        self._exemplars: dict[int, tuple[Exemplar, str]] = {}

    def read(self, reading: _Reading) -> None:
        began = len(reading.values)
        values, exemplars = self._read()
        reading.parts.append(self._keys)
        reading.values.extend(values)
        for place, exemplar in enumerate(exemplars):
            if exemplar is not None:
                known = self._exemplars.get(place)
                if known is None or known[0] != exemplar:
                    known = self._exemplars[place] = (exemplar, _exemplar_text(exemplar))
                reading.exemplars[began + place] = (float(exemplar.timestamp or 0.0), known[1])


def _reader(child: Any) -> Callable[[], Readings]:
    """How to read a child: its values in the order of its lines, and the exemplars of the first of them.

    One attribute is read at once; the client's `get()` takes a lock for it, which doubles the time.
    """
    if type(child) is client.Histogram:
        signed = child._upper_bounds[0] < 0  # a sum of what may be negative is no counter
        return lambda: _histogram(child._buckets, None if signed else child._sum)
    if type(child) is client.Counter:
        return lambda: ((child._value._value,), (child._value._exemplar,))
    if type(child) is client.Gauge and "_child_samples" not in vars(child):  # which set_function() puts there
        return lambda: ((child._value._value,), ())
    return lambda: _generic(child)


def _histogram(buckets: Sequence[Any], total: Any) -> Readings:
    counts = list(accumulate([bucket._value for bucket in buckets]))
    counts.append(counts[-1])
    if total is not None:
        counts.append(total._value)
    return counts, [bucket._exemplar for bucket in buckets]


def _generic(child: Any) -> Readings:
    samples = _samples(child)
    return [sample.value for sample in samples], [sample.exemplar for sample in samples]


def _samples(child: Any) -> list[Sample]:
    """Without the time of a series' creation, which somebody may have asked the client for."""
    return [sample for sample in child._child_samples() if sample.name != "_created"]


def _plain(sample: Sample, labels: dict[str, str]) -> Sample:
    """The sample with more labels and without what stands behind its value."""
    return Sample(sample.name, {**labels, **(sample.labels or {})}, sample.value)


def _keys(samples: Iterable[Sample]) -> Keys:
    """The beginning of each sample's line, up to the value, as the client's encoder writes it."""
    return tuple(
        [f"{_name(sample.name)}{_labels(sample.labels) if sample.labels else ''}" for sample in samples]
    )


_name = lru_cache(maxsize=1024)(escape_metric_name)
_label = lru_cache(maxsize=1024)(escape_label_name)


def _labels(labels: Mapping[str, str]) -> str:
    pairs = [f'{_label(key)}="{_escaped(value)}"' for key, value in sorted(labels.items())]
    return f"{{{','.join(pairs)}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _exemplar_text(exemplar: Exemplar) -> str:
    value = floatToGoString(exemplar.value)  # type: ignore[no-untyped-call]
    return f"{_labels(exemplar.labels)} {value} {exemplar.timestamp or time.time()}"
