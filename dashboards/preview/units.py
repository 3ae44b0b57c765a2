"""Numbers as Grafana writes them, for the units that our panels use."""

from __future__ import annotations

import math

_SUFFIX = {"reqps": " req/s", "ops": " ops/s", "cps": " /s"}
_STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def shown(value: float, unit: str, decimals: int | None = None) -> str:
    """The value with its unit, in three significant digits or with that many `decimals`. NaN is a dash."""
    if math.isnan(value):
        return "—"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if unit == "percentunit":
        return f"{_digits(value * 100, decimals)} %"
    if unit == "s":
        return _seconds(value)
    if unit in ("bytes", "Bps"):
        return _bytes(value) + ("/s" if unit == "Bps" else "")
    return _scaled(value, decimals) + _SUFFIX.get(unit, "")


def _digits(value: float, decimals: int | None = None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if value == 0:
        return "0"
    text = f"{value:.3g}"
    return f"{value:.0f}" if "e+" in text else f"{float(text):g}"


def _scaled(value: float, decimals: int | None) -> str:
    for step, letter in _STEPS:
        if abs(value) >= step:
            return f"{_digits(value / step)} {letter}"
    return _digits(value, decimals)


def _seconds(value: float) -> str:
    for length, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms")):
        if abs(value) >= length:
            return f"{_digits(value / length)} {name}"
    return f"{_digits(value * 1e6)} µs" if value else "0 s"


def _bytes(value: float) -> str:
    for step, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if abs(value) >= step:
            return f"{_digits(value / step)} {name}"
    return f"{_digits(value)} B"
