"""The lines of one request, and those of other containers, found in Elasticsearch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from asking import FOUND, ORDERED, SERVICES, elasticsearch, order, quote
from polling import until

from dashcam.cluster.kubectl import NAMESPACE

if TYPE_CHECKING:
    from conftest import Cluster


@pytest.mark.verifies(
    component="Kubernetes node",
    claim="has the lines of one request, of every service with its pod, in Elasticsearch, typed",
)
@pytest.mark.parametrize(("ask", "services"), [(quote, SERVICES), (order, ORDERED)])
def test_the_lines_of_all_services_are_in_elasticsearch_and_typed(
    cluster: Cluster, ask: Callable[[Cluster], str], services: set[str]
) -> None:
    trace_id = ask(cluster)

    def found() -> list[dict[str, Any]] | None:
        lines = elasticsearch(cluster, {"term": {"trace_id": trace_id}})
        return lines if {line["service"] for line in lines} >= services else None

    lines = until(found, f"lines of {services} with {trace_id}", within=FOUND, every=1)
    access = [line for line in lines if "http.response.status_code" in line]
    assert access
    assert all(line["http.response.status_code"] in (200, 201, 202) for line in access)
    assert all(line["kubernetes"]["namespace_name"] == NAMESPACE for line in lines)


@pytest.mark.verifies(component="Kubernetes node", claim="keeps the lines of other containers too")
def test_lines_of_other_containers_are_kept_too(cluster: Cluster) -> None:
    query = {
        "bool": {"must": [{"exists": {"field": "message"}}], "must_not": [{"exists": {"field": "service"}}]}
    }
    until(lambda: elasticsearch(cluster, query), "a line of another container", within=FOUND, every=2)
