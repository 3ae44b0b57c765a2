"""Messages that are delivered again and again: because they fail each time, or though they did not fail."""

from __future__ import annotations

from collections.abc import Sequence

from dashcam.diagnose import evidence
from dashcam.diagnose.findings import HARM, WASTE, Cause
from dashcam.diagnose.message_spans import Processed, Queue
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.ongoing import over
from dashcam.diagnose.significance import LIKELY, rise
from dashcam.diagnose.steps import ratio, step
from dashcam.diagnose.symptoms import total

AGAIN = 3
"""Deliveries that fail from which on a message is one that always does."""
FEW, SOME = 3, 0.2
"""Messages that must have come several times; the share that must go well for the others to be poison."""

AT_ONCE = 1.0
"""Seconds within which a message that is for all of a service's processes comes to each of them."""
_PROCESS = ("service.instance.id", "k8s.pod.name")
MANY = 0.2
"""The share of messages that must come again: who delivers at least once repeats some now and then."""


def repeated(seen: Observed, queue: Queue) -> list[Cause]:
    """Messages of a queue that fail each time, and messages that come again without having failed."""
    by_message: dict[str, list[Processed]] = {}
    for one in queue.processed:
        by_message.setdefault(one.message, []).append(one)
    every = list(by_message.values())
    return [cause for cause in (_poison(seen, queue, every), _duplicates(seen, queue, every)) if cause]


def _poison(seen: Observed, queue: Queue, every: Sequence[Sequence[Processed]]) -> Cause | None:
    """Some messages fail each time, and others do not: it is the message, and not its consumer."""
    flags = [len(each) >= AGAIN and all(one.span.failed for one in each) for each in every]
    if not any(flags):
        return None
    was, now = every[: flags.index(True)], every[flags.index(True) :]
    failing = [each for each in now if len(each) >= AGAIN and all(one.span.failed for one in each)]
    # What is asked again by another message fails again, and is still one thing that fails.
    subjects = {each[0].about for each in failing}
    well = [each for each in now if not each[-1].span.failed and each[0].about not in subjects]
    others = len({each[0].about for each in well})
    # One that nothing comes after holds up its queue; where all fail, it is no matter of the messages.
    if len(was) < FEW or (len(subjects) >= FEW and others < SOME * (others + len(subjects))):
        return None
    bad = [one for each in failing for one in each]
    bad.sort(key=lambda one: one.span.start)
    times = max(len(each) for each in failing)
    error, message = _error(bad[-1])
    told = f"«{message[:120]}»" if message else error
    result = (
        f"{len(failing)} of {len(now)} messages failed in each of up to {times} deliveries, "
        f"{len(well)} were processed; the last: {error}"
    )
    return Cause(
        "poison",
        queue.service,
        queue.destination,
        f"{queue.service} cannot process some messages of {queue.destination}: {len(failing)} fail each time "
        f"that they are delivered, {told}",
        HARM,
        len(failing) / max(1, len(now)),
        since=bad[0].span.start / 1e6,
        until=over(bad, [one for each in well for one in each], seen.end),
        details={
            "error": error,
            **({"message": message} if message else {}),
            "queue": queue.destination,
            "consumer": queue.group,
            "step": bad[-1].span.operation,
            "message id": bad[-1].message,
        },
        evidence=(evidence.trace(seen, bad[-1].trace, result),),
        # Those too that have failed less often by now.
        traces=frozenset(one.trace.trace_id for each in now for one in each if one.span.failed),
    )


def _error(one: Processed) -> tuple[str, str]:
    """The exception of a delivery, and its message."""
    found = one.span.exceptions
    name = str(found[-1].attributes.get("exception.type") or "") if found else ""
    text = str(found[-1].attributes.get("exception.message") or "") if found else one.span.status_message
    error = name or str(one.span.attributes.get("error.type") or "error")
    return error.rsplit(".", 1)[-1], "" if text == error else text


def _duplicates(seen: Observed, queue: Queue, every: Sequence[Sequence[Processed]]) -> Cause | None:
    """Messages are processed again though they did not fail."""
    fine = [each for each in every if not any(one.span.failed for one in each)]
    change = rise([_again(each) for each in fine])
    if change is None or change.now < FEW or change.chance > LIKELY:
        return None
    was, now = fine[: change.index], fine[change.index :]
    twice = [each for each in now if _again(each)]
    if len(twice) < MANY * len(now):
        return None
    times = sum(len(each) for each in now) / len(now)
    usual = sum(len(each) for each in was) / len(was)
    bad = sorted((one for each in twice for one in each[1:]), key=lambda one: one.span.start)
    result = (
        f"{len(twice)} of {len(now)} messages were processed up to {max(map(len, twice))} times though "
        f"none of them failed, {change.was} of {len(was)} before"
    )
    shown = [evidence.trace(seen, bad[-1].trace, result)]
    if counted := _counted(seen, queue):
        shown.append(evidence.metric(seen, "consumed", counted))
    return Cause(
        "duplicates",
        queue.service,
        queue.destination,
        f"{queue.service} processes messages of {queue.destination} {times:.1f} times each, {usual:.1f} "
        "before, and they do not fail: the broker does not hear that they are done, or they are sent again",
        WASTE,
        len(twice) / len(now),
        since=bad[0].span.start / 1e6,
        until=over(bad, [each[0] for each in now if not _again(each)], seen.end),
        details={"queue": queue.destination, "consumer": queue.group, "step": bad[-1].span.operation},
        evidence=tuple(shown),
        chance=change.chance,
        traces=frozenset(one.trace.trace_id for one in bad),
    )


def _again(each: Sequence[Processed]) -> bool:
    """Whether a message came more than once, and not just to each of several processes at the same time."""
    begun = [one.span.start for one in each]
    if max(begun) - min(begun) > AT_ONCE * 1e6:
        return True
    where = {_process(one) for one in each} - {None}
    return len(each) > max(1, len(where))


def _process(one: Processed) -> object:
    return next((found for name in _PROCESS if (found := one.span.resource.get(name))), None)


def _counted(seen: Observed, queue: Queue) -> str:
    """What metrics say of deliveries for each message that was sent."""

    def here(query: str) -> list[tuple[float, float]]:
        label = "messaging_destination_name"
        return list(total(seen.named(query), lambda labels: labels.get(label) == queue.destination))

    change = step(ratio(here("consumed"), here("sent"), 0.05), least=0.5, factor=1.5)
    return f"{change.during:.1f} deliveries for each message, {change.before:.1f} before" if change else ""
