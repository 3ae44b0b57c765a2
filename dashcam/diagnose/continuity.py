"""Causes that the shape of traces shows: contexts that do not arrive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from dashcam.diagnose import evidence
from dashcam.diagnose.findings import WASTE, Cause
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.places import Visit
from dashcam.diagnose.traced import Traced

LEAST_ROOTS, BROKEN = 8, 0.3
"""Calls that must have been seen; the rise of the share of cut ones that counts."""

MORE = 3.0
"""How many times more traces than usual must begin at the callee for one of its clients."""


def broken(seen: Observed, found: Traced) -> list[Cause]:
    """Callers whose calls used to go on in the callee's trace, and now begin a trace of their own."""
    causes = []
    was, now = _continued(found.before, found.known), _continued(found.during, found.known)
    for edge, (whole, cut, sample) in now.items():
        earlier = was.get(edge)
        if earlier is None or whole + cut < LEAST_ROOTS or earlier[0] + earlier[1] < LEAST_ROOTS:
            continue
        share, usual = cut / (whole + cut), earlier[1] / (earlier[0] + earlier[1])
        strangers = _new_roots(found, edge[1])
        if share < usual + BROKEN or not strangers or sample is None:
            continue
        result = (
            f"{cut} of {whole + cut} answered calls have no span of {edge[1]} below them "
            f"({usual:.0%} before), while {len(strangers)} traces begin in {edge[1]}"
        )
        causes.append(
            Cause(
                "cut traces",
                edge[1],
                f"{edge[0]} to {edge[1]}",
                f"traces are cut between {edge[0]} and {edge[1]}: the context of a call does not arrive",
                WASTE,
                share,
                since=sample.span.start / 1e6,
                details={"caller": edge[0], "callee": edge[1]},
                evidence=(
                    evidence.trace(seen, sample.trace, result),
                    evidence.trace(seen, strangers[-1].trace, f"this one begins in {edge[1]}"),
                ),
            )
        )
    return causes


def _continued(
    all_visits: Sequence[Visit], known: Mapping[str, str]
) -> dict[tuple[str, str], tuple[int, int, Visit | None]]:
    """For each caller and callee: answered calls with and without the callee's span, the first without."""
    counts: dict[tuple[str, str], tuple[int, int, Visit | None]] = {}
    for visit in all_visits:
        callee = known.get(visit.place.peer)
        if visit.span.kind != "client" or callee is None:
            continue
        if visit.span.attributes.get("http.response.status_code") is None:
            continue
        whole, cut, sample = counts.get((visit.place.service, callee), (0, 0, None))
        if any(child.service == callee for child in visit.tree.children(visit.span)):
            whole += 1
        else:
            cut, sample = cut + 1, sample or visit
        counts[visit.place.service, callee] = whole, cut, sample
    return counts


def _new_roots(found: Traced, service: str) -> list[Visit]:
    """Traces that begin in `service` for clients for which hardly any began there before."""

    def roots(every: Sequence[Visit]) -> list[Visit]:
        return [v for v in every if v.span.service == service and v.trace.root is v.span]

    def client(visit: Visit) -> str:
        return str(visit.span.attributes.get("user_agent.original", ""))

    # Not none at all: the border between the two times is only as sharp as what told of it.
    usual, now = Counter(map(client, roots(found.before))), Counter(map(client, roots(found.during)))
    longer = max(1, len(found.during)) / max(1, len(found.before))
    return [v for v in roots(found.during) if now[client(v)] > MORE * longer * usual[client(v)]]
