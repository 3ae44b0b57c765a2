"""The tools: each asks the sources once and answers a small typed value. None of them changes anything."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, urlencode

from dashcam.console import filters, parameters
from dashcam.console.comparison import compare as matched
from dashcam.console.gather import Gatherer
from dashcam.console.pages.search import newest_of
from dashcam.console.service_health import Service, gather_services, serious, urgency
from dashcam.console.settings import ConsoleSettings
from dashcam.diagnose import single_trace, verdict
from dashcam.diagnose.selection import narrowed
from dashcam.mcp import answers, diagnosed
from dashcam.mcp.answers import cut
from dashcam.mcp.spans import shown
from dashcam.model.logs import SEVERITIES
from dashcam.sources import LogQuery, Series, SourceError, Sources, Trace, TraceQuery

MOST = 50
"""Rows that are answered, at most, whatever is asked for."""
SERIES = 20
POINTS = 60
_RUNBOOK = re.compile(r"[A-Za-z0-9]{1,60}")


class CannotAnswer(ValueError):
    """What was asked for is not there. The message says what to do."""


@dataclass(frozen=True)
class Tools:
    """The tools over one set of sources. `since` is how far back, such as 15m; `until` a moment [now]."""

    sources: Sources
    settings: ConsoleSettings

    def services(self, since: str = "5m", until: str = "") -> answers.Services:
        """List every service with its rate, share of errors, durations, version and alerts."""
        window = parameters.reaching(since, until)
        found, errors = gather_services(self.sources, Gatherer(self.settings.source_timeout), window)
        return answers.Services([self._service(one) for one in found], [str(one) for one in errors])

    def traces(
        self,
        service: str = "",
        operation: str = "",
        errors: bool = False,
        min_duration: str = "",
        since: str = "15m",
        until: str = "",
        limit: int = 10,
    ) -> answers.FoundTraces:
        """Find the newest traces: of a service, an operation, with errors, longer than such as 100ms."""
        window = parameters.reaching(since, until)
        tags = {"error": "true"} if errors else {}
        parameters.duration({"min_duration": min_duration}, "min_duration")
        most = max(1, min(limit, MOST))
        query = TraceQuery(service, window.start, window.end, operation, tags, min_duration, "", most)
        names = [service] if service else self.sources.traces.services()
        found = newest_of(
            (self.sources.traces.summaries(replace(query, service=name)) for name in names), most
        )
        rows = [
            answers.FoundTrace(
                one.trace_id,
                one.root_service or "",
                cut(one.root_operation or ""),
                filters.iso(one.start),
                one.duration / 1000,
                one.spans,
                one.errors,
                self._page(f"trace/{one.trace_id}"),
            )
            for one in found
        ]
        return answers.FoundTraces(rows, self._page("search", service=service, **window.fix()))

    def trace(self, trace_id: str) -> answers.WholeTrace:
        """Show one trace: where its failure began, and the spans that it waited for."""
        one = self._trace(trace_id)
        spans, left_out = shown(one)
        told = single_trace.explain(one, [])
        first = [
            cut(f"{each['service']}: {each['place']} ended in {each['error']}") for each in told["failures"]
        ]
        start, took = filters.iso(one.start), one.duration / 1000
        return answers.WholeTrace(
            one.trace_id, start, took, first, spans, left_out, self._page(f"trace/{one.trace_id}")
        )

    def logs(
        self,
        text: str = "",
        service: str = "",
        level: str = "",
        trace_id: str = "",
        since: str = "15m",
        until: str = "",
        limit: int = 20,
    ) -> answers.Lines:
        """Find the newest log lines: with a text, of a service, a trace, of a least severity such as WARN."""
        if level and level.upper() not in SEVERITIES:
            raise parameters.BadParameter("level", level, f"give one of {', '.join(SEVERITIES)}.")
        window = parameters.reaching(since, until)
        query = LogQuery(
            service=service,
            trace_id=parameters.trace_id(trace_id) if trace_id else "",
            level=level.upper(),
            text=text,
            start=None if trace_id else window.start,
            end=None if trace_id else window.end,
            limit=max(1, min(limit, MOST)),
        )
        page = self.sources.logs.search(query)
        rows = [
            answers.Line(filters.iso(one.time), one.severity, one.service, cut(one.message), one.trace_id)
            for one in reversed(page.lines)
        ]
        asked = {"service": service, "level": level.upper(), "q": text, "trace_id": trace_id}
        link = self._page("logs", **{name: value for name, value in asked.items() if value}, **window.fix())
        return answers.Lines(rows, page.total, link)

    def metrics(self, promql: str, since: str = "15m", until: str = "") -> answers.Metrics:
        """Ask Prometheus for an expression over a time: last, least, most and mean value of each series."""
        window = parameters.reaching(since, until)
        step = max(1.0, window.seconds // POINTS)
        found = self.sources.metrics.range(promql, window.start / 1e6, window.end / 1e6, step)
        rows = sorted((_figures(one) for one in found), key=lambda one: -(one.last or -math.inf))
        link = self._page("explore", promql=promql, **window.fix())
        return answers.Metrics(rows[:SERIES], max(0, len(rows) - SERIES), link)

    def alerts(self) -> answers.Alerts:
        """List what fires and what is pending, the most urgent first."""
        found = sorted((one for one in self.sources.metrics.alerts() if serious(one)), key=urgency)
        rows = [
            answers.FoundAlert(
                one.name,
                one.state,
                diagnosed.moment(one.active_at),
                one.labels.get("service") or one.labels.get("job", ""),
                cut(one.annotations.get("summary", "")),
            )
            for one in found[:MOST]
        ]
        return answers.Alerts(rows, self._page("alerts"))

    def runbook(self, name: str) -> answers.Runbook:
        """Read the runbook of an alert, by the alert's name."""
        path = self.settings.runbooks / f"{name}.md"
        if not _RUNBOOK.fullmatch(name) or not path.is_file():
            known = ", ".join(sorted(one.stem for one in self.settings.runbooks.glob("[A-Z]*.md")))
            raise CannotAnswer(f"there is no runbook {cut(name, 60)!r}: give one of {known}")
        return answers.Runbook(name, path.read_text(encoding="utf-8"), self._page(f"runbooks/{name}"))

    def diagnose(self, since: str = "15m", until: str = "", service: str = "") -> answers.Diagnosis:
        """Say what is wrong, since when, for whom, where the cause is and how sure that is, with evidence.

        What is usual is learned from the time before the change, so `since` must reach back beyond it.
        """
        window = parameters.reaching(since, until)
        start, end = window.start / 1e6, window.end / 1e6
        found = verdict.diagnose(self.sources, start, end, self._page(""))
        if service:
            found = narrowed(found, service)
        return diagnosed.answer(found, self._page("diagnose", service=service, **window.fix()))

    def compare(self, first: str, second: str) -> answers.Comparison:
        """Put two traces side by side, span by span, the largest difference first."""
        one, other = self._trace(first), self._trace(second)
        pairs = sorted(matched(one, other), key=lambda pair: -abs(_difference(pair.first, pair.second)))
        rows = [
            answers.ComparedSpan(
                pair.span.service,
                cut(pair.span.operation),
                pair.first.duration / 1000 if pair.first else None,
                pair.second.duration / 1000 if pair.second else None,
            )
            for pair in pairs[:MOST]
        ]
        link = self._page(f"trace/{one.trace_id}...{other.trace_id}")
        took = one.duration / 1000, other.duration / 1000
        return answers.Comparison(*took, rows, max(0, len(pairs) - MOST), link)

    def _trace(self, trace_id: str) -> Trace:
        found = self.sources.traces.trace(parameters.trace_id(trace_id))
        if found is None or not found.spans:
            raise CannotAnswer(f"trace {trace_id} is not in the store: too new, too old, or not sampled")
        return found

    def _service(self, one: Service) -> answers.Service:
        return answers.Service(
            one.name,
            one.state,
            requests_a_second=one.figure("rate"),
            errors=one.figure("errors"),
            p50=one.figure("p50"),
            p95=one.figure("p95"),
            p99=one.figure("p99"),
            version=one.version,
            alerts=[alert.name for alert in one.alerts],
            link=self._page("monitor", service=one.name),
        )

    def _page(self, path: str, **params: str | int) -> str:
        known = {name: value for name, value in params.items() if value != ""}
        asked = f"?{urlencode(known)}" if known else ""
        whole = f"http://localhost:{self.settings.console_port}/{quote(path, safe='/.')}{asked}"
        return whole.rstrip("/")


def _difference(first: object, second: object) -> int:
    """Microseconds by which two spans differ; all of it where one is missing."""
    return int(getattr(second, "duration", 0)) - int(getattr(first, "duration", 0))


def _figures(one: Series) -> answers.SeriesFigures:
    values: Sequence[float] = [value for _, value in one.points if math.isfinite(value)]
    if not values:
        return answers.SeriesFigures(dict(one.labels), None, None, None, None)
    mean = sum(values) / len(values)
    return answers.SeriesFigures(dict(one.labels), values[-1], min(values), max(values), mean)


ANTICIPATED = (SourceError, parameters.BadParameter, CannotAnswer)
"""What a tool may raise that its reader can do something about."""
