"""Diagnoses of recorded telemetry: what real runs looked like, whole, healthy, and with parts taken away.

The recordings in `recorded/` are of `dashcam scenario verify --record`, one for each scenario and named
like it.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import pytest

from dashcam.diagnose import recording, report
from dashcam.diagnose.findings import Diagnosis
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.verdict import judge, onset
from dashcam.lab.scenario import TELEMETRY, load
from dashcam.sources import Series

RECORDED = {
    path.name.split(".")[0]: path for path in sorted(Path(__file__).with_name("recorded").glob("*.gz"))
}
FROM_TRACES = sorted(
    name
    for name in RECORDED
    if all(set(one.kinds) & {"slow", "failing", "unanswered"} for one in load()[name].expect)
)
"""Those whose place only traces can tell."""
REQUESTS = sorted(
    name for name in RECORDED if not any(set(one.kinds) & TELEMETRY for one in load()[name].expect)
)


@cache
def seen(name: str) -> Observed:
    return recording.read(RECORDED[name])


@cache
def judged(name: str) -> Diagnosis:
    return judge(seen(name))


def until(one: Series, moment: float) -> Series:
    return dataclasses.replace(one, points=tuple(point for point in one.points if point[0] < moment))


def healthy(name: str) -> Observed:
    """The part of a recording in which nothing was wrong yet, as if it had been diagnosed then."""
    whole = seen(name)
    end = whole.before[-1].start / 1e6
    half = len(whole.before) // 2
    series = {
        query: [cut for one in found if (cut := until(one, end)).points]
        for query, found in whole.series.items()
    }
    border = whole.before[half].start / 1e6
    lines = [line for line in whole.lines_before if line.time < end * 1e6]
    early = dataclasses.replace(whole, end=end, onset=None, series=series, alerts=[])
    return dataclasses.replace(
        early,
        before=whole.before[:half],
        during=whole.before[half:],
        lines_before=[line for line in lines if line.time < border * 1e6],
        lines_during=[line for line in lines if line.time >= border * 1e6],
    )


def places(found: Diagnosis) -> set[str]:
    return {cause.service for cause in (*found.telemetry, *found.causes)}


def test_there_is_a_recording_for_most_scenarios() -> None:
    assert len(RECORDED) >= 12
    assert set(RECORDED) <= set(load())


@pytest.mark.parametrize("name", RECORDED)
def test_the_cause_is_named_first(name: str) -> None:
    met, named = load()[name].judged(judged(name))
    assert met, named


@pytest.mark.parametrize("name", RECORDED)
def test_every_signal_that_is_expected_speaks_for_it(name: str) -> None:
    scenario, found = load()[name], judged(name)
    assert scenario.silent(found) == ()
    assert {signal for one in scenario.expect for signal in one.signals} <= {"metrics", "traces", "logs"}


@pytest.mark.parametrize("name", RECORDED)
def test_before_the_fault_no_cause_is_named(name: str) -> None:
    found = judge(healthy(name))
    assert [cause.summary for cause in (*found.causes, *found.telemetry)] == []


@pytest.mark.parametrize("name", sorted(RECORDED)[:3])
def test_a_jaeger_that_answers_queries_and_traces_nothing_is_no_gap(name: str) -> None:
    calm = healthy(name)
    (answers, *_), versions = calm.named("answers"), calm.named("versions")
    asked = Series({"job": "jaeger", "http_route": "/api/traces"}, answers.points)
    series = {
        **calm.series,
        "answers": [*calm.named("answers"), asked],
        "versions": [*versions, Series({"job": "jaeger"}, versions[0].points)],
    }
    found = judge(dataclasses.replace(calm, series=series))
    assert [cause.summary for cause in found.telemetry] == []


@pytest.mark.parametrize("name", RECORDED)
def test_three_times_the_load_is_no_cause(name: str) -> None:
    calm = healthy(name)
    middle = (calm.start + calm.end) / 2
    counted = ("answers", "time", "calls", "statements", "lines", "cpu")
    busier = {
        query: [
            dataclasses.replace(
                one, points=tuple((t, value * (3 if t > middle else 1)) for t, value in one.points)
            )
            for one in found
        ]
        if query in counted
        else found
        for query, found in calm.series.items()
    }
    found = judge(dataclasses.replace(calm, series=busier))
    assert [cause.summary for cause in (*found.causes, *found.telemetry)] == []


@pytest.mark.parametrize("name", RECORDED)
def test_each_cause_rests_on_an_answer_that_is_shown_with_a_command(name: str) -> None:
    found = judged(name)
    said = report.text(found)
    for cause in (*found.causes, *found.telemetry):
        assert cause.evidence
        for evidence in cause.evidence:
            assert evidence.query
            assert evidence.command.startswith("dashcam ")
            assert evidence.result in said


@pytest.mark.parametrize("name", RECORDED)
def test_the_onset_is_found_again_from_the_metrics(name: str) -> None:
    # As it was recorded, or one scrape earlier: older recordings are of a program that knew less.
    assert onset(seen(name)) == pytest.approx(seen(name).onset, abs=6)


# -- mutations -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REQUESTS)
def test_without_traces_it_says_so_first_and_is_not_healthy(name: str) -> None:
    found = judge(dataclasses.replace(seen(name), before=[], during=[]))
    assert not found.healthy
    assert {gap.kind for gap in found.telemetry} >= {"no spans"}
    assert "THE TELEMETRY IS NOT WHOLE" in report.text(found)


@pytest.mark.parametrize("name", RECORDED)
def test_without_metrics_it_says_so_first_and_is_not_healthy(name: str) -> None:
    away = {"Prometheus": "Prometheus at http://127.0.0.1:9090: nothing answers there."}
    found = judge(dataclasses.replace(seen(name), series={}, queries={}, alerts=[], away=away))
    assert not found.healthy
    assert found.telemetry[0].kind == "source away"


@pytest.mark.parametrize("name", FROM_TRACES)
def test_without_logs_the_place_is_the_same_and_no_log_is_quoted(name: str) -> None:
    found = judge(dataclasses.replace(seen(name), lines_before=[], lines_during=[]))
    first, whole = found.causes[0], judged(name).causes[0]
    assert (first.kind, first.service, first.subject) == (whole.kind, whole.service, whole.subject)
    assert not [e for cause in found.causes for e in cause.evidence if e.signal == "logs"]


def test_a_signal_that_does_not_speak_for_the_cause_is_told() -> None:
    scenario, whole = load()["minus-failing-for-some"], seen("minus-failing-for-some")
    found = judge(dataclasses.replace(whole, lines_before=[], lines_during=[]))
    assert scenario.judged(found)[0]
    assert scenario.silent(found) == ("logs",)


def test_a_slowness_too_small_for_the_services_own_figures_is_shown_in_those_of_its_caller() -> None:
    scenario, whole = load()["car-query-slow-for-one-maker"], seen("car-query-slow-for-one-maker")
    times = [one for one in whole.named("time") if one.labels["job"] != "car"]
    found = judge(dataclasses.replace(whole, series={**whole.series, "time": times}))
    assert scenario.judged(found)[0]
    assert scenario.silent(found) == ()
    (metrics,) = [one for one in found.causes[0].evidence if one.signal == "metrics"]
    assert metrics.result.startswith("web GET /cars/")


@pytest.mark.parametrize("name", FROM_TRACES)
def test_traces_that_come_late_change_no_place(name: str) -> None:
    whole = seen(name)
    arrived = [trace for trace in whole.during if trace.start / 1e6 < whole.end - 10]
    found = judge(dataclasses.replace(whole, during=arrived))
    assert places(found) <= places(judge(whole))


@pytest.mark.parametrize("name", FROM_TRACES)
def test_metrics_that_come_two_scrapes_late_change_no_cause(name: str) -> None:
    whole = seen(name)
    series = {
        query: [cut for one in found if (cut := until(one, whole.end - 10)).points]
        for query, found in whole.series.items()
    }
    met, named = load()[name].judged(judge(dataclasses.replace(whole, series=series)))
    assert met, named


@pytest.mark.parametrize("name", REQUESTS)
def test_sampled_at_one_percent_it_says_so_and_blames_nobody_else(name: str) -> None:
    whole = seen(name)
    found = judge(dataclasses.replace(whole, before=whole.before[::100], during=whole.during[::100]))
    assert found.notes or found.telemetry
    named = places(found) - {gap.service for gap in found.telemetry}
    # A callee of which no trace is left is named by the address that its caller knows.
    assert {one for one in named if ":" not in one} <= places(judge(whole))
    for cause in found.causes:
        assert found.confidence(cause) != "high"
