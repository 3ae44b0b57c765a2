"""How values are read from addresses and written on pages, and how drawings are placed."""

from __future__ import annotations

import math

import pytest
import recorded
from hypothesis import given
from hypothesis import strategies as st

from dashcam.console import filters, parameters, queries
from dashcam.console.chart import chart
from dashcam.console.histogram import columns
from dashcam.console.parameters import BadParameter
from dashcam.console.servicemap import draw
from dashcam.model.logs import LogBucket
from dashcam.sources import Exemplar, Series, Trace


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "0 µs"),
        (7, "7 µs"),
        (999, "999 µs"),
        (999.6, "1 ms"),
        (1_234, "1.23 ms"),
        (50_000, "50 ms"),
        (1_500_000, "1.5 s"),
        (99_000_000, "99 s"),
        (125_000_000, "2 min 5 s"),
        (7_260_000_000, "2 h 1 min"),
        (None, "\N{EN DASH}"),
        (math.nan, "\N{EN DASH}"),
    ],
)
def test_durations_have_three_digits_and_a_fitting_unit(us: float | None, text: str) -> None:
    assert filters.duration(us) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0%"), (0.00123, "0.123%"), (0.5, "50%"), (1, "100%"), (None, "\N{EN DASH}")]
)
def test_shares_are_percentages(value: float | None, text: str) -> None:
    assert filters.ratio(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0/s"), (0.0777, "0.078/s"), (3.456, "3.46/s"), (120, "120/s")]
)
def test_rates_below_one_are_short(value: float, text: str) -> None:
    assert filters.rate(value) == text


@pytest.mark.parametrize(("value", "text"), [(7, "7"), (1234, "1\u202f200"), (815_499, "820\u202f000")])
def test_an_estimate_has_two_digits(value: int, text: str) -> None:
    assert filters.rounded(value) == text


def test_services_on_one_page_have_colours_of_their_own() -> None:
    names = [f"service-{n}" for n in range(filters.PALETTE)]
    assert sorted(filters.colours(names).values()) == list(range(filters.PALETTE))
    assert filters.colours(["web", "car"])["car"] == filters.colours(["car", "price", "web"])["car"]


def test_long_text_is_bounded_and_says_so() -> None:
    assert filters.clipped("x" * 3000).endswith("… (1000 more characters)")
    assert filters.clipped(True) == "true"


@given(
    st.dictionaries(st.text("abc.=", min_size=1).filter(lambda key: "=" not in key), st.text("ab \"'\\=é"))
)
def test_tags_written_for_the_form_are_read_back(tags: dict[str, str]) -> None:
    assert parameters.pairs({"tags": parameters.logfmt(tags)}, "tags") == tags


def test_json_tags_keep_numbers_and_truth_as_their_text() -> None:
    assert parameters.pairs({"tags": '{"a":1,"b":true}'}, "tags") == {"a": "1", "b": "true"}
    with pytest.raises(BadParameter, match="tags="):
        parameters.pairs({"tags": '{"a":[1]}'}, "tags")


def test_a_window_is_a_length_or_two_moments() -> None:
    found = parameters.window({"lookback": "1h30m"}, at=10_000_000_000)
    assert (found.start, found.end, found.fixed) == (4_600_000_000, 10_000_000_000, False)
    found = parameters.window({"start": "5000000", "end": "9000000"})
    assert found.params() == {"lookback": "custom", "start": 5_000_000, "end": 9_000_000}
    found = parameters.window(
        {"lookback": "custom", "from": "2026-09-21T14:13:20", "to": "2026-09-21T14:14:20"}
    )
    assert (found.start, found.seconds) == (recorded.START, 60)


def test_a_link_of_jaegers_ui_keeps_the_time_it_was_made_for() -> None:
    found = parameters.window({"lookback": "1h", "start": "5000000", "end": "9000000"})
    assert (found.start, found.end) == (5_000_000, 9_000_000)


@pytest.mark.parametrize(
    "args",
    [
        {"lookback": "1 fortnight"},
        {"lookback": "400d"},
        {"lookback": "1ms"},
        {"start": "-5", "end": "9"},
        {"start": "1" * 30, "end": "9"},
        {"from": "noon", "lookback": "custom"},
        {"start": "0", "end": "9" * 16},
    ],
)
def test_a_window_that_cannot_be_is_refused_by_name(args: dict[str, str]) -> None:
    with pytest.raises(BadParameter, match="cannot be used"):
        parameters.window(args)


def test_a_label_value_cannot_leave_its_quotes() -> None:
    assert queries.of_service('car"} or up{job="', "a\\b\n") == (
        'job="car\\"} or up{job=\\""',
        'http_route="a\\\\b\\n"',
    )


def test_the_ratio_of_errors_is_zero_where_nothing_failed() -> None:
    assert "or 0 *" in queries.error_ratio(60, 'job="car"')


def test_a_line_is_broken_where_values_are_missing() -> None:
    points = tuple((float(second), 1.0) for second in (0, 5, 10, 30, 35))
    drawn = chart([Series({"job": "car"}, points)], 0, 40)
    assert len(drawn.lines[0].pieces) == 2
    assert drawn.lines[0].name == "car"


def test_the_scale_holds_every_point_and_exemplar() -> None:
    exemplar = Exemplar({}, {"trace_id": "a"}, 5.0, 7.3)
    drawn = chart([Series({}, ((0.0, 1.0), (10.0, 2.0)))], 0, 10, exemplars=[exemplar])
    assert drawn.levels[-1] == 10
    (dot,) = drawn.dots
    assert 0 <= dot.y <= 200


def test_a_chart_of_nothing_is_empty_and_one_of_many_series_says_what_it_left_out() -> None:
    assert chart([Series({}, ((0.0, math.nan),))], 0, 10).empty
    many = [Series({"job": str(n)}, ((0.0, 1.0),)) for n in range(20)]
    assert chart(many, 0, 10).left_out == 8


def test_columns_of_a_histogram_stand_on_the_ground_and_the_worst_lies_lowest() -> None:
    (column,) = columns([LogBucket(0, 1, {"INFO": 5, "ERROR": 1, "odd": 2})])
    assert [part.severity for part in column.parts] == ["ERROR", "INFO", "OTHER"]
    assert column.parts[0].y + column.parts[0].height == pytest.approx(80)


def test_the_map_has_an_edge_for_each_call_and_a_store_of_its_own() -> None:
    trace = Trace.from_jaeger(recorded.quote_trace())
    drawn = draw([trace], ["web", "car", "price", "idle"], {("web", "car"): 2.0})
    edges = {(placed.edge.caller, placed.edge.called): placed for placed in drawn.edges}
    assert set(edges) == {("web", "car"), ("car", "price"), ("car", "car's sqlite")}
    assert edges["car", "price"].edge.error_ratio == 1
    assert edges["web", "car"].rate == 2.0
    places = {node.name: node for node in drawn.nodes}
    assert places["web"].x < places["car"].x < places["price"].x
    assert places["car's sqlite"].store
    assert "idle" in places


def test_services_that_call_each_other_are_drawn_all_the_same() -> None:
    data = recorded.quote_trace()
    data["spans"].append(recorded.span("w9", "c1", "callback", "p1", 20_000, 10))
    drawn = draw([Trace.from_jaeger(data)], [], {})
    assert ("price", "web") in {(placed.edge.caller, placed.edge.called) for placed in drawn.edges}
