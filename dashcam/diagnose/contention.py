"""Whether the machine itself is short of time: then everything is slow at once, and no place is to blame.

Every target is asked for its metrics at fixed times, whatever its load. Where most of them take longer to
answer at the same time, it is what they share that is short: processor, memory, network.
"""

from __future__ import annotations

from statistics import median

from dashcam.diagnose import evidence
from dashcam.diagnose.findings import Step
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.steps import step

FEWEST = 3
"""Targets from which "most of them" means something."""
SLOWER, LATER = 3.0, 0.05
"""How long the middle target takes to answer a scrape: from SLOWER times the usual plus LATER seconds on."""


def contended(seen: Observed) -> Step | None:
    """The stretch in which most targets answered their scrapes late, if there is one."""
    at: dict[float, list[float]] = {}
    for one in seen.named("scrapes"):
        for time, value in one.points:
            at.setdefault(time, []).append(value)
    middle = [(time, median(values)) for time, values in sorted(at.items()) if len(values) >= FEWEST]
    return step(middle, least=LATER, factor=SLOWER)


def noted(seen: Observed) -> list[str]:
    """The same in words, for a reader of the answer."""
    short = contended(seen)
    if short is None:
        return []
    before, during = evidence.seconds(short.before), evidence.seconds(short.during)
    return [
        f"most targets answer a scrape in {during} instead of {before} since {evidence.clock(short.start)}: "
        "what they share (processor, memory, network) is short, and anything may seem slow for it"
    ]
