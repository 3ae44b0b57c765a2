"""What the README and the other pages promise exists: make targets, files that are linked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "services/*/README.md", "k8s/**/*.md", "dashboards/**/*.md")
    for path in ROOT.glob(pattern)
)


def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text()
    included = re.findall(r"^include (\S+)$", makefile, re.MULTILINE)
    text = "\n".join([makefile, *((ROOT / path).read_text() for path in included)])
    rules = re.findall(r"^([a-z][a-z0-9 -]*):(?!=)", text, re.MULTILINE)
    return {target for rule in rules for target in rule.split()}


def code(text: str) -> str:
    """What stands in code blocks and code spans: the commands a reader copies."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_a_page_names_exists(page: Path) -> None:
    named = set(re.findall(r"\bmake (?:[A-Z_]+=\S+ )*([a-z][a-z0-9-]*)", code(page.read_text())))
    assert not named - targets()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_a_page_links_exists(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


def test_the_readme_opens_with_the_two_commands() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:40])
    assert "make up" in first_screen
    assert "make test" in first_screen
