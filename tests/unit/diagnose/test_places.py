"""Causes from traces made by hand: what is slow, where failures begin, what the bad ones share."""

from __future__ import annotations

import dataclasses
from typing import Any

from unit.diagnose.made import series, span, trace

from dashcam.diagnose import continuity, trace_causes, verdict
from dashcam.diagnose.contrast import features, scope_of
from dashcam.diagnose.findings import STOPPED, Cause
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.places import owners, visits
from dashcam.diagnose.traced import traced as laid_out
from dashcam.sources import LogLine, Span, Trace

CALL = "http://shop:80/items"


def request(
    at: float,
    *,
    callee: float = 0.01,
    own: float = 0.005,
    item: str = "1",
    error: str = "",
    answer: bool = True,
) -> Trace:
    """A caller `front` that asks `shop` for an item: of a system that is not the example's."""
    inner = span("shop", "GET /items/{id}", at + own, callee, error=error, http_route="/items/{id}")
    inner[0].attributes["url.path"] = f"/items/{item}"  # type: ignore[index]
    called = span("front", "GET", at + own, callee, *(inner if answer else ()), kind="client", error=error)
    called[0].attributes["url.full"] = CALL  # type: ignore[index]
    if not error:
        called[0].attributes["http.response.status_code"] = 200  # type: ignore[index]
    return trace(span("front", "GET /", at, own + callee, *called, error=error))


def seen(before: list[Trace], during: list[Trace]) -> Observed:
    return Observed(0.0, 200.0, 100.0, before=before, during=during, detailed=True)


def found(before: list[Trace], during: list[Trace]) -> list[Cause]:
    observed = seen(before, during)
    traced = laid_out(observed)
    return [*trace_causes.causes(observed, traced), *continuity.broken(observed, traced)]


USUAL = [request(number) for number in range(30)]


def test_a_system_that_is_as_it_was_has_no_cause() -> None:
    assert found(USUAL, [request(100 + number) for number in range(30)]) == []


def test_a_slow_callee_is_blamed_and_not_its_caller() -> None:
    causes = found(USUAL, [request(100 + number, callee=0.5) for number in range(20)])
    assert [(cause.kind, cause.service, cause.subject) for cause in causes] == [
        ("slow", "shop", "GET /items/{id}")
    ]


def test_a_slow_caller_is_blamed_and_not_its_callee() -> None:
    causes = found(USUAL, [request(100 + number, own=0.5) for number in range(20)])
    assert [(cause.kind, cause.service) for cause in causes] == [("slow", "front")]


def test_two_slow_places_are_both_named() -> None:
    during = [request(100 + number, own=0.4, callee=0.5) for number in range(20)]
    assert {cause.service for cause in found(USUAL, during)} == {"front", "shop"}


def test_slowness_of_some_is_told_by_what_they_share() -> None:
    during = [
        request(100 + n, callee=0.5 if n % 4 == 0 else 0.01, item="7" if n % 4 == 0 else "1")
        for n in range(40)
    ]
    (cause,) = found(USUAL, during)
    assert cause.scope == ("id = 7",)


def test_one_visit_of_an_unfinished_trace_does_not_hide_what_the_slow_ones_share() -> None:
    """Only requests for item 7 get to the slow place; one trace has arrived in part: nobody waits in it."""

    def asked(at: float, item: str, wait: float = 0.0) -> Trace:
        query = span("shop", "SELECT slow", at + 0.001, wait) if wait else ()
        inner = span("shop", "GET /items/{id}", at, wait + 0.01, *query, http_route="/items/{id}")
        inner[0].attributes["url.path"] = f"/items/{item}"  # type: ignore[index]
        return trace(inner)

    during = [asked(100 + n, "7" if n % 4 == 0 else "1", 0.4 if n % 4 == 0 else 0.0) for n in range(80)]
    during.append(asked(190, "7", 0.0001))
    causes = found([asked(n, "1") for n in range(30)], during)
    assert [(cause.subject, cause.scope) for cause in causes] == [("SELECT slow", ("id = 7",))]


def test_a_failure_is_blamed_on_the_deepest_that_failed() -> None:
    causes = found(USUAL, [request(100 + number, error="ValueError") for number in range(10)])
    assert [(cause.kind, cause.service, cause.details["error"]) for cause in causes] == [
        ("failing", "shop", "ValueError")
    ]


def test_a_call_without_an_answer_is_blamed_on_the_one_who_was_called() -> None:
    during = [request(100 + number, error="ReadTimeoutError", answer=False) for number in range(10)]
    (cause,) = found(USUAL, during)
    assert (cause.kind, cause.service, cause.rank) == ("unanswered", "shop", STOPPED)


def test_failures_that_were_always_there_are_no_cause() -> None:
    before = [request(number, error="ValueError" if number % 3 == 0 else "") for number in range(30)]
    during = [request(100 + n, error="ValueError" if n % 3 == 0 else "") for n in range(30)]
    assert found(before, during) == []


