"""Clocks that differ: which host is named, and that times are put right before they are compared."""

from __future__ import annotations

import dataclasses

import pytest
from unit.diagnose.made import series, span, trace

from dashcam.diagnose import clocks, slowness, telemetry_gaps
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.traced import traced
from dashcam.sources import Trace


def request(at: float, front: str, shop: str, ahead: float = 0.0, seconds: float = 0.01) -> Trace:
    """`front` calls `shop`, each on the host of this name; spans on host `off` are `ahead`."""
    inner = span("shop", "GET /items", at + 0.001, seconds)
    call = span("front", "GET", at, seconds + 0.002, *inner, kind="client")
    made = trace(span("front", "GET /", at, seconds + 0.003, *call))
    hosts = {"front": front, "shop": shop}
    moved = [
        dataclasses.replace(
            one,
            start=one.start + int((ahead if hosts[one.service] == "off" else 0.0) * 1e6),
            resource={
                **one.resource,
                "host.name": hosts[one.service],
                "service.instance.id": hosts[one.service],
            },
        )
        for one in made.spans
    ]
    return Trace(made.trace_id, tuple(moved))


def seen(before: list[Trace], during: list[Trace]) -> Observed:
    return Observed(0.0, 200.0, 100.0, before=before, during=during, detailed=True)


USUAL = [request(number, "a", "b") for number in range(20)]


@pytest.mark.parametrize("ahead", [7.0, -0.5])
def test_the_host_that_agrees_with_nobody_is_named_also_where_it_calls(ahead: float) -> None:
    during = [
        *(request(100 + n, "a", "b") for n in range(12)),
        *(request(100 + n, "off", "b", ahead) for n in range(12)),
    ]
    _, (cause,) = clocks.put_right(seen(USUAL, during))
    assert (cause.kind, cause.service, cause.subject) == ("clock", "front", "off")
    assert cause.since == pytest.approx(100, abs=0.1)
    assert ("ahead" if ahead > 0 else "behind") in cause.summary


def test_the_host_that_agrees_with_nobody_is_named_where_it_is_called() -> None:
    during = [
        *(request(100 + n, "a", "b") for n in range(12)),
        *(request(100 + n, "a", "off", 7.0) for n in range(12)),
    ]
    _, (cause,) = clocks.put_right(seen(USUAL, during))
    assert (cause.service, cause.subject) == ("shop", "off")
    assert "7.0 s ahead" in cause.summary


def test_spans_of_a_wrong_clock_are_compared_at_their_right_times() -> None:
    during = [request(100 + n, "a", "off", 7.0, seconds=0.5) for n in range(12)]
    right, _ = clocks.put_right(seen(USUAL, [*during, *(request(100 + n, "a", "b") for n in range(12))]))
    (cause,) = slowness.slow(right, traced(right))
    assert (cause.service, cause.subject) == ("shop", "GET /items")


def test_a_callee_that_goes_on_after_its_caller_has_left_has_no_wrong_clock() -> None:
    long = [request(100 + n, "a", "b") for n in range(12)]
    longer = [
        Trace(
            t.trace_id,
            tuple(dataclasses.replace(s, duration=9_000_000) if s.service == "shop" else s for s in t.spans),
        )
        for t in long
    ]
    assert clocks.put_right(seen(USUAL, longer))[1] == []


def test_what_jaeger_says_of_spans_that_it_moved_counts_too() -> None:
    warning = "This span's timestamps were adjusted by -2.5s"
    told = [
        Trace(
            t.trace_id,
            tuple(dataclasses.replace(s, warnings=(warning,)) if s.service == "shop" else s for s in t.spans),
        )
        for t in (request(100 + n, "a", "b") for n in range(12))
    ]
    right, (cause,) = clocks.put_right(seen(USUAL, told))
    assert (cause.service, cause.subject) == ("shop", "b")
    assert warning in cause.evidence[0].result
    assert right.during == told, "what the source has put right is moved twice"


@pytest.mark.parametrize(
    ("said", "seconds"), [("1m2.5s", 62.5), ("-15ms", -0.015), ("250µs", 0.00025), ("7s", 7.0)]
)
def test_jaegers_durations_are_read(said: str, seconds: float) -> None:
    warning = f"clock skew adjustment disabled; not applying calculated delta of {said}"
    assert clocks._told(warning) == pytest.approx(seconds)
    bounded = f"max clock skew adjustment delta of 10ms exceeded; not applying calculated delta of {said}"
    assert clocks._told(bounded) == pytest.approx(seconds)


def test_a_clock_that_always_differed_is_put_right_and_is_no_news() -> None:
    skewed = [request(n, "a", "off", 7.0) for n in range(20)]
    right, causes = clocks.put_right(seen(skewed, [request(100 + n, "a", "off", 7.0) for n in range(20)]))
    assert causes == []
    assert all(one.duration < 1e6 for one in right.during)


def test_a_few_odd_calls_are_no_clock() -> None:
    during = [
        *(request(100 + n, "a", "b") for n in range(12)),
        *(request(100 + n, "a", "off", 7.0) for n in range(3)),
    ]
    assert clocks.put_right(seen(USUAL, during))[1] == []


def test_a_clock_that_is_behind_brings_no_alarm_of_lines_that_do_not_arrive() -> None:
    labels = {"job": "shop"}
    written = {"lines": [series([3.0] * 40, labels=labels)], "versions": [series([1.0] * 40, labels=labels)]}
    quiet = Observed(0.0, 200.0, series=written, heard={"shop": 60.0})
    assert [cause.kind for cause in telemetry_gaps.gaps(quiet)] == ["no lines"]
    assert telemetry_gaps.gaps(quiet, {"shop"}) == []
