"""Draw the generated Grafana dashboards without Grafana: `render(dashboard, prometheus)` gives an HTML body.

The panels, queries, units and thresholds are those of the JSON that Grafana loads; what Grafana asks of
Elasticsearch and Jaeger is a link to the console here. `python -m dashboards.preview` writes whole pages.
"""

from __future__ import annotations

from dashboards.preview.render import PanelFailed, Window, render

__all__ = ["PanelFailed", "Window", "render"]
