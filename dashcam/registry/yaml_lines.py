"""Where in a YAML page a value stands, since the parser's values do not say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml


class Lines:
    """The lines of a page's keys and items, by the path that leads to them. Raises yaml.YAMLError."""

    def __init__(self, text: str) -> None:
        self._root = yaml.compose(text, Loader=yaml.SafeLoader)

    def of(self, path: tuple[str | int, ...]) -> int:
        """The line of the last part of `path` that is there, counted from 1."""
        node, line = self._root, 1
        for part in path:
            found = next((pair for key, *pair in _inside(node) if str(key) == str(part)), None)
            if found is None:
                break
            mark, node = found
            line = mark.line + 1
        return line

    def repeated(self) -> Iterator[tuple[int, str]]:
        """Line and name of each key that its mapping has already; YAML's reader takes the last, silently."""
        yield from _repeated(self._root)


def _inside(node: Any) -> Iterator[tuple[str | int, Any, Any]]:
    """Key, place and value of everything directly in a node."""
    if isinstance(node, yaml.MappingNode):
        yield from ((key.value, key.start_mark, value) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        yield from ((number, value.start_mark, value) for number, value in enumerate(node.value))


def _repeated(node: Any) -> Iterator[tuple[int, str]]:
    seen = set()
    for key, mark, value in _inside(node):
        if key in seen:
            yield mark.line + 1, str(key)
        seen.add(key)
        yield from _repeated(value)
