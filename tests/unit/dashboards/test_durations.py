from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashcam.slo.durations import milliseconds, scale_expression, scaled, seconds


@pytest.mark.parametrize(
    ("text", "length"), [("5m", 300_000), ("1h30m", 5_400_000), ("250ms", 250), ("3d", 259_200_000)]
)
def test_a_duration_is_read_as_prometheus_reads_it(text: str, length: int) -> None:
    assert milliseconds(text) == length
    assert seconds(text) == length / 1000


@pytest.mark.parametrize("text", ["", "5", "m5", "5 m", "1h-3m", "1.5h"])
def test_what_prometheus_would_refuse_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 5m"):
        milliseconds(text)


@pytest.mark.parametrize(
    ("text", "scale", "result"),
    [
        ("1h", Fraction(1, 30), "2m"),
        ("5m", Fraction(1, 30), "10s"),
        ("15s", Fraction(1, 30), "500ms"),
        ("0s", Fraction(1, 30), "0ms"),
        ("1h", Fraction(1), "1h"),
    ],
)
def test_a_duration_is_scaled_exactly(text: str, scale: Fraction, result: str) -> None:
    assert milliseconds(scaled(text, scale)) == milliseconds(result)


@given(st.integers(1, 10**6), st.sampled_from(["ms", "s", "m", "h", "d"]), st.integers(1, 1000))
def test_a_scaled_duration_is_never_nothing(number: int, unit: str, divisor: int) -> None:
    assert milliseconds(scaled(f"{number}{unit}", Fraction(1, divisor))) >= 1


def test_only_windows_steps_and_offsets_of_an_expression_are_scaled() -> None:
    expression = (
        'sum(increase(slo:events:increase5m{a="[5m] offset 1h"}[1h:5m] offset 10m)) > 300 and x[2h] == 5'
    )
    assert (
        scale_expression("rate(up[1h:5m] offset 10m) > 300", Fraction(1, 60))
        == "rate(up[1m:5s] offset 10s) > 300"
    )
    assert "slo:events:increase5m" in scale_expression(expression, Fraction(1, 60))
    assert "> 300" in scale_expression(expression, Fraction(1, 60))
