"""Which metrics a PromQL expression names, and whether these are declared.

No parser: an expression is cut into tokens, and what is neither function, keyword nor label is a metric.
That promtool parses the expression is tested apart; a word unknown here counts as a metric, so that a mistake
shows as an undeclared name and never passes.
"""

from __future__ import annotations

import re

from dashboards.src.third_party import ALL, LOCAL
from observability import schema
from services.signals import METRICS

_WORDS = frozenset(
    [
        "and",
        "or",
        "unless",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "by",
        "without",
        "bool",
        "offset",
        "sum",
        "avg",
        "min",
        "max",
        "count",
        "topk",
        "bottomk",
        "stddev",
        "quantile",
        "count_values",
        "group",
        "abs",
        "absent",
        "absent_over_time",
        "avg_over_time",
        "ceil",
        "changes",
        "clamp_max",
        "clamp_min",
        "count_over_time",
        "delta",
        "deriv",
        "floor",
        "histogram_quantile",
        "increase",
        "irate",
        "label_replace",
        "last_over_time",
        "max_over_time",
        "min_over_time",
        "predict_linear",
        "rate",
        "resets",
        "round",
        "scalar",
        "sort",
        "sort_desc",
        "sum_over_time",
        "time",
        "timestamp",
        "vector",
        "inf",
        "nan",
    ]
)
_DROP = (
    re.compile(r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'"),
    re.compile(r"\{[^{}]*\}"),
    re.compile(r"\[[^\[\]]*\]"),
    re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)"),
    re.compile(r"\boffset\s+\S+"),
    re.compile(r"\$\{?\w+\}?"),
)
_NAME = re.compile(r"(?<![\w.:])[a-zA-Z_:][\w:]*")

_SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_count", "_sum"),
    "info": ("_info",),
    "gauge": ("",),
}
DECLARED = frozenset(metric.name + suffix for metric in METRICS for suffix in _SUFFIXES[metric.kind])
"""Every series name that a service may expose by schema.py."""


def metrics(expression: str) -> set[str]:
    """The names of all metrics in the expression. Template variables (`$service`) are passed over."""
    rest = expression
    for pattern in _DROP:
        rest = pattern.sub(" ", rest)
    return {name for name in _NAME.findall(rest) if name.lower() not in _WORDS}


def selectors(expression: str) -> set[str]:
    """Every selector of the expression, `name{label="value"}` or a bare name."""
    named = "|".join(sorted(metrics(expression), key=len, reverse=True))
    found = re.finditer(rf"(?<![\w.:])(?:{named})(?![\w:])(?:\{{[^{{}}]*\}})?", expression) if named else ()
    return {match.group() for match in found}


def undeclared(expression: str, recorded: frozenset[str] = frozenset()) -> set[str]:
    """The metrics that are neither declared in schema.py, nor a third party's, nor `recorded` by a rule."""
    return {name for name in metrics(expression) if not _known(name) and name not in recorded}


def needs_cluster(expression: str) -> bool:
    """Whether the expression names a metric that only a cluster's components have."""
    return any(name in ALL - LOCAL for name in metrics(expression))


def _known(name: str) -> bool:
    return name in DECLARED or name in ALL or name.startswith(schema.RUNTIME)
