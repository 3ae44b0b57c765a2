"""Explanations side by side: what speaks for and against each, and when nothing decides."""

from __future__ import annotations

import dataclasses

from unit.diagnose.made import series, span, trace

from dashcam.diagnose import changes, hypotheses, report
from dashcam.diagnose.changes import Change
from dashcam.diagnose.findings import HARM, STOPPED, Cause, Diagnosis, Evidence, Rivals
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.traced import traced
from dashcam.sources import Series, Span, Trace

SINCE = 60.0
WAY = Cause(
    "slow", "shop", "GET /", "shop is slow", HARM, 1.0, since=SINCE, details={"edge": "front to shop"}
)
SHOWN = Evidence("metrics", "q", "r", "dashcam metrics q")


def asked(seen: Observed, *roots: Cause, came: tuple[Change, ...] = ()) -> list[Rivals]:
    return hypotheses.rivals(seen, traced(seen), roots, came)


def called(at: float, caller: str, way: float) -> Trace:
    inner = span("shop", "GET /", at + way, 0.01)
    return trace(
        span(caller, "GET /", at, way + 0.02, *span(caller, "GET", at, way + 0.015, *inner, kind="client"))
    )


def busy(share: float) -> list[Series]:
    return [series([share] * 24, labels={"job": "shop", "instance": "a"})]


def test_a_long_way_without_any_other_figure_cannot_be_told_apart_and_says_what_would() -> None:
    (one,) = asked(Observed(0.0, 120.0), WAY)
    assert one.open
    assert [each.supports for each in one.hypotheses] == [(), ()]
    assert "busy threads of shop" in one.test


def test_full_threads_of_the_callee_speak_for_its_queue() -> None:
    (one,) = asked(Observed(0.0, 120.0, series={"busy": busy(1.0)}), WAY)
    assert one.hypotheses[0].supports == ("at most 100% of the threads of shop were busy",)
    assert not one.open


def test_another_caller_that_is_answered_as_ever_speaks_for_the_network() -> None:
    before = [called(float(n), who, 0.001) for n in range(9) for who in ("front", "back")]
    during = [called(SINCE + n, "back", 0.001) for n in range(9)]
    during += [called(SINCE + n, "front", 0.5) for n in range(9)]
    seen = Observed(0.0, 120.0, before=before, during=during, series={"busy": busy(0.1)})
    (one,) = asked(seen, WAY)
    queue, network = one.hypotheses
    assert len(queue.contradicts) == 2
    assert network.supports == ("the way from back to shop has not grown longer too",)
    assert not one.open


SILENT = Cause("unanswered", "shop", "", "shop does not answer", STOPPED, 1.0, since=SINCE)


def test_an_instance_that_answers_scrapes_and_no_calls_leaves_it_open() -> None:
    seen = Observed(0.0, 120.0, series={"up": [series([1.0] * 24, labels={"job": "shop"})]})
    (one,) = asked(seen, SILENT)
    assert one.hypotheses[1].supports == ("1 of 1 of its instances answer scrapes",)


def test_a_name_that_does_not_resolve_raises_no_question() -> None:
    assert (
        asked(Observed(0.0, 120.0), dataclasses.replace(SILENT, details={"silence": "name does not resolve"}))
        == []
    )


# -- a change beside it ----------------------------------------------------------------------------

RELEASE = Change("shop", SINCE - 5, "version 2 of shop runs at b", SHOWN, "2")


def of_version(one: Span, version: str) -> Span:
    return dataclasses.replace(one, resource={**one.resource, "service.version": version})


def failing(versions: list[str]) -> tuple[Observed, Cause]:
    during = [
        trace([of_version(one, version) for one in span("shop", "GET /", SINCE + n, 0.01, error="KeyError")])
        for n, version in enumerate(versions)
    ]
    cause = Cause(
        "failing",
        "shop",
        "GET /",
        "shop fails",
        HARM,
        1.0,
        since=SINCE,
        traces=frozenset(one.trace_id for one in during),
    )
    return Observed(0.0, 120.0, during=during), cause


def test_what_fails_in_the_new_version_alone_speaks_for_the_release() -> None:
    seen, cause = failing(["2"] * 9)
    (one,) = asked(seen, cause, came=(RELEASE,))
    assert not one.open
    assert "9 of the requests that suffer are of version 2, 0 of others" in one.hypotheses[0].supports


def test_what_fails_in_the_old_version_as_well_speaks_against_the_release() -> None:
    seen, cause = failing(["1", "2"] * 5)
    (one,) = asked(seen, cause, came=(RELEASE,))
    brought, chance = one.hypotheses
    assert brought.contradicts
    assert chance.standing


def test_a_harmless_deploy_before_a_fault_elsewhere_is_ruled_out() -> None:
    seen = Observed(0.0, 120.0)
    elsewhere = dataclasses.replace(SILENT, service="stock")
    assert asked(seen, elsewhere, came=(RELEASE,))[0].about == "stock does not answer"
    (said,) = changes.ruled_out(seen, [RELEASE], [elsewhere])
    assert said.endswith("nothing is wrong at shop, but at stock")


def test_a_change_after_what_is_wrong_is_ruled_out_and_one_just_before_it_is_not() -> None:
    seen = Observed(0.0, 300.0)
    late = dataclasses.replace(RELEASE, at=SINCE + 200)
    (said,) = changes.ruled_out(seen, [late], [SILENT])
    assert "what is wrong was there before, since 00:01:00" in said
    assert changes.ruled_out(seen, [RELEASE], [SILENT]) == []
    assert changes.ruled_out(seen, [RELEASE], [])[0].endswith("nothing that was looked at differs for it")


# -- two in the same requests ----------------------------------------------------------------------


def test_two_causes_of_which_the_same_traces_suffer_are_shown_side_by_side() -> None:
    one = dataclasses.replace(SILENT, kind="failing", rank=HARM, traces=frozenset("abcdef"))
    other = dataclasses.replace(one, service="stock", summary="stock fails", traces=frozenset("abcde"))
    (both,) = asked(Observed(0.0, 120.0), one, other)
    assert both.hypotheses[1].contradicts == ("1 traces suffer from the other alone",)
    apart = dataclasses.replace(other, traces=frozenset("xyz"))
    assert asked(Observed(0.0, 120.0), one, apart) == []


def test_open_questions_are_part_of_the_answer() -> None:
    open_ones = tuple(asked(Observed(0.0, 120.0), WAY))
    answer = Diagnosis(0.0, 120.0, ("shop",), (), (), (WAY,), (), (), rivals=open_ones)
    said = report.text(answer)
    assert "Which is it? calls from front to shop wait before shop begins with them:" in said
    assert "The telemetry cannot tell these apart; this would: the busy threads of shop" in said
    assert report.document(answer)["rivals"][0]["open"] is True
