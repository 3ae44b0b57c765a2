"""What all dashboards share: uid, links to each other, data source variables, firing alerts as marks."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from dashboards.src import datasources
from dashboards.src.panels import METRICS

TAG = "dashcam"
UIDS = {
    "overview": "dashcam-overview",
    "service": "dashcam-service",
    "slo": "dashcam-slo",
    "car": "dashcam-car",
    "pipeline": "dashcam-pipeline",
    "workloads": "dashcam-workloads",
}


def page(
    name: str, title: str, description: str, *, logs: bool = False, traces: bool = False
) -> dashboard.Dashboard:
    """An empty dashboard. `logs` and `traces` add the variables of those data sources."""
    board = (
        dashboard.Dashboard(f"Dashcam / {title}")
        .uid(UIDS[name])
        .description(description)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .refresh("30s")
        .time("now-1h", "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(_source("metrics", "Metrics", datasources.PROMETHEUS))
        .link(
            dashboard.DashboardLink("Dashcam")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .include_vars(False)
            .keep_time(True)
        )
        .annotation(_alerts())
    )
    if logs:
        board.with_variable(_source("logs", "Logs", datasources.ELASTICSEARCH))
    if traces:
        board.with_variable(_source("traces", "Traces", datasources.JAEGER))
    return board


def service_link() -> tuple[str, str]:
    """Title and address of a table's link to the page of the service in its row."""
    return (
        "Open this service",
        f"/d/{UIDS['service']}?var-service=${{__data.fields.job}}&${{__url_time_range}}",
    )


def _source(name: str, label: str, source: datasources.Source) -> dashboard.DatasourceVariable:
    return (
        dashboard.DatasourceVariable(name)
        .label(label)
        .type(source.type)
        .current(models.VariableOption(selected=True, text=source.name, value=source.uid))
    )


def _alerts() -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name("Firing alerts")
        .datasource(METRICS)
        .enable(True)
        .icon_color("red")
        .expr('ALERTS{alertstate="firing",severity=~"page|ticket"}')
    )
