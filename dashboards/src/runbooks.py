"""The runbooks as dashboards, so that a link from an alert leads to one where nothing but Grafana is.

Each is a page of text under the name of its alert: `{grafana}/d/ServiceDown`.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard, text
from grafana_foundation_sdk.models.dashboard import Dashboard, DashboardLinkType
from grafana_foundation_sdk.models.text import TextMode

from dashboards.src.slos import HERE

FOLDER = HERE / "runbooks"
TAG = "dashcam-runbook"


def all_runbooks() -> list[Dashboard]:
    """A dashboard for each runbook, in the order of their names."""
    return [
        _page(path.stem, path.read_text(encoding="utf-8"))
        for path in sorted(FOLDER.glob("*.md"))
        if path.stem != "README"
    ]


def _page(alert: str, markdown: str) -> Dashboard:
    heading, _, body = markdown.partition("\n")
    content = (
        text.Panel()
        .title(heading.removeprefix("# "))
        .description("What it means, how to confirm it, what to do.")
        .span(24)
        .height(30)
        .mode(TextMode.MARKDOWN)
        .content(body.strip() + "\n")
    )
    return (
        dashboard.Dashboard(f"Runbook / {alert}")
        .uid(alert)
        .description(f"What to do about {alert}.")
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .link(
            dashboard.DashboardLink("Dashboards")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["dashcam"])
            .as_dropdown(True)
            .keep_time(True)
        )
        .with_panel(content)
        .build()
    )
