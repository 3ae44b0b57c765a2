"""Traces laid out for the search for causes: by place, and by what each service did for each request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from dashcam.diagnose.observe import Observed
from dashcam.diagnose.places import Place, Visit, by_place, owners, visits
from dashcam.diagnose.served import Served, served


@dataclass(frozen=True)
class Traced:
    """The visits of the time before what is diagnosed, before the onset, and since; and who answers where."""

    past: Sequence[Visit]
    before: Sequence[Visit]
    during: Sequence[Visit]
    known: Mapping[str, str]

    @cached_property
    def usual(self) -> Sequence[Visit]:
        """The visits from when all was well, as far as that is known."""
        return [*self.past, *self.before]

    @cached_property
    def requests(self) -> Sequence[Served]:
        """What each service did for each request, of all times."""
        return served([*self.usual, *self.during])

    @cached_property
    def places(self) -> Mapping[Place, list[Visit]]:
        """The visits of each place, of all times."""
        return by_place([*self.usual, *self.during])


def traced(seen: Observed) -> Traced:
    """Lay out the traces of `seen`."""
    past, before, during = visits(seen.past), visits(seen.before), visits(seen.during)
    return Traced(past, before, during, owners([*past, *before, *during]))


def names(place: Place) -> dict[str, str]:
    """What a place is called, for the details of a cause."""
    named = {
        "operation": place.operation,
        "statement": " ".join(place.statement.split())[:300],
        "peer": place.peer,
    }
    return {name: value for name, value in named.items() if value}


def rest(figures: Mapping[str, str]) -> str:
    """The figures of a scope, as the end of a sentence."""
    return f"; {figures['scope']}" if "scope" in figures else ""
