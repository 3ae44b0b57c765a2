"""Let Python sleep under libfaketime: `make test-shifted-clock` has this folder on PYTHONPATH.

libfaketime 0.9.10 hands clock_nanosleep, which `time.sleep` calls since Python 3.11, a moment that its shift
has moved before the epoch, and every sleep fails with EINVAL. select() waits for a duration, which nothing
shifts.
"""

import select
import time
from typing import SupportsIndex


def sleep(seconds: float | SupportsIndex) -> None:
    """Wait for so many seconds."""
    seconds = float(seconds)
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select((), (), (), seconds)


time.sleep = sleep
