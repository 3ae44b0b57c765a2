"""What was changed in the time: versions and instances that came, restarts, flags. Metrics and spans tell."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dashcam.diagnose import evidence
from dashcam.diagnose.findings import Cause, Evidence
from dashcam.diagnose.observe import RAMP, Observed
from dashcam.sources import Span, Trace

WITHIN = 90.0
"""Seconds between a change and what it brings about, at most, for the one to be shown with the other."""
FIRST = 20.0
"""Seconds after the beginning of the time from which on an instance counts as new: all are seen by then."""
KNOWN = 5
"""Spans of a service that must have been seen before one that is of another version, instance or variant."""
FLAG, VARIANTS = "feature_flag.key", ("feature_flag.result.variant", "feature_flag.variant")
"""What the semantic conventions call a flag, and the variant that it had, on a span or an event of it."""


@dataclass(frozen=True)
class Change:
    """Something that was changed at a service at one time. `version` is the new one, where it is that."""

    service: str
    at: float
    text: str
    evidence: Evidence
    version: str = ""

    def __str__(self) -> str:
        return f"{self.text} since {evidence.clock(self.at)}"


def happened(seen: Observed) -> list[Change]:
    """Everything that was changed in the time, the latest first."""
    measured = {one.labels.get("job", "") for one in seen.named("versions")}
    found = [*_arrivals(seen), *_restarts(seen), *_of_spans(seen, measured)]
    return sorted(found, key=lambda one: -one.at)


def _arrivals(seen: Observed) -> Iterator[Change]:
    """Instances that came up, by their metrics."""
    known = [(one.labels, one.points[0][0]) for one in seen.named("versions") if one.points]
    for labels, at in known:
        if at < seen.start + FIRST:
            continue
        service, version = labels.get("job", ""), labels.get("service_version", "")
        others = {
            other.get("service_version")
            for other, since in known
            if other.get("job") == service and since < at
        }
        if not others:
            continue  # the service itself began in this time, which changed nothing that was there
        new = version if version not in others else ""
        what = f"version {version} of {service}" if new else f"a new {service}"
        text = f"{what} runs at {labels.get('instance', '')}"
        yield Change(service, at, text, _metric(seen, "versions", "target_info", service, text), new)


def _restarts(seen: Observed) -> Iterator[Change]:
    """Processes that were started again in place of one that was there before."""
    for one in seen.named("started"):
        service, instance = one.labels.get("job", ""), one.labels.get("instance", "")
        values = [value for _, value in one.points]
        for earlier, later in itertools.pairwise(values):
            if later > max(earlier, seen.start) + 1:
                text = f"{service} at {instance} was started again"
                shown = _metric(seen, "started", "process_start_time_seconds", service, text)
                yield Change(service, later, text, shown)


def _of_spans(seen: Observed, measured: set[str]) -> Iterator[Change]:
    """What spans say of their process, where no metrics do, and of the flags that were asked."""
    counts: dict[tuple[str, str], int] = {}
    known: set[tuple[str, str, str]] = set()
    for one in sorted((*seen.past, *seen.before, *seen.during), key=lambda trace: trace.start):
        for span in one.spans:
            for what, value in _said(span):
                if what in _RESOURCE and span.service in measured:
                    continue
                place = span.service, what
                new = (*place, value) not in known
                if new and counts.get(place, 0) >= KNOWN and span.start / 1e6 >= seen.start:
                    yield _told(seen, one, span, what, value)
                known.add((*place, value))
                counts[place] = counts.get(place, 0) + 1


_RESOURCE = ("service.version", "k8s.pod.name", "service.instance.id")


def _said(span: Span) -> Iterator[tuple[str, str]]:
    yield from ((name, str(span.resource[name])) for name in _RESOURCE if span.resource.get(name))
    for attributes in (span.attributes, *(event.attributes for event in span.events)):
        if flag := attributes.get(FLAG):
            variant = next((attributes[name] for name in VARIANTS if name in attributes), None)
            if variant is not None:
                yield f"the flag {flag}", str(variant)


def _told(seen: Observed, one: Trace, span: Span, what: str, value: str) -> Change:
    version = value if what == "service.version" else ""
    if version:
        text = f"version {value} of {span.service} runs"
    elif what in _RESOURCE:
        text = f"a new {span.service} runs at {value}"
    else:
        text = f"{what} is {value} in {span.service}"
    return Change(span.service, span.start / 1e6, text, evidence.trace(seen, one, text), version)


def _metric(seen: Observed, query: str, name: str, service: str, text: str) -> Evidence:
    return evidence.metric(seen, query, text, f'{seen.queries.get(query, name)}{{job="{service}"}}')


def near(cause: Cause, change: Change) -> bool:
    """Whether `change` may have brought about `cause`: of its service, shortly before it began."""
    return change.service == cause.service and bool(cause.since) and _close(cause.since or 0.0, change.at)


def _close(since: float, at: float) -> bool:
    return -WITHIN < at - since < WITHIN / 3


def shown(cause: Cause, came: Sequence[Change]) -> Cause:
    """`cause` with the change that it may come with."""
    one = next((one for one in came if near(cause, one)), None)
    if one is None:
        return cause
    return replace(
        cause, evidence=(*cause.evidence, one.evidence), details={**cause.details, "change": str(one)}
    )


def ruled_out(seen: Observed, came: Sequence[Change], causes: Sequence[Cause]) -> list[str]:
    """The changes that explain nothing of `causes`, roots and effects, each with the reason, in words."""
    said = []
    known = [cause for cause in causes if cause.since]
    for one in came:
        here = [cause for cause in known if cause.service == one.service]
        if any(near(cause, one) for cause in here):
            continue
        if not known:
            said.append(f"{one}: nothing that was looked at differs for it")
        elif one.at > (first := max(cause.since or 0.0 for cause in known)) + RAMP * seen.interval:
            said.append(f"{one}: what is wrong was there before, since {evidence.clock(first)}")
        elif not here:
            where = ", ".join(sorted({cause.service for cause in known}))
            said.append(f"{one}: nothing is wrong at {one.service}, but at {where}")
    return said
