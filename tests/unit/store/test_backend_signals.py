"""What the backend's two processes expose is what they declare."""

from __future__ import annotations

from dashcam.store import signals
from dashcam.store.own_metrics import QueryMetrics, ReceiverMetrics
from observability.schema import RUNTIME


def test_what_is_exposed_is_what_is_declared():
    exposed = {
        family.name
        for metrics in (ReceiverMetrics(), QueryMetrics())
        for family in metrics.registry.collect()
        if not family.name.startswith(RUNTIME)
    }
    assert exposed == {metric.name for metric in signals.METRICS}
