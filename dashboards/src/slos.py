"""Our own objectives, `dashboards/slos.yaml`; what such a page may say is in `dashcam.slo.objectives`."""

from __future__ import annotations

from pathlib import Path

from dashcam.slo import objectives
from dashcam.slo.objectives import Objectives

HERE = Path(__file__).resolve().parent.parent


def load(path: Path = HERE / "slos.yaml") -> Objectives:
    """Read and check the objectives. Raises ObjectiveError."""
    return objectives.load(path)
