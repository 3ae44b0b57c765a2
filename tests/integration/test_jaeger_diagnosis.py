"""The diagnosis reads the traces of a real Jaeger as it reads those of the embedded backend."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from local.conftest import running
from realprograms import record_jaeger
from verifying import Recorder

from dashcam.lab.command import bench_of
from dashcam.lab.injection import Bench
from dashcam.lab.scenario import load
from dashcam.lab.verify import verify

pytestmark = [
    pytest.mark.takes(110),
    pytest.mark.verifies(
        component="Jaeger",
        claim="is read by the diagnosis, which names the two causes of a stack that is broken in two places",
    ),
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, ran: Recorder) -> Iterator[Bench]:
    record_jaeger(ran)
    folder = tmp_path_factory.mktemp("diagnosis")
    with running(folder, BACKEND="jaeger", TRAFFIC="on", TRAFFIC_RATE="15") as stack:
        yield bench_of(stack.settings)


def test_two_causes_at_once_are_named_first(bench: Bench) -> None:
    result = verify(bench, load()["two-at-once"])
    assert result.passed, f"expected {result.expected}, named {result.named}"
    assert result.took is not None
    assert result.took < 60
    assert result.recovered is not None
    assert result.alarms == (), "something was named before there was a fault"
