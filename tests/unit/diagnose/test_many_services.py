"""A diagnosis of hundreds of services asks each for little, and sees what it would if it asked for more."""

from __future__ import annotations

import itertools
import random
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from unit.diagnose.made import span, trace

from dashcam.diagnose import observe, places, searches, verdict
from dashcam.sources import Incomplete, LogLine, Sources, Trace, TraceQuery, TraceSummary

START, ONSET, END = 1_000.0, 1_400.0, 1_800.0
SERVICES = [f"service-{number:03}" for number in range(500)]
BUSY, FAILING, LARGE = SERVICES[0], SERVICES[1], SERVICES[2]


def kept() -> list[Trace]:
    """Traces of a busy service, of one that fails often, and few of each other, as each calls any others."""
    chosen = random.Random(23)
    every = [[BUSY, "orders"]] * 1000 + [[BUSY, FAILING]] * 300 + [[LARGE]] * 20
    every += [[first, *chosen.sample(SERVICES[3:], 5)] for first in SERVICES[2:]] * 2
    return [_chain(START + chosen.random() * (END - START), services, chosen) for services in every]


def _chain(start: float, services: list[str], chosen: random.Random) -> Trace:
    below: list[Any] = []
    for service in reversed(services):
        fails = service == FAILING or chosen.random() < 0.01
        below = span(service, "GET /", start, 0.1, *below, error="OSError" if fails else "")
    return trace(below)


class Searched:
    """Sources of these traces, that keep what they were asked; of LARGE one answer has room for one trace."""

    def __init__(self, traces: list[Trace], lines: list[LogLine]) -> None:
        self.asked: list[Any] = []
        self._traces = {
            service: sorted((one for one in traces if service in one.services), key=lambda one: -one.start)
            for service in SERVICES
        }
        self._lines = lines

    def sources(self) -> Sources:
        traces = SimpleNamespace(services=lambda: SERVICES, search=self.search, summaries=self._summaries)
        return cast(Sources, SimpleNamespace(traces=traces, logs=SimpleNamespace(search=self._said)))

    def search(self, query: TraceQuery) -> list[Trace]:
        self.asked.append(query)
        found = [one for one in self._traces[query.service] if self._matches(one, query)]
        return Incomplete(found[:1]) if query.service == LARGE and len(found) > 1 else found[: query.limit]

    def _matches(self, one: Trace, query: TraceQuery) -> bool:
        return query.start <= one.start <= query.end and any(
            part.service == query.service and (part.failed or not query.tags) for part in one.spans
        )

    def _summaries(self, query: TraceQuery) -> list[TraceSummary]:
        return [TraceSummary.of(trace) for trace in self.search(query)]

    def _said(self, query: Any) -> Any:
        self.asked.append(query)
        fit = [one for one in self._lines if query.start <= one.time <= query.end]
        fit = [one for one in fit if query.service in ("", one.service) and not query.level]
        return SimpleNamespace(lines=fit[: query.limit], total=len(fit))


def line(service: str, at: float) -> LogLine:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return LogLine({"service": service, "message": "hello", "timestamp": f"{moment}Z"})


@pytest.fixture(scope="module")
def traces() -> list[Trace]:
    return kept()


def test_few_searches_find_what_one_for_each_part_of_the_time_finds(traces: list[Trace]) -> None:
    searched = Searched(traces, [])
    sources, times = searched.sources(), [(START, ONSET), (ONSET, END)]
    asked = [BUSY, LARGE, *SERVICES[10:200]]
    found = searches.traces_of(sources, asked, SERVICES, times)
    few = len(searched.asked)
    every = set()
    for service, (start, end) in itertools.product(SERVICES, times):
        parts = searches.SLICES if service in asked else 0
        edges = [start + (end - start) / searches.SLICES * part for part in range(parts + 1)]
        queries: list[Any] = [(*part, {}) for part in itertools.pairwise(edges)]
        for after, before, tags in [*queries, (start, end, {"error": "true"})]:
            query = TraceQuery(service, int(after * 1e6), int(before * 1e6), tags=tags, limit=searches.TRACES)
            every |= {trace.trace_id for trace in searched.search(query)}
    assert {trace.trace_id for trace in found} == every
    assert len(every) < len(traces), "of the busy service not all are wanted"
    assert few < len(SERVICES) + 50 < (len(searched.asked) - few) / 4


def test_hundreds_of_services_are_diagnosed_in_seconds(traces: list[Trace]) -> None:
    lines = [line(service, END - number) for number, service in enumerate(SERVICES[:400])]
    searched = Searched(traces, lines)
    began = time.process_time()
    seen = observe.details(searched.sources(), observe.Observed(START, END), ONSET)
    verdict.judge(seen)
    assert time.process_time() - began < 12, "it was a minute, of which most went to who calls whom"
    assert len(searched.asked) < 2 * len(SERVICES) + 70
    assert seen.heard == {
        service: END - number if number < 400 else START for number, service in enumerate(SERVICES)
    }


def test_a_last_line_is_asked_for_where_the_newest_lines_do_not_tell() -> None:
    old, new = line("old", 1_100), line("new", 1_700)
    searched = Searched([], [new, old])
    heard = searches.last_lines(
        searched.sources(), ["old", "new", "mute"], (START, END), [new, old], [(0, 1_200_000_000)]
    )
    assert heard == {"old": 1_100, "new": 1_700, "mute": START}
    assert [query.service for query in searched.asked] == ["old", "mute"]


def test_whom_a_service_calls_near_and_far_is_followed_round_a_circle() -> None:
    chains = [["a", "b", "c"], ["c", "d"], ["d", "b"], ["e", "a"]]
    found = places.visits([_chain(START, services, random.Random(1)) for services in chains])
    circle = {"b", "c", "d"}
    assert places.callees(found) == {"a": circle, "b": circle, "c": circle, "d": circle, "e": circle | {"a"}}
