"""What CONTRIBUTING.md and the decisions name exists, and what exists is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from unit.project.scripts import ROOT

DECISIONS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
INDEX = ROOT / "docs" / "adr" / "README.md"
OURS = "observability|dashcam|services|dashboards|tests|docs|k8s|scenarios|traffic|benchmarks|examples"


def test_every_folder_of_tests_is_in_the_table() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    there = {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").glob("*/**/test_*.py")}
    assert set(re.findall(r"`tests/(\w+)/`", table)) == there


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem[:4])
def test_a_path_that_a_decision_names_is_there(decision: Path) -> None:
    """Decisions stay as they were made; where a module moves, its path in them moves along."""
    named = re.findall(rf"`((?:{OURS})/[\w./-]*)`", decision.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_index_has_every_decision_by_its_title() -> None:
    listed = re.findall(
        r"^\| \[(\d+)\]\(([\w-]+\.md)\) \| (.+) \|$", INDEX.read_text(encoding="utf-8"), re.MULTILINE
    )
    titles = [re.match(r"# (\d+)\. (.+)\n", path.read_text(encoding="utf-8")) for path in DECISIONS]
    assert all(titles), "a decision begins with `# NUMBER. Title`"
    assert listed == [
        (found[1], path.name, found[2]) for found, path in zip(titles, DECISIONS, strict=True) if found
    ]


def test_a_version_of_the_changelog_has_each_section_once() -> None:
    for version in re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[
        1:
    ]:
        sections = re.findall(r"^### (.+)$", version, re.MULTILINE)
        assert len(sections) == len(set(sections)), version.splitlines()[0]
