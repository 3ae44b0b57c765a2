"""The names that OpenTelemetry's semantic conventions have, and which of them are stable."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import ModuleType
from typing import Literal

import opentelemetry.semconv._incubating.attributes as unstable_attributes
import opentelemetry.semconv._incubating.metrics as unstable_metrics
import opentelemetry.semconv.attributes as stable_attributes
import opentelemetry.semconv.metrics as stable_metrics
from opentelemetry.semconv.schemas import Schemas

Stability = Literal["stable", "development"]

VERSION = list(Schemas)[-1].value.rpartition("/")[2]
"""The newest version that the installed package knows."""


@functools.cache
def attributes() -> dict[str, Stability]:
    """Every attribute of the conventions."""
    return {**_names(unstable_attributes, "development"), **_names(stable_attributes, "stable")}


@functools.cache
def metrics() -> dict[str, Stability]:
    """Every metric of the conventions."""
    return {**_names(unstable_metrics, "development"), **_names(stable_metrics, "stable")}


def _names(package: ModuleType, stability: Stability) -> dict[str, Stability]:
    modules = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return {
        value: stability
        for module in modules
        for name, value in vars(importlib.import_module(module.name)).items()
        if name.isupper() and isinstance(value, str)
    }
