"""Explanations that compete for the same findings: what speaks for and against each, and what would tell.

Telemetry often shows where something is wrong and not which of two things it is. A guess would be as good as
a coin; what was measured of either, and how to decide, is what a reader can use.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from dashcam.diagnose import changes, silence
from dashcam.diagnose.changes import Change
from dashcam.diagnose.findings import HARM, Cause, Hypothesis, Rivals
from dashcam.diagnose.observe import RAMP, Observed
from dashcam.diagnose.served import Served
from dashcam.diagnose.traced import Traced

FREE, FULL = 0.5, 0.8
"""The share of busy threads up to which a service had some free, and from which on it had none."""
SAME = 0.5
"""The share of all traces that suffer from either of two causes that suffer from both."""
GROWN = 1.5
"""How many times the usual a way has become, to be called slow too."""
MOST = 3
"""Questions that are shown."""


def rivals(seen: Observed, found: Traced, roots: Sequence[Cause], came: Sequence[Change]) -> list[Rivals]:
    """What the telemetry leaves open about the causes, the first cause first."""
    lasting = [cause for cause in roots if cause.rank <= HARM]
    asked = [
        question
        for cause in lasting
        for question in (
            *_edge(seen, found, cause),
            *_silent(seen, found, cause),
            *_changed(seen, found, cause, came),
        )
    ]
    return [*asked, *_together(lasting)][:MOST]


# -- where on the way ------------------------------------------------------------------------------


def _edge(seen: Observed, found: Traced, cause: Cause) -> Iterator[Rivals]:
    """A way that has grown longer: the callee takes its calls late, or the network carries them late."""
    if "edge" not in cause.details or ", " in cause.details["edge"]:
        return
    caller, _, callee = cause.details["edge"].partition(" to ")
    full, network = _Case(), _Case()
    if (busy := _busy(seen, callee, cause.since)) is not None:
        text = f"at most {busy:.0%} of the threads of {callee} were busy"
        (full.pro if busy >= FULL else full.con if busy <= FREE else []).append(text)
    for other, slower in _other_callers(found, cause, caller, callee):
        text = f"the way from {other} to {callee} has {'' if slower else 'not '}grown longer too"
        (full.pro if slower else network.pro).append(text)
        (network.con if slower else full.con).append(text)
    yield Rivals(
        f"calls from {caller} to {callee} wait before {callee} begins with them",
        (
            full.hypothesis(f"{callee} takes its calls late: its threads or its queue are full"),
            network.hypothesis(f"the network between {caller} and {callee} is slow"),
        ),
        f"the busy threads of {callee} at that time, or the time that a connection from {caller} takes",
    )


def _busy(seen: Observed, service: str, since: float | None) -> float | None:
    """The most of its threads that one instance had busy since then; None where it is not measured."""
    values = [
        value
        for one in seen.named("busy")
        if one.labels.get("job") == service
        for time, value in one.points
        if time >= (since or 0.0)
    ]
    return max(values, default=None)


def _other_callers(found: Traced, cause: Cause, caller: str, callee: str) -> Iterator[tuple[str, bool]]:
    """Who else calls it, and whether their way has grown as well."""
    others: dict[str, tuple[list[float], list[float]]] = {}
    for one in found.requests:
        if one.service == callee and one.caller not in ("", caller):
            others.setdefault(one.caller, ([], []))[one.start >= (cause.since or 0.0) * 1e6].append(one.way)
    for other, (before, since) in sorted(others.items()):
        if len(before) >= FEW and len(since) >= FEW:
            yield other, sum(since) / len(since) > GROWN * sum(before) / len(before) + 0.01


FEW = 3
"""Requests on each side from which on a comparison is made."""


# -- no answer -------------------------------------------------------------------------------------


def _silent(seen: Observed, found: Traced, cause: Cause) -> Iterator[Rivals]:
    """No answer: who is called does not answer, or what is sent does not reach it."""
    if cause.kind != "unanswered" or cause.details.get("silence") == silence.UNRESOLVED:
        return
    ended, cut = _Case(), _Case()
    if cause.details.get("silence") == silence.REFUSED:
        ended.pro.append("its address refuses connections: the host is reached, and nothing listens there")
    last = [
        one.points[-1][1] for one in seen.named("up") if one.labels.get("job") == cause.service and one.points
    ]
    if last:
        text = f"{sum(map(bool, last))} of {len(last)} of its instances answer scrapes"
        (cut.pro if all(last) else ended.pro).append(text)
    served = [one for one in found.requests if one.service == cause.service]
    since = [one for one in served if one.start >= (cause.since or 0.0) * 1e6]
    if served:
        text = f"{len(since)} spans of it are known since"
        (cut.pro if since else ended.pro).append(text)
    yield Rivals(
        f"{cause.service} does not answer",
        (
            ended.hypothesis(f"{cause.service} has ended, or hangs"),
            cut.hypothesis(f"calls do not reach {cause.service}: network, proxy or address"),
        ),
        f"a request to {cause.service} by hand, once on its own host and once from its caller's",
    )


# -- a change beside it ----------------------------------------------------------------------------


def _changed(seen: Observed, found: Traced, cause: Cause, came: Sequence[Change]) -> Iterator[Rivals]:
    if cause.kind in ("down", "restarting"):
        return  # which is the change itself
    one = next((one for one in came if changes.near(cause, one)), None)
    if one is None or cause.since is None:
        return
    brought, chance = _Case(), _Case()
    apart = cause.since - one.at
    if apart < -RAMP * seen.interval:  # that it came after says nothing: it is why the question is asked
        brought.con.append(f"it began {-apart:.0f} s before that, as far as can be told")
    if one.version:
        old, new = _suffering(found.requests, cause, one.version)
        text = f"{new} of the requests that suffer are of version {one.version}, {old} of others"
        if new + old:
            (brought.con if old else brought.pro).append(text)
            (chance.pro if old else chance.con).append(text)
    yield Rivals(
        f"{one.text} since about when this began: {cause.summary}",
        (
            brought.hypothesis("the change has brought it about"),
            chance.hypothesis("both came at one time by chance"),
        ),
        "taking the change back, or requests to an instance without it",
    )


def _suffering(requests: Sequence[Served], cause: Cause, version: str) -> tuple[int, int]:
    """Suffering requests of its service that other versions served, and that this one did."""
    mine = [
        str(one.visits[0].span.resource.get("service.version", "")) == version
        for one in requests
        if one.service == cause.service and one.trace_id in cause.traces
    ]
    return len(mine) - sum(mine), sum(mine)


# -- two in the same traces ------------------------------------------------------------------------


def _together(roots: Sequence[Cause]) -> Iterator[Rivals]:
    """Causes at different services of which the same traces suffer, and neither explains the other."""
    for one, other in itertools.combinations(roots, 2):
        both, either = one.traces & other.traces, one.traces | other.traces
        if one.service == other.service or not either or len(both) < SAME * len(either):
            continue
        text = f"{len(both)} of {len(either)} traces suffer from both"
        yield Rivals(
            f"{one.service} and {other.service} go wrong in the same requests",
            tuple(_alone(cause, rival, text) for cause, rival in ((one, other), (other, one))),
            f"requests that go through one of the two alone, {one.service} or {other.service}",
        )


def _alone(cause: Cause, rival: Cause, text: str) -> Hypothesis:
    without = len(rival.traces - cause.traces)
    against = (f"{without} traces suffer from the other alone",) if without else ()
    return Hypothesis(f"{cause.summary}, and the other follows from it", (text,), against)


class _Case:
    """What speaks for and against one explanation, as it is gathered."""

    def __init__(self) -> None:
        self.pro: list[str] = []
        self.con: list[str] = []

    def hypothesis(self, text: str) -> Hypothesis:
        return Hypothesis(text, tuple(self.pro), tuple(self.con))
