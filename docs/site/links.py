"""Links between Markdown files of the repository, rewritten for where the files stand on the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator

LINK_OR_CODE = re.compile(
    r"(?P<before>!?\[(?:[^\]\[]|\[[^\]]*\](?:\([^)]*\))?)*\]\()(?P<target>[^)\s]+)\)|`+[^`]+`+"
)
"""A link, whose text may hold code or a picture; or a code span, in which nothing is a link."""
FENCE = re.compile(r"^\s*(```|~~~)")
ELSEWHERE = re.compile(r"^(?:[a-z][a-z+.-]*:|#|/)", re.IGNORECASE)


def rewritten(text: str, change: Callable[[str], str]) -> str:
    """`text` with each relative link changed; what stands in code is left alone."""

    def one(match: re.Match[str]) -> str:
        target = match["target"]
        if target is None:
            return match[0]
        before = rewritten(match["before"].removesuffix("]("), change) + "]("
        return f"{before}{target if ELSEWHERE.match(target) else change(target)})"

    return "".join(LINK_OR_CODE.sub(one, line) if prose else line for line, prose in _lines(text))


def targets(text: str) -> list[str]:
    """Every relative link of `text`, as it is written."""
    found: list[str] = []

    def keep(target: str) -> str:
        found.append(target)
        return target

    rewritten(text, keep)
    return found


def resolved(page: str, target: str) -> tuple[str, str]:
    """The repository path that a link on `page` leads to, and the fragment with its `#`."""
    path, hash_, fragment = target.partition("#")
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path)), hash_ + fragment


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it is outside of fenced code."""
    fence = ""
    for line in text.splitlines(keepends=True):
        mark = FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
            yield line, False
        else:
            yield line, not fence
            if mark and mark[1] == fence:
                fence = ""
