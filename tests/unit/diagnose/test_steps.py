"""Where a series differs from the rest of itself."""

from __future__ import annotations

import random

import pytest

from dashcam.diagnose.steps import added, amount, ratio, slope, step

QUIET = [0.01] * 20


def points(*values: float) -> list[tuple[float, float]]:
    return [(5.0 * index, value) for index, value in enumerate(values)]


def test_a_rise_that_lasts_is_found_where_it_begins_and_has_no_end() -> None:
    found = step(points(*QUIET, 0.4, 0.41, 0.4, 0.42), least=0.05, factor=2.5)
    assert found is not None
    assert (found.start, found.end) == (100.0, None)
    assert found.before == pytest.approx(0.01)
    assert found.during == pytest.approx(0.4075)


def test_a_rise_that_is_over_has_an_end() -> None:
    found = step(points(*QUIET, 0.4, 0.41, 0.4, *QUIET), least=0.05)
    assert found is not None
    assert (found.start, found.end) == (100.0, 115.0)


@pytest.mark.parametrize(
    "values",
    [
        QUIET,
        [],
        [0.4],
        [float("nan")] * 30,
        [*QUIET, 0.4],  # one scrape
        [*QUIET, 0.04, 0.04, 0.04],  # less than the least
        [0.4] * 30,  # as ever
    ],
)
def test_what_is_no_clear_rise_is_none(values: list[float]) -> None:
    assert step(points(*values), least=0.05, factor=2.5) is None


def test_noise_is_no_rise() -> None:
    chance = random.Random(7)
    for _ in range(50):
        noise = [max(0.0, chance.gauss(0.03, 0.015)) for _ in range(40)]
        assert step(points(*noise), least=0.05, factor=2.5) is None


def test_gaps_do_not_hide_a_rise() -> None:
    gappy = [0.01, float("nan")] * 10 + [0.4, float("nan"), 0.4, 0.4]
    assert step(points(*gappy), least=0.05) is not None


def test_a_ratio_leaves_out_times_with_too_little_below() -> None:
    assert ratio(points(1, 1, 1), points(2, 0.01, 4), 0.05) == [(0.0, 0.5), (10.0, 0.25)]


def test_series_are_added_where_any_has_a_value() -> None:
    assert added([points(1, float("nan")), points(2, 3)]) == [(0.0, 3.0), (5.0, 3.0)]


def test_the_amount_of_a_rate_counts_what_happened_in_the_stretch() -> None:
    found = step(points(*[0.0] * 10, 2, 2, 2, 2), least=1)
    assert found is not None
    assert amount(points(*[0.0] * 10, 2, 2, 2, 2), found) == pytest.approx(40.0)


def test_the_slope_is_in_units_a_second() -> None:
    assert slope(points(0, 10, 20, 30)) == pytest.approx(2.0)
    assert slope(points(1, 2)) == 0.0
