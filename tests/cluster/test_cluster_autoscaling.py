"""More pods while many ask, fewer when they have stopped; on a cluster of yours it needs metrics-server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from load import Load
from pods import ready, settled
from polling import until

if TYPE_CHECKING:
    from conftest import Cluster


@pytest.mark.verifies(
    component="Kubernetes node",
    claim="its autoscaler adds a pod of web under load and takes it away after; no request is lost meanwhile",
)
def test_load_scales_a_service_out_and_its_end_scales_it_in(cluster: Cluster) -> None:
    kubectl = cluster.kubectl
    until(lambda: ready(kubectl, "web") == 1, "one pod of web before anyone asks", within=300, every=2)
    with Load(kubectl) as much:
        until(lambda: ready(kubectl, "web") == 2, "a second pod of web", within=180, every=1)
        settled(kubectl)
        much.lost_nothing()
    with Load(kubectl, clients=1, pause=0.25) as little:
        until(lambda: ready(kubectl, "web") == 1, "the second pod of web to go", within=300, every=1)
        settled(kubectl)
        little.lost_nothing()
