"""Grafana and Kibana: on a cluster of yours alone, because no package registry has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from asking import FOUND, SERVICES, quote
from polling import until

if TYPE_CHECKING:
    from conftest import Cluster


def test_a_panel_of_grafana_shows_the_requests(cluster: Cluster) -> None:
    """Through Grafana's own data source, as a panel asks it."""
    auth = ("admin", cluster.secret("grafana-admin", "admin-password"))
    boards = (
        httpx.get(f"{cluster.grafana}/api/search?type=dash-db", auth=auth, timeout=10)
        .raise_for_status()
        .json()
    )
    assert {board["uid"] for board in boards} >= {"dashcam-overview", "dashcam-service"}
    query = {
        "refId": "A",
        "datasource": {"uid": "prometheus"},
        "expr": "sum by (job) (rate(http_server_request_duration_seconds_count[5m]))",
        "instant": True,
    }

    def jobs() -> bool:
        quote(cluster)
        page = {"queries": [query], "from": "now-15m", "to": "now"}
        answer = httpx.post(
            f"{cluster.grafana}/api/ds/query", json=page, auth=auth, timeout=10
        ).raise_for_status()
        return all(f'"job":"{name}"' in answer.text.replace(" ", "") for name in SERVICES)

    until(jobs, "rates of all services in a panel", within=FOUND, every=2)


@pytest.mark.parametrize("uid", ["prometheus", "jaeger", "elasticsearch", "alertmanager"])
def test_grafana_reaches_its_source(cluster: Cluster, uid: str) -> None:
    auth = ("admin", cluster.secret("grafana-admin", "admin-password"))
    answer = httpx.get(f"{cluster.grafana}/api/datasources/uid/{uid}/health", auth=auth, timeout=30)
    assert answer.status_code == 200, answer.text


def test_kibana_has_the_saved_objects(cluster: Cluster) -> None:
    auth = ("elastic", cluster.secret("elasticsearch-users", "elastic"))
    answer = httpx.get(f"{cluster.kibana}/api/data_views", auth=auth, timeout=30).raise_for_status()
    assert "dashcam-logs" in {view["id"] for view in answer.json()["data_view"]}
