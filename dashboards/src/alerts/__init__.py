"""The alerts beside the objectives' own, a module for each part that can break."""

from __future__ import annotations

from dashboards.src.alerts import kubernetes, messages, services, telemetry
from dashcam.slo.objectives import Objectives
from dashcam.slo.rules import Group


def files(objectives: Objectives) -> dict[str, list[Group]]:
    """The groups by the name of the rule file that holds them."""
    return {
        "services": services.groups(objectives),
        "messages": messages.groups(),
        "telemetry": telemetry.groups(),
        "kubernetes": kubernetes.groups(),
    }
