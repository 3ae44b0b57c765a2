"""What metrics of runtimes show: descriptors, event loops, garbage, heaps. Healthy changes among them."""

from __future__ import annotations

import pytest
from unit.diagnose.made import series

from dashcam.diagnose import runtimes
from dashcam.diagnose.findings import HARM, WASTE, Cause
from dashcam.diagnose.follows import follows, weighed
from dashcam.diagnose.observe import Observed
from dashcam.sources import Series

OWN = {"job": "shop", "instance": "a"}


def found(**named: list[float]) -> list[Cause]:
    each = {name.replace("_", " "): [series(points, labels=OWN)] for name, points in named.items()}
    return runtimes.causes(Observed(0.0, 120.0, series=each))


def test_a_process_that_nears_its_limit_of_descriptors_is_named_with_both_numbers() -> None:
    (cause,) = found(files=[40.0] * 12 + [100.0 + 70 * n for n in range(12)], most_files=[1024.0] * 24)
    assert (cause.kind, cause.rank) == ("descriptors", HARM)
    assert "870 of 1024 descriptors are open" in cause.summary


def test_more_connections_than_before_are_no_shortage_of_descriptors() -> None:
    assert found(files=[40.0] * 12 + [90.0] * 12, most_files=[1024.0] * 24) == []
    assert found(files=[40.0] * 12 + [90.0] * 12) == []


def test_descriptors_that_grow_on_and_on_are_told_where_no_limit_is_known() -> None:
    (cause,) = found(files=[40.0] * 12 + [60.0 + 10 * n for n in range(12)])
    assert cause.kind == "descriptors"


def test_a_process_that_cannot_count_its_descriptors_any_more_has_none_left() -> None:
    gone = found(files=[40.0] * 12, up=[1.0] * 24, memory=[1e8] * 24)
    assert [cause.kind for cause in gone] == ["descriptors"]
    assert found(files=[40.0] * 12, up=[1.0] * 12 + [0.0] * 12, memory=[1e8] * 12) == []


@pytest.mark.parametrize(
    ("query", "before", "during", "kind"),
    [
        ("event_loop", 0.01, 0.4, "event loop"),
        ("collecting", 0.02, 0.6, "garbage"),
        ("heap", 0.5, 0.97, "heap"),
    ],
)
def test_what_keeps_a_runtime_from_its_work_is_named(
    query: str, before: float, during: float, kind: str
) -> None:
    (cause,) = found(**{query: [before] * 12 + [during] * 12})
    assert (cause.kind, cause.service, cause.since) == (kind, "shop", 60.0)
    assert found(**{query: [before] * 12 + [before * 1.2] * 12}) == []


def test_a_service_is_slow_because_its_event_loop_stands_still() -> None:
    loop = Cause("event loop", "shop", "a", "its event loop is late", WASTE, 1.0)
    slow = Cause("slow", "shop", "GET /", "shop is slow", HARM, 1.0)
    raised = weighed(loop, [loop, slow], {})
    assert raised.rank == HARM
    seen = Observed(0.0, 120.0)
    assert follows(slow, raised, {}, seen) == "its process is kept from them: its event loop is late"


def test_each_query_is_of_its_own_target() -> None:
    other = Series({"job": "shop", "instance": "b"}, tuple((5.0 * n, 10.0) for n in range(24)))
    one = series([40.0] * 12 + [100.0] * 12, labels=OWN)
    seen = Observed(0.0, 120.0, series={"files": [one], "most files": [other]})
    assert runtimes.causes(seen) == []
