"""`docs/configuration.md`, generated from the settings that the code declares.

    python -m docs.configuration_page            prints it
    python -m docs.configuration_page --write    writes docs/configuration.md
    python -m docs.configuration_page --check    fails where the file is not what this prints

A test compares them too. Every dataclass with fields made by `setting()` in
`services`, `observability` and `dashcam` is found; nothing has to be registered.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
from pathlib import Path
from typing import Any

from dashcam.registry.catalogue import load
from dashcam.stack.settings import Settings, with_services

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "configuration.md"
PACKAGES = ("services", "observability", "dashcam")

INTRODUCTION = """\
# Configuration

Generated from the code by `make docs-configuration`; a test compares. Do not edit it by hand.

Everything is an environment variable, read once when a program starts. An empty variable counts as
unset. A value that cannot be used ends the program with a message that names the variable, the value
and what to do. `OTEL_*` variables have the meaning and the unit of the OpenTelemetry specification.
"""


def declared() -> list[type]:
    """Every settings class of the project, in the order of their modules' names."""
    found: dict[str, type] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            # Only what declares settings is imported: other modules may need what is not installed.
            if "= setting(" not in path.read_text(encoding="utf-8"):
                continue
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            for thing in vars(importlib.import_module(name)).values():
                if isinstance(thing, type) and thing.__module__ == name and _settings(thing):
                    found[f"{name}.{thing.__qualname__}"] = _whole(thing)
    return list(found.values())


def _whole(cls: type) -> type:
    """The settings of the stack with the ports of the services; any other as it is."""
    return with_services(load().services) if cls is Settings else cls


def page() -> str:
    """The whole page."""
    sections = [_section(cls) for cls in declared()]
    return INTRODUCTION + "".join(f"\n{section}" for section in sections)


def _settings(cls: type) -> list[dataclasses.Field[Any]]:
    if not dataclasses.is_dataclass(cls):
        return []
    return [field for field in dataclasses.fields(cls) if "env" in field.metadata]


def _section(cls: type) -> str:
    first = (cls.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
    module = cls.__module__.removesuffix(".settings")
    lines = [f"## {module}.{cls.__qualname__}", "", " ".join(first.split()), ""]
    lines += ["| variable | default | meaning |", "|---|---|---|"]
    for field in _settings(cls):
        meaning = " ".join(field.metadata["help"].split())
        secret = " Kept out of every log." if field.metadata["secret"] else ""
        lines.append(f"| `{field.metadata['env']}` | {_default(field)} | {_cell(meaning)}{secret} |")
    return "\n".join(lines) + "\n"


def _default(field: dataclasses.Field[Any]) -> str:
    value = field.default
    if value is dataclasses.MISSING:
        return "required" if field.default_factory is dataclasses.MISSING else "computed"
    if value is None or value == "" or value == ():
        return "unset"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{','.join(str(part) for part in value)}`"
    return f"`{_cell(str(value))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Print the page, write it with `--write`, or compare the file with it with `--check`."""
    if arguments == ["--write"]:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if arguments == ["--check"]:
        if PAGE.read_text(encoding="utf-8") == page():
            return 0
        sys.stderr.write("docs/configuration.md is out of date: run `make docs-configuration`\n")
        return 1
    if arguments:
        sys.stderr.write("usage: python -m docs.configuration_page [--write | --check]\n")
        return 2
    sys.stdout.write(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
