"""Puts the pages of the site into one folder: the repository's own, and beside them the sources they link to.

A link to a file that is no page leads to a page with that file's text, so that the site is whole wherever it
is put and whatever hosts the repository.
"""

from __future__ import annotations

import fnmatch
import posixpath
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from docs.site import links

PICTURES = (".png", ".svg", ".gif")
LANGUAGES = {
    ".py": "python",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".mk": "makefile",
    ".toml": "toml",
    ".json": "json",
}
FENCE = "~" * 8

Entry = dict[str, Any]


class SiteError(Exception):
    """A page that is not in the navigation, a link that leads nowhere, or a name twice."""


@dataclass
class Stage:
    """The repository's files on one side, the folder that is built from on the other."""

    root: Path
    folder: Path
    tracked: list[str]
    problems: list[str] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)

    def copy(self, pages: list[str]) -> None:
        """Write each page with its links rewritten; then each source that a page leads to."""
        for page in pages:
            text = (self.root / page).read_text(encoding="utf-8")
            self.write(staged(page), links.rewritten(text, partial(self._link, pages, page)))
        for source in sorted(self.sources):
            self.write(source_page(source), self._source(source))

    def write(self, path: str, text: str) -> None:
        """Put one page where the site has it."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def _link(self, pages: list[str], page: str, target: str) -> str:
        path, fragment = links.resolved(page, target)
        here = posixpath.dirname(staged(page)) or "."
        if not self._is_there(path):
            self.problems.append(f"{page}: the link to {target} leads to no file of the repository")
            return target
        for candidate in (path, f"{path}/README.md"):
            if candidate in pages:
                return posixpath.relpath(staged(candidate), here) + fragment
        if path.endswith(PICTURES):
            self._picture(path)
            return posixpath.relpath(staged(path), here)
        self.sources.add(path)
        return posixpath.relpath(source_page(path), here)

    def _is_there(self, path: str) -> bool:
        return path in self.tracked or any(name.startswith(f"{path}/") for name in self.tracked)

    def _picture(self, path: str) -> None:
        target = self.folder / staged(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.root / path, target)

    def _source(self, path: str) -> str:
        if path in self.tracked:
            language = LANGUAGES.get(posixpath.splitext(path)[1], "text")
            text = (self.root / path).read_text(encoding="utf-8")
            return f"# {path}\n\n{FENCE}{language}\n{text.rstrip()}\n{FENCE}\n"
        names = [name for name in self.tracked if name.startswith(f"{path}/")]
        return f"# {path}/\n\nThe files of this folder in the repository:\n\n" + "".join(
            f"- `{name}`\n" for name in names
        )


def staged(path: str) -> str:
    """Where the site has a page or picture of the repository: `docs/` is its top."""
    return path.removeprefix("docs/")


def source_page(path: str) -> str:
    """Where the site shows a file that is no page."""
    return f"source/{path}.md"


def tracked_files(root: Path) -> list[str]:
    """What git keeps or would keep: also what is not yet committed, without what is ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)  # noqa: S603 # constants
    return sorted(name for name in done.stdout.splitlines() if (root / name).is_file())


def expanded(navigation: list[Entry], tracked: list[str]) -> list[Entry | str]:
    """The navigation with `*` replaced by the pages that it stands for and that are named nowhere else."""
    named = {path for path in _paths(navigation) if "*" not in path}
    return _expanded(navigation, [name for name in tracked if name.endswith(".md")], named)


def _expanded(entries: list[Entry], pages: list[str], named: set[str]) -> list[Entry | str]:
    result: list[Entry | str] = []
    for entry in entries:
        ((title, value),) = entry.items()
        if isinstance(value, list):
            result.append({title: _expanded(value, pages, named)})
        elif title == "*":
            found = [page for page in pages if _matches(page, value) and page not in named]
            named.update(found)
            result.extend(found)
        else:
            result.append({title: value})
    return result


def _matches(page: str, pattern: str) -> bool:
    return fnmatch.fnmatch(page, pattern) and page.count("/") == pattern.count("/")


def _paths(entries: list[Any]) -> list[str]:
    found: list[str] = []
    for entry in entries:
        value = entry if isinstance(entry, str) else next(iter(entry.values()))
        found += _paths(value) if isinstance(value, list) else [value]
    return found


def pages_of(navigation: list[Any]) -> list[str]:
    """Every page that the expanded navigation names."""
    return _paths(navigation)


def on_site(navigation: list[Any]) -> list[Any]:
    """The expanded navigation with the paths of the site."""
    result: list[Any] = []
    for entry in navigation:
        if isinstance(entry, str):
            result.append(staged(entry))
            continue
        ((title, value),) = entry.items()
        result.append({title: on_site(value) if isinstance(value, list) else staged(value)})
    return result
