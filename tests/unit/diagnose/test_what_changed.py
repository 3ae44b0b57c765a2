"""Restarts, flags and versions as changes; whom a fault hits, since when; and answers that are not cached."""

from __future__ import annotations

import dataclasses

from unit.diagnose.made import series, span, trace

from dashcam.diagnose import changes, trace_causes, verdict, volumes
from dashcam.diagnose.findings import HARM, Cause
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.traced import traced
from dashcam.sources import Series, Trace

CAUSE = Cause("failing", "shop", "GET /", "shop fails", HARM, 1.0, since=62.0)


def observed(**named: list[Series]) -> Observed:
    return Observed(0.0, 120.0, series=named, detailed=True)


# -- restarts, flags, and services without metrics -------------------------------------------------


def test_a_single_restart_is_shown_with_what_fails_since() -> None:
    started = Series({"job": "shop", "instance": "a"}, ((0.0, -100.0), (50.0, -100.0), (60.0, 58.0)))
    seen = observed(started=[started])
    (one,) = changes.happened(seen)
    assert str(one) == "shop at a was started again since 00:00:58"
    assert changes.shown(CAUSE, [one]).details["change"] == str(one)


def of(version: str, at: float, **events: str) -> Trace:
    (made,) = span("shop", "GET /", at, 0.01, **events)
    return trace([dataclasses.replace(made, resource={"service.version": version})])


def test_a_version_that_only_spans_tell_is_a_change_and_a_lone_early_span_is_none() -> None:
    before, during = [of("1", float(n)) for n in range(20)], [of("2", 60.0 + n) for n in range(9)]
    seen = dataclasses.replace(observed(), before=before, during=during)
    (one,) = changes.happened(seen)
    assert (one.version, str(one)) == ("2", "version 2 of shop runs since 00:01:00")
    assert changes.happened(dataclasses.replace(observed(), before=before[:3], during=during)) == []


def test_a_flag_whose_variant_changes_is_a_change() -> None:
    def asked(at: float, variant: str) -> Trace:
        words = {"feature_flag.key": "new-basket", "feature_flag.result.variant": variant}
        (made,) = span("shop", "GET /", at, 0.01)
        return trace([dataclasses.replace(made, attributes={**made.attributes, **words})])

    before, during = [asked(float(n), "off") for n in range(20)], [asked(60.0 + n, "on") for n in range(9)]
    (one,) = changes.happened(dataclasses.replace(observed(), before=before, during=during))
    assert str(one) == "the flag new-basket is on in shop since 00:01:00"


# -- whom it hits, and since when ------------------------------------------------------------------


def test_a_version_of_which_a_fifth_fails_is_named_as_the_scope() -> None:
    def asked(at: float, version: str, fails: bool) -> Trace:
        (made,) = span("shop", "GET /", at, 0.01, error="KeyError" if fails else "")
        return trace([dataclasses.replace(made, resource={"service.version": version})])

    before = [asked(float(n), "1", False) for n in range(40)]
    during = [asked(60 + n / 4, "2" if n % 2 else "1", n % 10 == 1) for n in range(200)]
    seen = dataclasses.replace(observed(), before=before, during=during)
    (cause,) = trace_causes.failing(seen, traced(seen))
    assert cause.scope == ("service.version = 2",)
    assert "20% of these are bad" in cause.details["scope"]
    both = [asked(60 + n / 4, "2" if n % 2 else "1", n % 10 < 2) for n in range(200)]
    (cause,) = trace_causes.failing(seen, traced(dataclasses.replace(seen, during=both)))
    assert cause.scope == ()


def test_a_small_symptom_that_came_early_does_not_tell_when_it_began() -> None:
    def route(name: str, points: list[float], asked: float) -> list[Series]:
        labels = {"job": "shop", "http_route": name, "http_request_method": "GET"}
        return [
            series([value * asked for value in points], labels=labels),
            series([asked] * 24, labels=labels),
        ]

    small, few = route("/odd", [0.01] * 4 + [0.12] * 20, 0.3)
    large, many = route("/items", [0.01] * 14 + [2.0] * 10, 10.0)
    assert verdict.onset(observed(time=[small], answers=[few])) == 20.0
    assert verdict.onset(observed(time=[small, large], answers=[few, many])) == 70.0


# -- cached answers --------------------------------------------------------------------------------


def uncached(agents: tuple[str, str]) -> list[str]:
    """A client with validators leaves, or the same one is answered in full."""

    def status(code: str, points: list[float]) -> Series:
        labels = {"job": "shop", "http_route": "/items", "http_response_status_code": code}
        return series(points, labels=labels)

    def asked(at: float, agent: str, code: int) -> Trace:
        words = {"http.route": "/items", "http.response.status_code": code, "user_agent.original": agent}
        (made,) = span("shop", "GET /items", at, 0.01)
        return trace([dataclasses.replace(made, attributes={**made.attributes, **words})])

    seen = dataclasses.replace(
        observed(answers=[status("304", [1.0] * 12 + [0.0] * 12), status("200", [1.0] * 12 + [2.0] * 12)]),
        before=[asked(float(n), agents[0], 304) for n in range(20)],
        during=[asked(62.0 + n, agents[1], 200) for n in range(20)],
    )
    return [cause.kind for cause in volumes.causes(seen, {})]


def test_a_client_that_is_answered_in_full_is_uncached_and_another_client_is_not() -> None:
    assert uncached(("browser", "browser")) == ["uncached"]
    assert uncached(("browser", "script")) == []
