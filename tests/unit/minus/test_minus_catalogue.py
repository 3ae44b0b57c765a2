"""The numbers that `minus` takes."""

from __future__ import annotations

import pytest

from services.minus.catalogue import MAX_DIGITS, integer, minus


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("-0", 0), ("+7", 7), ("-007", -7), ("9" * 30, 10**30 - 1)]
)
def test_decimal_digits_with_an_optional_sign_are_a_number(text: str, number: int) -> None:
    assert integer(text) == number


@pytest.mark.parametrize("text", ["", "-", "1_0", " 1", "1\n", "0x1", "1.0", "1e2", "\u0661", "\xb2", "+-1"])
def test_what_int_would_take_and_we_do_not_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whole number"):
        integer(text)


def test_the_bound_is_on_digits_and_not_on_the_sign() -> None:
    assert integer("-" + "9" * MAX_DIGITS) < 0
    with pytest.raises(ValueError, match=f"at most {MAX_DIGITS}"):
        integer("9" * (MAX_DIGITS + 1))


def test_the_difference_of_the_longest_numbers_can_be_written() -> None:
    longest = integer("9" * MAX_DIGITS)
    assert len(str(minus(longest, -longest))) == MAX_DIGITS + 1
