"""What waits and is not taken up: ages that grow with the clock, of messages or of steps of work."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dashcam.diagnose import evidence
from dashcam.diagnose.findings import HARM, Cause, Evidence
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.steps import Points

LEAST, LONGER = 12.0, 2.0
"""An age counts from so many seconds on, above so many times the largest that it had before."""
GROWING = 0.8
"""Seconds by which it must grow in each second: whatever is taken up now and then falls back."""
EARLIER = 3
"""Readings that must be known from before: of what is old from the first on, nobody knows what is usual."""

UNFINISHED, WAITING = "unfinished", "waiting messages"


def causes(seen: Observed) -> list[Cause]:
    """Steps that nobody goes on with, and queues that nobody empties: each once, whoever watches it."""
    found = [cause for one in seen.named("ages") if (cause := _growing(seen, one.labels, one.points))]
    return list({(one.kind, one.service, one.subject): one for one in reversed(found)}.values())


def age(seen: Observed, destination: str, group: str) -> Evidence | None:
    """What the age of the oldest message in a queue says, where it grows or has grown."""
    for one in seen.named("ages"):
        of = one.labels.get("messaging_destination_name"), one.labels.get("messaging_consumer_group_name")
        if of == (destination, group) and (found := _stretch(one.points)):
            first, before, last = found
            del first
            result = f"the oldest message in {destination} is {last:.0f} s old, at most {before:.0f} s before"
            return evidence.metric(seen, "ages", result)
    return None


def _stretch(points: Points) -> tuple[float, float, float] | None:
    """Since when the last reading has grown with the clock, the largest age before that, and the last one."""
    known = [(time, value) for time, value in points if math.isfinite(value)]
    index = len(known) - 1
    while index > 0:
        (earlier, low), (later, high) = known[index - 1], known[index]
        if high - low < GROWING * (later - earlier):
            break
        index -= 1
    if index < EARLIER or index == len(known) - 1:
        return None
    before, last = max(value for _, value in known[: index + 1]), known[-1][1]
    return (known[index][0], before, last) if last >= LEAST + LONGER * before else None


def _growing(seen: Observed, labels: Mapping[str, str], points: Points) -> Cause | None:
    found = _stretch(points)
    if found is None:
        return None
    since, before, last = found
    job, queue = labels.get("job", ""), labels.get("messaging_destination_name", "")
    group, stage = labels.get("messaging_consumer_group_name", ""), labels.get("step", "")
    what = labels.get("__name__", "").removesuffix("_oldest_age_seconds").replace("_", " ")
    older = f"is {last:.0f} s old and grows older, at most {before:.0f} s before"
    if queue:
        summary = f"messages in {queue} wait for {group or job}: the oldest {older}"
    else:
        where = f"its step {stage}" if stage else what
        summary = f"{job} leaves {where} unfinished: the oldest {older}"
    narrowed = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()) if name != "__name__")
    shown = evidence.metric(
        seen, "ages", f"the oldest {older}", f"{labels.get('__name__', '')}{{{narrowed}}}"
    )
    details = {"queue": queue, "consumer": group, "step": stage and f"step {stage}", "what": what}
    known = {*seen.traced, *(each.labels.get("job", "") for each in seen.named("up"))}
    return Cause(
        WAITING if queue else UNFINISHED,
        group if queue and group in known else job,
        queue or stage or what,
        summary,
        HARM,
        1.0,
        since=since,
        details={name: value for name, value in details.items() if value},
        evidence=(shown,),
    )


def shown(cause: Cause, effects: Sequence[Cause]) -> Cause:
    """`cause` with the steps that are unfinished because of it."""
    steps = [one for one in effects if one.kind == UNFINISHED]
    if not steps:
        return cause
    undone = "; ".join(f"{one.service}: {one.details.get('step', one.subject)}" for one in steps)
    added = tuple(shown for one in steps[:1] for shown in one.evidence)
    return replace(cause, details={**cause.details, "unfinished": undone}, evidence=(*cause.evidence, *added))
