"""A diagnosis as text for a reader and as JSON for a program."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from dashcam.diagnose import silence
from dashcam.diagnose.evidence import clock
from dashcam.diagnose.findings import Cause, Diagnosis, Evidence, Rivals
from dashcam.model.text import listed

RUNBOOKS = {
    "down": "ServiceDown",
    "restarting": "ServiceRestarting",
    "unanswered": "DependencyDown",
    "failing": "AvailabilityBurnFast",
    "slow": "LatencyBurnFast",
    "dependency": "DependencyDown",
    "saturated": "ServerSaturated",
    "descriptors": "ServerSaturated",
    "event loop": "LatencyBurnFast",
    "garbage": "LatencyBurnFast",
    "heap": "MemoryNearLimit",
    "memory": "MemoryNearLimit",
    "log lines": "LogErrorsRising",
    "new log line": "LogErrorsRising",
    "spans lost": "SpanExportFailing",
    "no spans": "SpanExportFailing",
    "lines lost": "LogLinesLost",
    "no lines": "LogLinesLost",
    "part away": "TargetDown",
    "no metrics": "TargetDown",
    "broker away": "BrokerAway",
    "queue full": "BrokerFull",
    "stopped consumer": "ConsumerStopped",
    "slow consumer": "ConsumerSlow",
    "waiting messages": "ConsumerSlow",
    "poison": "DeadLetters",
    "duplicates": "RedeliveryStorm",
    "unfinished": "OrdersUndecided",
}
"""The runbook that says what to do about each kind, by the name of its alert."""

ADVICE = {
    "down": "Look at its last log lines and start it again; undo the last change if it came with one.",
    "restarting": "Read the last lines before each end; undo the last change if it came with one.",
    "unanswered": "See whether it runs and is free to answer; restart it if it hangs.",
    f"unanswered, {silence.UNRESOLVED}": "Look at the name that the caller is given and at its DNS: "
    "nobody was asked yet, so a restart of who should answer changes nothing.",
    f"unanswered, {silence.REFUSED}": "See whether it runs and listens on this address and port.",
    "failing": "Read the exception below, undo the last change of this service if it came with one.",
    "new log line": "Read the line below and look at the code that writes it, and what it was given.",
    "missing log line": "See why the code does not get to this line: look for what ends it earlier.",
    "slow": "Look at what this operation waits for or computes; the trace below shows one.",
    "dependency": "See whether the dependency runs and answers; the exception below says what it lacks.",
    "saturated": "Find what holds its threads, then add capacity or shed load.",
    "descriptors": "Restart it to answer again, then look for connections and files that are not closed.",
    "event loop": "Profile it for work that does not wait: large JSON, loops, synchronous calls.",
    "garbage": "See whether its heap is nearly full, and what allocates so much.",
    "heap": "Restart it before it ends, then look in a heap dump for what it keeps.",
    "memory": "Restart it before it is killed, then look for what it keeps of each request.",
    "processor": "Profile the operation named here.",
    "statements": "Look for a query inside a loop; fetch the rows together.",
    "calls": "Look for retries without a limit, or a call inside a loop.",
    "log lines": "Find the line that repeats below and lower its level or its rate.",
    "series": "Find the label without a bound in the families below and take it out.",
    "uncached": "See whether validators (ETag, If-None-Match) still reach the service and still hold.",
    "broker away": "See whether it runs and answers at this address; what is not sent waits meanwhile.",
    "queue full": "See which consumer does not take from it, then give it room or let old messages expire.",
    "refused messages": "Read what it says of them: their size, topic or sender may not be allowed.",
    "stopped consumer": "Look at its threads and last lines, and start it again: its messages wait.",
    "slow consumer": "Look at what the step named here waits for; or let several consumers work.",
    "poison": "Read the exception below; put the message aside, mend the consumer, then send it again.",
    "duplicates": "See why acknowledgements are lost, or come later than the broker waits for them.",
    "unfinished": "See who goes on with this step (a timer, a worker), and whether it runs.",
    "waiting messages": "See whether its consumer runs and how long it takes for each message.",
    "cut traces": "See who removes or does not pass on the headers traceparent and tracestate.",
    "clock": "Set the clock of this host (NTP); until then compare no times across hosts by eye.",
    "spans lost": "See whether the OTLP endpoint runs and has room.",
    "no spans": "See whether the service exports, and whether the endpoint takes in.",
    "lines lost": "Free the disk that its standard output goes to; traces and metrics go on meanwhile.",
    "no lines": "See whether what carries log lines (the receiver, Fluent Bit) runs, and has room.",
    "part away": "See whether it runs and start it again; until then what it takes in waits or is lost.",
    "no metrics": "See whether Prometheus runs, and whether it finds the services' admin ports.",
    "source away": "Start it, or say where it is; until then nothing can be said about what it holds.",
}
"""What to do about each kind, in a sentence."""


def advice(cause: Cause) -> str:
    """What to do about a cause."""
    special = ADVICE.get(f"{cause.kind}, {cause.details.get('silence', '')}", "")
    return special or ADVICE.get(cause.kind, "")


MOST_TRACES = 20
"""Traces of a cause that a program is told of."""


def text(found: Diagnosis) -> str:
    """The whole answer, for a terminal."""
    return listed(_text(found))


def _text(found: Diagnosis) -> Iterator[str]:
    yield f"{clock(found.start)} to {clock(found.end)} UTC, services: {', '.join(found.services) or 'none'}"
    yield from (f"note: {note}" for note in found.notes)
    if found.telemetry:
        yield "\nTHE TELEMETRY IS NOT WHOLE. What follows may miss something."
        for gap in found.telemetry:
            yield from _cause(found, gap, "!")
    if found.healthy:
        yield "\nNothing is wrong: no service differs from what it was before."
    elif not found.causes and not found.telemetry:
        what = "Something changed" if found.symptoms else "Alerts fire for what was before"
        yield f"\n{what}, but no cause stands out in this time."
    for number, cause in enumerate(found.causes, 1):
        yield from _cause(found, cause, f"{number}.")
    yield from _around(found)


def _around(found: Diagnosis) -> Iterator[str]:
    """What surrounds the causes: symptoms, effects, alerts, and what was ruled out."""
    if found.symptoms:
        yield "\nWhat users notice:"
        for one in found.symptoms[:8]:
            over = f" until {clock(one.step.end)}" if one.step.end else ""
            since = clock(one.step.start)
            yield f"  {one.service} {one.subject} {one.what} since {since}{over}: {one.evidence.result}"
    if found.effects:
        yield "\nWhat follows from that:"
        yield from (f"  {cause.summary}, because {why}" for cause, why in found.effects[:8])
    if found.alerts:
        yield f"\nAlerts: {', '.join(found.alerts)}"
    yield from (line for one in found.rivals for line in _rivals(one))
    if found.ruled_out:
        yield "\nLooked at and ruled out:"
        yield from (f"  {one}" for one in found.ruled_out)


def _rivals(asked: Rivals) -> Iterator[str]:
    """Explanations side by side."""
    yield f"\nWhich is it? {asked.about}:"
    for one in asked.hypotheses:
        yield f"  - {one.text}"
        yield from (f"      for: {text}" for text in one.supports)
        yield from (f"      against: {text}" for text in one.contradicts)
    told = "The telemetry cannot tell these apart; this would" if asked.open else "To be sure"
    yield f"  {told}: {asked.test}"


def _cause(found: Diagnosis, cause: Cause, mark: str) -> Iterator[str]:
    since = f" since {clock(cause.since)}" if cause.since else ""
    over = f" until {clock(cause.until)}" if cause.until else ""
    yield f"\n{mark} {cause.summary}{since}{over}  (confidence: {found.confidence(cause)})"
    for name in ("error", "message", "statement", "change", "queue", "consumer", "step", "unfinished"):
        if value := cause.details.get(name):
            yield f"   {name}: {value}"
    yield from (line for one in cause.evidence for line in _evidence(one))
    if do := advice(cause):
        yield f"   do: {do}"
    if runbook := RUNBOOKS.get(cause.kind):
        yield f"   runbook: {runbook}"


def _evidence(one: Evidence) -> Iterator[str]:
    yield f"   {one.signal}: {one.result}"
    yield f"     {one.command}" + (f"   {one.link}" if one.link else "")


def document(found: Diagnosis) -> dict[str, Any]:
    """The whole answer, for `--json`."""
    return {
        "start": found.start,
        "end": found.end,
        "healthy": found.healthy,
        "services": found.services,
        "telemetry": [_as_json(found, one) for one in found.telemetry],
        "causes": [_as_json(found, one) for one in found.causes],
        "effects": [{**_as_json(found, one), "because": why} for one, why in found.effects],
        "symptoms": [dataclasses.asdict(one) for one in found.symptoms],
        "alerts": found.alerts,
        "ruled_out": found.ruled_out,
        "notes": found.notes,
        "rivals": [{**dataclasses.asdict(one), "open": one.open} for one in found.rivals],
    }


def _as_json(found: Diagnosis, cause: Cause) -> dict[str, Any]:
    plain_fields = dataclasses.asdict(dataclasses.replace(cause, details=dict(cause.details)))
    plain_fields["traces"] = sorted(cause.traces)[:MOST_TRACES]
    return {
        **plain_fields,
        "confidence": found.confidence(cause),
        "advice": advice(cause),
        "runbook": RUNBOOKS.get(cause.kind, ""),
    }
