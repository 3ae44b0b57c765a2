"""Every metric that a service of this repository exposes: the library's, and what each declares beside it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from observability import schema


def _own() -> tuple[schema.Metric, ...]:
    """What the services declare as `SIGNALS` in a module `signals` of theirs."""
    folders = sorted(path.parent.name for path in Path(__file__).parent.glob("*/signals.py"))
    modules = [import_module(f"services.{name}.signals") for name in folders]
    # Those of messages are declared by each service that has some.
    return tuple(dict.fromkeys(metric for module in modules for metric in module.SIGNALS.metrics))


METRICS: tuple[schema.Metric, ...] = (*schema.METRICS, *_own())
