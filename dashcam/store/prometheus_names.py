"""OpenTelemetry's names as Prometheus writes them.

Follows "Prometheus and OpenMetrics Compatibility" of the OpenTelemetry specification: what is invalid becomes
one underscore, the unit is a suffix in words, a monotonic sum ends in `_total`, a gauge of unit 1 in
`_ratio`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_UNITS = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
    "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
    "TiBy": "tibibytes", "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams",
    "Cel": "celsius", "Hz": "hertz", "%": "percent",
}  # fmt: skip
_PER = {
    "s": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month",
    "y": "year",
}  # fmt: skip


def unit_suffix(unit: str, kind: str) -> str:
    """The words of a UCUM unit, such as `seconds` or `bytes_per_second`; empty for none."""
    plain = re.sub(r"\{[^}]*\}", "", unit).strip()
    if plain == "1":
        return "ratio" if kind == "gauge" else ""
    over, slash, under = plain.partition("/")
    words = _words(_UNITS.get(over, over))
    if slash and under:
        return "_".join(part for part in (words, "per", _words(_PER.get(under, under))) if part)
    return words


def metric_name(name: str, unit: str, kind: str) -> str:
    """The name of a metric's family; that of a counter with its `_total`. `kind` is its type."""
    base = _words(name, keep=":")
    if base[:1].isdigit():
        base = f"_{base}"
    base = base.removesuffix("_total") if kind == "counter" else base
    suffix = unit_suffix(unit, kind)
    if suffix and not f"_{base}_".endswith(f"_{suffix}_") and not _has(base, suffix):
        base = f"{base}_{suffix}"
    return f"{base}_total" if kind == "counter" else base


def label_name(key: str) -> str:
    """An attribute's key as a label: what is no letter, digit or underscore becomes one.

    Names that mean something to Prometheus itself get `key_` before them: those that begin with two
    underscores, `le` and `quantile`; so do those that begin with a digit.
    """
    label = re.sub(r"[^A-Za-z0-9_]", "_", key)
    if not label or label[0].isdigit() or label.startswith("__") or label in ("le", "quantile"):
        return f"key_{label}"
    return label


def labels_of(attributes: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Labels of attributes. Values of keys that become one label are joined by `;`, by the keys' order."""
    found: dict[str, str] = {}
    for key, value in sorted(attributes):
        name = label_name(key)
        found[name] = f"{found[name]};{value}" if name in found else value
    return found


def _has(base: str, suffix: str) -> bool:
    """Whether a suffix of one word is a word of the name already."""
    return "_" not in suffix and suffix in base.split("_")


def _words(text: str, keep: str = "") -> str:
    return re.sub(r"_+", "_", re.sub(rf"[^A-Za-z0-9{keep}]", "_", text)).strip("_")
