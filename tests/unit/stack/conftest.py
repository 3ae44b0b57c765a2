from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from trial import Trial

from observability.stack import ownership


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    """One whose processes are killed after the test; ending well takes a second, and has tests of its own."""
    made = Trial(tmp_path / "state")
    yield made
    # Until none is left: supervisord may start one more before it is gone.
    while processes := ownership.marked(made.state_dir):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
