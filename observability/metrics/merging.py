"""The families of several processes merged into one set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from observability import schema
from observability.metrics.slices import Slices
from observability.metrics.snapshot import EMPTY, NOTHING, Family, Layout, Snapshot

SUMMED = ("counter", "histogram", "summary")
"""Types of families that are a sum over the life of a process."""

AT_ONCE = 2048
"""Series between two looks at the clock."""

Combine = Callable[[Iterable[float]], float]
Choice = tuple[Combine, list[tuple[int, int]]]


def across(family: Family) -> Combine:
    """How the values that several processes have for one series become one."""
    if family.type in SUMMED:
        return sum
    choices: dict[str, Combine] = {"sum": sum, "min": min, "max": max}
    return choices[family.across] if family.type == "gauge" else max


class Merger:
    """Merges snapshots. How series come together is worked out once for each set of layouts."""

    def __init__(self) -> None:
        self._for: tuple[str, ...] = ()
        self._layout = NOTHING
        self._places: list[list[int]] = []
        self._chosen: dict[int, Choice] = {}

    def merge(self, snapshots: Sequence[Snapshot]) -> Snapshot:
        """One family of each name; series of the same name and labels become one."""
        layouts = [snapshot.layout for snapshot in snapshots]
        wanted = tuple(layout.id for layout in layouts)
        if wanted != self._for:
            self._plan(layouts)
            self._for = wanted
        slices = Slices()
        values = [0.0] * len(self._layout.keys)
        exemplars: dict[int, tuple[float, str]] = {}
        for snapshot, places in zip(snapshots, self._places, strict=True):
            for began in range(0, len(places), AT_ONCE):
                ended = began + AT_ONCE
                for place, value in zip(places[began:ended], snapshot.values[began:ended], strict=True):
                    values[place] += value
                slices.breathe()
            for place, found in snapshot.exemplars.items():
                merged = places[place]
                if merged not in exemplars or found > exemplars[merged]:
                    exemplars[merged] = found
            slices.breathe()
        for place, (choose, readings) in self._chosen.items():
            values[place] = choose([snapshots[number].values[at] for number, at in readings])
        return Snapshot(self._layout, values, exemplars)

    def _plan(self, layouts: Sequence[Layout]) -> None:
        """Where each series of each layout goes, and which are chosen from rather than summed."""
        families, members = _united(layouts)
        keys = [key for found in members for key in found]
        self._layout = Layout(
            [replace(family, size=len(found)) for family, found in zip(families, members, strict=True)],
            keys,
        )
        where = {key: place for place, key in enumerate(keys)}
        self._places = [[where[key] for key in layout.keys] for layout in layouts]
        self._chosen = {}
        rules = {
            key: choose
            for family, found in zip(families, members, strict=True)
            if (choose := across(family)) is not sum
            for key in found
        }
        for number, layout in enumerate(layouts):
            for at, key in enumerate(layout.keys):
                if key in rules:
                    self._chosen.setdefault(where[key], (rules[key], []))[1].append((number, at))


def _united(layouts: Sequence[Layout]) -> tuple[list[Family], list[list[str]]]:
    """The families of all layouts, each name once, and the keys of each, each once."""
    families: dict[str, Family] = {}
    members: dict[str, dict[str, None]] = {}
    slices = Slices()
    for layout in layouts:
        began = 0
        for family in layout.families:
            families.setdefault(family.name, family)
            found = members.setdefault(family.name, {})
            found.update(dict.fromkeys(layout.keys[began : began + family.size]))
            began += family.size
            slices.breathe()
    return list(families.values()), [list(found) for found in members.values()]


def departed(snapshots: Sequence[Snapshot]) -> Snapshot:
    """The sum of what workers counted that are gone. What they were (gauges, infos) went with them."""
    return Merger().merge([_counted(snapshot) for snapshot in snapshots]) if snapshots else EMPTY


def _counted(snapshot: Snapshot) -> Snapshot:
    families: list[Family] = []
    kept: list[int] = []
    began = 0
    for family in snapshot.layout.families:
        if family.type in SUMMED and not family.name.startswith(schema.RUNTIME):
            families.append(family)
            kept += range(began, began + family.size)
        began += family.size
    exemplars = {new: snapshot.exemplars[old] for new, old in enumerate(kept) if old in snapshot.exemplars}
    layout = Layout(families, [snapshot.layout.keys[place] for place in kept])
    return Snapshot(layout, [snapshot.values[place] for place in kept], exemplars)
