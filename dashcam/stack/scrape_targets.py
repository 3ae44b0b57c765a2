"""Addresses that Prometheus scrapes beside those of the stack: a file each, which it looks for.

Those of a person are in `targets/` of its folder and are never touched. Those that the stack finds by itself
are in `found/`, which a start empties, because an earlier run that was killed left its own behind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

OWN, FOUND = "targets", "found"


def prepare(state_dir: Path) -> None:
    """Make both folders; nothing found remains."""
    for name in (OWN, FOUND):
        (state_dir / "prometheus" / name).mkdir(parents=True, exist_ok=True)
    for old in (state_dir / "prometheus" / FOUND).glob("*.json"):
        old.unlink()


def write(state_dir: Path, name: str, groups: Sequence[tuple[str, Sequence[str]]]) -> Path:
    """Have Prometheus scrape the addresses of `groups`, each under its `job`, until the file is deleted."""
    targets: list[Mapping[str, object]] = [
        {"targets": list(addresses), "labels": {"job": job}} for job, addresses in groups
    ]
    path = state_dir / "prometheus" / FOUND / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_suffix(".new")
    written.write_text(json.dumps(targets))
    written.replace(path)  # whole: a half of it would be an error in Prometheus' log
    return path
