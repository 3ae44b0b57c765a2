"""Putting what a benchmark measured into its place in a page."""

from __future__ import annotations

import os
import platform
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def replace(page: str, name: str, text: str) -> None:
    """Replace what stands between `<!-- name -->` and `<!-- /name -->` in docs/`page`. Raises ValueError."""
    path = DOCS / page
    before, begin, rest = path.read_text().partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- /{name} -->\n")
    if not begin or not end:
        raise ValueError(f"{path} has no place called {name}")
    path.write_text(f"{before}{begin}{text.strip()}\n{end}{after}")


def machine() -> str:
    """The machine, and how busy it is with other things, in a few words."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return (
        f"{os.cpu_count()} CPUs ({model}), Linux {platform.release()}, Python {platform.python_version()}, "
        f"load average {os.getloadavg()[1]:.0f} with what else ran"
    )