def cut(at: float) -> list[Trace]:
    """A call whose context did not arrive: two traces where there was one."""
    caller = request(at, answer=False)
    server = span("shop", "GET /items/{id}", at, 0.01, user_agent_original="front/1")
    return [caller, trace(server)]


def test_traces_that_are_cut_between_two_services_are_told() -> None:
    during = [one for number in range(12) for one in cut(100 + number)]
    (cause,) = found(USUAL, during)
    assert (cause.kind, cause.details["caller"], cause.details["callee"]) == ("cut traces", "front", "shop")


def test_calls_that_cannot_be_seen_for_lack_of_spans_are_no_cut_traces() -> None:
    during = [request(100 + number, answer=False) for number in range(12)]
    assert [cause.kind for cause in found(USUAL, during)] == []


def test_who_answers_where_is_learned_from_the_traces() -> None:
    assert owners(visits(USUAL)) == {"shop:80": "shop"}


def test_a_threshold_tells_bad_ones_apart() -> None:
    every = [request(number, item=str(number)) for number in range(40)]
    shop = [one for one in visits(every) if one.span.service == "shop"]
    scope, figures = scope_of(shop[30:], shop[:30])
    assert scope == ("id at least 30",)
    assert figures["scope"] == "id at least 30: 10 of 10 bad ones, 0 of 30 good ones"


def test_bad_ones_that_differ_in_nothing_have_no_scope() -> None:
    shop = [one for one in visits(USUAL) if one.span.service == "shop"]
    assert scope_of(shop[:15], shop[15:]) == ((), {})


def test_a_route_of_any_framework_gives_the_parameters_of_its_path() -> None:
    for route in ("/items/{id}", "/items/<id>", "/items/<int:id>"):
        one = span("shop", "GET", 0, 0.01, http_route=route)
        one[0].attributes["url.path"] = "/items/9"  # type: ignore[index]
        (visit,) = visits([trace(one)])
        assert features(visit)["id"] == "9"


def test_a_trace_without_its_root_is_diagnosed_too() -> None:
    orphans = [Trace(one.trace_id, one.spans[1:]) for one in USUAL]
    slow = [request(100 + number, callee=0.5) for number in range(20)]
    during = [Trace(one.trace_id, tuple[Span, ...](one.spans[1:])) for one in slow]
    assert [cause.service for cause in found(orphans, during)] == ["shop"]


def on(one: Trace, **resource: str) -> Trace:
    """The same trace, with the callee's spans from this version or instance."""
    named = {name.replace("_", "."): value for name, value in resource.items()}
    return Trace(
        one.trace_id,
        tuple(
            dataclasses.replace(span, resource={**span.resource, **named}) if span.service == "shop" else span
            for span in one.spans
        ),
    )


def test_a_version_that_fails_while_another_does_not_is_named() -> None:
    before = [on(one, service_version="1") for one in USUAL]
    during = [
        on(request(100 + n, error="KeyError" if n % 2 else ""), service_version="2" if n % 2 else "1")
        for n in range(24)
    ]
    (cause,) = found(before, during)
    assert (cause.service, cause.scope) == ("shop", ("service.version = 2",))


def test_an_instance_that_is_slow_while_others_are_not_is_named() -> None:
    before = [on(one, service_instance_id="abc"[n % 3]) for n, one in enumerate(USUAL)]
    during = [
        on(request(100 + n, callee=0.01 if n % 3 else 0.6), service_instance_id="abc"[n % 3])
        for n in range(36)
    ]
    (cause,) = found(before, during)
    assert (cause.service, cause.scope) == ("shop", ("service.instance.id = a",))


def test_what_is_over_says_until_when_and_ranks_below_what_lasts() -> None:
    """A service that was restarted: for a moment nobody answered, and ever since it fails."""
    gap = [request(100 + n / 2, error="NewConnectionError", answer=False) for n in range(10)]
    since = [request(105 + n, error="ProgrammingError") for n in range(60)]
    found = verdict.judge(dataclasses.replace(seen(USUAL, gap + since), end=165.0))
    assert [(cause.kind, cause.details["error"]) for cause in found.causes] == [
        ("failing", "ProgrammingError"),
        ("unanswered", "NewConnectionError"),
    ]
    lasting, gone = found.causes
    assert lasting.until is None
    assert gone.until is not None
    assert 104 < gone.until < 105


def test_failures_that_come_now_and_then_are_not_over_in_a_pause() -> None:
    often = [request(100 + n, error="ValueError" if n % 12 == 0 else "") for n in range(60)]
    observed = dataclasses.replace(seen(USUAL, often), end=180.0)  # the last one was at 148
    (cause,) = trace_causes.causes(observed, laid_out(observed))
    assert cause.until is None


def test_where_nobody_asks_any_more_nothing_is_over() -> None:
    during = [request(100 + number, error="ValueError") for number in range(10)]
    (cause,) = found(USUAL, during)
    assert cause.until is None


# -- other spellings and frameworks ----------------------------------------------------------------


