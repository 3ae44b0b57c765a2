"""What chosen traces share and the others do not: every attribute, operation and parameter is tried.

Each difference is held against chance by Fisher's exact test, times how many were tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dashcam.diagnose.contrast import of_span
from dashcam.diagnose.significance import FEWEST, LIKELY, more
from dashcam.model.traces import Span, Trace

LEAST_DIFFERENCE = 0.2
"""How much larger a share must be among the chosen than among the others to be of use to a person."""
MOST = 30
_LONGEST = 160
# What says nothing of a request: it is how traces are told apart, or what failing is called.
_IDENTIFYING = re.compile(r"^(error|internal\..*|otel\..*|thread\..*|process\..*|span\.kind|telemetry\..*)$")
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,9})?")

Names = dict[tuple[str, str], set[str]]
"""The values of each (service, name) in one trace; the name is '' for the operations of the service."""


@dataclass(frozen=True)
class Trait:
    """`name` of `service` is `value` (or at least, at most) in `chosen` and `others` of the traces.

    `lacking` says that it is what the chosen lack. `also` are further traits that the same traces have.
    """

    service: str
    name: str
    value: str
    relation: str
    chosen: int
    others: int
    chance: float = 1.0
    lacking: bool = False
    also: tuple[Trait, ...] = ()

    @property
    def text(self) -> str:
        if not self.name:
            return f"{self.service}: {self.value}"
        return f"{self.service}: {self.name} {self.relation} {self.value}"


def shared(chosen: Sequence[Trace], others: Sequence[Trace]) -> list[Trait]:
    """What tells the chosen from the others, the largest difference first, at most MOST."""
    if len(chosen) < FEWEST or len(others) < FEWEST:
        return []
    known = [_names(trace) for trace in (*chosen, *others)]
    tried = 0
    found: dict[tuple[int, bool], list[Trait]] = {}
    for trait, holds in _traits(known, len(chosen)):
        tried += 1
        if (tested := _tested(trait, len(chosen), len(others))) is not None:
            found.setdefault((holds, tested.lacking), []).append(tested)
    grouped = [replace(first, also=tuple(rest)) for first, *rest in map(_plainest_first, found.values())]
    certain = [
        replace(trait, chance=min(1.0, trait.chance * tried))
        for trait in grouped
        if trait.chance * tried <= LIKELY
    ]
    return sorted(certain, key=lambda trait: (-_difference(trait, chosen, others), trait.chance))[:MOST]


def _names(trace: Trace) -> Names:
    found: Names = {}
    for span in trace.spans:
        found.setdefault((span.service, ""), set()).add(span.operation)
        for name, value in _of(span):
            found.setdefault((span.service, name), set()).add(value[:_LONGEST])
    return found


def _of(span: Span) -> Iterable[tuple[str, str]]:
    yield from of_span(span).items()
    for holder in (span.attributes, span.resource):
        for name, value in holder.items():
            if not _IDENTIFYING.match(name):
                yield name, str(value).lower() if isinstance(value, bool) else str(value)
    for event in span.exceptions:
        yield "exception.type", str(event.attributes.get("exception.type", ""))


def _traits(known: Sequence[Names], border: int) -> Iterable[tuple[Trait, int]]:
    """Each trait with the traces that have it, as bits; the first `border` traces are the chosen ones."""
    holders: dict[tuple[str, str, str], int] = {}
    numbers: dict[tuple[str, str], dict[int, float]] = {}
    for place, names in enumerate(known):
        for (service, name), values in names.items():
            for value in values:
                key = (service, name, value)
                holders[key] = holders.get(key, 0) | 1 << place
            if name and (sizes := [float(value) for value in values if _NUMBER.fullmatch(value)]):
                numbers.setdefault((service, name), {})[place] = max(sizes)
    for (service, name, value), holds in holders.items():
        yield _trait(service, name, value, "=", holds, border)
    for (service, name), by_place in numbers.items():
        yield from _thresholds(service, name, by_place, border)


def _thresholds(
    service: str, name: str, by_place: Mapping[int, float], border: int
) -> Iterable[tuple[Trait, int]]:
    """The bounds within which the numbers of the chosen lie, where they differ among themselves."""
    mine = {size for place, size in by_place.items() if place < border}
    if len(mine) < FEWEST:
        return
    least, most = min(mine), max(mine)
    above = sum(1 << place for place, size in by_place.items() if size >= least)
    below = sum(1 << place for place, size in by_place.items() if size <= most)
    yield _trait(service, name, f"{least:g}", "at least", above, border)
    yield _trait(service, name, f"{most:g}", "at most", below, border)


def _trait(service: str, name: str, value: str, relation: str, holds: int, border: int) -> tuple[Trait, int]:
    chosen = (holds & ((1 << border) - 1)).bit_count()
    return Trait(service, name, value, relation, chosen, holds.bit_count() - chosen), holds


def _tested(trait: Trait, chosen: int, others: int) -> Trait | None:
    """The trait with its chance, as had or as lacked; None where the shares hardly differ."""
    difference = trait.chosen / chosen - trait.others / others
    if abs(difference) < LEAST_DIFFERENCE:
        return None
    if difference > 0:
        return replace(trait, chance=more(trait.others, others, trait.chosen, chosen))
    chance = more(others - trait.others, others, chosen - trait.chosen, chosen)
    return replace(trait, chance=chance, lacking=True)


def _plainest_first(traits: Sequence[Trait]) -> list[Trait]:
    """What a person asked for before what followed from it: parameters, then attributes, then operations."""
    return sorted(traits, key=lambda trait: ("." in trait.name, not trait.name, len(trait.text), trait.text))


def _difference(trait: Trait, chosen: Sequence[Trace], others: Sequence[Trace]) -> float:
    return abs(trait.chosen / len(chosen) - trait.others / len(others))
