"""Recorded faults of a system that is not ours: a small share of what `make bench-rca` measures."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import pytest

from dashcam.diagnose import recording, report
from dashcam.diagnose.findings import Diagnosis
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.verdict import judge

HERE = Path(__file__).with_name("nezha")
FAULTS = {"exception-ts-travel-service": "ts-travel-service", "return-ts-food-service": "ts-food-service"}


@cache
def seen(name: str) -> Observed:
    return recording.read(HERE / f"{name}.json.gz")


@cache
def diagnosed(name: str) -> Diagnosis:
    return judge(seen(name))


def test_there_is_a_fault_of_either_kind_and_a_time_without_one() -> None:
    assert {path.name.split(".")[0] for path in HERE.glob("*.gz")} == {*FAULTS, "none"}
    assert "MIT License" in (HERE / "LICENSE").read_text()


@pytest.mark.parametrize("name", FAULTS)
def test_the_service_with_the_fault_is_named_first(name: str) -> None:
    assert [cause.service for cause in diagnosed(name).causes][:1] == [FAULTS[name]]


@pytest.mark.parametrize("name", FAULTS)
def test_of_one_signal_alone_nothing_is_highly_sure(name: str) -> None:
    found = diagnosed(name)
    assert [found.confidence(cause) for cause in found.causes if len(cause.signals) == 1] != []
    assert all(found.confidence(cause) != "high" for cause in found.causes if len(cause.signals) == 1)


@pytest.mark.parametrize("name", FAULTS)
def test_without_its_log_lines_the_fault_is_not_laid_on_another_service(name: str) -> None:
    silent = dataclasses.replace(
        seen(name), said=(), lines_past=(), lines_before=(), lines_during=(), unheard=()
    )
    assert {cause.service for cause in judge(silent).causes} <= {FAULTS[name]}


def test_where_nothing_is_wrong_no_cause_is_named() -> None:
    found = diagnosed("none")
    assert [cause.summary for cause in found.causes] == []
    assert "not known of" not in report.text(found)
