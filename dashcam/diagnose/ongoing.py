"""Whether what went wrong goes wrong still, and whether it is of the time that is diagnosed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol

from dashcam.diagnose.findings import Cause
from dashcam.diagnose.observe import RAMP, Observed
from dashcam.sources import Span

QUIET = 15.0
"""Seconds without a bad visit from which on it may be over."""
PAUSES = 3.0
"""How many times longer that must be than any pause between two bad ones."""
WELL = 3
"""Other visits of the same place that must have come since: where nobody asks, nothing is over."""


class Spanned(Protocol):
    """A visit, or what else was seen as one span."""

    @property
    def span(self) -> Span: ...


def over(bad: Sequence[Spanned], others: Sequence[Spanned], end: float) -> float | None:
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


def of_now(seen: Observed, cause: Cause) -> bool:
    """Whether a cause lasts into the time that is diagnosed: what was before only tells what is usual.

    A rate still remembers for some scrapes what is over; a trace tells when it was.
    """
    remembered = 0.0 if cause.traces else RAMP * seen.interval
    return cause.until is None or cause.until > seen.start + remembered
