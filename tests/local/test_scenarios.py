"""A share of the scenarios, live: the diagnosis names the cause of each from telemetry alone.

All of them run by `make scenarios`. Here are one that is slow, in two places at once, and one that fails for
some inputs only; and the time before each, when nothing is wrong.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from observability.diagnose.scenario import load
from observability.diagnose.scenario_command import bench_of
from observability.diagnose.verify import Bench, verify
from tests.local.conftest import running

SCENARIOS = ("two-at-once", "minus-failing-for-some")
BASELINE, SETTLE, REST = 15.0, 15.0, 5.0


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running(tmp_path_factory.mktemp("scenarios"), TRAFFIC="on", TRAFFIC_RATE="15") as stack:
        yield bench_of(stack.settings)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_cause_is_named_first(bench: Bench, name: str) -> None:
    scenario = dataclasses.replace(load()[name], settle=SETTLE)
    result = verify(bench, scenario, BASELINE, REST)
    assert result.passed, f"expected {result.expected}, named {result.named}"
    assert result.took is not None
    assert result.took < 60
    assert result.recovered is not None
    assert result.alarms == (), "something was named before there was a fault"
