from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from trial import Trial


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    made = Trial(tmp_path / "state")
    yield made
    made.down()
