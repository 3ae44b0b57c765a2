"""Whether what went wrong at a place goes wrong there still, by the visits that traces show."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from dashcam.diagnose.places import Visit

QUIET = 15.0
"""Seconds without a bad visit from which on it may be over."""
PAUSES = 3.0
"""How many times longer that must be than any pause between two bad ones."""
WELL = 3
"""Other visits of the same place that must have come since: where nobody asks, nothing is over."""


def over(bad: Sequence[Visit], others: Sequence[Visit], end: float) -> float | None:
    """When the last of `bad` ended, in Unix seconds, if it is over by `end`; None where it may go on.

    `others` are the visits at the same places to which that did not happen.
    """
    starts = sorted(visit.span.start for visit in bad)
    last = max(visit.span.end for visit in bad)
    longest = max((later - earlier for earlier, later in itertools.pairwise(starts)), default=0)
    if end * 1e6 - last < max(QUIET * 1e6, PAUSES * longest):
        return None
    since = sum(visit.span.start > last for visit in others)
    return last / 1e6 if since >= WELL else None
