"""Who is to blame for the way between two services, from the caller's span to the callee's and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

from dashcam.diagnose.served import Served
from dashcam.diagnose.significance import LIKELY, shift

GROWN = 0.01
"""Seconds by which a way must have grown on average."""

Way = tuple[str, str]
"""A caller and its callee."""


def payers(requests: Sequence[Served]) -> Mapping[Way, str]:
    """The service that is to blame for each way that has grown longer.

    One way alone does not tell which of its two ends it is: then it is the callee, whose queue may be full.
    Where all that one service calls takes longer on the way, while others call the same without, it is the
    caller.
    """
    groups: dict[Way, list[Served]] = {}
    for request in requests:
        if request.caller:
            groups.setdefault((request.caller, request.service), []).append(request)
    slow = {way: cost for way, here in groups.items() if (cost := _cost(here, len(groups)))}
    ends = {service: [way for way in groups if service in way] for way in slow for service in way}
    blame = {service: _blame(ways, slow, groups) for service, ways in ends.items()}
    return {way: max(reversed(way), key=lambda service: blame[service]) for way in slow}


def _cost(here: Sequence[Served], tried: int) -> float:
    """The seconds lost on a way since it grew; 0 where it did not."""
    change = shift([one.way for one in here])
    if change is None or change.chance * tried > LIKELY:
        return 0.0
    before, since = here[: change.index], here[change.index :]
    grown = mean(one.way for one in since) - mean(one.way for one in before)
    return grown * len(since) if grown >= GROWN else 0.0


def _blame(ways: Sequence[Way], slow: Mapping[Way, float], groups: Mapping[Way, Sequence[Served]]) -> float:
    """How well a service explains the slow ways: how much they cost on its own, and how many are slow."""
    pure = sum(len(groups[way]) for way in ways if way in slow) / sum(len(groups[way]) for way in ways)
    return pure * sum(slow.get(way, 0.0) for way in ways)
