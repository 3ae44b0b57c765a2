"""The guard over the overhead: what it lets pass, and what not. `make bench-guard` runs it."""

from __future__ import annotations

import json

import pytest

from benchmarks import guard

RECORDED = {"Dashcam": 0.40, "Dashcam, 1 %": 0.20}


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.24])
def test_an_overhead_that_grew_by_less_than_a_quarter_passes(factor: float) -> None:
    assert guard.verdict({name: share * factor for name, share in RECORDED.items()}, RECORDED) == []


def test_an_overhead_that_grew_by_more_fails_and_says_of_what_and_by_how_much() -> None:
    complaints = guard.verdict({"Dashcam": 0.40, "Dashcam, 1 %": 0.26}, RECORDED)
    assert len(complaints) == 1
    assert complaints[0].startswith("Dashcam, 1 %: the overhead of a request is 26.0% ")
    assert "30% more than the 20.0%" in complaints[0]


def test_what_was_never_recorded_fails_and_is_not_passed_over() -> None:
    assert "make bench-guard-record" in guard.verdict({"Dashcam": 0.1}, {})[0]


def test_of_two_runs_the_lower_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = {name: iter(seen) for name, seen in {"bare": (110.0, 100.0), "Dashcam": (120.0, 150.0)}.items()}
    monkeypatch.setattr(guard, "VARIANTS", ("Dashcam",))
    monkeypatch.setattr(guard, "instructions", lambda variant, _: next(runs[variant]))
    assert guard.measure() == {"Dashcam": pytest.approx(0.20)}


def test_a_module_that_is_older_than_its_source_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard.speedups, "available", lambda: True)
    guard.require_current()
    monkeypatch.setattr(guard.speedups, "available", lambda: False)
    with pytest.raises(SystemExit, match="older than its source: make compiled"):
        guard.require_current()


def test_what_is_guarded_is_recorded() -> None:
    for version, shares in json.loads(guard.BASELINE.read_text()).items():
        assert set(shares) == set(guard.VARIANTS), version
