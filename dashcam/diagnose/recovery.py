"""Whether a change is only the way back: what fails at once does less, and its usual work after that."""

from __future__ import annotations

from dashcam.diagnose.findings import Cause
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.significance import FEWEST, SURE, more
from dashcam.diagnose.steps import ratio
from dashcam.diagnose.symptoms import BUSY, grouped, total
from dashcam.diagnose.traced import Traced

MORE_WORK = frozenset(
    {"statements", "calls", "log lines", "uncached", "processor", "slow", "missing log line"}
)
"""Kinds that compare what a service does for each request with what it did before."""
LESS = 0.5
"""By how much the share of failing requests must have fallen: what they did is then no measure."""


def recovered(seen: Observed, found: Traced, cause: Cause) -> bool:
    """Whether the service of `cause` failed before it began, and does not since."""
    if cause.kind not in MORE_WORK or cause.since is None:
        return False
    return _by_traces(found, cause.service, cause.since) or _by_metrics(seen, cause.service, cause.since)


def _by_traces(found: Traced, service: str, since: float) -> bool:
    sides: tuple[list[bool], list[bool]] = [], []
    for request in found.requests:
        if request.service == service:
            failed = any(visit.span.failed for visit in request.visits)
            sides[request.start >= since * 1e6].append(failed)
    before, after = sides
    if min(len(before), len(after)) < FEWEST:
        return False
    fallen = sum(before) / len(before) - sum(after) / len(after)
    return fallen >= LESS and more(sum(after), len(after), sum(before), len(before)) <= SURE


def _by_metrics(seen: Observed, service: str, since: float) -> bool:
    here = grouped(seen.named("answers"), "job").get((service,), [])
    failing = dict(total(here, lambda labels: labels.get("http_response_status_code", "").startswith("5")))
    every = total(here)
    shares = ratio([(time, failing.get(time, 0.0)) for time, _ in every], every, BUSY)
    before = [share for time, share in shares if time < since]
    after = [share for time, share in shares if time >= since]
    if min(len(before), len(after)) < FEWEST:
        return False
    return sum(before) / len(before) - sum(after) / len(after) >= LESS
