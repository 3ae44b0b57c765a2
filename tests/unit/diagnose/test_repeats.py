"""Statements and calls for each request, from traces alone and beside what metrics count."""

from __future__ import annotations

import dataclasses

import pytest
from unit.diagnose.made import series, span, trace

from dashcam.diagnose import repeats, volumes
from dashcam.diagnose.findings import AFTER, HARM, WASTE, Cause
from dashcam.diagnose.follows import follows
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.traced import traced
from dashcam.sources import Trace

FAULT = 100.0
COUNTED = Cause("statements", "shop", "SELECT items", "more statements", WASTE, 1.0, since=FAULT)


def request(
    at: float, statements: int = 1, calls: int = 0, operation: str = "GET /items", status: int = 200
) -> Trace:
    asked = [
        span("shop", "SELECT items", at, 0.001, kind="client", db_query_text="SELECT", db_system_name="x")
        for _ in range(statements)
    ]
    asked += [
        span("shop", "GET", at, 0.001, kind="client", server_address="stock", server_port=80)
        for _ in range(calls)
    ]
    below = (one for each in asked for one in each)
    own, *others = span("shop", operation, at, 0.01, *below)
    own = dataclasses.replace(own, attributes={**own.attributes, "http.response.status_code": status})
    return trace([own, *others])


def causes(before: list[Trace], during: list[Trace], *counted: Cause) -> list[Cause]:
    seen = Observed(0.0, 200.0, onset=FAULT, before=before, during=during)
    return repeats.joined(seen, traced(seen), counted)


USUAL = [request(n) for n in range(30)]


def test_a_query_in_a_loop_shows_in_traces_alone() -> None:
    (cause,) = causes(USUAL, [request(FAULT + n, statements=9) for n in range(20)])
    assert (cause.kind, cause.service, cause.subject) == ("statements", "shop", "SELECT items")
    assert "9.0 times SELECT items for each GET /items, 1.0 before" in cause.summary
    assert cause.signals == ("traces",)


def test_retries_show_in_traces_alone_with_whom_they_ask() -> None:
    before = [request(n, calls=1) for n in range(30)]
    (cause,) = causes(before, [request(FAULT + n, calls=4) for n in range(20)])
    assert (cause.kind, cause.subject) == ("calls", "stock:80")


def test_other_requests_than_before_are_no_more_statements() -> None:
    """The list asks ten times and is asked for more often: each of its requests asks as it always did."""

    def mixed(at: float, lists: int) -> Trace:
        return request(at, 10, operation="GET /list") if at % 10 < lists else request(at)

    before, during = [mixed(n, 2) for n in range(60)], [mixed(FAULT + n, 8) for n in range(60)]
    assert causes(before, during, COUNTED) == []


@pytest.mark.parametrize("status", [409, 503])
def test_requests_that_are_answered_again_are_no_more_statements(status: int) -> None:
    """What was refused or failed before it asked is no measure for what is answered."""
    refused = [request(n, statements=0, status=status) for n in range(60)]
    assert causes(refused, [request(FAULT + n) for n in range(60)]) == []
    assert causes(refused[:40], [*refused[40:], *(request(FAULT + n) for n in range(60))]) == []


def test_what_metrics_and_traces_tell_is_one_cause_with_both() -> None:
    counted = dataclasses.replace(COUNTED, evidence=volumes_evidence())
    (cause,) = causes(USUAL, [request(FAULT + n, statements=9) for n in range(20)], counted)
    assert cause.signals == ("metrics", "traces")


def test_what_only_metrics_tell_stands_where_there_are_no_traces() -> None:
    assert causes([], [], COUNTED) == [COUNTED]


def test_two_odd_requests_are_no_more_statements() -> None:
    during = [request(FAULT + n, statements=9 if n in (3, 11) else 1) for n in range(20)]
    assert causes(USUAL, during) == []


def test_many_calls_within_one_trace_are_one_observation() -> None:
    many = trace([one for n in range(8) for one in request(FAULT + n, statements=9).spans])
    assert causes(USUAL, [many]) == []


def volumes_evidence() -> tuple:  # type: ignore[type-arg]
    (cause,) = counted_by_metrics(statements=6.0, requests=1.0)
    return cause.evidence


def counted_by_metrics(statements: float, requests: float) -> list[Cause]:
    labels = {"job": "shop", "db_operation_name": "SELECT", "db_collection_name": "items"}
    each = {
        "answers": [series([requests] * 24, labels={"job": "shop"})],
        "statements": [series([requests] * 12 + [statements * requests] * 12, labels=labels)],
    }
    return volumes.causes(Observed(0.0, 120.0, series=each), {})


def test_metrics_of_a_handful_of_requests_are_no_more_statements() -> None:
    assert [cause.kind for cause in counted_by_metrics(6.0, 1.0)] == ["statements"]
    assert counted_by_metrics(6.0, 0.06) == []


@pytest.mark.parametrize("kind", ["statements", "calls"])
def test_what_is_done_again_because_it_fails_below_follows_from_that(kind: str) -> None:
    failing = Cause("failing", "stock", "GET /stock", "stock fails", HARM, 1.0, since=FAULT)
    again = Cause(kind, "shop", "", "shop asks more often", WASTE, 1.0, since=FAULT)
    seen = Observed(0.0, 200.0)
    assert "stock" in (follows(again, failing, {"shop": {"stock"}}, seen) or "")
    assert follows(again, failing, {"stock": {"shop"}}, seen) is None
    elsewhere = dataclasses.replace(again, traces=frozenset({"a"}))
    assert (
        follows(elsewhere, dataclasses.replace(failing, traces=frozenset({"b"})), {"shop": {"stock"}}, seen)
        is None
    )


def test_work_after_the_answer_that_no_broker_takes_is_not_another_cause() -> None:
    """What waits behind a refused message is in no trace of the refusal."""
    full = Cause("queue full", "nats", "orders", "nats is full", HARM, 1.0, traces=frozenset({"a"}))
    missed = Cause("missing log line", "shop", "POST /", "it is not sent", HARM, 1.0, traces=frozenset("bcd"))
    seen, below = Observed(0.0, 200.0), {"shop": {"nats"}}
    assert follows(missed, full, below, seen) is None, "said before the answer: of no message"
    later = dataclasses.replace(missed, details={AFTER: "after the answer"})
    assert "nats is full" in (follows(later, full, below, seen) or "")
    assert follows(later, full, {}, seen) is None, "it sends nothing there"
