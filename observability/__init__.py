"""What a service imports: `instrument(app, service=...)` and the public names beside it.

Names are imported when they are first used, so that the command line does not load a web framework.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import observability.testing as testing
    from observability import problems, schema
    from observability.configuration import TelemetrySettings
    from observability.metrics.meters import NameTaken
    from observability.settings import SettingError
    from observability.telemetry import Telemetry, instrument
    from observability.traces.propagation import current_trace_id

__all__ = [
    "NameTaken",
    "SettingError",
    "Telemetry",
    "TelemetrySettings",
    "current_trace_id",
    "instrument",
    "problems",
    "schema",
    "testing",
]

_HOMES = {
    "NameTaken": "observability.metrics.meters",
    "SettingError": "observability.settings",
    "Telemetry": "observability.telemetry",
    "TelemetrySettings": "observability.configuration",
    "current_trace_id": "observability.traces.propagation",
    "instrument": "observability.telemetry",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in __all__:
        return importlib.import_module(f"observability.{name}")
    raise AttributeError(f"module 'observability' has no attribute {name!r}")
