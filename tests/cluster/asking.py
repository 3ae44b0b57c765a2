"""What tests of a cluster ask the services, and how they find it again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from conftest import Cluster

SERVICES = {"web", "car", "minus"}
FOUND = 60.0
"""Seconds within which a request is to be found: sampling waits, and so do batches and scrapes."""


def quote(cluster: Cluster) -> str:
    """A page that crosses all services; the id of its trace."""
    answer = httpx.get(f"{cluster.web}/cars/bentz/e-class", params={"discount": "500"}, timeout=10)
    assert answer.status_code == 200, answer.text
    match = re.fullmatch(r"00-([0-9a-f]{32})-[0-9a-f]{16}-0[13]", answer.headers["traceresponse"])
    assert match, answer.headers["traceresponse"]
    return match[1]


def elasticsearch(cluster: Cluster, query: dict[str, Any]) -> list[dict[str, Any]]:
    """The stored lines that a query finds, as Grafana's user may read them."""
    answer = httpx.post(
        f"{cluster.elasticsearch}/logs-dashcam*/_search",
        json={"query": query, "size": 100},
        auth=("grafana", cluster.secret("elasticsearch-users", "grafana")),
        timeout=10,
    ).raise_for_status()
    return [hit["_source"] for hit in answer.json()["hits"]["hits"]]
