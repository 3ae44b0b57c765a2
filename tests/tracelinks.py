"""What Grafana asks Prometheus for when a person opens the metrics of a span."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from ruleset import GENERATED


def data_sources() -> dict[str, dict[str, Any]]:
    """The provisioned data sources by their uid."""
    page = yaml.safe_load((GENERATED / "grafana/provisioning/datasources/dashcam.yaml").read_text())
    return {source["uid"]: source for source in page["datasources"]}


def metrics_queries(process: Mapping[str, Any]) -> dict[str, str]:
    """The queries by their name, for a span of this process in Jaeger's JSON.

    Grafana writes those of the tags that are there as labels in the place of `$__tags`; the doubled `$` is
    what provisioning makes one of.
    """
    to_metrics = data_sources()["jaeger"]["jsonData"]["tracesToMetrics"]
    known = {tag["key"]: tag["value"] for tag in process["tags"]}
    labels = ", ".join(
        f'{tag["value"]}="{known[tag["key"]]}"' for tag in to_metrics["tags"] if tag["key"] in known
    )
    return {
        each["name"]: each["query"].replace("$$", "$").replace("$__tags", labels)
        for each in to_metrics["queries"]
    }
