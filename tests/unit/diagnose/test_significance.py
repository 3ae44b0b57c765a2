"""Whether a difference is more than chance: known values, and how often chance alone is taken for one."""

from __future__ import annotations

import random

import pytest

from dashcam.diagnose.significance import LIKELY, SURE, busier, by_group, more, rise, shift


def test_the_exact_test_gives_what_a_table_says() -> None:
    # Fisher's tea tasting, one-sided: 3 of 4 right beside 1 of 4.
    assert more(1, 4, 3, 4) == pytest.approx(17 / 70)
    assert more(0, 5, 5, 5) == pytest.approx(1 / 252)


def test_a_handful_of_samples_is_never_sure() -> None:
    change = rise([False] * 3 + [True] * 3)
    assert change is not None
    assert change.chance > SURE


def test_the_moment_of_a_rise_is_found_and_its_size() -> None:
    change = rise([False] * 20 + [True] * 10)
    assert change is not None
    assert (change.index, change.was, change.now) == (20, 0, 10)
    assert change.wholly
    assert change.chance < SURE


def test_what_only_falls_is_no_rise() -> None:
    assert rise([True] * 20 + [False] * 10) is None
    assert shift([2.0] * 20 + [1.0] * 10) is None


def test_a_few_odd_values_shift_nothing_and_a_small_lasting_growth_does() -> None:
    quiet = [1.0 + n % 7 / 100 for n in range(30)]
    odd = [*quiet, *(100.0 if n % 10 == 0 else 1.0 + n % 7 / 100 for n in range(30))]
    grown = [*quiet, *(1.5 + n % 7 / 100 for n in range(30))]
    assert (found := shift(odd)) is None or found.chance > LIKELY
    assert (found := shift(grown)) is not None
    assert (found.index, found.wholly) == (30, True)
    assert found.chance < SURE


def test_a_burst_counts_for_less_than_as_many_by_themselves() -> None:
    spread, burst = [False] * 40, [False] * 40
    for n in range(1, 11):
        spread[20 + 2 * n - 1] = True
        burst[20 + n] = True
    alone, together = rise([*spread, False, False]), rise([*burst, *[False] * 8, False, False])
    assert alone
    assert together
    assert together.chance > alone.chance


@pytest.mark.parametrize("size", [12, 40, 150])
def test_chance_alone_is_taken_for_a_change_as_seldom_as_it_says(size: int) -> None:
    number = random.Random(size)
    runs = 400
    rises = shifts = 0
    for _ in range(runs):
        flag = rise([number.random() < 0.3 for _ in range(size)])
        value = shift([number.random() for _ in range(size)])
        rises += flag is not None and flag.chance <= LIKELY
        shifts += value is not None and value.chance <= LIKELY
    # Twice what is promised is where luck with the seed ends.
    assert max(rises, shifts) <= 2 * LIKELY * runs


def test_calls_within_one_trace_are_one_observation() -> None:
    flags = [False] * 27 + [True] * 7
    change = rise(flags)
    assert change is not None
    alone = by_group(change, flags, list(range(34)))
    together = by_group(change, flags, [*range(27), *(100 + n // 4 for n in range(7))])
    assert alone.chance == change.chance
    assert together.chance > 100 * change.chance


def test_more_events_for_each_request_are_sure_only_of_many_requests() -> None:
    assert busier(100, 100, 350, 100) < SURE
    assert busier(3, 3, 10, 3) > LIKELY
    assert busier(100, 100, 110, 100) > LIKELY
    assert busier(0, 0, 10, 10) == 1.0
