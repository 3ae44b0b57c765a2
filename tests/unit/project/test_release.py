"""The version stands in one place, and a release has its notes."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.project.scripts import ROOT, loaded

release = loaded("release")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name, text in {
        "observability/version.py": 'VERSION = "1.2.3"\n',
        "services/car/openapi.yaml": "openapi: 3.1.0\ninfo:\n  version: 1.2.3\n",
        "k8s/base/services/car/deployment.yaml": "          image: dashcam/car:1.2.3\n",
        "CHANGELOG.md": "# Changelog\n\n## Unreleased\n\n## 1.2.3 - a day\n\n### Added\n- a\n## 1.2.2\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_all_places_say_the_same_here() -> None:
    said = list(release.stated(ROOT))
    assert {version for _, version in said} == {release.version(ROOT)}
    assert {place.split("/")[0] for place, _ in said} == {"observability", "services", "k8s"}


def test_a_new_version_is_written_everywhere_and_nothing_else_changes(repository: Path) -> None:
    release.write(repository, "2.0.0")
    assert {version for _, version in release.stated(repository)} == {"2.0.0"}
    assert "openapi: 3.1.0" in (repository / "services/car/openapi.yaml").read_text()


def test_a_place_that_says_another_is_named(repository: Path) -> None:
    (repository / "services/car/openapi.yaml").write_text("  version: 1.2.2\n")
    with pytest.raises(release.ReleaseError, match=r"1\.2\.3, but services/car/openapi\.yaml says 1\.2\.2"):
        release.check(repository, None)


def test_a_tag_must_be_that_of_the_version(repository: Path) -> None:
    release.check(repository, "v1.2.3")
    with pytest.raises(release.ReleaseError, match=r"the tag is v1\.2\.4"):
        release.check(repository, "v1.2.4")


def test_the_notes_are_the_section_of_the_changelog(repository: Path) -> None:
    assert release.notes(repository, "v1.2.3") == "### Added\n- a\n"
    with pytest.raises(release.ReleaseError, match=r"no section 1\.2\.4"):
        release.notes(repository, "v1.2.4")
