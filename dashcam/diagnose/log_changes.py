"""Log statements that came or went: what a service says while it serves a request, and said before.

A wrong answer or a swallowed exception leaves durations and statuses as they were. What the code says on its
way still tells: an error that no request wrote before, or a line that every request wrote and none does now.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dashcam.diagnose import evidence
from dashcam.diagnose.findings import AFTER, HARM, Cause
from dashcam.diagnose.log_patterns import pattern
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.ongoing import over
from dashcam.diagnose.served import Served
from dashcam.diagnose.significance import FEWEST, LIKELY, Change, rise
from dashcam.sources import LogLine

ERRORS = frozenset({"ERROR", "FATAL", "CRITICAL"})
ROUTINE = frozenset({"INFO", "DEBUG", "TRACE", ""})
"""Severities of what is said while all is well, and missed when it is not."""
HABIT = 0.8
"""The share of the requests that must have said what is missed now: what depends on who asks, varies."""
UNDERWAY = 15.0
"""Seconds that a line may need until it is found: longer than agents flush and indexes refresh, as a rule."""
LATER = 2.0
"""How many times as late as ever before a line may come, until it is missed."""
SHOWN = 0.5
"""The part of the change that one caller's requests must show by themselves, or it is a change of callers."""
_LOCATION = re.compile(
    r"[\w$/\[\]-]+(?:\.[\w$/\[\]-]*)+#\d+|[\w$/-]+\.(?:cs|cc|cpp|go|java|js|kt|php|py|rb|rs|ts):\d+"
)


@dataclass(frozen=True)
class Said:
    """A statement of a service's code that wrote log lines: its severity, and where it is or how it reads."""

    severity: str
    text: str

    @property
    def error(self) -> bool:
        return self.severity in ERRORS


Sayings = Mapping[int, Mapping[Said, int]]
"""By the `id` of a request what it said, and when each was said at the latest, in microseconds."""


def statement(line: LogLine) -> Said:
    """Which statement wrote a line: by its place in the code where the line says it, else by its pattern."""
    place = line.fields.get("code.line.number") and ":".join(
        str(line.fields.get(name, ""))
        for name in ("code.file.path", "code.function.name", "code.line.number")
    )
    written = _LOCATION.search(line.message)
    return Said(line.severity, place or (written[0] if written else pattern(line.message)))


def causes(seen: Observed, requests: Sequence[Served]) -> list[Cause]:
    """Statements that came or went, each as a cause at its service."""
    said, lines = _said(requests, seen.said or [*seen.lines_past, *seen.lines_before, *seen.lines_during])
    known = [one for one in requests if seen.wholly_heard(one.start, one.start)]
    groups: dict[tuple[str, str], list[Served]] = {}
    for one in known:
        groups.setdefault((one.service, one.operation), []).append(one)
    tried, found = 0, []
    for here in groups.values():
        spoken = Counter(what for one in here for what in said.get(id(one), ()))
        for what, times in spoken.items():
            if times == len(here) or not (what.error or what.severity in ROUTINE):
                continue
            tried += 1
            if change := _came(here, what, said) or _went(here, what, said, seen):
                found.append((what, change))
    return [
        _cause(seen, what, change, lines, tried)
        for what, change in found
        if change.change.chance * tried <= LIKELY and _now(seen, change)
    ]


def _now(seen: Observed, found: _Changed) -> bool:
    """Whether it is of the time that is diagnosed: what was before is only to know what is usual.

    What ceased before it was perhaps of a trouble that is over.
    """
    if not found.came and found.bad[0].start < seen.start * 1e6:
        return False
    return sum(one.start >= seen.start * 1e6 for one in found.bad) >= FEWEST


@dataclass(frozen=True)
class _Changed:
    """A change in what the requests of one operation say.

    `bad` are those since then that are not as before, `good` the others since, `called` the services that
    they called until then. `after`: it was said once they were answered.
    """

    change: Change
    came: bool
    bad: Sequence[Served]
    good: Sequence[Served]
    called: frozenset[str]
    after: bool = False


def _said(
    requests: Iterable[Served], lines: Sequence[LogLine]
) -> tuple[Sayings, Mapping[tuple[str, Said], LogLine]]:
    """What each request said, and the last line of each statement."""
    by_span = {(v.trace.trace_id, v.span.span_id): (one, v.span) for one in requests for v in one.visits}
    said: dict[int, dict[Said, int]] = {}
    last: dict[tuple[str, Said], LogLine] = {}
    for line in lines:
        what = statement(line)
        last[line.service, what] = line
        # The line that a server writes of each request says what its span says, in words that name the path.
        told = "http.response.status_code" in line.fields
        if not told and (place := by_span.get((line.trace_id, line.span_id))):
            request, span = place
            # The time of the span and not of the line: clocks are put right in spans.
            said.setdefault(id(request), {})[what] = span.start + span.duration
    return said, last


def _came(here: Sequence[Served], what: Said, said: Sayings) -> _Changed | None:
    """An error that requests have begun to say."""
    if not what.error:
        return None
    return _changed(here, [what in said.get(id(one), ()) for one in here], came=True)


