"""The trivial rules that the diagnosis must beat. They are told when the fault was made, which it is not.

Each ranks the services of a case: the likeliest first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import mean

from benchmarks.rca.case import Case
from dashcam.diagnose.log_changes import Said, statement
from dashcam.diagnose.places import visits


def own_time(case: Case) -> list[str]:
    """By how much the time grew in which a trace waited for the service itself and nothing else."""
    return _grown(case, charge_way=False)


def own_time_and_way(case: Case) -> list[str]:
    """The same, with the time between a caller's span and its callee's as the callee's."""
    return _grown(case, charge_way=True)


def new_errors(case: Case) -> list[str]:
    """By how many more lines of errors a service wrote for each trace."""
    grown: dict[str, float] = defaultdict(float)
    for (service, said), (before, after) in _said(case).items():
        if said.error:
            grown[service] += after - before
    return _ranked(grown)


def statement_came_or_went(case: Case) -> list[str]:
    """By the log statement of a service whose lines for each trace changed by the largest factor."""
    changed: dict[str, float] = {}
    for (service, _), (before, after) in _said(case).items():
        factor = (max(before, after) + FLOOR) / (min(before, after) + FLOOR)
        changed[service] = max(changed.get(service, 0.0), factor)
    return _ranked(changed)


RULES: Mapping[str, Callable[[Case], list[str]]] = {
    "the service whose own time grew most": own_time,
    "the same, the way to a callee charged to the callee": own_time_and_way,
    "most new ERROR lines": new_errors,
    "a log statement that came or went": statement_came_or_went,
}

FLOOR = 0.02
"""Lines a trace below which a statement may as well be silent."""


def _grown(case: Case, charge_way: bool) -> list[str]:
    spent: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for trace in case.traces:
        own: dict[str, float] = defaultdict(float)
        for visit in visits([trace]):
            caller = trace.by_id.get(visit.span.parent_id or "")
            payer = visit.span.service if charge_way or caller is None else caller.service
            own[visit.span.service] += visit.waited - visit.way
            own[payer] += visit.way
        for service, seconds in own.items():
            spent[service][trace.start >= case.moment * 1e6].append(seconds)
    return _ranked(
        {name: mean(after) - mean(before) for name, (before, after) in spent.items() if before and after}
    )


def _said(case: Case) -> Mapping[tuple[str, Said], tuple[float, float]]:
    """Lines of each statement for each trace, before and since the fault."""
    border = case.moment * 1e6
    since = sum(one.start >= border for one in case.traces)
    counts: tuple[Counter[tuple[str, Said]], Counter[tuple[str, Said]]] = Counter(), Counter()
    for line in case.lines:
        counts[line.time >= border][line.service, statement(line)] += 1
    before, after = max(1, len(case.traces) - since), max(1, since)
    return {each: (counts[0][each] / before, counts[1][each] / after) for each in counts[0] | counts[1]}


def _ranked(scores: Mapping[str, float]) -> list[str]:
    return sorted((name for name, score in scores.items() if score > 0), key=lambda name: -scores[name])


def ranks(case: Case) -> Mapping[str, Sequence[str]]:
    """What each rule names, by its name."""
    return {name: rule(case) for name, rule in RULES.items()}
