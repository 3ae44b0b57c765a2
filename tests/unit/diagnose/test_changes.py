"""What came with a fault, what makes an answer less sure, and lines that do not arrive."""

from __future__ import annotations

import dataclasses

from unit.diagnose.made import series, span, trace

from dashcam.diagnose import (
    changes,
    contention,
    follows,
    processes,
    slowness,
    support,
    telemetry_gaps,
    verdict,
    volumes,
)
from dashcam.diagnose.findings import HARM, WASTE, Cause, Evidence, Step, Symptom
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.traced import traced
from dashcam.sources import Series, Trace

START, END = 0.0, 120.0


def later(points: list[float], begin: float, labels: dict[str, str]) -> Series:
    return Series(labels, tuple((begin + 5 * n, value) for n, value in enumerate(points)))


def observed(**named: list[Series]) -> Observed:
    return Observed(START, END, series=named, queries={"versions": "target_info"}, detailed=True)


def instance(name: str, version: str, begin: float) -> Series:
    labels = {"job": "shop", "instance": name, "service_version": version}
    return later([1.0] * int((END - begin) / 5), begin, labels)


CAUSE = Cause("failing", "shop", "GET /", "shop fails", HARM, 1.0, since=62.0)


# -- deploys ---------------------------------------------------------------------------------------


def test_a_version_that_came_shortly_before_a_cause_is_shown_with_it() -> None:
    seen = observed(versions=[instance("a", "1", START), instance("b", "2", 55)])
    shown = changes.shown(CAUSE, changes.happened(seen))
    assert shown.details["change"] == "version 2 of shop runs at b since 00:00:55"
    assert shown.evidence[-1].query == 'target_info{job="shop"}'


def test_another_instance_of_the_same_version_is_no_new_version() -> None:
    seen = observed(versions=[instance("a", "1", START), instance("b", "1", 55)])
    (came,) = changes.happened(seen)
    assert str(came) == "a new shop runs at b since 00:00:55"


def test_what_came_long_before_or_elsewhere_is_not_shown() -> None:
    seen = observed(versions=[instance("a", "1", START), instance("b", "2", 25)])
    late = dataclasses.replace(CAUSE, since=118.0)
    assert changes.shown(late, changes.happened(seen)) == late
    other = dataclasses.replace(CAUSE, service="front")
    assert changes.shown(other, changes.happened(seen)) == other


def test_what_was_there_from_the_beginning_is_no_arrival() -> None:
    assert changes.happened(observed(versions=[instance("a", "1", START), instance("b", "2", 5)])) == []


def test_a_service_that_itself_began_in_the_time_is_no_change_of_it() -> None:
    assert changes.happened(observed(versions=[instance("a", "1", 55)])) == []


def test_where_something_came_it_is_not_said_that_nothing_was_deployed() -> None:
    started = [series([START - 100] * 24, labels={"job": "shop"})]
    calm = observed(versions=[instance("a", "1", START)], started=started)
    busy = observed(versions=[instance("a", "1", START), instance("b", "2", 55)], started=started)
    said = "nothing was deployed or restarted in this time"
    assert said in verdict.judge(calm).ruled_out
    assert said not in verdict.judge(busy).ruled_out


# -- a machine that is short of time ---------------------------------------------------------------


def scrapes(during: float, targets: int = 4) -> list[Series]:
    return [series([0.02] * 12 + [during] * 12, labels={"instance": str(n)}) for n in range(targets)]


def test_a_machine_on_which_all_scrapes_take_longer_is_told_and_lowers_the_confidence() -> None:
    short = observed(scrapes=scrapes(0.6))
    (note,) = contention.noted(short)
    assert "answer a scrape in 600 ms instead of 20 ms" in note
    assert verdict.judge(short).notes == (note,)


def test_one_slow_target_is_no_short_machine() -> None:
    assert contention.noted(observed(scrapes=[*scrapes(0.02), *scrapes(0.6, targets=1)])) == []
    assert contention.noted(observed(scrapes=scrapes(0.6, targets=2))) == []


def request(at: float, own: float = 0.005, callee: float = 0.01, item: str = "1") -> Trace:
    inner = span("shop", "GET /items/{id}", at, callee, http_route="/items/{id}", url_path=f"/items/{item}")
    return trace(
        span("front", "GET /", at, own + callee, *span("front", "GET", at, callee, *inner, kind="client"))
    )


BEFORE = [request(n) for n in range(30)]
CALM = [series([0.2] * 24, labels={"job": "shop", "http_route": "/items/{id}", "http_request_method": "GET"})]


