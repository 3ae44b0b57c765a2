"""How each service is doing, for the overview and the command line: figures, version, alerts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from dashcam.console import parameters, queries, span_figures
from dashcam.console.gather import Gatherer, Outcome
from dashcam.model.logs import LogQuery
from dashcam.sources import Alert, Prometheus, Sample, Series, SourceError, Sources
from observability import schema

FIGURES = ("rate", "errors", "p50", "p95", "p99", "saturation", "up", "instances", "budget")
PROGRAM = "dashcam.program"
"""The field of the lines by which `dashcam run` tells of a program's start and end."""

_LOOK_BACK = 24 * 3600 * 1_000_000
FAILING = 0.01
"""The share of errors above which a service is called failing."""


@dataclass(frozen=True)
class Service:
    """One service. A figure is missing where nothing was measured; durations are in seconds.

    `from_spans` is true where rate, errors and durations are read from its newest spans, for want of metrics.
    """

    name: str
    figures: Mapping[str, float]
    version: str
    alerts: Sequence[Alert]
    spark: str
    from_spans: bool = False

    def figure(self, name: str) -> float | None:
        return self.figures.get(name)

    @property
    def state(self) -> str:
        """`down` where no instance answers a scrape, `firing`, `failing` above 1% of errors, or `ok`.

        `unknown` where there is neither a scrape nor a figure to judge it by, and where only its spans say
        that it answers: it was just started and not scraped yet, or its metrics cannot be reached.
        """
        if self.figures.get("up") == 0:
            return "unknown" if self.from_spans else "down"
        if any(alert.state == "firing" for alert in self.alerts):
            return "firing"
        if self.figures.get("errors", 0.0) > FAILING:
            return "failing"
        return "ok" if self.figures.keys() & {"up", "errors", "rate"} else "unknown"


def serious(alert: Alert) -> bool:
    """False for an alert that fires to prove that alerts work (severity `none`)."""
    return alert.labels.get("severity") != "none"


def urgency(alert: Alert) -> tuple[bool, bool, float]:
    """To sort by: firing before pending, what pages before what can wait, the oldest first."""
    return alert.state != "firing", alert.labels.get("severity") != "page", alert.active_at


STATES = ("down", "firing", "failing", "unknown", "ok")
"""What a service can be, what needs a person most first."""


def need(service: Service) -> tuple[Any, ...]:
    """To sort by: by state, what pages before what can wait, the emptiest budget, the busiest first."""
    pages = any(alert.labels.get("severity") == "page" for alert in service.alerts)
    budget, rate = service.figure("budget"), service.figure("rate")
    left = 1.0 if budget is None else min(budget, 1.0)
    troubled = service.state in ("down", "firing", "failing")
    return STATES.index(service.state), not pages, left if troubled else 0.0, -(rate or 0.0), service.name


def questions(sources: Sources, window: parameters.Window) -> dict[str, Callable[[], Any]]:
    """What to ask for :func:`services_of`, by name."""
    metrics = sources.metrics
    return {
        **_figures(metrics, window),
        "info": partial(metrics.instant, schema.TARGET.sample),
        "alerts": metrics.alerts,
        "traced": sources.traces.services,
        "programs": partial(_programs, sources, window),
    }


def _programs(sources: Sources, window: parameters.Window) -> list[str]:
    """The programs that `dashcam run` started and that have not ended, which may have sent nothing yet."""
    last: dict[str, str] = {}
    times: dict[str, int] = {}
    for state in ("started", "ended"):
        query = LogQuery(fields={PROGRAM: state}, start=window.end - _LOOK_BACK, end=window.end, limit=200)
        for line in sources.logs.search(query).lines:
            if line.time >= times.get(line.service, 0):
                times[line.service], last[line.service] = line.time, state
    return [name for name, state in last.items() if state == "started"]


def gather_services(
    sources: Sources, gatherer: Gatherer, window: parameters.Window
) -> tuple[list[Service], list[SourceError]]:
    """Every service, and the errors of the sources that did not answer."""
    asked = gatherer.ask(**questions(sources, window))
    found = with_spans(services_of(asked, window), sources, gatherer, window)
    # A log search that is away takes only the programs away that have sent nothing yet.
    return found, [one.error for name, one in asked.items() if one.error and name != "programs"]


def with_spans(
    services: Sequence[Service], sources: Sources, gatherer: Gatherer, window: parameters.Window
) -> list[Service]:
    """The services, those without metrics of their requests with figures that are read from their spans."""
    without = [service.name for service in services if service.figure("rate") is None]
    read = span_figures.ask(without, sources, gatherer, window)
    found = [
        replace(service, figures={**read[service.name], **service.figures}, from_spans=True)
        if service.name in read
        else service
        for service in services
    ]
    return sorted(found, key=need)


def services_of(asked: Mapping[str, Outcome], window: parameters.Window) -> list[Service]:
    """Each service that serves requests or sends spans, in the order of `need`."""
    figures = {name: _by_service(asked[name].or_else([])) for name in FIGURES}
    versions = {
        sample.labels.get("job", ""): sample.labels.get("service_version", "")
        for sample in asked["info"].or_else([])
    }
    alerts: list[Alert] = [alert for alert in asked["alerts"].or_else([]) if serious(alert)]
    sparks = {series.labels.get("job", ""): _spark(series, window) for series in asked["spark"].or_else([])}
    names = set(versions) | set(figures["rate"])
    names |= set(asked["traced"].or_else([])) | set(asked["programs"].or_else([]))
    found = [
        Service(
            name=name,
            figures={figure: values[name] for figure, values in figures.items() if name in values},
            version=versions.get(name, ""),
            alerts=[one for one in alerts if name in (one.labels.get("service"), one.labels.get("job"))],
            spark=sparks.get(name, ""),
        )
        for name in names
        if name
    ]
    return sorted(found, key=need)


def _figures(metrics: Prometheus, window: parameters.Window) -> dict[str, Callable[[], Any]]:
    span = max(60.0, window.seconds)
    expressions = {
        "rate": queries.requests(span),
        "errors": queries.error_ratio(span),
        "p50": queries.quantile(0.5, span),
        "p95": queries.quantile(0.95, span),
        "p99": queries.quantile(0.99, span),
        "saturation": queries.saturation(),
        "up": "sum by (job) (up)",
        "instances": "count by (job) (up)",
        "budget": f"min by (service) ({queries.SLO_BUDGET})",
    }
    found: dict[str, Callable[[], Any]] = {
        name: partial(metrics.instant, promql, window.end / 1e6) for name, promql in expressions.items()
    }
    step = max(5.0, window.seconds // 30)
    found["spark"] = partial(
        metrics.range, queries.requests(max(60.0, step)), window.start / 1e6, window.end / 1e6, step
    )
    return found


def _by_service(samples: Sequence[Sample]) -> dict[str, float]:
    """By service; what is not a number was not measured."""
    found = {sample.labels.get("job") or sample.labels.get("service", ""): sample.value for sample in samples}
    return {name: value for name, value in found.items() if value == value}


def _spark(series: Series, window: parameters.Window) -> str:
    """The points of a line 100 wide and 24 high."""
    values = [(time, value) for time, value in series.points if value == value]
    if len(values) < 2:
        return ""
    top = max(value for _, value in values) or 1.0
    start, length = window.start / 1e6, window.seconds
    return " ".join(
        f"{(time - start) / length * 100:.1f},{23 - value / top * 21:.1f}" for time, value in values
    )
