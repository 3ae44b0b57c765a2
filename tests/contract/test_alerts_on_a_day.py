"""A day for every alert: what is ordinary fires nothing, and what may fire has its reason in its runbook."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ruleset import RUNBOOKS

from dashboards.tests.day.count import firings
from dashboards.tests.day.scenarios import DAYS, Day


@pytest.mark.parametrize("day", DAYS.values(), ids=DAYS.keys())
def test_an_alert_fires_no_more_often_on_a_day_than_is_said_of_it(day: Day, tmp_path: Path) -> None:
    counted = firings(day.series(), tmp_path)
    assert {name: n for name, n in counted.items() if n > day.may_fire.get(name, 0)} == {}


def test_a_day_of_failures_is_noticed(tmp_path: Path) -> None:
    """If promtool counted nothing whatever came, every other day would pass."""
    failing = tuple(replace(instance, failing=0.05) for instance in DAYS["normal"].instances)
    counted = firings(replace(DAYS["normal"], instances=failing).series(), tmp_path)
    assert counted["AvailabilityBurnFast"] == 1, "one trouble, one page"


@pytest.mark.parametrize("alert", sorted({name for day in DAYS.values() for name in day.may_fire}))
def test_what_may_fire_on_a_day_has_its_reason_in_its_runbook(alert: str) -> None:
    assert "Known firings: " in (RUNBOOKS / f"{alert}.md").read_text()
