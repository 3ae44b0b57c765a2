"""Every metric that a service of this repository exposes: the library's, and what each declares beside it."""

from __future__ import annotations

from observability import schema
from services.car import signals as car

METRICS: tuple[schema.Metric, ...] = (*schema.METRICS, *car.SIGNALS.metrics)
