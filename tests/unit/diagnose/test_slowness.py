"""Who keeps requests waiting: the way between two services, a network, many operations, chance."""

from __future__ import annotations

from unit.diagnose.made import series, span, trace

from dashcam.diagnose.findings import Cause
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.significance import SURE
from dashcam.diagnose.slowness import slow
from dashcam.diagnose.traced import traced
from dashcam.sources import Trace

FAULT = 100.0


def request(
    at: float, *, ways: dict[str, float] | None = None, back: float = 0.001, operation: str = "GET /"
) -> Trace:
    """front asks shop and stock one after the other; `ways` are seconds between a call and its answering."""
    moment, calls = at + 0.001, []
    for callee in ("shop", "stock"):
        way = (ways or {}).get(callee, 0.001)
        answer = span(callee, f"{operation} in {callee}", moment + way, 0.005)
        calls.append(span("front", f"call {callee}", moment, way + 0.005 + back, *answer, kind="client"))
        moment += way + 0.005 + back
    return trace(span("front", operation, at, moment - at + 0.001, *calls[0], *calls[1]))


def found(before: list[Trace], during: list[Trace], **more: object) -> list[Cause]:
    seen = Observed(0.0, 200.0, onset=FAULT, before=before, during=during, **more)  # type: ignore[arg-type]
    return slow(seen, traced(seen))


BEFORE = [request(n) for n in range(30)]


def test_a_long_way_to_a_callee_is_the_callees_and_its_edge_is_named() -> None:
    (cause,) = found(BEFORE, [request(FAULT + n, ways={"shop": 0.2}) for n in range(20)])
    assert cause.service == "shop"
    assert cause.details["edge"] == "front to shop"
    assert "the way to" in cause.summary


def test_a_caller_of_whom_every_call_is_slow_on_its_way_is_blamed_itself() -> None:
    """Others reach the same callees as ever: the network of the one that calls is slow."""
    ways = {"shop": 0.2, "stock": 0.2}
    others = [trace(span("back", "GET /", FAULT + n, 0.02, *_asks("shop", FAULT + n))) for n in range(20)]
    early = [trace(span("back", "GET /", n, 0.02, *_asks("shop", n))) for n in range(20)]
    during = [request(FAULT + n, ways=ways) for n in range(20)]
    (cause,) = found([*BEFORE, *early], [*during, *others])
    assert cause.service == "front"


def _asks(callee: str, at: float) -> list:  # type: ignore[type-arg]
    return span(
        "back", f"call {callee}", at, 0.01, *span(callee, "GET / in shop", at + 0.001, 0.005), kind="client"
    )


def test_slowness_that_is_spread_over_many_operations_is_seen() -> None:
    """Each operation is asked for twice only: too seldom for itself, and together enough."""
    before = [request(n, operation=f"GET /{n % 10}") for n in range(20)]
    during = [request(FAULT + n, operation=f"GET /{n % 10}", ways={"shop": 0.3}) for n in range(20)]
    assert [cause.service for cause in found(before, during)] == ["shop"]


def test_one_late_request_in_ten_that_was_there_before_is_no_cause() -> None:
    def some(at: float) -> Trace:
        return request(at, ways={"shop": 0.3 if at % 10 == 0 else 0.001})

    assert found([some(n) for n in range(60)], [some(FAULT + n) for n in range(60)]) == []


def test_the_smaller_of_two_slownesses_is_named_where_the_larger_does_not_explain_it() -> None:
    """Nine in ten of the lost seconds are the stock's, and none of those that the desk's list loses."""

    def lists(first: float, count: int, own: float) -> list[Trace]:
        starts = [first + 0.1 + n for n in range(count)]
        return [trace(span("desk", "GET /list", at, own + 0.02, *_asks("shop", at + own))) for at in starts]

    before = [*BEFORE, *lists(0, 30, 0.002)]
    during = [request(FAULT + n / 2, ways={"stock": 0.5}) for n in range(100)]
    (large, small) = found(before, [*during, *lists(FAULT, 8, 0.6)])
    assert (large.service, small.service, small.subject) == ("stock", "desk", "GET /list")
    assert small.impact < 0.15
    (alone,) = found(before, [*during, *lists(FAULT, 8, 0.06)])
    assert alone.service == "stock"


def test_what_some_callers_share_is_no_scope_of_what_is_slow_for_all() -> None:
    """One caller is traced, and asks for the list with a limit, and for another thing; one is not traced."""

    def asked(at: float, what: str, took: float, limit: str) -> Trace:
        inner, url = span("shop", what, at + 0.001, took), f"http://shop/{what}{limit}"
        call = span("front", "call", at, took + 0.002, *inner, kind="client", url_full=url)
        return trace(span("front", "GET /", at, took + 0.004, *call))

    def all_kinds(at: float, took: float) -> list[Trace]:
        alone = trace(span("shop", "list", at + 0.3, took))
        return [asked(at, "list", took, "?limit=12"), alone, asked(at + 0.6, "one", 0.003, "")]

    before = [one for n in range(30) for one in all_kinds(n, 0.003)]
    during = [one for n in range(20) for one in all_kinds(FAULT + n, 0.7)]
    (cause,) = found(before, during)
    assert (cause.service, cause.subject, cause.scope) == ("shop", "list", ())


def test_three_late_requests_are_never_sure() -> None:
    during = [request(FAULT + 3 * n, ways={"shop": 0.3 if n > 16 else 0.001}) for n in range(20)]
    assert all(cause.chance > SURE for cause in found(BEFORE, during))


def test_a_service_without_metrics_is_named_where_others_have_some() -> None:
    others = [series([0.1] * 40, labels={"job": "elsewhere", "http_route": "/"})]
    during = [request(FAULT + n, ways={"shop": 0.2}) for n in range(20)]
    assert [cause.service for cause in found(BEFORE, during, series={"time": others})] == ["shop"]


def test_where_nothing_is_known_from_before_the_slow_ones_are_told_by_what_they_share() -> None:
    """A system that has just been started: one customer is slow from its first request on."""

    def asked(at: float, customer: int) -> Trace:
        wait = 0.4 if customer == 7 else 0.01
        query = span("shop", f"SELECT {customer == 7}", at + 0.001, wait, kind="client")
        return trace(span("shop", "GET /items", at, wait + 0.01, *query, url_query=f"customer={customer}"))

    only = [asked(2 * n, 7 if n % 3 == 0 else n) for n in range(60)]
    (cause,) = found([], only)
    assert (cause.service, cause.scope) == ("shop", ("customer = 7",))
    assert cause.chance > SURE
    assert found([], [asked(2 * n, 1 + n % 6) for n in range(60)]) == []
