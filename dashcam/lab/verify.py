"""Proof of the diagnosis: make a fault in a running stack, diagnose, compare, and see it recover."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from dashcam.diagnose import observe, processes, symptoms, verdict
from dashcam.diagnose.findings import Diagnosis
from dashcam.diagnose.observe import Observed
from dashcam.lab import second_instance
from dashcam.lab.injection import Bench
from dashcam.lab.scenario import Scenario
from dashcam.sources import SourceError

BASELINE = 30.0
"""Seconds without a fault before it, which are what is usual."""
NOTICE, RECOVERY = 90.0, 90.0
"""Seconds that the first signal of a fault, and the recovery from it, may take."""
FORGOTTEN = 18.0
"""Seconds after which no rate (of three scrapes) remembers a fault that is over."""
EARLY = 10.0
"""Seconds before the fault from which on a symptom may be of it: a rate's times are those of its scrapes."""
WAITING = 10.0
"""Seconds that the oldest message or step may be old where nothing is wrong: a fault leaves some behind."""
POLL = 3.0
THOROUGH = 4
"""Every so many looks at the metrics, traces and log lines are looked at too, which costs more."""


@dataclass(frozen=True)
class Result:
    """What one scenario gave. Times are seconds since the fault was made; None: not seen.

    `passed` is the comparison of the first diagnosis after the signals had settled, asked once. `silent` are
    expected signals that did not speak for what it named.
    """

    name: str
    expected: str
    named: str
    passed: bool
    signal: float | None = None
    alert: float | None = None
    verdict: float | None = None
    took: float | None = None
    recovered: float | None = None
    silent: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    """Causes that were named before there was a fault."""
    seen: Observed | None = None
    """What the answer was made from."""
    clean: float | None = None
    """The Unix time from which on nothing of the fault is seen any more; None when it was not waited for."""

    tries: int = 1
    """How often it was run; what is told is of the last time."""

    @property
    def word(self) -> str:
        """The verdict in a few words."""
        if self.silent:
            return f"named WITHOUT {' and '.join(self.silent)}"
        named = "named" if self.passed else "NOT NAMED"
        return f"{named} the second time" if self.tries > 1 else named

    @property
    def wrong(self) -> str:
        """What is wrong with it, in words; empty where nothing is."""
        said = [] if self.passed else [f"{self.word}; first: {self.named}"]
        return "; ".join([*said, *(f"named without a fault: {alarm}" for alarm in self.alarms)])


def verify(
    bench: Bench,
    scenario: Scenario,
    baseline: float = BASELINE,
    since: float | None = None,
    during: Callable[[], None] = lambda: None,
) -> Result:
    """Run one scenario. The stack must be up, with traffic, and without a fault since `since` (now).

    `during` is called while the fault still lasts, after its diagnosis.
    """
    with second_instance.more_traffic(bench.settings, scenario.load):
        return _verified(bench, scenario, scenario.baseline or baseline, since, during)


def _verified(
    bench: Bench, scenario: Scenario, baseline: float, since: float | None, during: Callable[[], None]
) -> Result:
    """Run one scenario under the load that it asks for."""
    start = since or time.time()
    bench.say(f"{scenario.name}: {baseline:.0f} s of baseline, then: {scenario.title}")
    bench.sleep(start + baseline - time.time())
    before = _diagnosed(bench, start)
    quiet = {one.name for one in bench.sources.metrics.alerts()}
    result = Result(scenario.name, " and ".join(map(str, scenario.expect)), "nothing", False)
    result = replace(result, alarms=tuple(c.summary for c in before.causes + before.telemetry))
    with bench.broken(scenario) as made:
        result = replace(result, signal=_noticed(bench, start, made, result.alarms))
        bench.sleep(scenario.settle if result.signal is not None else 0.0)
        asked = time.monotonic()
        seen = verdict.observed(bench.sources, start, time.time(), bench.console)
        found = verdict.judge(seen)
        took = time.monotonic() - asked
        met, named = scenario.judged(found)
        silent = scenario.silent(found) if met else ()
        result = replace(result, passed=met and not silent, named=named, silent=silent)
        alert = _first_alert(bench, quiet, made)
        after = time.time() - made
        during()
    result = replace(result, alert=alert, verdict=after, took=took, seen=seen)
    bench.say(f"{scenario.name}: {result.word}: {named}")
    over = time.time()
    recovered = _recovered(bench, over)
    return replace(result, recovered=recovered, clean=max(time.time(), over + FORGOTTEN))


def _diagnosed(bench: Bench, start: float) -> Diagnosis:
    return verdict.diagnose(bench.sources, start, time.time(), bench.console)


def _noticed(bench: Bench, start: float, made: float, known: tuple[str, ...]) -> float | None:
    """Seconds until anything tells of the fault; None when nothing does in time."""
    for look in itertools.count(1):
        if time.time() - made > NOTICE:
            return None
        seen = observe.metrics(bench.sources, start, time.time(), bench.console)
        if look % THOROUGH == 0:
            seen = observe.details(bench.sources, seen, verdict.onset(seen))
        found = verdict.judge(seen)
        fresh = [c for c in (*found.telemetry, *found.causes) if c.summary not in known]
        noticed = [one.step.start for one in found.symptoms if one.step.end is None]
        if fresh or any(start > made - EARLY for start in noticed):
            return time.time() - made
        bench.sleep(POLL)
    raise AssertionError("unreachable: the loop ends by returning")


def _first_alert(bench: Bench, quiet: set[str], made: float) -> float | None:
    """Seconds until the first alert that was not there before, as far as it became active by now."""
    with contextlib.suppress(SourceError):
        fresh = [a.active_at - made for a in bench.sources.metrics.alerts() if a.name not in quiet]
        return max(0.0, min(fresh)) if fresh else None
    return None


def _recovered(bench: Bench, over: float) -> float | None:
    """Seconds until nothing that users notice lasts, nothing waits for long, and every process answers.

    None when not in time.
    """
    while time.time() - over < RECOVERY:
        bench.sleep(POLL)
        now = time.time()
        seen = observe.metrics(bench.sources, now - 120, now)
        stopped = [cause for cause in processes.causes(seen) if cause.kind == "down"]
        lasting = [symptom for symptom in symptoms.symptoms(seen) if symptom.step.end is None]
        waiting = [one for one in seen.named("ages") if one.points and one.points[-1][1] > WAITING]
        if now - over > 12 and not (stopped or lasting or waiting or seen.away):
            return now - over
    return None
