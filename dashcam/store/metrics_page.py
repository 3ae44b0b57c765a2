"""The page of the pushed metrics: OpenMetrics with exemplars, types, help and units, or the text format."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from dashcam.store.metric_points import EXPONENTIAL_BOUNDS
from dashcam.store.metric_series import COUNT, SUM, VALUE, Exemplar, Series
from dashcam.store.prometheus_names import unit_suffix
from dashcam.store.pushed_metrics import Family, Labels

Marked = Callable[[Exemplar | None], str]
"""What stands behind a sample that has an exemplar."""

_TEXT_KINDS = {"unknown": "untyped", "info": "gauge"}
"""What the text format calls the kinds that it does not know."""


def page(families: Iterable[Family], openmetrics: bool) -> bytes:
    """The whole page; the text format has no exemplars and no units."""
    write = _family if openmetrics else _text_family
    lines = [line for family in families if family.series for line in write(family)]
    return "\n".join([*lines, "# EOF\n" if openmetrics else ""]).encode()


def _text_family(family: Family) -> Iterator[str]:
    yield f"# TYPE {family.name} {_TEXT_KINDS.get(family.kind, family.kind)}"
    if family.help:
        help_shown = family.help.replace("\\", "\\\\").replace("\n", "\\n")
        yield f"# HELP {family.name} {help_shown}"
    yield from _samples(family, lambda exemplar: "")


def _family(family: Family) -> Iterator[str]:
    ending = {"counter": "_total", "info": "_info"}.get(family.kind, "")
    name = family.name.removesuffix(ending)
    yield f"# TYPE {name} {family.kind}"
    suffix = unit_suffix(family.unit, family.kind)
    if suffix and name.endswith(f"_{suffix}"):
        yield f"# UNIT {name} {suffix}"
    if family.help:
        yield f"# HELP {name} {_escaped(family.help)}"
    yield from _samples(family, _exemplar)


def _samples(family: Family, marked: Marked) -> Iterator[str]:
    write = {"histogram": _histogram, "summary": _summary}.get(family.kind, _single)
    for labels, series in family.series.items():
        yield from write(family, labels, series, marked)


def _single(family: Family, labels: Labels, series: Series, marked: Marked) -> Iterator[str]:
    exemplar = series.exemplars.get(0) if family.kind == "counter" else None
    value = series.scraped().get(VALUE, 0.0)
    yield f"{family.name}{_labels(labels)} {_number(value)}{marked(exemplar)}"


def _summary(family: Family, labels: Labels, series: Series, marked: Marked) -> Iterator[str]:
    total = series.total()
    for key, value in total.items():
        if isinstance(key, tuple):
            yield f"{family.name}{_labels((*labels, ('quantile', _number(key[1]))))} {_number(value)}"
    yield f"{family.name}_sum{_labels(labels)} {_number(total[SUM])}"
    yield f"{family.name}_count{_labels(labels)} {_number(total[COUNT])}"


def _histogram(family: Family, labels: Labels, series: Series, marked: Marked) -> Iterator[str]:
    total = series.scraped()
    below = 0.0
    used = [key for key in total if isinstance(key, int)]
    # Of exponential bounds, those from the first to the last that hold something; of explicit ones, all.
    wide = series.bounds == EXPONENTIAL_BOUNDS
    first, last = (min(used, default=0), max(used, default=-1)) if wide else (0, len(series.bounds))
    for place, bound in enumerate(series.bounds):
        below += total.get(place, 0.0)
        if first - 1 <= place <= last:
            line = f"{family.name}_bucket{_labels((*labels, ('le', _number(bound))))} {_number(below)}"
            yield line + marked(series.exemplars.get(place))
    everything = f"{family.name}_bucket{_labels((*labels, ('le', '+Inf')))} {_number(total.get(COUNT, 0.0))}"
    yield everything + marked(series.exemplars.get(len(series.bounds)))
    if SUM in total:
        yield f"{family.name}_sum{_labels(labels)} {_number(total[SUM])}"
    yield f"{family.name}_count{_labels(labels)} {_number(total.get(COUNT, 0.0))}"


def _labels(labels: Iterable[tuple[str, str]]) -> str:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{inner}}}" if inner else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(float(value))


def _exemplar(one: Exemplar | None) -> str:
    if one is None:
        return ""
    span = f',span_id="{one.span}"' if one.span else ""
    return f' # {{trace_id="{one.trace}"{span}}} {_number(one.value)} {one.time:.3f}'
