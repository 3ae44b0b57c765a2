"""What CONTRIBUTING.md and the decisions name exists, and what exists is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from unit.project.scripts import ROOT

from docs import decisions

DECISIONS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
HOW_TO = ROOT / "docs" / "how-to"
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
    assert decisions.PAGE.read_text(encoding="utf-8") == decisions.page(), "run `make docs-decisions`"
    assert all(f"]({path.name}) | " in decisions.page() for path in DECISIONS)


def test_a_decision_without_a_title_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "0001-one.md").write_text("# One\n")
    monkeypatch.setattr(decisions, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"0001-one\.md begins with '# One'"):
        decisions.page()


def test_a_version_of_the_changelog_has_each_section_once() -> None:
    for version in re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[
        1:
    ]:
        sections = re.findall(r"^### (.+)$", version, re.MULTILINE)
        assert len(sections) == len(set(sections)), version.splitlines()[0]


FIRST_READ = ["README.md", "docs/tutorial.md", "docs/own-services.md", "docs/dashboards.md"]


@pytest.mark.parametrize(
    "page", [*FIRST_READ, *(f"docs/how-to/{p.name}" for p in sorted(HOW_TO.glob("*.md")))]
)
def test_a_command_can_be_typed_in_a_checkout_as_it_stands(page: str) -> None:
    """The program is in `.venv/bin`, which is on nobody's PATH."""
    blocks = re.findall(
        r"^```sh\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert [line for block in blocks for line in block.splitlines() if line.startswith("dashcam ")] == []
