"""What was deployed or started in the time: instances and versions that came, as metrics tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dashcam.diagnose import evidence
from dashcam.diagnose.findings import Cause, Evidence
from dashcam.diagnose.observe import Observed

WITHIN = 90.0
"""Seconds between a change and what it brings about, at most, for the one to be shown with the other."""
FIRST = 20.0
"""Seconds after the beginning of the time from which on an instance counts as new: all are seen by then."""


@dataclass(frozen=True)
class Arrival:
    """An instance that was not there before; `new_version` where no other of its service has this one."""

    service: str
    version: str
    instance: str
    at: float
    new_version: bool

    def __str__(self) -> str:
        what = f"version {self.version} of {self.service}" if self.new_version else f"a new {self.service}"
        return f"{what} runs at {self.instance} since {evidence.clock(self.at)}"


def arrivals(seen: Observed) -> list[Arrival]:
    """Every instance that came up in the time, the latest first."""
    known = [(one.labels, one.points[0][0]) for one in seen.named("versions") if one.points]
    found = []
    for labels, at in known:
        if at < seen.start + FIRST:
            continue
        service, version = labels.get("job", ""), labels.get("service_version", "")
        others = {
            other.get("service_version")
            for other, since in known
            if other.get("job") == service and since < at
        }
        instance = labels.get("instance", "")
        found.append(Arrival(service, version, instance, at, version not in others and bool(others)))
    return sorted(found, key=lambda one: -one.at)


def shown(seen: Observed, cause: Cause, came: Sequence[Arrival]) -> Cause:
    """`cause` with the arrival that it may come with: of its service, shortly before it began."""
    for one in came:
        if one.service == cause.service and cause.since and -WITHIN < one.at - cause.since < WITHIN / 3:
            evidence = _evidence(seen, one)
            return replace(
                cause, evidence=(*cause.evidence, evidence), details={**cause.details, "change": str(one)}
            )
    return cause


def _evidence(seen: Observed, one: Arrival) -> Evidence:
    query = f'{seen.queries.get("versions", "target_info")}{{job="{one.service}"}}'
    return evidence.metric(seen, "versions", str(one), query)
