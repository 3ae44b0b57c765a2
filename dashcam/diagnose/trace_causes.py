"""Causes that traces show: services that became slow, and places where failures begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from statistics import median

from dashcam.diagnose import evidence, silence
from dashcam.diagnose.contrast import scope_of
from dashcam.diagnose.findings import HARM, SHED, STOPPED, Cause
from dashcam.diagnose.log_patterns import pattern
from dashcam.diagnose.message_spans import SEND, role
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.ongoing import over
from dashcam.diagnose.places import Place, Visit, title
from dashcam.diagnose.processes import refusing
from dashcam.diagnose.significance import LIKELY, WHOLLY, more
from dashcam.diagnose.slowness import slow
from dashcam.diagnose.traced import Traced, names, rest
from dashcam.sources import LogLine, Span

NAMELESS = frozenset({"Problem", "HTTPException", "Exception", "Error", "error", "errorString"})
"""Names of errors that say no more than that there is one: a framework's, or a language's for any."""
FEW = 3
"""Failures of which it is said where they begin."""
MATTERS = 0.15
"""The share of all failures that an error must account for."""
AT_ONCE = 0.1
"""Seconds within which a service refuses a request that it does not begin with."""
REFUSALS = frozenset({"429", "503"})


def causes(seen: Observed, found: Traced) -> list[Cause]:
    """Everything that the traces alone give as a cause."""
    return [*slow(seen, found), *failing(seen, found)]


@dataclass(frozen=True)
class Origin:
    """Where a failure began: the place, what failed there, and whether it was for want of an answer."""

    place: Place
    error: str
    silent: bool

    @property
    def error_of(self) -> tuple[str, str, bool]:
        """Whose error it is, wherever in the service it shows."""
        return self.place.service, self.error, self.silent


def failing(seen: Observed, found: Traced) -> list[Cause]:
    """Where failures begin: failed spans below which nothing failed, by service and error."""
    usual = Counter(origin.error_of for origin, _ in origins(found.usual, found.known))
    now: dict[tuple[str, str, bool], list[tuple[Origin, Visit]]] = {}
    for origin, visit in origins(found.during, found.known):
        now.setdefault(origin.error_of, []).append((origin, visit))
    before, during = max(1, len(found.usual)), max(1, len(found.during))
    shed = {error for error, each in now.items() if _shed([visit for _, visit in each])}
    counted = (each for error, each in now.items() if error not in shed and not _refused(seen, each[0][0]))
    total = sum(map(len, counted)) or 1
    causes = []
    for error, each in now.items():
        chance = more(usual[error], before, len(each), during) * len(now)
        rare = chance <= LIKELY or not usual[error]  # what never was before is told, with little confidence
        if len(each) >= FEW and rare and len(each) >= min(MATTERS * total, 10):
            origin = Counter(origin for origin, _ in each).most_common(1)[0][0]
            bad = [visit for _, visit in each]
            cause = _failing_cause(seen, found, origin, bad, min(1.0, len(bad) / total), chance)
            causes.append(
                replace(cause, details={**cause.details, SHED: "at once"}) if error in shed else cause
            )
    return causes


def _shed(bad: Sequence[Visit]) -> bool:
    """Whether failures are requests that a service refused at once: as a rule because others wait already."""
    quick = median(visit.span.duration for visit in bad) <= AT_ONCE * 1e6
    refused = sum(
        str(visit.span.attributes.get("http.response.status_code", "")) in REFUSALS
        and visit.span.kind == "server"
        and not visit.tree.children(visit.span)
        for visit in bad
    )
    return quick and refused >= WHOLLY * len(bad)


def _refused(seen: Observed, origin: Origin) -> bool:
    """Whether it may be a call that an open circuit did not make: many of these follow from few failures."""
    return not origin.silent and any(origin.place.service == caller for caller, _ in refusing(seen))


def origins(all_visits: Sequence[Visit], known: Mapping[str, str]) -> Iterator[tuple[Origin, Visit]]:
    """Each failed span below which nothing failed, with the place that is to blame."""
    for visit in all_visits:
        span = visit.span
        below = visit.tree.children(span)
        if _echo(span, visit.trace.by_id.get(span.parent_id or "")) or not _server_fault(span):
            continue
        if role(span) == SEND:
            continue  # that the broker does not take a message, its own search tells
        if any(_server_fault(child) and not _echo(child, span) for child in below):
            continue
        if span.kind == "client" and not visit.place.statement:
            yield _unanswered(visit, known), visit
        else:
            yield Origin(visit.place, _error(span), False), visit


def _echo(span: Span, above: Span | None) -> bool:
    """Whether a failed step of a framework says less of a failure than the span above it."""
    if above is None or span.service != above.service or span.kind != "internal":
        return False
    return bool(above.exceptions) and not span.exceptions


def _server_fault(span: Span) -> bool:
    """A failed span, but for a call whose answer was that the caller is wrong."""
    status = str(span.attributes.get("http.response.status_code", ""))
    return span.failed and not (span.kind == "client" and status.startswith("4"))


def _unanswered(visit: Visit, known: Mapping[str, str]) -> Origin:
    """A call that failed though nothing below it did: the one who was called is the place."""
    status = visit.span.attributes.get("http.response.status_code")
    children = [child for child in visit.tree.children(visit.span) if child.service != visit.span.service]
    if children:
        place = Place(children[0].service, children[0].operation)
    else:
        place = Place(known.get(visit.place.peer, visit.place.peer), "")
    return Origin(place, _error(visit.span), status is None)


def _error(span: Span) -> str:
    if span.exceptions:
        attributes = span.exceptions[0].attributes
        return str(attributes.get("exception.type", "")).rsplit(".", 1)[-1]
    kind = str(
        span.attributes.get("error.type") or span.attributes.get("http.response.status_code") or "error"
    )
    return kind.rsplit(".", 1)[-1]


def _failing_cause(
    seen: Observed,
    found: Traced,
    origin: Origin,
    bad: list[Visit],
    share: float,
    chance: float,
) -> Cause:
    ids = {visit.span.span_id for visit in bad}
    here = {visit.place for visit in bad}
    others = [v for v in found.during if v.place in here and v.span.span_id not in ids]
    good = [visit for visit in others if not _server_fault(visit.span)]
    scope, figures = scope_of(bad, good)
    only = f", where {scope[0]}" if scope else ""
    where = title(origin.place, found.known)
    message = _message(bad[-1].span)
    why = silence.why(origin.error, message.get("message", "")) if origin.silent else ""
    if origin.silent:
        callers = sorted({visit.span.service for visit in bad} - {origin.place.service})
        summary = silence.told(origin.place.service, callers, origin.error, why) + only
    else:
        told = _told(origin.error, message)
        if told != origin.error and (line := _line(seen, bad)):
            message, told = {"message": line[:300]}, f"«{line[:160]}»"
        summary = f"{origin.place.service} fails: {where} ends in {told}{only}"
    mostly = len(bad) > len(good)
    result = f"{len(bad)} failures begin there, of {len(bad) + len(good)} times{rest(figures)}"
    return Cause(
        "unanswered" if origin.silent else "failing",
        origin.place.service,
        origin.place.operation,
        summary,
        STOPPED if origin.silent and mostly else HARM,
        share,
        since=min(visit.span.start for visit in bad) / 1e6,
        until=over(bad, others, seen.end),
        scope=scope,
        details={
            **names(origin.place),
            "error": origin.error,
            **message,
            **figures,
            **({"silence": why} if why else {}),
        },
        evidence=(evidence.trace(seen, bad[-1].trace, result),),
        chance=chance,
        traces=frozenset(visit.trace.trace_id for visit in bad),
    )


def _told(error: str, message: Mapping[str, str]) -> str:
    """What a failure is called: its exception's name, unless that says nothing that its message does not."""
    if message and (error in NAMELESS or error.isdecimal()):
        return f"«{message['message'][:100]}»"
    return error


def _line(seen: Observed, bad: Sequence[Visit]) -> str:
    """What most of the failures said in the log, where what they ended in has no name of its own."""
    asked = {(visit.trace.trace_id, visit.span.service) for visit in bad}
    lines = _own(seen, asked)
    said = {pattern(line.message): line.message for line in lines}
    counts = Counter(pattern(line.message) for line in lines)
    most = next((said[text] for text, count in counts.most_common(1) if 2 * count >= len(bad)), "")
    return " ".join(most.split())


def _own(seen: Observed, asked: Set[tuple[str, str]]) -> list[LogLine]:
    """The lines of these traces and services, without those that only repeat what the span says."""
    return [
        line
        for line in seen.lines_during
        if (line.trace_id, line.service) in asked and "http.response.status_code" not in line.fields
    ]


def _message(span: Span) -> dict[str, str]:
    texts = [str(event.attributes.get("exception.message") or "") for event in span.exceptions]
    text = next((text for text in [*texts, span.status_message] if text), "")
    return {"message": text[:300]} if text else {}
