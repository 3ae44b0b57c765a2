from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest
from walks import checkout as strangers


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all workers of the test run; the first makes it, the others wait."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "checkout"
    with (folder.parent / "checkout.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            strangers.make(folder)
    return folder
