"""A forked worker starts with nothing counted: what its parent counted is the parent's, which shows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client import metrics as client

from observability.metrics.open_families import OpenFamily

SUMS = (client.Counter, client.Histogram, client.Summary)


def reset(registries: Iterable[CollectorRegistry]) -> None:
    """Set every sum of `registries` to 0, in a process that was just forked and has one thread."""
    for registry in registries:
        for collector in list(registry._collector_to_names):
            if isinstance(collector, OpenFamily):
                collector.reset()
            elif isinstance(collector, SUMS):
                for child in _children(collector):
                    for value in _values(child):
                        value.set(0)


def _children(collector: Any) -> list[Any]:
    return list(collector._metrics.values()) if collector._is_parent() else [collector]


def _values(child: Any) -> list[Any]:
    """The client's values of a series, which stay the same objects: others hold them."""
    single = [vars(child)[name] for name in ("_value", "_sum", "_count") if name in vars(child)]
    return [*single, *getattr(child, "_buckets", ())]
