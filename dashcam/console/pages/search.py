"""`/search`: Jaeger's search form, a scatter of durations over time, and the traces that match."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from flask import Blueprint, render_template, request

from dashcam.console import parameters
from dashcam.console.app import console
from dashcam.console.filters import colours
from dashcam.console.gather import Outcome, first_error
from dashcam.console.scatter import scatter
from dashcam.sources import SourceError, Trace, TraceQuery, TraceSummary

SORTS: Mapping[str, Any] = {
    "newest": lambda trace: -trace.start,
    "longest": lambda trace: -trace.duration,
    "shortest": lambda trace: trace.duration,
    "most-spans": lambda trace: -trace.spans,
    "most-errors": lambda trace: (-trace.errors, -trace.start),
}
LIMIT = 1500
"""What Jaeger's UI allows, and links may have."""

SHOWN = 200
"""The most traces on one page."""

WHOLE = 100
"""The most traces that are fetched with all of their spans, for pages that add them up."""

EVERY = 12
"""The most services that are searched where none is chosen: Jaeger is asked for each of them."""

CHOSEN_FROM = 500
"""Characters of a name that one may choose from a list; a longer one would make the page as long as it is."""


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/search", view_func=search)
    blueprint.add_url_rule("/search/operations", view_func=operations)


@dataclass(frozen=True)
class Form:
    """The search form, as Jaeger's UI names its parameters; `errors` is the console's own."""

    service: str
    operation: str
    tags: Mapping[str, str]
    window: parameters.Window
    min_duration: str
    max_duration: str
    limit: int
    errors: bool
    sort: str

    @classmethod
    def read(cls, args: Mapping[str, str]) -> Form:
        operation = args.get("operation", "")
        return cls(
            service=args.get("service", "").strip(),
            operation="" if operation == "all" else operation,
            tags=parameters.pairs(args, "tags"),
            window=parameters.window(args),
            min_duration=parameters.duration(args, "minDuration"),
            max_duration=parameters.duration(args, "maxDuration"),
            limit=parameters.number(args, "limit", 20, 1, LIMIT),
            errors=args.get("errors", "") not in ("", "0", "false"),
            sort=parameters.choice(args, "sort", tuple(SORTS), "newest"),
        )

    def query(self) -> TraceQuery:
        return TraceQuery(
            service=self.service,
            operation=self.operation,
            tags={**self.tags, **({"error": "true"} if self.errors else {})},
            start=self.window.start,
            end=self.window.end,
            min_duration=self.min_duration,
            max_duration=self.max_duration,
            limit=min(self.limit, SHOWN),
        )

    def wide(self) -> Form:
        """The search without what tells good traces from bad ones, for a comparison with the others."""
        return replace(self, errors=False, min_duration="", max_duration="", limit=max(self.limit, WHOLE))

    def params(self, **changes: str | int) -> dict[str, str | int]:
        """The query string of this search, with `changes`."""
        every: dict[str, str | int] = {
            "service": self.service,
            "operation": self.operation,
            "tags": self.tags_text,
            **self.window.params(),
            "minDuration": self.min_duration,
            "maxDuration": self.max_duration,
            "limit": self.limit,
            "errors": "1" if self.errors else "",
            "sort": self.sort,
        }
        return {name: value for name, value in (every | changes).items() if value != ""}

    @property
    def tags_text(self) -> str:
        return parameters.logfmt(self.tags)


def search() -> str:
    """The page. Without a service it searches each of them."""
    form = Form.read(request.args)
    traces = console().sources.traces
    questions: dict[str, Any] = {"services": traces.services}
    if form.service:
        questions["operations"] = lambda: traces.operations(form.service)
        questions["traces"] = lambda: traces.summaries(form.query())
    asked = console().gatherer.ask(**questions)
    services = asked["services"].or_else([])
    answers = [asked["traces"]] if form.service else _of_every_service(form.query(), services)
    results = newest_of((one.or_else([]) for one in answers), form.query().limit)
    results.sort(key=SORTS[form.sort])
    return render_template(
        "console/search.html",
        form=form,
        sorts=SORTS,
        lookbacks=parameters.LOOKBACKS,
        services=services,
        left_out=0 if form.service else max(0, len(services) - EVERY),
        operations=asked["operations"].or_else([]) if form.service else [],
        error=first_error(asked["services"], *answers),
        traces=results,
        fixed=form.params(**form.window.fix()),
        full=len(results) == min(form.limit, SHOWN),
        longest=max([1, *(trace.duration for trace in results)]),
        drawing=scatter(results) if results else None,
        colours=colours(service for trace in results for service in trace.services),
        now=parameters.now(),
    )


def newest_of(found: Iterable[Sequence[TraceSummary]], limit: int) -> list[TraceSummary]:
    """The newest `limit` of the traces that several searches found, each once."""
    every = {trace.trace_id: trace for one in found for trace in one}
    return sorted(every.values(), key=SORTS["newest"])[:limit]


def matching(form: Form) -> list[TraceSummary]:
    """The newest traces that a search finds, as its page has them. Raises SourceError."""
    traces = console().sources.traces
    if form.service:
        return traces.summaries(form.query())
    answers = _of_every_service(form.query(), traces.services())
    if error := first_error(*answers):
        raise error
    return newest_of((one.or_else([]) for one in answers), form.query().limit)


def whole_traces(form: Form) -> tuple[list[Trace], SourceError | None]:
    """The newest traces that match, with all of their spans, at most WHOLE; without a service, of each."""
    traces = console().sources.traces
    query = replace(form.query(), limit=min(form.limit, WHOLE))
    names = [form.service] if form.service else traces.services()[:EVERY]
    searches = {
        f"of{place}": partial(traces.search, replace(query, service=name)) for place, name in enumerate(names)
    }
    answers = list(console().gatherer.ask(**searches).values())
    every = {trace.trace_id: trace for one in answers for trace in one.or_else([])}
    newest = sorted(every.values(), key=lambda trace: -trace.start)[: query.limit]
    return newest, first_error(*answers)


def _of_every_service(query: TraceQuery, services: Sequence[str]) -> list[Outcome]:
    traces = console().sources.traces
    searches = {
        f"of{place}": partial(traces.summaries, replace(query, service=name))
        for place, name in enumerate(services[:EVERY])
    }
    return list(console().gatherer.ask(**searches).values())


def operations() -> dict[str, list[str]]:
    """The operations of a service, for the form."""
    service = request.args.get("service", "").strip()
    found = console().sources.traces.operations(service) if service else []
    return {"operations": [name for name in found if len(name) <= CHOSEN_FROM]}
