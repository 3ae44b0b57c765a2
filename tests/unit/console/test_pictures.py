"""The pictures in docs/img are there for a page, and small."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_picture_is_shown_by_a_page_and_is_small() -> None:
    pages = "".join(page.read_text() for page in (ROOT / "README.md", *ROOT.glob("docs/**/*.md")))
    for picture in ROOT.glob("docs/img/*.png"):
        assert f"img/{picture.name}" in pages, f"no page shows {picture.name}"
        assert picture.stat().st_size < 250_000, picture.name
