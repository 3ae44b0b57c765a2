"""A table panel: its labels and columns as Grafana shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from dashboards.preview import fields
from dashboards.preview.fields import Panel
from dashcam.sources import Sample


def table(panel: Panel, answers: Sequence[Sequence[Sample]], console: str) -> str:
    """The rows of the answers put together by their labels; empty where there is none."""
    columns = [target["legendFormat"] for target in panel["targets"]]
    lines: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for name, samples in zip(columns, answers, strict=True):
        for sample in samples:
            key = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "__name__"))
            lines.setdefault(key, {})[name] = sample.value
    if not lines:
        return ""
    labels = sorted({name for key in lines for name, _ in key})
    head = "".join(f"<th>{escape(_title(panel, name))}</th>" for name in [*labels, *columns])
    body = "".join(
        f"<tr>{''.join(_label(panel, name, dict(key), console) for name in labels)}"
        f"{''.join(_cell(panel, name, values) for name in columns)}</tr>"
        for key, values in sorted(lines.items())
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _title(panel: Panel, name: str) -> str:
    return str(fields.column(panel, name).get("displayName", name))


def _label(panel: Panel, name: str, labels: Mapping[str, str], console: str) -> str:
    said = escape(labels.get(name, ""))
    links = fields.column(panel, name).get("links") or []
    if not said or not links:
        return f"<td>{said}</td>"
    if len(links) == 1:
        return f"<td>{_link(links[0], labels, console, said)}</td>"
    # What Grafana has in a menu.
    each = " ".join(_link(link, labels, console, escape(link["title"])) for link in links)
    return f"<td>{said} <small>{each}</small></td>"


def _link(link: Mapping[str, str], labels: Mapping[str, str], console: str, shown: str) -> str:
    address = escape(fields.href(link["url"], labels, console))
    return f'<a href="{address}" title="{escape(link["title"])}">{shown}</a>'


def _cell(panel: Panel, name: str, values: Mapping[str, float]) -> str:
    settings = fields.column(panel, name)
    value = values.get(name, math.nan)
    coloured = math.isnan(value) or "custom.cellOptions" in settings
    shade = f" {fields.colour(settings, value)}" if coloured else ""
    return f'<td class="n{shade}">{escape(fields.text(settings, value))}</td>'
