"""Pages that the code itself says: the commands, the declared signals, the services' APIs, the library."""

from __future__ import annotations

import inspect
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import yaml

import observability
from observability import schema
from services.signals import METRICS

METHODS = ("get", "head", "post", "put", "patch", "delete")


def pages(root: Path) -> dict[str, str]:
    """Each generated page by its path on the site."""
    apis = {
        f"reference/api-{path.parent.name}.md": api(path)
        for path in sorted(root.glob("services/*/openapi.yaml"))
    }
    return {
        "reference/command-line.md": command_line(),
        "reference/signals.md": signals(),
        "reference/library.md": library(),
        **apis,
    }


# -- the commands ---------------------------------------------------------------------------------


def command_line() -> str:
    """Every command with the help that it prints itself."""
    (entry,) = entry_points(group="console_scripts", name="dashcam")
    program: click.Command = entry.load()
    return "# Command line\n\nWhat each command says with `--help`.\n" + "".join(
        _command(program, "dashcam", None)
    )


def _command(command: click.Command, name: str, parent: click.Context | None) -> list[str]:
    if command.hidden:
        return []
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent, terminal_width=100)
    sections = [f"\n## {name}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"]
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None, f"{name} lists {child}, which is no command"
            sections += _command(found, f"{name} {child}", context)
    return sections


# -- the signals ----------------------------------------------------------------------------------


def signals() -> str:
    """Every declared metric, log field and span attribute."""
    metrics = [
        [f"`{each.sample}`", each.kind, each.unit and f"`{each.unit}`", _codes(each.labels), each.help]
        for each in METRICS
    ]
    fields = [[f"`{each.name}`", each.type, each.help] for each in schema.LOG_FIELDS]
    attributes = [[f"`{each.name}`", each.type, each.help] for each in schema.SPAN_ATTRIBUTES]
    return "\n".join(
        (
            "# Metrics, spans and log fields\n",
            "What is emitted is what `observability/schema.py` and `services/*/signals.py` declare; "
            "tests hold the two together.\n",
            "## Metrics\n",
            "In Prometheus' spelling, with the name to query: a histogram also has `_bucket` and `_sum`.\n",
            _table(["name", "kind", "unit", "labels", "meaning"], metrics),
            "\n## Log fields\n",
            _table(["field", "type", "meaning"], fields),
            "\n## Span attributes\n",
            "Those of the semantic conventions for HTTP come on top.\n",
            _table(["attribute", "type", "meaning"], attributes),
        )
    )


# -- the services' APIs ---------------------------------------------------------------------------


def api(path: Path) -> str:
    """One service's OpenAPI document as tables."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    info = document["info"]
    sections = [f"# API of {info['title']}\n\n{info.get('description', '').strip()}\n"]
    sections.append(
        f"The service answers the whole document at `/openapi.json`: OpenAPI {document['openapi']}.\n"
    )
    for route, item in document["paths"].items():
        sections += [_operation(document, route, method, item) for method in METHODS if method in item]
    return "\n".join(sections)


def _operation(document: Any, route: str, method: str, item: Any) -> str:
    operation = item[method]
    parameters = [
        _followed(document, each) for each in [*item.get("parameters", ()), *operation.get("parameters", ())]
    ]
    answers: list[list[str]] = [
        [f"`{status}`", _followed(document, answer).get("description", "")]
        for status, answer in operation["responses"].items()
    ]
    rows = [
        [
            f"`{each['name']}`",
            each["in"],
            "yes" if each.get("required") else "no",
            each.get("description", ""),
        ]
        for each in parameters
    ]
    text: str = f"## `{method.upper()} {route}`\n\n{operation.get('summary', '')}.\n\n"
    text += (operation.get("description", "").strip() + "\n\n").lstrip("\n")
    if rows:
        text += _table(["parameter", "in", "required", "meaning"], rows) + "\n"
    return text + _table(["status", "answer"], answers)


def _followed(document: Any, node: Any) -> Any:
    while "$ref" in node:
        target = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


# -- the library ----------------------------------------------------------------------------------


def library() -> str:
    """The public names of `observability`, each to be filled in from its docstring when the site is built."""
    sections = []
    for public in observability.__all__:
        thing = getattr(observability, public)
        home = thing.__name__ if inspect.ismodule(thing) else f"{thing.__module__}.{thing.__qualname__}"
        options = f"    options:\n      heading: observability.{public}\n      toc_label: {public}\n"
        sections.append(f"::: {home}\n{options}")
    return "# Library\n\n" + "\n".join([inspect.getdoc(observability) or "", "", *sections])


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _codes(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
