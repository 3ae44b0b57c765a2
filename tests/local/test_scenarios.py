"""A share of the scenarios, live: the diagnosis names the cause of each from telemetry alone.

All of them run by `make scenarios`. Here are one that is slow, in two places at once, and one that fails for
some inputs only; and the time before each, when nothing is wrong. While the second lasts, a trace, an
alert and a service are asked for by the command line, as one would who was paged.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from polling import until

from observability.diagnose.breaking import Bench
from observability.diagnose.command import diagnose
from observability.diagnose.scenario import load
from observability.diagnose.scenario_command import bench_of
from observability.diagnose.verify import verify
from observability.sources import TraceQuery
from tests.local.conftest import running

BASELINE = 30.0
"""Seconds, as of `dashcam scenario verify`: with half of it too few slow requests are there to compare."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running(tmp_path_factory.mktemp("scenarios"), TRAFFIC="on", TRAFFIC_RATE="15") as stack:
        yield bench_of(stack.settings)


def test_two_causes_at_once_are_named_first(bench: Bench) -> None:
    _named_first(bench, "two-at-once")


def test_a_failure_is_named_first_and_by_the_trace_the_alert_and_the_service_that_one_asks_for(
    bench: Bench,
) -> None:
    def asked() -> None:
        since = int((time.time() - 30) * 1e6)
        query = TraceQuery("minus", since, int(time.time() * 1e6), tags={"error": "true"}, limit=1)
        (failed,) = until(lambda: bench.sources.traces.search(query), "a trace that fails in minus")
        (first, *_) = _asked(bench, 0, "--trace", failed.trace_id)["failures"]
        assert (first["service"], first["error"]) == ("minus", "RuntimeError")

        alert = until(
            lambda: [a.name for a in bench.sources.metrics.alerts() if "Burn" in a.name], "an alert"
        )
        for options in (("--alert", alert[0]), ("--service", "car", "--since", "2m")):
            (cause, *_) = _asked(bench, 1, *options)["causes"]
            assert (cause["kind"], cause["service"]) == ("failing", "minus"), options
            assert cause["evidence"], options

    _named_first(bench, "minus-failing-for-some", asked)


def _asked(bench: Bench, status: int, *options: str) -> Any:
    """The JSON that `dashcam diagnose` answers about the bench's stack."""
    settings = bench.settings
    environ = {name: str(value) for name, value in settings.as_environ().items()}
    done = CliRunner().invoke(diagnose, [*options, "--json"], env=environ)
    assert done.exit_code == status, done.output
    return json.loads(done.stdout)


def _named_first(bench: Bench, name: str, during: Any = lambda: None) -> None:
    result = verify(bench, load()[name], BASELINE, during=during)
    assert result.passed, f"expected {result.expected}, named {result.named}"
    assert result.took is not None
    assert result.took < 60
    assert result.recovered is not None
    assert result.alarms == (), "something was named before there was a fault"
