"""The documentation site: links follow their pages, and nothing is left out without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.site import __main__ as build
from docs.site import generated, links
from docs.site.stage import Stage, expanded, on_site, pages_of


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see [the console](console.md#pages) and [ADR 1](adr/0001.md)", ["console.md#pages", "adr/0001.md"]),
        ("[`code` in a text](a.md)", ["a.md"]),
        ("[![a picture](img/a.png)](b.md)", ["img/a.png", "b.md"]),
        ("`[no](link.md)` here", []),
        ("```\n[no](link.md)\n```\n[one](a.md)", ["a.md"]),
        ("[elsewhere](https://example.com), [below](#below), [to write](mailto:a@example.com)", []),
    ],
)
def test_links_are_found_outside_of_code_and_only_within_the_repository(text: str, found: list[str]) -> None:
    assert links.targets(text) == found


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    for name, text in {
        "README.md": "[docs](docs/index.md)",
        "docs/index.md": "[k8s](../k8s/README.md#top) [module](../app.py) ![p](img/p.png) [folder](../k8s)",
        "docs/img/p.png": "",
        "k8s/README.md": "# k8s",
        "k8s/base.yaml": "a: 1",
        "app.py": "x = 1",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def staged(root: Path, *pages: str) -> Stage:
    tracked = [str(path.relative_to(root)) for path in sorted(root.rglob("*")) if path.is_file()]
    stage = Stage(root, root.parent / "site", tracked)
    stage.copy(list(pages))
    return stage


def test_a_link_leads_to_the_page_where_the_site_has_it(repository: Path) -> None:
    stage = staged(repository, "docs/index.md", "k8s/README.md")
    text = (stage.folder / "index.md").read_text()
    assert "[k8s](k8s/README.md#top)" in text
    assert "[folder](k8s/README.md)" in text
    assert "![p](img/p.png)" in text
    assert (stage.folder / "img/p.png").exists()


def test_a_link_to_a_file_that_is_no_page_leads_to_its_text(repository: Path) -> None:
    stage = staged(repository, "docs/index.md", "k8s/README.md")
    assert "[module](source/app.py.md)" in (stage.folder / "index.md").read_text()
    assert "x = 1" in (stage.folder / "source/app.py.md").read_text()


def test_a_link_that_leads_nowhere_is_named_with_its_page(repository: Path) -> None:
    (repository / "k8s/README.md").write_text("[gone](gone.md)")
    assert staged(repository, "k8s/README.md").problems == [
        "k8s/README.md: the link to gone.md leads to no file of the repository"
    ]


def test_a_star_stands_for_the_pages_that_are_named_nowhere_else() -> None:
    tracked = ["docs/a.md", "docs/b.md", "docs/deep/c.md", "docs/img.png"]
    navigation = expanded([{"B": "docs/b.md"}, {"More": [{"*": "docs/*.md"}]}], tracked)
    assert pages_of(navigation) == ["docs/b.md", "docs/a.md"]
    assert on_site(navigation) == [{"B": "b.md"}, {"More": ["a.md"]}]


def test_a_page_that_no_group_has_and_one_that_is_not_there_are_complaints() -> None:
    found = build.complaints(["docs/a.md", "docs/x.md"], ["docs/a.md", "docs/b.md"], {})
    assert found == [
        "navigation.yaml names docs/x.md, which is not there",
        "navigation.yaml does not name docs/b.md",
    ]


def test_the_generated_pages_have_every_command_and_every_metric() -> None:
    made = generated.pages(build.ROOT)
    assert "## dashcam diagnose" in made["reference/command-line.md"]
    assert "`http_server_request_duration_seconds_count`" in made["reference/signals.md"]
    assert "## `GET /cars`" in made["reference/api-car.md"]
    assert "heading: observability.instrument" in made["reference/library.md"]
