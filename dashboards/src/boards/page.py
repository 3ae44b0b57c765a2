"""What all dashboards share: uid, links to each other, variables, and marks where something began."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from dashboards.src import datasources
from dashboards.src.addresses import UIDS
from dashboards.src.panels import METRICS, Link

TAG = "dashcam"
EVERY = ".*"
"""What "All" stands for, so that a label that a laptop has not is no reason to show nothing."""


def page(
    name: str,
    title: str,
    description: str,
    *,
    logs: bool = False,
    traces: bool = False,
    since: str = "1h",
    refresh: str = "30s",
) -> dashboard.Dashboard:
    """An empty dashboard that opens on the last `since`. `logs` and `traces` add those data sources."""
    board = (
        dashboard.Dashboard(f"Dashcam / {title}")
        .uid(UIDS[name])
        .description(description)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .refresh(refresh)
        .time(f"now-{since}", "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(_source("metrics", "Metrics", datasources.PROMETHEUS))
        .link(
            dashboard.DashboardLink("Dashcam")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .include_vars(False)
            .keep_time(True)
        )
    )
    if logs:
        board.with_variable(_source("logs", "Logs", datasources.ELASTICSEARCH))
    if traces:
        board.with_variable(_source("traces", "Traces", datasources.JAEGER))
    board.with_variable(choice("cluster", "Cluster", "label_values(up, cluster)", every=EVERY))
    board.with_variable(choice("namespace", "Namespace", "label_values(up, namespace)", every=EVERY))
    for annotation in _marks():
        board.annotation(annotation)
    return board


def choice(
    name: str, label: str, query: str, *, every: str = "", first: str = "", multi: bool = True
) -> dashboard.QueryVariable:
    """A variable whose values Prometheus names.

    `first` is the value at first; without it, all of them: as `every`, or each by its name.
    """
    variable = (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(METRICS)
        .query({"query": query, "refId": name})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )
    if first:
        return variable.current(models.VariableOption(selected=True, text=first, value=first))
    variable.include_all(True).multi(multi)
    if every:
        variable.all_value(every)
    return variable.current(models.VariableOption(selected=True, text="All", value="$__all"))


def to_service(field: str = "job") -> Link:
    """Title and address of a table's link to the page of the service that `field` of its row names."""
    return (
        "Open this service",
        f"/d/{UIDS['service']}?var-service=${{__data.fields.{field}}}&${{__url_time_range}}",
    )


def to_objective(field: str = "slo") -> Link:
    """The same to the page of the objectives, with the one that `field` names chosen."""
    return "Open this objective", f"/d/{UIDS['slo']}?var-slo=${{__data.fields.{field}}}"


def to_runbook(alert: str = "${__data.fields.alertname}") -> Link:
    """The runbook of an alert, which `runbooks` makes a dashboard under the alert's name."""
    return f"Runbook{'' if '$' in alert else f': {alert}'}", f"/d/{alert}"


def _source(name: str, label: str, source: datasources.Source) -> dashboard.DatasourceVariable:
    return (
        dashboard.DatasourceVariable(name)
        .label(label)
        .type(source.type)
        .current(models.VariableOption(selected=True, text=source.name, value=source.uid))
    )


def _marks() -> list[dashboard.AnnotationQuery]:
    """One line where a page began and where a version was first seen; `mark_starts` makes them lines.

    A mark for as long as an alert fires would cover the very graphs that one opens because of it.
    """
    firing = 'ALERTS{alertstate="firing",severity="page"}'
    since = 'ALERTS_FOR_STATE{severity="page"}'
    return [
        dashboard.AnnotationQuery().name(name).datasource(METRICS).enable(True).icon_color(colour).expr(expr)
        for name, colour, expr in (
            (
                "Pages began",
                "red",
                f"min by (alertname, service) ({since} and ignoring (alertstate) {firing})",
            ),
            ("Deploys", "blue", "max by (job, version) (deploy:started:timestamp_seconds)"),
        )
    ]


TITLES = {"Pages began": "{{alertname}} {{service}}", "Deploys": "{{job}} {{version}}"}
"""What a mark says, by the annotation's name."""
