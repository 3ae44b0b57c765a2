"""Symptoms: rates, errors and durations of each service and route that left their usual range."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dashcam.diagnose import evidence
from dashcam.diagnose.findings import Symptom
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.steps import added, amount, ratio, step
from dashcam.sources import Series

Points = Sequence[tuple[float, float]]

ERRORS = 0.02
"""The rise of the share of 5xx answers that counts."""
SLOWER, LATER = 2.5, 0.05
"""A mean duration counts from SLOWER times the usual plus LATER seconds on."""
BUSY = 0.05
"""Requests a second that a route must have for its figures to mean something."""

MATTERS = 0.15
"""The share of all that is lost that a symptom must account for, to tell when it began."""

FEWEST, FEWEST_FAILED = 8, 3
"""Requests, or failed ones, that a stretch must have: of fewer, one odd request would make a symptom."""


def grouped(series: Sequence[Series], *labels: str) -> dict[tuple[str, ...], list[Series]]:
    """The series by the values of these labels."""
    groups: dict[tuple[str, ...], list[Series]] = {}
    for one in series:
        groups.setdefault(tuple(one.labels.get(label, "") for label in labels), []).append(one)
    return groups


def total(
    series: Sequence[Series], accept: Callable[[Mapping[str, str]], bool] = lambda labels: True
) -> Points:
    """The sum of the series that are accepted."""
    return added([one.points for one in series if accept(one.labels)])


def symptoms(seen: Observed) -> list[Symptom]:
    """Every symptom that users could notice, the largest first."""
    found = [*_errors(seen), *_durations(seen)]
    return sorted(found, key=lambda one: -one.step.during)


def weighty(found: Sequence[Symptom]) -> list[Symptom]:
    """Those that account for a share of what is lost: one that costs next to nothing tells no beginning.

    Failures are weighed against failures, and lost seconds against lost seconds.
    """
    kept = []
    for what in dict.fromkeys(one.what for one in found):
        alike = [one for one in found if one.what == what]
        whole = sum(one.lost for one in alike)
        kept += [one for one in alike if one.lost >= MATTERS * whole]
    return kept


def _errors(seen: Observed) -> list[Symptom]:
    found = []
    for (job, method, route), series in _routes(seen, "answers").items():
        bad = total(series, lambda labels: labels.get("http_response_status_code", "").startswith("5"))
        every = total(series)
        if not bad:
            continue
        # A time without any failing answer has no series of its own: it is none of them, not unknown.
        failed = dict(bad)
        shares = ratio([(time, failed.get(time, 0.0)) for time, _ in every], every, BUSY)
        change = step(shares, least=ERRORS)
        if change and amount(bad, change) >= FEWEST_FAILED:
            result = f"{change.during:.1%} of the answers were 5xx, {change.before:.1%} before"
            shown = evidence.metric(seen, "answers", result)
            lost = (change.during - change.before) * amount(every, change)
            found.append(Symptom(job, f"{method} {route}", "fails", change, shown, lost))
    return found


def _durations(seen: Observed) -> list[Symptom]:
    found = []
    counts = _routes(seen, "answers")
    for key, series in _routes(seen, "time").items():
        every = total(counts.get(key, []))
        change = step(ratio(total(series), every, BUSY), least=LATER, factor=SLOWER)
        if change and amount(every, change) >= FEWEST:
            result = f"{evidence.seconds(change.during)} on average, {evidence.seconds(change.before)} before"
            shown = evidence.metric(seen, "time", result)
            lost = (change.during - change.before) * amount(every, change)
            found.append(Symptom(key[0], f"{key[1]} {key[2]}", "is slow", change, shown, lost))
    return found


def _routes(seen: Observed, query: str) -> dict[tuple[str, ...], list[Series]]:
    return grouped(seen.named(query), "job", "http_request_method", "http_route")
