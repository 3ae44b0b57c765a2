"""Our own objectives: those of services/catalogue.yaml, by what dashboards/slos.yaml says of all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from dashcam.registry import catalogue
from dashcam.slo import objectives
from dashcam.slo.objectives import ObjectiveError, Objectives

HERE = Path(__file__).resolve().parent.parent
PATH = HERE / "slos.yaml"


def load() -> Objectives:
    """Read and check the objectives. Raises ObjectiveError."""
    return objectives.from_page(page(), f"{catalogue.PATH}, {PATH}")


def page() -> dict[str, Any]:
    """Both files as one page of objectives. Raises ObjectiveError where the catalogue cannot be used."""
    try:
        services = catalogue.load().services
    except catalogue.CatalogueError as error:
        raise ObjectiveError(str(error)) from None
    common: dict[str, Any] = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    return {
        **common,
        "services": {service.name: {"depends_on": [*service.depends_on]} for service in services},
        "slos": [{**each, "service": service.name} for service in services for each in service.objectives],
    }
