from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from unit.stack.trial import Trial

from dashcam.stack import ownership, readiness


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trial]:
    """One whose processes are killed after the test; ending well takes a second, and has tests of its own."""
    # A stand-in that answers late, because the machine stalls, is none that hangs.
    monkeypatch.setattr(readiness, "PROBE_SECONDS", 60.0)
    made = Trial(tmp_path / "state")
    yield made
    # Until none is left: supervisord may start one more before it is gone.
    while processes := ownership.marked(made.state_dir):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
