"""The other half of the proof: while the load changes and nothing is wrong, nothing must be named."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace

from dashcam.diagnose import verdict
from dashcam.lab import second_instance
from dashcam.lab.injection import Bench
from dashcam.lab.verify import Result

RATES = (24.0, 6.0, 36.0, 0.0, 12.0, 48.0, 3.0, 30.0, 0.0, 18.0)
"""Requests a second beside the usual traffic, one run each."""
RUN = 30.0
"""Seconds of each load; a diagnosis looks at two of them, so that the change lies in its middle."""


def runs(bench: Bench, count: int) -> Iterator[Result]:
    """`count` diagnoses, each across a change of the load. The stack must be up, with traffic, and well."""
    bench.sleep(RUN)
    before = 0.0
    for number, rate in enumerate(itertools.islice(itertools.cycle(RATES), count), 1):
        with second_instance.more_traffic(bench.settings, rate):
            bench.sleep(RUN)
            yield _run(bench, f"healthy-{number}", f"{before:g} to {rate:g} requests a second more")
        before = rate


def _run(bench: Bench, name: str, load: str) -> Result:
    asked = time.monotonic()
    seen = verdict.observed(bench.sources, time.time() - 2 * RUN, time.time(), bench.console)
    found = verdict.judge(seen)
    took = time.monotonic() - asked
    named = "; ".join(cause.summary for cause in (*found.telemetry, *found.causes))
    result = Result(name, f"nothing, at {load}", named or "nothing", not named, took=took)
    bench.say(f"{name} ({load}): {'nothing named' if result.passed else f'NAMED: {named}'}")
    return replace(result, seen=seen)