def slow(during: list[Trace], **more: list[Series]) -> list[Cause]:
    seen = dataclasses.replace(observed(answers=CALM, time=CALM, **more), before=BEFORE, during=during)
    return slowness.slow(seen, traced(seen))


def test_a_few_slow_traces_that_no_metric_confirms_and_nothing_unites_are_no_cause() -> None:
    assert slow([request(60 + n, callee=0.5 if n % 7 == 0 else 0.01, item=str(n)) for n in range(40)]) == []


def test_slowness_of_those_that_have_something_in_common_needs_no_metric() -> None:
    hit = [
        request(60 + n, callee=0.5 if n % 4 == 0 else 0.01, item="7" if n % 4 == 0 else "1")
        for n in range(40)
    ]
    assert [cause.scope for cause in slow(hit)] == [("id = 7",)]


def test_slowness_that_metrics_confirm_at_the_caller_is_a_cause() -> None:
    labels = {"job": "front", "http_route": "/", "http_request_method": "GET"}
    counted = [*CALM, series([1.0] * 24, labels=labels)]
    took = [*CALM, series([0.01] * 12 + [0.5] * 12, labels=labels)]
    during = [request(60 + n, callee=0.5, item=str(n)) for n in range(20)]
    seen = dataclasses.replace(observed(answers=counted, time=took), before=BEFORE, during=during)
    assert [cause.service for cause in slowness.slow(seen, traced(seen))] == ["shop"]


def test_what_was_under_way_when_everything_stood_still_is_no_cause() -> None:
    during = [request(60 + n, callee=0.5 if n < 9 else 0.01, item=str(n)) for n in range(40)]
    seen = dataclasses.replace(observed(), before=BEFORE, during=during)
    assert slowness.slow(seen, traced(seen)) == []


def on_a_busy_machine(*during: tuple[str, float]) -> set[str]:
    """The services that are named where each of these takes so long, and a millisecond is usual."""
    before = [trace(span(name, "GET /", n, 0.001)) for n in range(30) for name, _ in during]
    now = [trace(span(name, "GET /", 60 + n, seconds)) for n in range(30) for name, seconds in during]
    seen = dataclasses.replace(observed(scrapes=scrapes(0.6)), before=before, during=now)
    return {cause.service for cause in slowness.slow(seen, traced(seen))}


def test_on_a_busy_machine_what_stands_out_is_named_be_it_one_service_or_two() -> None:
    assert on_a_busy_machine(("a", 0.9), ("b", 0.2), ("c", 0.2)) == {"a"}
    assert on_a_busy_machine(("a", 0.6), ("b", 0.4), ("c", 0.15)) == {"a", "b"}


def test_on_a_busy_machine_no_service_of_many_is_to_blame() -> None:
    assert on_a_busy_machine(("a", 0.4), ("b", 0.3), ("c", 0.3), ("d", 0.2)) == set()


# -- lines -----------------------------------------------------------------------------------------

WRITTEN = [series([3.0] * 24, labels={"job": "shop"})]


def mute(heard: dict[str, float]) -> list[str]:
    seen = dataclasses.replace(observed(lines=WRITTEN, versions=[instance("b", "1", START)]), heard=heard)
    return [gap.kind for gap in telemetry_gaps.gaps(seen)]


def test_lines_that_are_written_and_do_not_arrive_are_missing() -> None:
    assert mute({"shop": 40.0}) == ["no lines"]
    assert mute({"shop": 110.0}) == []


def test_where_nobody_asked_for_lines_none_is_missing() -> None:
    assert mute({}) == []


def test_lines_that_one_instance_cannot_write_are_told_with_it() -> None:
    lost = [series([0.0] * 12 + [4.0] * 12, labels={"job": "shop", "instance": "b"})]
    (gap,) = telemetry_gaps.gaps(observed(lost=lost, versions=[instance("b", "1", START)]))
    assert gap.summary.startswith("shop at b could not write 4.0 log lines a second")


# -- warming up ------------------------------------------------------------------------------------


def growing(begin: float) -> list[str]:
    points = [100.0 + 20 * n for n in range(int((END - begin) / 5))]
    labels = {"job": "shop", "instance": "b"}
    seen = observed(samples=[later(points, begin, labels)], versions=[instance("a", "1", START)])
    return [cause.kind for cause in volumes.growing(seen)]


def test_the_series_of_an_instance_that_has_come_up_are_no_growth_without_end() -> None:
    assert growing(START) == ["series"]
    assert growing(60.0) == []


