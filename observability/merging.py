"""Metric families as plain data, and the families of several processes merged into one set."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar, Sample

from observability import schema

Snapshot = list[dict[str, Any]]
"""The families of one process: name, help, type, unit and samples, ready for JSON."""


def plain(family: Metric, worker: str) -> dict[str, Any]:
    labelled = {"worker": worker} if family.name.startswith(schema.RUNTIME) else {}
    samples = [
        [sample.name, {**sample.labels, **labelled}, sample.value, _plain_exemplar(sample.exemplar)]
        for sample in family.samples
    ]
    return {
        "name": family.name,
        "help": family.documentation,
        "type": family.type,
        "unit": family.unit,
        "samples": samples,
    }


def _plain_exemplar(exemplar: Exemplar | None) -> list[Any] | None:
    return None if exemplar is None else [exemplar.labels, exemplar.value, exemplar.timestamp or time.time()]


def departed(snapshots: Iterable[Snapshot]) -> Snapshot:
    """The sum of what workers counted that are gone. What they were (gauges, infos) went with them."""
    kept = [
        [family for family in snapshot if family["type"] in ("counter", "histogram")]
        for snapshot in snapshots
    ]
    gone = ("process_", "python_")
    return [plain(family, "") for family in merge(kept) if not family.name.startswith(gone)]


_ACROSS: dict[str, Callable[[float, float], float]] = {"sum": lambda a, b: a + b, "min": min, "max": max}


def merge(snapshots: Iterable[Snapshot]) -> list[Metric]:
    """One family of each name; samples of the same name and labels become one."""
    rules = {metric.name: metric.across for metric in schema.METRICS}
    merged: dict[str, tuple[Metric, dict[Any, Sample]]] = {}
    for family in (family for snapshot in snapshots for family in snapshot):
        name = family["name"]
        if name not in merged:
            merged[name] = (Metric(name, family["help"], family["type"], family["unit"]), {})
        samples = merged[name][1]
        summed = family["type"] in ("counter", "histogram")
        combine = _ACROSS["sum" if summed else "max" if family["type"] == "info" else rules.get(name, "max")]
        for sample_name, labels, value, exemplar in family["samples"]:
            key = (sample_name, tuple(sorted(labels.items())))
            sample = Sample(sample_name, labels, value, None, Exemplar(*exemplar) if exemplar else None)
            samples[key] = _combined(samples[key], sample, combine) if key in samples else sample
    for metric, found in merged.values():
        metric.samples = list(found.values())
    return [metric for metric, _ in merged.values()]


def _combined(one: Sample, other: Sample, combine: Callable[[float, float], float]) -> Sample:
    exemplars = [sample.exemplar for sample in (one, other) if sample.exemplar is not None]
    newest = max(exemplars, key=lambda exemplar: exemplar.timestamp or 0.0, default=None)
    return Sample(one.name, one.labels, combine(one.value, other.value), None, newest)
