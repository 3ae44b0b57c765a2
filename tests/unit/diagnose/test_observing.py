"""Which stretches of time the diagnosis asks about, where scrapes are as rare as in a cluster."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any, cast

from dashcam.diagnose import evidence, observe
from dashcam.sources import Incomplete, LogQuery, Series, Sources, TraceQuery

START, END, ONSET = 10_000.0, 10_600.0, 10_300.0


class Asked:
    """Sources that answer next to nothing, of traces that there are more, and keep what they were asked."""

    def __init__(self, scrape: float) -> None:
        self.scrape = scrape
        self.traces: list[TraceQuery] = []
        self.lines: list[LogQuery] = []

    def sources(self) -> Sources:
        metrics = SimpleNamespace(range=self._range, alerts=list)
        traces = SimpleNamespace(services=lambda: ["shop"], search=self._traces, summaries=lambda query: [])
        logs = SimpleNamespace(search=self._lines)
        return cast(Sources, SimpleNamespace(metrics=metrics, traces=traces, logs=logs))

    def _range(self, promql: str, start: float, end: float, step: float) -> list[Series]:
        if not promql.startswith("timestamp(up)"):
            return []
        # The time of the newest scrape, asked every two seconds.
        times = [start + 2 * n for n in range(int((end - start) / 2))]
        return [Series({}, tuple((time, time // self.scrape * self.scrape) for time in times))]

    def _traces(self, query: TraceQuery) -> list[Any]:
        self.traces.append(query)
        return Incomplete()

    def _lines(self, query: LogQuery) -> Any:
        self.lines.append(query)
        return SimpleNamespace(lines=[])


def seen(asked: Asked) -> observe.Observed:
    sources = asked.sources()
    return observe.details(sources, observe.metrics(sources, START, END), ONSET)


def test_a_rate_looks_back_over_three_scrapes() -> None:
    assert "[45s]" in seen(Asked(15)).queries["cpu"]
    assert "[15s]" in seen(Asked(5)).queries["cpu"]


def test_what_a_rate_still_remembers_counts_for_neither_side() -> None:
    for scrape in (5, 15):
        asked = Asked(scrape)
        seen(asked)
        usual = [one for one in asked.traces if one.end <= ONSET * 1e6]
        assert max(one.end for one in usual) == (ONSET - 3 * scrape) * 1e6
        calm = [one for one in asked.lines if one.level and one.end and one.end <= ONSET * 1e6]
        assert max(one.end for one in calm if one.end) == (ONSET - 3 * scrape) * 1e6


def test_failures_are_looked_for_from_where_no_rate_could_show_them_yet() -> None:
    asked = Asked(15)
    seen(asked)
    first = (ONSET - 15 / 2 - 45) * 1e6
    assert any(one.start <= first < one.end for one in asked.traces if one.tags)


def test_a_command_for_a_past_time_names_it_and_one_for_now_does_not() -> None:
    then = seen(Asked(15))
    assert not then.live
    command = evidence.metric(then, "answers", "more").command
    assert command.endswith("--range 10m --at 1970-01-01T02:56:40")
    now = dataclasses.replace(then, live=True)
    assert evidence.metric(now, "answers", "more").command.endswith("--range 10m")


def test_a_command_is_short_enough_to_type() -> None:
    command = evidence.metric(seen(Asked(15)), "answers", "more").command
    assert len(command) < 220
    assert " offset " not in command
