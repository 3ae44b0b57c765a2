"""Prometheus' own tool, which makes blocks of OpenMetrics text."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path

from dashcam.export import openmetrics
from dashcam.sources import Series
from dashcam.stack.needs import PROMTOOL
from dashcam.stack.programs import MissingProgram


def program() -> str:
    """Where it is. Raises MissingProgram."""
    found = PROMTOOL.path()
    if found is None:
        raise MissingProgram(f"promtool is not installed: it reads the metrics. {PROMTOOL.elsewhere}")
    return found


def make_blocks(text: Path, into: Path) -> str:
    """Make blocks of the samples in a file; what is wrong with it, or nothing. Raises MissingProgram."""
    command = [program(), "tsdb", "create-blocks-from", "openmetrics", str(text), str(into)]
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 - Prometheus' tool
    return done.stderr.strip()[-300:] or f"it ended with {done.returncode}" if done.returncode else ""


@cache
def reads_any_name() -> bool:
    """Whether the one here knows names in quotes, as that of Prometheus 3 does and older ones do not."""
    with tempfile.TemporaryDirectory(prefix="dashcam-promtool-") as folder:
        text = Path(folder) / "text"
        one = Series({"a.label": "x"}, ((1_700_000_000.0, 1.0),))
        text.write_text("".join(openmetrics.family("a.name", [one])) + openmetrics.END)
        try:
            return not make_blocks(text, Path(folder) / "blocks")
        except MissingProgram:
            return False
