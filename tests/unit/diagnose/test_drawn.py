"""Scenarios that seeds draw: the same everywhere, of flags that a service reads, with answers that exist."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dashcam.lab import drawn
from dashcam.lab.drawn import draw
from dashcam.sources.switches import Switches, UnknownFault
from services.faults.points import FaultSettings, connect

SEEDS = range(1, 301)


def test_a_seed_gives_the_same_scenario_again_and_others_give_others() -> None:
    assert [draw(seed) for seed in SEEDS] == [draw(seed) for seed in SEEDS]
    assert len({draw(seed).description for seed in SEEDS}) > 200


def test_fifty_seeds_meet_every_kind_of_fault_two_at_once_and_both_kinds_of_decoy() -> None:
    night = [draw(seed) for seed in SEEDS[:50]]
    assert {one.kinds for each in night for one in each.expect} == {one.kinds for one in drawn.FAULTS}
    assert any(len(each.expect) == 2 for each in night)
    decoys = [each.decoy for each in night if each.decoy]
    assert any(one.twin for one in decoys)
    assert any(one.flags for one in decoys)


def test_two_faults_and_a_decoy_are_never_in_one_service() -> None:
    for one in map(draw, SEEDS):
        services = [cause.service for cause in one.expect]
        if one.decoy:
            services.append(one.decoy.twin.service if one.decoy.twin else one.decoy.title.split()[0])
        assert len(set(services)) == len(services), one.name


@pytest.mark.parametrize(
    ("place", "scope", "meant", "others"),
    [
        ("minus", "y at least 500", {"y": "500"}, {"y": "250"}),
        ("car", "auriga", {"maker": "auriga"}, {"maker": "bentz"}),
        ("car", "/quote", {"route": "quoteof"}, {"route": "model"}),
        ("web", "GET /cars", {"route": "pages.cars"}, {"route": "pages.car"}),
        ("web", "", {}, None),
    ],
)
def test_a_drawn_flag_holds_for_whom_its_words_say(
    tmp_path: Path, place: str, scope: str, meant: dict[str, str], others: dict[str, str] | None
) -> None:
    (where,) = (one for one in drawn.PLACES if one.service == place)
    switches = Switches(tmp_path / "faults.json")
    switches.add("drawn", drawn.flag_at("a fault", where, scope, {"lines": 1}))
    faults = connect(FaultSettings(file=str(switches.path)))
    assert faults.at(where.point, **meant) == {"lines": 1}
    if others is not None:
        assert faults.at(where.point, **others) == {}


def test_a_flag_that_was_added_can_be_switched_and_leaves_nothing_when_it_is_dropped(tmp_path: Path) -> None:
    switches = Switches(tmp_path / "faults.json")
    before = switches.all()
    for name, flag in draw(1).flags.items():
        switches.add(name, flag)
    assert sum(one.enabled for one in switches.all().values()) == len(draw(1).flags)
    for name in draw(1).flags:
        switches.set(name, False)
        switches.drop(name)
    assert switches.all() == before
    assert json.loads(switches.path.read_text())["flags"].keys() == before.keys()
    with pytest.raises(UnknownFault, match="drawn"):
        switches.set("drawn-car", True)
