"""What Prometheus sees of one instance of a service over a day."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from dashboards.tests.day.traffic import MINUTES, Rate, counter, poisson, row, some

Series = dict[str, str]
ROUTE = 'http_route="/cars"'
SPANS = 6
"""Of each request."""


@dataclass(frozen=True)
class Instance:
    """An instance that answers at `rate`; `failing` and `slow` are shares of its requests.

    It runs in the minutes from `first` to `last`, but for those in `away`, after which it counts from 0
    again. Without `unseen`, Prometheus is there and finds it down; with it, Prometheus is away as well.
    """

    name: str
    rate: Rate
    job: str = "car"
    failing: float = 0.0003
    slow: float = 0.003
    first: int = 0
    last: int = MINUTES
    away: range = range(0)
    unseen: bool = False
    version: str = "1"

    def series(self, seed: int) -> Iterator[Series]:
        """The input series of promtool."""
        chance = random.Random(f"{seed} {self.job} {self.name}")
        asked = [poisson(chance, self.rate(minute)) for minute in range(MINUTES)]
        failed = [some(chance, number, self.failing) for number in asked]
        well = [a - f for a, f in zip(asked, failed, strict=True)]
        fast = [number - some(chance, number, self.slow) for number in well]
        family = "http_server_request_duration_seconds"
        yield self._counted(f"{family}_count", well, ROUTE, 'http_response_status_code="200"')
        yield self._counted(f"{family}_count", failed, ROUTE, 'http_response_status_code="500"')
        for code, events in (("200", fast), ("500", failed)):
            labels = (ROUTE, f'http_response_status_code="{code}"', 'le="0.25"')
            yield self._counted(f"{family}_bucket", events, *labels)
        yield self._counted("log_records_total", failed, 'severity="ERROR"')
        yield self._counted("log_records_total", asked, 'severity="INFO"')
        spans = [SPANS * number for number in asked]
        for name in ("otel_sdk_processor_span_processed_total", "otel_sdk_exporter_span_exported_total"):
            yield self._counted(name, spans, 'error_type=""')
        # What has come since the last batch left, a second ago at most.
        waiting = [poisson(chance, SPANS * self.rate(minute) / 120) for minute in range(MINUTES)]
        yield self._gauge("otel_sdk_processor_span_queue_size", waiting)
        yield self._gauge("otel_sdk_processor_span_queue_capacity", [2048] * MINUTES)
        busy = [min(8, poisson(chance, self.rate(minute) / 60 * 0.05)) for minute in range(MINUTES)]
        yield self._gauge("http_server_active_requests", busy, 'http_request_method="GET"')
        yield self._gauge("dashcam_server_threads", [8] * MINUTES)
        yield self._gauge("dashcam_dependency_up", [1] * MINUTES, 'dependency="database"')
        yield self._gauge("dashcam_circuit_open", [0] * MINUTES, 'dependency="other"')
        starts = [60 * (self.away.stop if self._after(minute) else self.first) for minute in range(MINUTES)]
        yield self._gauge("process_start_time_seconds", starts)
        yield self._gauge("dashcam_build_info", [1] * MINUTES, f'version="{self.version}"', 'revision="r"')
        yield self._row("up", [self._up(minute) for minute in range(MINUTES)])

    def _after(self, minute: int) -> bool:
        return bool(self.away) and minute >= self.away.stop

    def _runs(self, minute: int) -> bool:
        return self.first <= minute < self.last and minute not in self.away

    def _up(self, minute: int) -> int | None:
        if self._runs(minute):
            return 1
        return 0 if minute in self.away and not self.unseen else None

    def _counted(self, name: str, events: list[int], *labels: str) -> Series:
        """A counter; it has no series before its first event, as in a real service."""
        running = [number if self._runs(minute) else 0 for minute, number in enumerate(events)]
        cut = self.away.stop if self.away else 0
        totals = [*counter(running[:cut]), *counter(running[cut:])]
        seen = [total if self._runs(m) and total else None for m, total in enumerate(totals)]
        return self._row(name, seen, *labels)

    def _gauge(self, name: str, values: list[int], *labels: str) -> Series:
        return self._row(name, [v if self._runs(m) else None for m, v in enumerate(values)], *labels)

    def _row(self, name: str, values: list[int | None], *labels: str) -> Series:
        return row(name, values, f'job="{self.job}"', f'instance="{self.name}"', *labels)
