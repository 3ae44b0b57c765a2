"""Brokers that do not take messages: away, or without room for one more. By what senders are told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set

from dashcam.diagnose import evidence
from dashcam.diagnose.findings import HARM, STOPPED, Cause, Step
from dashcam.diagnose.message_spans import Sent, sent
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.ongoing import over
from dashcam.diagnose.significance import LIKELY, rise
from dashcam.diagnose.steps import step
from dashcam.diagnose.symptoms import grouped, total
from dashcam.sources import Series

FEW = 3
"""Messages that must have been refused."""
MOST = 0.5
"""The share that must be refused, from the first to the last such, of a broker that is away."""
_FULL = re.compile(
    r"(?:maximum|max)[ _]?(?:bytes|messages|msgs|size|length)\w*\b.*(?:exceed|reach)|limit exceeded|quota"
    r"|insufficient (?:resources|storage)|(?:queue|stream|topic|disk|log|broker) ?(?:is )?full|no space left"
    r"|resource alarm|(?:memory|disk) alarm|reject[- ]publish|OOM command",
    re.IGNORECASE,
)
"""What brokers say that have no room: NATS, Kafka, RabbitMQ, Redis and their like."""
_DOES = {
    "queue full": "is full: it takes no message for",
    "broker away": "takes no message for",
    "refused messages": "takes some messages and refuses others for",
}
"""What a broker does, by the kind of cause."""


def refusing(seen: Observed) -> list[Cause]:
    """Brokers that confirm fewer messages than they did, each with what it says."""
    every = sent([*seen.past, *seen.before, *seen.during])
    groups: dict[tuple[str, str], list[Sent]] = {}
    for one in every:
        groups.setdefault((one.system, one.server), []).append(one)
    found = [
        cause for (system, where), here in groups.items() if (cause := _refusing(seen, system, where, here))
    ]
    return [*found, *_counted_only(seen, {cause.service for cause in found})]


def _counted_only(seen: Observed, told: Set[str]) -> list[Cause]:
    """What metrics alone tell: who tries one message over and over leaves one trace, which may be missed."""
    found = []
    for (system,), series in grouped(seen.named("sent"), "messaging_system").items():
        change = None if system in told or (told and not system) else _unsent(series)
        failed = [one for one in series if one.labels.get("error_type") and one.points]
        if change is None or not failed:
            continue
        queues = sorted({one.labels.get("messaging_destination_name", "") for one in failed})
        callers = sorted({one.labels.get("job", "") for one in failed})
        errors = sorted({one.labels["error_type"] for one in failed})
        is_full = any(_FULL.search(error) for error in errors)
        kind = "queue full" if is_full else "broker away" if _stopped(series, change) else "refused messages"
        result = f"{change.during:.2f} messages a second are not sent ({', '.join(errors)}), none before"
        found.append(
            Cause(
                kind,
                system,
                ", ".join(queues),
                f"the broker {system} {_DOES[kind]} "
                f"{', '.join(queues)} from {' and '.join(callers)} ({', '.join(errors)})",
                STOPPED if kind == "broker away" else HARM,
                1.0,
                since=change.start,
                until=change.end,
                details={
                    "queue": ", ".join(queues),
                    "callers": ", ".join(callers),
                    "error": ", ".join(errors),
                },
                evidence=(evidence.metric(seen, "sent", result),),
            )
        )
    return found


def _unsent(series: Sequence[Series]) -> Step | None:
    """The stretch in which messages were not sent: a time without such a series had none."""
    failed = dict(total(series, lambda labels: bool(labels.get("error_type"))))
    return step([(time, failed.get(time, 0.0)) for time, _ in total(series)], least=0.02)


def _stopped(series: Sequence[Series], change: Step) -> bool:
    """Whether most messages failed at any time of a stretch."""
    failed = dict(total(series, lambda labels: bool(labels.get("error_type"))))
    every = {time: value for time, value in total(series) if change.start <= time <= (change.end or time)}
    return any(value and failed.get(time, 0.0) >= MOST * value for time, value in every.items())


def _refusing(seen: Observed, system: str, where: str, here: Sequence[Sent]) -> Cause | None:
    bad = [one for one in here if one.span.failed]
    change = rise([one.span.failed for one in here])
    if len(bad) < FEW or change is None or change.chance > LIKELY:
        return None
    bad = [one for one in here[change.index :] if one.span.failed]
    said = [_said(one) for one in bad]
    full = [text for text in said if _FULL.search(text)]
    is_full = 2 * len(full) > len(bad)
    text = (full if is_full else said)[-1][:200]
    queues = sorted({one.destination for one in bad})
    callers = sorted({one.span.service for one in bad})
    kind = "queue full" if is_full else "broker away" if _most(here[change.index :]) else "refused messages"
    broker = f"the broker {system}" + (f" at {where}" if where else "")
    summary = f"{broker} {_DOES[kind]} {', '.join(queues)} from {' and '.join(callers)}"
    result = f"{change.now} of {change.after} messages were not taken, {change.was} of {change.before} before"
    shown = [evidence.trace(seen, bad[-1].trace, f"{result}: «{text}»")]
    if counted := _counted(seen):
        shown.append(evidence.metric(seen, "sent", counted))
    good = [one for one in here if not one.span.failed]
    return Cause(
        kind,
        system,
        where,
        f"{summary} («{text[:100]}»)",
        STOPPED if kind == "broker away" else HARM,
        min(1.0, len(bad) / max(1, change.after)),
        since=bad[0].span.start / 1e6,
        until=over(bad, good, seen.end),
        details={
            "broker": where,
            "queue": ", ".join(queues),
            "callers": ", ".join(callers),
            "message": text,
        },
        evidence=tuple(shown),
        chance=change.chance,
        traces=frozenset(one.trace.trace_id for one in bad),
    )


def _most(here: Sequence[Sent]) -> bool:
    """Whether most messages failed while any did: a broker that is away takes none meanwhile."""
    failed = [one.span.failed for one in here]
    first, last = failed.index(True), len(failed) - failed[::-1].index(True)
    return sum(failed) >= MOST * (last - first)


def _counted(seen: Observed) -> str:
    """What metrics say of messages that were not sent."""
    change = _unsent(seen.named("sent"))
    return f"{change.during:.2f} messages a second are not sent, {change.before:.2f} before" if change else ""


def _said(one: Sent) -> str:
    texts = [str(event.attributes.get("exception.message") or "") for event in one.span.exceptions]
    texts += [one.span.status_message, str(one.span.attributes.get("error.type") or "")]
    return next((text for text in texts if text), "no reason")


def with_brokers(seen: Observed, below: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Which services each calls, near or far, brokers included."""
    reached = {service: set(called) for service, called in below.items()}
    direct: dict[str, set[str]] = {}
    for one in sent([*seen.before, *seen.during]):
        direct.setdefault(one.span.service, set()).add(one.system)
    for service in {*reached, *direct}:
        near = {service, *reached.get(service, ())}
        reached.setdefault(service, set()).update(*(direct.get(one, set()) for one in near))
    return reached
