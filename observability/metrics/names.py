"""How the names of OpenTelemetry become those of Prometheus, by OpenTelemetry's specification.

https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_UNITS = {
    **{"d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds"},
    **{"us": "microseconds", "ns": "nanoseconds"},
    **{"By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes", "TiBy": "tebibytes"},
    **{"KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes"},
    **{"m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams"},
    **{"Cel": "celsius", "Hz": "hertz", "%": "percent"},
}
_PER = {
    **{"s": "second", "min": "minute", "m": "minute", "h": "hour", "d": "day"},
    **{"w": "week", "mo": "month", "y": "year"},
}
_ANNOTATION = re.compile(r"\{[^}]*\}")
_INVALID_IN_NAME = re.compile(r"[^a-zA-Z0-9:]+")  # underscores too: several become one
_INVALID_IN_LABEL = re.compile(r"[^a-zA-Z0-9]+")


def unit_suffix(unit: str) -> str:
    """The word at the end of a name for a unit: `seconds` for s, `bytes_per_second` for By/s, else empty."""
    plain = _ANNOTATION.sub("", unit).strip()
    measured, _, per = plain.partition("/")
    words = _UNITS.get(measured, "" if measured == "1" else measured)
    if per:
        words = f"{words}_per_{_PER.get(per, per)}"
    return _INVALID_IN_NAME.sub("_", words).strip("_")


def prometheus_name(name: str, unit: str, kind: str = "") -> str:
    """The family name of an instrument: without `_total`, which a counter's samples have on top."""
    family = _INVALID_IN_NAME.sub("_", name).rstrip("_")
    if family[:1].isdigit():
        family = f"_{family}"
    if kind == "counter":
        family = family.removesuffix("_total")
    suffix = "ratio" if kind == "gauge" and unit == "1" else unit_suffix(unit)
    return f"{family}_{suffix}" if suffix and not family.endswith(f"_{suffix}") else family


def sample_names(kind: str, family: str) -> frozenset[str]:
    """Every name that a family of this kind takes on `/metrics`, its own included."""
    suffixes = {
        "counter": ("", "_total", "_created"),
        "histogram": ("", "_bucket", "_sum", "_count", "_created"),
        "summary": ("", "_sum", "_count", "_created"),
        "info": ("", "_info"),
    }
    return frozenset(family + suffix for suffix in suffixes.get(kind, ("",)))


def labels(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Attributes as labels; the values of two that become the same label are joined by a semicolon."""
    found: dict[str, str] = {}
    for key in sorted(attributes):
        label = _INVALID_IN_LABEL.sub("_", key)
        if label[:1].isdigit():
            label = f"key_{label}"
        value = _text(attributes[key])
        found[label] = f"{found[label]};{value}" if label in found else value
    return found


def _text(value: Any) -> str:
    """A value as the specification writes it in a label: a text as it is, all else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(list(value) if isinstance(value, tuple) else value, default=str)