def _went(here: Sequence[Served], what: Said, said: Sayings, seen: Observed) -> _Changed | None:
    """A line that nearly all wrote, and that is missed. A request that says an error has its reason.

    Requests that ended with another status are others: who mistypes a form is told so, and nobody else.
    """
    if what.severity not in ROUTINE or not seen.said:
        return None
    here = _said_by_now(here, what, said, seen)
    usual = {one for request in here for one in said.get(id(request), ()) if one.error}
    always = {one for one in usual if all(one in said.get(id(request), ()) for request in here)}
    calm = [one for one in here if not any(each.error for each in said.get(id(one), {}).keys() - always)]
    found = _changed(calm, [what not in said.get(id(one), ()) for one in calm], came=False)
    if found is None or found.change.was > (1 - HABIT) * found.change.before:
        return None
    saying = [one for one in here if what in said.get(id(one), ())]
    endings = {_status(one) for one in saying}
    alike = sum(_status(one) in endings for one in found.bad)
    after = sum(said[id(one)][what] > one.answered for one in saying)
    return replace(found, after=2 * after > len(saying)) if 2 * alike > len(found.bad) else None


def _said_by_now(here: Sequence[Served], what: Said, said: Sayings, seen: Observed) -> list[Served]:
    """The requests whose line `what` would be known: all lines are, until it is said at the latest.

    What is done after the answer is said later than the request began, by as much as the slowest took.
    """
    times = [said[id(one)][what] - one.start for one in here if what in said.get(id(one), ())]
    latest = round(LATER * max(times, default=0))
    return [
        one
        for one in here
        if seen.wholly_heard(one.start, one.start + latest) and _arrived(one, latest, seen)
    ]


def _arrived(request: Served, latest: int, seen: Observed) -> bool:
    """Whether its service's lines reach beyond `request` and `latest` microseconds, or it is old."""
    last = seen.heard.get(request.service, seen.start)
    known = max(last, seen.end - UNDERWAY) if seen.live else seen.end
    return request.start + latest <= known * 1e6


def _status(request: Served) -> str:
    return str(request.visits[0].span.attributes.get("http.response.status_code", ""))


def _changed(here: Sequence[Served], flags: Sequence[bool], came: bool) -> _Changed | None:
    """The clearest rise of `flags`, where it is more than a change of who calls."""
    change = rise(flags)
    if change is None:
        return None
    grown = change.now / change.after - change.was / change.before
    both = [
        grown_by
        for caller in {one.caller for one in here}
        if (grown_by := _growth(here, flags, caller, change.index)) is not None
    ]
    if both and max(both) < SHOWN * grown:
        return None
    since = list(zip(here[change.index :], flags[change.index :], strict=True))
    bad, good = [one for one, flag in since if flag], [one for one, flag in since if not flag]
    called = frozenset(service for one in here[: change.index] for service in one.called)
    return _Changed(change, came, bad, good, called)


def _growth(here: Sequence[Served], flags: Sequence[bool], caller: str, index: int) -> float | None:
    """By how much the share grew among one caller's requests; None where they are on one side only."""
    mine = [
        (place >= index, flag)
        for place, (one, flag) in enumerate(zip(here, flags, strict=True))
        if one.caller == caller
    ]
    before, after = [flag for late, flag in mine if not late], [flag for late, flag in mine if late]
    return sum(after) / len(after) - sum(before) / len(before) if before and after else None


def _cause(
    seen: Observed,
    what: Said,
    found: _Changed,
    lines: Mapping[tuple[str, Said], LogLine],
    tried: int,
) -> Cause:
    first = found.bad[0]
    line = lines[first.service, what]
    blamed = _blamed(line, first, found.called) if found.came else ""
    service = blamed or first.service
    if blamed:
        summary = f"{blamed} does not answer {first.service}, which says «{_short(line)}»"
    elif found.came:
        summary = f"{service} reports errors: {first.operation} says «{_short(line)}»"
    else:
        text = pattern(_short(line))
        summary = f"{service} works differently: {first.operation} does not say «{text}» any more"
    after = {AFTER: "after the answer"} if found.after else {}
    return Cause(
        "unanswered" if blamed else "new log line" if found.came else "missing log line",
        service,
        first.operation,
        summary,
        HARM,
        1.0 - found.change.was / found.change.before,
        since=first.start / 1e6,
        until=over([one.visits[0] for one in found.bad], [one.visits[0] for one in found.good], seen.end),
        details={"operation": first.operation, "message": line.message[:300], **after},
        evidence=(evidence.log(seen, line, found.change.now, pattern(line.message), str(found.change)),),
        chance=found.change.chance * tried,
        traces=frozenset(one.trace_id for one in found.bad),
    )


def _short(line: LogLine) -> str:
    """What a line says, without its ids, and without what stands before its place in the code."""
    text = line.message
    for known in filter(None, (line.trace_id, line.span_id)):
        text = text.replace(known, "")
    place = _LOCATION.search(text)
    return " ".join(text[place.start() if place else 0 :].split())[:160]


def _blamed(line: LogLine, request: Served, usual: frozenset[str]) -> str:
    """The one service that an error names, where such requests called it before and this one did not."""
    missed = usual - request.called
    named = [one for one in missed if re.search(rf"(?<![\w-]){re.escape(one)}(?![\w-])", line.message)]
    return named[0] if len(named) == 1 else ""
