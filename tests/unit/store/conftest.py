"""A store in a temporary folder, written through the real writer and read through the real queries."""

from __future__ import annotations

from pathlib import Path

import pytest
from backendkit import Store


@pytest.fixture
def store(tmp_path: Path):
    made = Store(tmp_path)
    yield made
    made.close()