def test_parameters_of_other_frameworks_are_read() -> None:
    express = trace(span("shop", "GET /items/:id", 0, 0.1, http_route="/items/:id", url_path="/items/7"))
    asgi = trace(span("shop", "GET /items", 0, 0.1, url_full="http://shop/items?customer=12"))
    assert features(visits([express])[0])["id"] == "7"
    assert features(visits([asgi])[0])["customer"] == "12"


def test_a_failure_is_called_by_the_exception_and_not_by_a_frameworks_step_below_it() -> None:
    def refused(at: float) -> Trace:
        step = span("shop", "GET /items http send", at + 0.01, 0.001, kind="internal")
        step[0] = dataclasses.replace(step[0], attributes={**step[0].attributes, "error": True})
        return trace(span("shop", "GET /items", at, 0.1, *step, error="PoolTimeout"))

    (cause,) = found(USUAL, [refused(100 + n) for n in range(10)])
    assert cause.details["error"] == "PoolTimeout"


def test_an_error_whose_name_says_nothing_is_told_by_its_message() -> None:
    def refused(at: float) -> Trace:
        spans = span("shop", "GET /items", at, 0.1, error="errorString")
        event = dataclasses.replace(
            spans[0].events[0],
            attributes={"exception.type": "*errors.errorString", "exception.message": "no space left"},
        )
        return trace([dataclasses.replace(spans[0], events=(event,))])

    (cause,) = found(USUAL, [refused(100 + n) for n in range(10)])
    assert "ends in «no space left»" in cause.summary


def test_who_is_refused_at_once_follows_from_what_keeps_the_service_from_it() -> None:
    """Four wait for a lock and fail; the forty that come meanwhile are turned away at the door."""

    def stuck(at: float) -> Trace:
        lock = span("shop", "BEGIN", at, 5.0, kind="client", error="OperationalError", db_query_text="BEGIN")
        return trace(span("shop", "PUT /items", at, 5.0, *lock, error="Problem"))

    def refused(at: float, took: float = 0.002) -> Trace:
        (door,) = span("shop", "PUT /items", at, took, error="503")
        door.attributes["http.response.status_code"] = 503  # type: ignore[index]
        return trace([door])

    def well(at: float) -> Trace:
        return trace(span("shop", "PUT /items", at, 0.005, *span("shop", "BEGIN", at, 0.001, kind="client")))

    before = [well(number) for number in range(40)]
    waiting = [stuck(100 + 2 * number) for number in range(4)]
    answer = verdict.judge(seen(before, [*waiting, *(refused(101 + number) for number in range(40))]))
    assert [cause.details.get("statement") for cause in answer.causes if cause.kind == "failing"] == ["BEGIN"]
    assert "refuses at once while others wait" in " ".join(why for _, why in answer.effects)
    alone = verdict.judge(seen(before, [refused(101 + number) for number in range(40)]))
    assert [cause.kind for cause in alone.causes] == ["failing"]
    slowly = [refused(101 + number, took=0.5) for number in range(40)]
    assert (
        len([c for c in verdict.judge(seen(before, [*waiting, *slowly])).causes if c.kind == "failing"]) == 1
    )


def test_what_is_missed_where_an_open_circuit_refuses_follows_from_what_opened_it() -> None:
    """Few requests reach what fails; the many that are refused since do not say what they said before."""

    def order(at: float, status: int, *below: Any) -> Trace:
        call = span("front", "GET", at, 0.1, *below, kind="client")
        own, *others = span("front", "POST /orders", at, 0.2, *call)
        own = dataclasses.replace(own, attributes={**own.attributes, "http.response.status_code": 202})
        assert others[1].service == "shop"
        others[1] = dataclasses.replace(
            others[1], attributes={**others[1].attributes, "http.response.status_code": status}
        )
        return trace([own, *others])

    def asking(at: float, error: str = "") -> Trace:
        stock = span("stock", "GET /stock", at, 0.02, error=error)
        call = span("shop", "GET", at, 0.03, *stock, kind="client", error=error)
        return order(at, 500 if error else 200, *span("shop", "GET /price", at, 0.05, *call, error=error))

    def refused(at: float) -> Trace:
        cached = span("shop", "SELECT prices", at, 0.001, kind="client", db_query_text="SELECT 1")
        return order(at, 503, *span("shop", "GET /price", at, 0.002, *cached, error="CircuitOpen"))

    before = [asking(number) for number in range(40)]
    during = [asking(100 + number, "RuntimeError") for number in range(6)]
    during += [refused(100.5 + number) for number in range(40)]
    said = [
        LogLine(
            {"service": "front", "severity": "INFO", "message": "order is sent", "trace_id": one.trace_id}
            | {"span_id": one.spans[0].span_id}
        )
        for one in before
    ]
    open_ = series([0.0] * 20 + [1.0] * 20, labels={"job": "shop", "dependency": "stock"})
    observed = dataclasses.replace(
        seen(before, during), said=said, heard={"front": 200.0}, series={"circuit": [open_]}
    )
    answer = verdict.judge(observed)
    assert [(cause.kind, cause.service) for cause in answer.causes] == [("failing", "stock")]
    assert {cause.kind for cause, _ in answer.effects} == {"failing", "missing log line"}
