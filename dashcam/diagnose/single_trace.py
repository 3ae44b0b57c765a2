"""One trace explained: where its failure began, and what its time went into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashcam.diagnose import evidence
from dashcam.diagnose.places import Visit, owners, title, visits
from dashcam.diagnose.trace_causes import origins
from dashcam.model.text import listed
from dashcam.sources import Trace

MOST = 5


def explain(one: Trace, others: Sequence[Trace]) -> dict[str, Any]:
    """What failed first, what it waited for, against `others` of the same kind."""
    here = visits([one])
    known = owners([*visits(others), *here])
    usual = _means(visits(others))
    longest = sorted(here, key=lambda visit: -visit.waited)[:MOST]
    return {
        "trace": one.trace_id,
        "seconds": one.duration / 1e6,
        "compared_with": len(others),
        "failures": [
            {
                "service": origin.place.service,
                "place": title(origin.place, known),
                "error": origin.error,
                "span": visit.span.span_id,
            }
            for origin, visit in origins(here, known)
        ],
        "waited_for": [
            {
                "service": visit.place.service,
                "place": title(visit.place, known),
                "seconds": visit.waited,
                "usual_seconds": usual.get(visit.place),
                "span": visit.span.span_id,
            }
            for visit in longest
            if visit.waited > 0
        ],
    }


def _means(found: Sequence[Visit]) -> dict[Any, float]:
    totals: dict[Any, list[float]] = {}
    for visit in found:
        totals.setdefault(visit.place, []).append(visit.waited)
    return {place: sum(values) / len(values) for place, values in totals.items()}


def text(answer: dict[str, Any]) -> str:
    """The explanation for a terminal."""
    said = [f"trace {answer['trace']} took {evidence.seconds(answer['seconds'])}"]
    for failure in answer["failures"]:
        said.append(f"  failed first in {failure['service']}: {failure['place']} ended in {failure['error']}")
    if not answer["failures"]:
        said.append("  nothing failed in it")
    said.append(f"  it waited for (usual: {answer['compared_with']} traces like it):")
    for one in answer["waited_for"]:
        usual = one["usual_seconds"]
        against = f", usually {evidence.seconds(usual)}" if usual is not None else ""
        said.append(f"    {evidence.seconds(one['seconds']):>8}{against}  {one['service']}: {one['place']}")
    return listed(said)