def test_what_was_started_just_before_is_no_growth_without_end() -> None:
    """On a slow machine its first scrapes fail, and its first requests take half a minute to come."""
    labels = {"job": "shop", "instance": "b"}
    page = series([0.0, 0.0, 0.0, *(400.0 + 15 * n for n in range(7))], labels=labels)
    seen = observed(samples=[page], started=[series([START - 3.0] * 10, labels=labels)])
    seen = dataclasses.replace(seen, series={**seen.series, "versions": [instance("b", "1", START)]})
    assert volumes.growing(seen) == []
    long_ago = {**seen.series, "started": [series([START - 600.0] * 10, labels=labels)]}
    page = series([*([400.0] * 3), *(400.0 + 15 * n for n in range(1, 8))], labels=labels)
    seen = dataclasses.replace(seen, series={**long_ago, "samples": [page]})
    assert [cause.kind for cause in volumes.growing(seen)] == ["series"]


# -- more work for each request --------------------------------------------------------------------

SLOW = Cause("slow", "shop", "GET /items", "shop is slow", HARM, 0.9)
LINES = Cause("log lines", "shop", "", "shop floods its log", WASTE, 1.0)


def test_more_work_for_each_request_is_why_its_service_is_slow() -> None:
    assert follows.weighed(LINES, [SLOW, LINES], {}).rank == HARM
    assert (
        follows.follows(SLOW, LINES, {}, observed()) == "it does more for each request: shop floods its log"
    )


def test_more_lines_do_not_explain_what_fails_there_or_is_wrong_further_down() -> None:
    fails = dataclasses.replace(SLOW, kind="failing")
    below = {"shop": {"store"}}
    store = dataclasses.replace(SLOW, service="store")
    assert follows.weighed(LINES, [SLOW, LINES, fails], {}) == LINES
    assert follows.weighed(LINES, [SLOW, LINES, store], below) == LINES
    assert follows.weighed(LINES, [dataclasses.replace(SLOW, scope=("id = 7",)), LINES], {}) == LINES
    assert follows.weighed(LINES, [LINES], {}) == LINES


# -- a slowness that only who waits for it feels ----------------------------------------------------

BELOW = {"front": {"shop", "store"}, "shop": {"store"}, "store": set[str]()}


def symptom(service: str, what: str = "is slow") -> Symptom:
    return Symptom(service, "GET /", what, Step(1.0, None, 0.1, 1.0), Evidence("metrics", "", service, ""))


def felt(cause: Cause, *symptoms: Symptom) -> list[str]:
    return [one.result for one in support.noticed(cause, symptoms, BELOW)]


def test_a_slowness_is_shown_in_the_figures_of_its_own_service_first() -> None:
    assert felt(SLOW, symptom("front"), symptom("shop"), symptom("store")) == ["shop"]


def test_a_slowness_that_its_own_figures_hide_is_shown_in_those_of_who_waits_for_it() -> None:
    assert felt(SLOW, symptom("front"), symptom("store")) == ["front GET /: front"]
    assert felt(SLOW, symptom("front", "fails"), symptom("store")) == []


def test_what_is_no_slowness_is_not_shown_in_the_figures_of_who_waits() -> None:
    assert felt(dataclasses.replace(SLOW, kind="failing"), symptom("front")) == []


# -- crash loops that end before they are seen -----------------------------------------------------


def test_an_instance_that_answers_one_scrape_and_is_away_again_keeps_ending() -> None:
    labels = {"job": "shop", "instance": "a"}
    up = series([1.0] * 10 + [0.0, 1.0, 0.0], labels=labels)
    started = Series(
        labels, tuple((time, 55.0 if time > 52 else -600.0) for time, value in up.points if value)
    )
    seen = observed(up=[up], started=[started], versions=[instance("a", "1", START)])
    found = {cause.kind for cause in processes.causes(seen)}
    assert "restarting" in found
    once = observed(up=[series([1.0] * 10 + [0.0, 1.0, 1.0], labels=labels)], started=[started])
    assert processes._restarting(once) == []


def test_what_was_away_for_a_moment_is_not_said_to_answer_every_scrape() -> None:
    up = [series([1.0] * 10 + [0.0] + [1.0] * 10, labels={"job": "shop", "instance": "a"})]
    said = verdict.judge(observed(up=up, versions=[instance("a", "1", START)])).ruled_out
    assert not [text for text in said if "every instance answers" in text]
