"""`/logs/patterns`: the lines of a search by what they say, with what varies taken out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from flask import Blueprint, render_template, request

from dashcam.console import parameters
from dashcam.console.app import console
from dashcam.console.filters import colours
from dashcam.console.pages.logs import Form
from dashcam.diagnose.log_patterns import pattern
from dashcam.model.logs import SEVERITIES, LogLine
from dashcam.sources import LogPage

READ = 2000
"""Lines that are read, and as many of the time before."""
SHOWN, PARTS = 100, 24


@dataclass
class Pattern:
    """Lines of a service that say the same; `parts` are how many in each part of the time.

    `before` is how many there were in as long a time before; None where that is not known.
    """

    service: str
    text: str
    example: LogLine
    count: int = 0
    before: int | None = None
    parts: list[int] = field(default_factory=lambda: [0] * PARTS)

    @property
    def words(self) -> str:
        """Words that stand in each of its lines, to search for."""
        return max((part.strip() for part in re.split(r"\*", self.text)), key=len)[:100]

    @property
    def spark(self) -> str:
        """The points of a line 100 wide and 24 high."""
        top = max(self.parts)
        return " ".join(
            f"{100 * place / (PARTS - 1):.1f},{23 - 21 * count / max(1, top):.1f}"
            for place, count in enumerate(self.parts)
        )


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/logs/patterns", view_func=patterns)


def patterns() -> str:
    """The page."""
    form = Form.read(request.args)
    logs, window = console().sources.logs, form.window
    length = window.end - window.start
    asked = console().gatherer.ask(
        page=lambda: logs.search(form.query(limit=READ)),
        before=lambda: logs.search(form.query(start=window.start - length, end=window.start - 1, limit=READ)),
        services=console().sources.traces.services,
    )
    page: LogPage = asked["page"].or_else(LogPage((), 0))
    found = by_pattern(page.lines, window, _whole(asked["before"].or_else(None)))
    services = {*asked["services"].or_else([]), *(one.service for one in found)}
    return render_template(
        "console/patterns.html",
        form=form,
        patterns=found[:SHOWN],
        left_out=max(0, len(found) - SHOWN),
        page=page,
        read=len(page.lines),
        error=asked["page"].error,
        lookbacks=parameters.LOOKBACKS,
        severities=SEVERITIES,
        services=sorted(services),
        colours=colours(services),
    )


def by_pattern(
    lines: Sequence[LogLine], window: parameters.Window, before: Sequence[LogLine] | None
) -> list[Pattern]:
    """The patterns of the lines: new ones first, each kind from the most severe and the most frequent on."""
    found: dict[tuple[str, str], Pattern] = {}
    length = max(1, window.end - window.start)
    for line in lines:
        key = line.service, pattern(line.message)
        one = found.setdefault(key, Pattern(*key, line, before=None if before is None else 0))
        one.count += 1
        one.parts[min(PARTS - 1, max(0, (line.time - window.start) * PARTS // length))] += 1
        if _severity(line) > _severity(one.example):
            one.example = line
    for line in before or ():
        if known := found.get((line.service, pattern(line.message))):
            known.before = (known.before or 0) + 1
    return sorted(
        found.values(), key=lambda one: (one.before != 0, -_severity(one.example), -one.count, one.text)
    )


def _severity(line: LogLine) -> int:
    return SEVERITIES.index(line.severity) if line.severity in SEVERITIES else -1


def _whole(page: LogPage | None) -> Sequence[LogLine] | None:
    """All lines of the time before; None where there are more than were read, or it did not answer."""
    return page.lines if page is not None and page.exact and page.total <= len(page.lines) else None
