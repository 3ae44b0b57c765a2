"""The tree of a trace and its critical path, for honest and for odd traces."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import recorded
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import START, TRACE

from dashcam.console.comparison import compare
from dashcam.console.spent import spent
from dashcam.model.tree import Tree, critical_path, self_times
from dashcam.sources import Trace


def trace_of(*spans: tuple[str, str | None, int, int]) -> Trace:
    """A trace of (id, parent, start, duration)."""
    data = [recorded.span(name, parent, name, "p1", start, length) for name, parent, start, length in spans]
    return Trace.from_jaeger({"traceID": TRACE, "spans": data, "processes": recorded.processes(p1="car")})


def path_of(trace: Trace) -> dict[str, list[tuple[int, int]]]:
    found = critical_path(trace, Tree(trace))
    return {name: [(begin - START, end - START) for begin, end in times] for name, times in found.items()}


def test_the_path_goes_through_what_was_waited_for() -> None:
    trace = trace_of(("root", None, 0, 100), ("early", "root", 10, 20), ("late", "root", 40, 50))
    assert path_of(trace) == {"root": [(0, 10), (30, 40), (90, 100)], "early": [(10, 30)], "late": [(40, 90)]}


def test_of_two_at_the_same_time_only_the_one_that_ended_last_counts() -> None:
    trace = trace_of(("root", None, 0, 100), ("short", "root", 10, 20), ("long", "root", 10, 80))
    assert "short" not in path_of(trace)


def test_a_child_that_outlives_its_parent_counts_while_the_parent_runs() -> None:
    trace = trace_of(("root", None, 0, 100), ("later", "root", 60, 500))
    assert path_of(trace) == {"root": [(0, 60)], "later": [(60, 100)]}


spans = st.lists(
    st.tuples(st.integers(-1, 12), st.integers(0, 1000), st.integers(0, 500)), min_size=1, max_size=12
)


@settings(deadline=None)
@given(spans)
def test_the_path_is_the_roots_duration_without_gap_or_overlap(drawn: list[tuple[int, int, int]]) -> None:
    """Whatever the parents: rings, strangers, itself."""
    trace = trace_of(
        *[
            (f"s{n}", None if parent < 0 else f"s{parent}", at, length)
            for n, (parent, at, length) in enumerate(drawn)
        ]
    )
    tree = Tree(trace)
    assert sorted(node.span.span_id for node in tree.nodes()) == sorted(trace.by_id)
    intervals = sorted(times for found in critical_path(trace, tree).values() for times in found)
    assert trace.root is not None
    assert sum(end - begin for begin, end in intervals) == trace.root.duration
    assert all(one[1] <= other[0] for one, other in pairwise(intervals))
    assert all(0 <= self_times(trace, tree)[span.span_id] <= span.duration for span in trace.spans)


def test_twenty_thousand_levels_are_not_too_deep() -> None:
    trace = trace_of(*[(f"s{n}", f"s{n - 1}" if n else None, n, 100_000 - n) for n in range(20_000)])
    nodes = Tree(trace).nodes()
    assert nodes[-1].depth == 19_999
    assert nodes[0].descendants == 19_999
    assert len(critical_path(trace, Tree(trace))) == 20_000


def test_a_span_whose_parent_never_came_is_a_root_that_says_so() -> None:
    (node,) = Tree(trace_of(("child", "lost", 0, 1))).nodes()
    assert node.lost_parent


def test_equal_children_match_in_their_order_and_the_rest_is_named() -> None:
    def named(*children: tuple[str, int]) -> Trace:
        data: list[dict[str, Any]] = [recorded.span("r", None, "root", "p1", 0, 100)]
        data += [recorded.span(f"c{n}", "r", name, "p1", n, took) for n, (name, took) in enumerate(children)]
        return Trace.from_jaeger({"traceID": TRACE, "spans": data, "processes": recorded.processes(p1="car")})

    pairs = compare(named(("a", 5), ("a", 6), ("b", 1)), named(("a", 9), ("a", 1), ("c", 2)))
    found = [(pair.span.operation, pair.difference) for pair in pairs]
    assert found == [("root", 0), ("a", 4), ("a", -5), ("b", None), ("c", None)]


def test_time_is_summed_by_operation_and_what_the_trace_waited_for_comes_first() -> None:
    data = [
        recorded.span(span_id, parent, operation, "p1", start, length)
        for span_id, parent, operation, start, length in (
            ("r", None, "GET /cars", 0, 100),
            ("a", "r", "SELECT", 10, 20),
            ("b", "r", "SELECT", 40, 50),
        )
    ]
    trace = Trace.from_jaeger({"traceID": TRACE, "spans": data, "processes": recorded.processes(p1="car")})
    tree = Tree(trace)
    found = spent(trace, critical_path(trace, tree), self_times(trace, tree))
    assert [(one.operation, one.spans, one.total, one.longest, one.mean) for one in found] == [
        ("SELECT", 2, 70, 50, 35),
        ("GET /cars", 1, 100, 100, 100),
    ]
    assert [(one.alone, one.waited) for one in found] == [(70, 70), (30, 30)]
