"""The flame graph: widths are time, by who called whom, and the drawing is bounded whatever comes."""

from __future__ import annotations

from typing import Any

from recorded import TRACE

from dashcam.console import flame
from dashcam.model.traces import Span, Trace


def span(name: str, parent: str, start: int, duration: int, operation: str = "", **attributes: Any) -> Span:
    return Span("t", name, parent or None, operation or name, "shop", start, duration, attributes, {})


def boxes(drawing: flame.Flame) -> dict[str, tuple[float, float, int]]:
    return {box.frame.operation: (round(box.x, 1), round(box.width, 1), box.y) for box in drawing.boxes}


CALLS = Trace(
    "t", (span("a", "", 0, 100), span("b", "a", 0, 60), span("c", "a", 60, 20), span("d", "b", 0, 30))
)


def test_a_box_is_as_wide_as_its_time_and_below_its_caller() -> None:
    row = flame.ROW
    assert boxes(flame.draw(flame.grow([CALLS]))) == {
        "a": (0.0, 100.0, 0),
        "b": (0.0, 60.0, row),
        "c": (60.0, 20.0, row),
        "d": (0.0, 30.0, 2 * row),
    }


def test_traces_are_added_up_and_what_ran_side_by_side_counts_each() -> None:
    parallel = Trace("t", (span("a", "", 0, 50), span("b", "a", 0, 50), span("b2", "a", 0, 50, "b")))
    root = flame.grow([CALLS, parallel])
    (frame,) = root.below.values()
    assert (frame.spans, frame.own, frame.whole) == (2, 20, 200)
    assert frame.below["shop", "b"].whole == 160


def test_of_an_operation_only_its_outermost_spans_are_shown() -> None:
    nested = Trace("t", (span("a", "", 0, 100), span("b", "a", 0, 60), span("b2", "b", 0, 30, "b")))
    root = flame.grow([nested], "shop", "b")
    assert root.spans == 1
    assert root.whole == 60


def test_an_opened_box_takes_the_whole_width_below_those_that_lead_to_it() -> None:
    root = flame.grow([CALLS])
    key = next(box.frame.key for box in flame.draw(root).boxes if box.frame.operation == "b")
    drawing = flame.draw(root, key)
    assert boxes(drawing) == {
        "a": (0.0, 100.0, 0),
        "b": (0.0, 100.0, flame.ROW),
        "d": (0.0, 50.0, 2 * flame.ROW),
    }
    assert drawing.top.operation == "b"


def test_the_drawing_is_bounded_and_says_what_it_leaves_out() -> None:
    deep = Trace("t", tuple(span(f"s{n}", f"s{n - 1}" if n else "", n, 9000 - n) for n in range(3000)))
    wide = Trace("t", (span("a", "", 0, 10**6), *(span(f"w{n}", "a", n * 100, 100) for n in range(3000))))
    for trace in (deep, wide):
        drawing = flame.draw(flame.grow([trace]))
        assert len(drawing.boxes) <= flame.MOST
        assert drawing.height <= flame.DEEPEST * flame.ROW
        assert drawing.hidden > 0


def test_nothing_is_drawn_of_nothing() -> None:
    drawing = flame.draw(flame.grow([]))
    assert (drawing.boxes, drawing.hidden) == ([], 0)


def test_the_page_of_a_trace_names_its_operations(console: Any) -> None:
    page = console.get(f"/trace/{TRACE}/flame").text
    assert "SELECT cars" in page
    assert "at=" in page
    assert console.get(f"/trace/{'0' * 32}/flame").status_code == 404
