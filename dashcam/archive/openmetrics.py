"""Series as OpenMetrics text, each sample with its time. Families are `unknown`: names stay as they are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from dashcam.sources import Series

END = "# EOF\n"
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def family(name: str, series: Sequence[Series]) -> Iterator[str]:
    """The lines of one metric name."""
    yield f"# TYPE {name} unknown\n"
    for one in series:
        labels = ",".join(
            f'{label}="{value.translate(_ESCAPED)}"'
            for label, value in sorted(one.labels.items())
            if label != "__name__"
        )
        head = f"{name}{{{labels}}}" if labels else name
        for time, value in one.points:
            yield f"{head} {_number(value)} {time:.3f}\n"


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)
