"""Series as OpenMetrics text, each sample with its time. Families are `unknown`: names stay as they are.

Prometheus 3 has names of any characters, such as `http.server.duration`. They are written in quotes, which
an older reader does not know.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from dashcam.sources import Series

END = "# EOF\n"
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
NAME, _LABEL = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*"), re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
"""Names that stand without quotes: of metrics, of labels."""


def quoted(text: str) -> str:
    """A text in quotes, as OpenMetrics and PromQL have it."""
    return f'"{text.translate(_ESCAPED)}"'


def matching(names: Sequence[str]) -> str:
    """PromQL's comparison with one name, or with several that stand without quotes."""
    return f"={quoted(names[0])}" if len(names) == 1 else f"=~{quoted('|'.join(names))}"


def plain(name: str, one: Series) -> bool:
    """Whether a series is written without a name in quotes."""
    return bool(NAME.fullmatch(name)) and all(map(_LABEL.fullmatch, one.labels))


def family(name: str, series: Sequence[Series]) -> Iterator[str]:
    """The lines of one metric name."""
    outside = name if NAME.fullmatch(name) else ""
    yield f"# TYPE {outside or quoted(name)} unknown\n"
    for one in series:
        inside = [] if outside else [quoted(name)]
        inside += [
            f"{label if _LABEL.fullmatch(label) else quoted(label)}={quoted(value)}"
            for label, value in sorted(one.labels.items())
            if label != "__name__"
        ]
        head = f"{outside}{{{','.join(inside)}}}" if inside else name
        for time, value in one.points:
            yield f"{head} {_number(value)} {time:.3f}\n"


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)
