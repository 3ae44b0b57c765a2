"""Growth of counters whose series appear only with the first event, such as those of errors.

`increase()` counts from a series' first sample, so a burst that begins and ends a series between two scrapes
is no growth at all, and an alert on losses would miss the first loss of all.
"""

from __future__ import annotations


def grown(series: str, window: str) -> str:
    """PromQL, to stand in the parentheses of a sum: what each of `series` gained in the window.

    One that appeared in it has gained its whole value.

    To have appeared, it must have been missing while its target answered (`up`): after Prometheus itself, or
    its way to a target, was away, old counts are not new. A target younger than the window is counted by
    increase() alone.
    """
    appeared = f"{series} unless {series} offset {window} and on (job, instance) up offset {window} == 1"
    return f"\n    {appeared}\n  or\n    increase({series}[{window}])\n"
