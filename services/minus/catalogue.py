"""The domain of `minus`: whole numbers and their difference. No framework in here."""

from __future__ import annotations

import re

MAX_DIGITS = 4000
"""The longest number taken. Python itself turns no more than 4,300 digits into text, because the work
grows with the square of their number; the bound leaves room for the one digit that a difference can gain."""

_INTEGER = re.compile(r"[+-]?[0-9]+")


def integer(text: str) -> int:
    """The whole number that `text` spells: decimal ASCII digits with an optional sign.

    Narrower than `int()`, which also takes blanks, `1_000` and digits of other scripts. Raises
    ValueError with a reason that a caller can act on.
    """
    if not _INTEGER.fullmatch(text):
        raise ValueError("not a whole number: give decimal digits with an optional sign, e.g. 5 or -3")
    digits = len(text.lstrip("+-"))
    if digits > MAX_DIGITS:
        raise ValueError(f"{digits} digits are too many: give at most {MAX_DIGITS}")
    return int(text)


def minus(x: int, y: int) -> int:
    """x - y, exactly."""
    return x - y
