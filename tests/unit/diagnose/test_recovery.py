"""A window that begins in failures and ends well: the way back is no fault."""

from __future__ import annotations

from unit.diagnose.made import series, span, trace

from dashcam.diagnose import recovery, verdict
from dashcam.diagnose.findings import WASTE, Cause
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.traced import traced
from dashcam.sources import Series, Trace

BACK = 100.0


def refused(at: float) -> Trace:
    return trace(span("shop", "GET /items", at, 0.001, error="CircuitOpen"))


def served(at: float) -> Trace:
    asked = span("shop", "SELECT items", at, 0.01, kind="client", db_query_text="SELECT", db_system_name="x")
    return trace(span("shop", "GET /items", at, 0.02, *asked, *asked[:0]))


def answers(status: str, points: list[float]) -> Series:
    labels = {"job": "shop", "http_route": "/items", "http_response_status_code": status}
    return series(points, labels=labels)


def test_a_service_that_does_its_work_again_after_it_failed_has_no_query_in_a_loop() -> None:
    before, during = [refused(float(n)) for n in range(40)], [served(BACK + n) for n in range(40)]
    each = {
        "answers": [answers("503", [1.0] * 20 + [0.0] * 20), answers("200", [0.0] * 20 + [1.0] * 20)],
        "versions": [series([1.0] * 40, labels={"job": "shop"})],
        "statements": [
            series(
                [0.0] * 20 + [3.0] * 20,
                labels={"job": "shop", "db_operation_name": "SELECT", "db_collection_name": "items"},
            )
        ],
    }
    seen = Observed(0.0, 200.0, onset=BACK, series=each, before=before, during=during, traced=["shop"])
    assert [cause.summary for cause in verdict.judge(seen).causes if cause.until is None] == []


def more_statements(since: float) -> Cause:
    return Cause("statements", "shop", "SELECT items", "more statements", WASTE, 1.0, since=since)


def test_traces_alone_tell_the_way_back() -> None:
    seen = Observed(
        0.0,
        200.0,
        onset=BACK,
        before=[refused(float(n)) for n in range(9)],
        during=[served(BACK + n) for n in range(9)],
    )
    assert recovery.recovered(seen, traced(seen), more_statements(BACK))


def test_metrics_alone_tell_the_way_back() -> None:
    each = {"answers": [answers("503", [1.0] * 20 + [0.0] * 20), answers("200", [0.0] * 20 + [1.0] * 20)]}
    seen = Observed(0.0, 200.0, series=each)
    assert recovery.recovered(seen, traced(seen), more_statements(BACK))


def test_a_few_failures_before_do_not_explain_that_much_more_is_done_since() -> None:
    before = [refused(float(n)) if n % 5 == 0 else served(float(n)) for n in range(40)]
    seen = Observed(0.0, 200.0, onset=BACK, before=before, during=[served(BACK + n) for n in range(40)])
    assert not recovery.recovered(seen, traced(seen), more_statements(BACK))


def test_what_fails_since_is_never_the_way_back() -> None:
    failing = Cause("failing", "shop", "GET /", "shop fails", 1, 1.0, since=BACK)
    before, during = [refused(float(n)) for n in range(9)], [served(BACK + n) for n in range(9)]
    seen = Observed(0.0, 200.0, onset=BACK, before=before, during=during)
    assert not recovery.recovered(seen, traced(seen), failing)
