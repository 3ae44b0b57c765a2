"""Which parts of an overlay to deploy: some, or all but some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashcam.cluster.kubectl import ClusterError

NAME = "app.kubernetes.io/name"
BOOTSTRAP = "-bootstrap"
"""What a part's Job is called after the part's own name."""


@dataclass(frozen=True)
class Parts:
    """`only` these, or all where it is empty, less those `without`; both by what the manifests call them."""

    only: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()

    def of(self, objects: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The objects of the chosen parts, and those of no part: namespaces, policies, configuration.

        Raises ClusterError for a name that no part has, with the names there are.
        """
        named = {part for each in objects if (part := part_of(each))}
        if unknown := sorted((self.only | self.without) - named):
            raise ClusterError(f"there is no part {', '.join(unknown)}; there are {', '.join(sorted(named))}")
        return [each for each in objects if self._chosen(part_of(each))]

    def _chosen(self, part: str) -> bool:
        return not part or ((not self.only or part in self.only) and part not in self.without)

    def __bool__(self) -> bool:
        return bool(self.only or self.without)


def part_of(each: Mapping[str, Any]) -> str:
    """The part that an object belongs to, or nothing; a part's bootstrap Job belongs to it."""
    name: str = (each["metadata"].get("labels") or {}).get(NAME, "")
    return name.removesuffix(BOOTSTRAP)


def named(words: Iterable[str]) -> frozenset[str]:
    """Names as they come from a command line: each word may be several with commas between."""
    return frozenset(name for word in words for name in word.split(",") if name)
