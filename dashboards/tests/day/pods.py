"""What kube-state-metrics and cAdvisor say of pods and Jobs over a day."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dashboards.tests.day.traffic import MINUTES, counter, row, some

Share = Callable[[int], float]
"""A share of a limit in the given minute of the day."""

PERIODS = 600
"""A minute's periods of CPU time."""
MEMORY = 256 * 2**20
STARTING = 2
"""Minutes until a new pod's image is there and its program has read what it needs."""


@dataclass(frozen=True)
class Pod:
    """A pod that is there from `first` to `last`.

    `cpu` and `memory` are the shares of its limits that it uses. Its container is started again at `again`,
    after an end for the reason `why`; where `again` is 0 that was days ago.
    """

    name: str
    cpu: Share
    memory: Share = lambda minute: 0.4
    first: int = 0
    last: int = MINUTES
    again: int | None = None
    why: str = "Error"
    namespace: str = "dashcam"

    def series(self) -> Iterator[dict[str, str]]:
        """The input series of promtool."""
        yield from self._state()
        yield from self._used()

    def _state(self) -> Iterator[dict[str, str]]:
        begins = range(self.first, self.first + STARTING if self.first else 1)
        for phase, within in (("Pending", True), ("Running", False), ("Unknown", None)):
            phases = [int((minute in begins) is within) for minute in range(MINUTES)]
            yield self._row("kube_pod_status_phase", phases, f'phase="{phase}"')
        app = 'container="app"'
        waits = [1 if minute in begins else None for minute in range(MINUTES)]
        yield self._row("kube_pod_container_status_waiting_reason", waits, app, 'reason="ContainerCreating"')
        again = MINUTES if self.again is None else self.again
        restarts = [int(minute >= again) for minute in range(MINUTES)]
        yield self._row("kube_pod_container_status_restarts_total", restarts, app)
        ended = [1 if minute >= again else None for minute in range(MINUTES)]
        yield self._row(
            "kube_pod_container_status_last_terminated_reason", ended, app, f'reason="{self.why}"'
        )

    def _used(self) -> Iterator[dict[str, str]]:
        app = 'container="app"'
        chance = random.Random(self.name)
        # Who starts wants all that there is.
        busy = [1.0 if 0 <= minute - self.first < STARTING else self.cpu(minute) for minute in range(MINUTES)]
        held_back = [some(chance, PERIODS, min(0.9, share**2)) for share in busy]
        yield self._row("container_cpu_cfs_periods_total", list(counter([PERIODS] * MINUTES)), app)
        yield self._row("container_cpu_cfs_throttled_periods_total", list(counter(held_back)), app)
        used = [MEMORY * self.memory(minute) * chance.uniform(0.95, 1.05) for minute in range(MINUTES)]
        yield self._row("container_memory_rss", used, app)
        yield self._row("container_oom_events_total", [0] * MINUTES, app)
        limit = ('resource="memory"', 'unit="byte"')
        yield self._row("kube_pod_container_resource_limits", [MEMORY] * MINUTES, app, *limit)

    def _row(self, name: str, values: list[int | float | None] | list[int], *labels: str) -> dict[str, str]:
        there = [value if self.first <= minute < self.last else None for minute, value in enumerate(values)]
        return row(name, there, f'namespace="{self.namespace}"', f'pod="{self.name}"', *labels)


@dataclass(frozen=True)
class Job:
    """A Job that is made at `first` and has done its work after `takes` minutes."""

    name: str
    first: int
    takes: int

    def series(self) -> Iterator[dict[str, str]]:
        """The input series of promtool."""
        about = ('namespace="dashcam"', f'job_name="{self.name}"')
        ends = self.first + self.takes
        made = range(self.first, MINUTES)
        active = [int(minute < ends) if minute in made else None for minute in range(MINUTES)]
        yield row("kube_job_status_active", active, *about)
        began = [60 * self.first if minute in made else None for minute in range(MINUTES)]
        yield row("kube_job_status_start_time", began, *about)
        yield from Pod(f"{self.name}-x2v4q", lambda minute: 0.4, first=self.first, last=ends).series()
