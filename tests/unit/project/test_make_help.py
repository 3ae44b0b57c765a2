"""`make help` shows what people want, by what they want."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_help_begins_with_the_stack_and_has_each_target_once_with_a_line() -> None:
    printed = subprocess.run(
        # Below `make test` this is make within make, which would say first where it is.
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    lines = printed.splitlines()
    assert lines[0] == "Try it"
    assert lines[1].split()[:2] == ["make", "up"]
    shown = [line.split(maxsplit=2) for line in lines if line.startswith("  ")]
    assert all(len(words) == 3 for words in shown)
    names = [words[1] for words in shown]
    assert len(set(names)) == len(names)
    assert "prerequisites" not in names
