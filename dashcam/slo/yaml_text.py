"""YAML for people: keys in the order given, long texts as literal blocks, the same bytes every time."""

from __future__ import annotations

from typing import Any

import yaml


class _Readable(yaml.SafeDumper):
    """SafeDumper with literal blocks for texts of several lines and indented sequences, without aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Readable.add_representer(str, _text)


def dump(document: Any, header: str) -> str:
    """The document as YAML under a comment of `header`'s lines."""
    comment = "".join(f"# {line}\n" for line in header.splitlines())
    body = yaml.dump(document, Dumper=_Readable, sort_keys=False, allow_unicode=True, width=1000)
    return comment + body
