"""Brokers that do not take messages: away, or without room for one more. By what senders are told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dashcam.diagnose import evidence
from dashcam.diagnose.findings import HARM, STOPPED, Cause
from dashcam.diagnose.message_spans import Sent, sent
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.ongoing import over
from dashcam.diagnose.significance import LIKELY, rise
from dashcam.diagnose.steps import step
from dashcam.diagnose.symptoms import total

FEW = 3
"""Messages that must have been refused."""
_FULL = re.compile(
    r"(?:maximum|max)[ _]?(?:bytes|messages|msgs|size|length)\w*\b.*(?:exceed|reach)|limit exceeded|quota"
    r"|insufficient (?:resources|storage)|(?:queue|stream|topic|disk|log) (?:is )?full|no space left"
    r"|resource alarm|(?:memory|disk) alarm|reject[- ]publish|OOM command",
    re.IGNORECASE,
)
"""What brokers say that have no room: NATS, Kafka, RabbitMQ, Redis and their like."""


def refusing(seen: Observed) -> list[Cause]:
    """Brokers that confirm fewer messages than they did, each with what it says."""
    every = sent([*seen.past, *seen.before, *seen.during])
    groups: dict[tuple[str, str], list[Sent]] = {}
    for one in every:
        groups.setdefault((one.system, one.server), []).append(one)
    return [
        cause for (system, where), here in groups.items() if (cause := _refusing(seen, system, where, here))
    ]


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
    broker = f"the broker {system}" + (f" at {where}" if where else "")
    what = f"takes no message for {', '.join(queues)}"
    who = " and ".join(callers)
    summary = f"{broker} is full: it {what} from {who}" if is_full else f"{broker} {what} from {who}"
    result = f"{change.now} of {change.after} messages were not taken, {change.was} of {change.before} before"
    shown = [evidence.trace(seen, bad[-1].trace, f"{result}: «{text}»")]
    if counted := _counted(seen):
        shown.append(evidence.metric(seen, "sent", counted))
    good = [one for one in here if not one.span.failed]
    return Cause(
        "queue full" if is_full else "broker away",
        system,
        where,
        f"{summary} («{text[:100]}»)",
        HARM if is_full else STOPPED,
        min(1.0, len(bad) / max(1, change.after)),
        since=bad[0].span.start / 1e6,
        until=over(bad, good, seen.end),
        details={"broker": where, "queue": ", ".join(queues), "message": text},
        evidence=tuple(shown),
        chance=change.chance,
        traces=frozenset(one.trace.trace_id for one in bad),
    )


def _counted(seen: Observed) -> str:
    """What metrics say of messages that were not sent."""
    failed = total(seen.named("sent"), lambda labels: bool(labels.get("error_type")))
    every = total(seen.named("sent"))
    known = dict(failed)
    change = step([(time, known.get(time, 0.0)) for time, _ in every], least=0.02)
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
