"""Draws inputs for as long as there is time, and shrinks the first that is answered wrongly."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis import strategies as st

TARGETS = 4
SECONDS = float(os.environ.get("FUZZ_SECONDS", "60")) / TARGETS
"""What each target draws for."""
SEED = int(os.environ.get("FUZZ_SEED", "0")) or random.randrange(1, 2**32)
ROUND = 100
"""Inputs that are drawn before the program's health is looked at."""


def fuzz(inputs: st.SearchStrategy[Any], check: Callable[[Any], None], healthy: Callable[[], None]) -> None:
    """Give `check` what `inputs` draws until the time is over, asking now and then whether it is `healthy`.

    What fails is drawn again in simpler forms, and the simplest is shown; FUZZ_SEED repeats a run.
    """
    until = time.monotonic() + SECONDS
    drawn, seed = 0, SEED
    print(f"FUZZ_SEED={SEED}")
    while time.monotonic() < until:

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=ROUND,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            print_blob=False,
        )
        @hypothesis.given(inputs)
        def draw(given: Any) -> None:
            nonlocal drawn
            drawn += 1
            check(given)

        draw()
        healthy()
        seed += 1
    print(f"{drawn} inputs in {SECONDS:g} s")
    assert drawn > ROUND / 2, f"only {drawn} inputs were drawn"


def mangled(whole: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Bytes as they should be, and with a piece of them cut, doubled or replaced."""

    def mangle(data: bytes, first: int, second: int, piece: bytes, how: str) -> bytes:
        start, end = sorted((first % (len(data) + 1), second % (len(data) + 1)))
        middle = {
            "cut": b"",
            "double": data[start:end] * 2,
            "replace": piece,
            "insert": piece + data[start:end],
        }
        return data[:start] + middle[how] + data[end:]

    place = st.integers(0, 2**16)
    how = st.sampled_from(["cut", "double", "replace", "insert"])
    return whole | st.builds(mangle, whole, place, place, st.binary(max_size=40), how)
