"""The uids of the dashboards, and which of them an alert opens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dashcam.slo.rules import Alert, Recording

UIDS = {
    "overview": "dashcam-overview",
    "service": "dashcam-service",
    "slo": "dashcam-slo",
    "car": "dashcam-car",
    "orders": "dashcam-orders",
    "pipeline": "dashcam-pipeline",
    "workloads": "dashcam-workloads",
}


def opening(name: str, rules: Iterable[Alert | Recording], of: str = "") -> list[Alert | Recording]:
    """The rules with that dashboard on each alert. `of` is a variable that its `service` fills."""
    return [
        replace(rule, board=UIDS[name] + (f"?var-{of}={rule.service}" if of else ""))
        if isinstance(rule, Alert)
        else rule
        for rule in rules
    ]
