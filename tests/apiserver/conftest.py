"""One control plane for all tests of this folder, and the objects of the manifests.

`make test-apiserver` runs them; they are no part of `make test`, because the programs take long to build.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# What renders the manifests and asks questions to them is there.
sys.path.append(str(Path(__file__).parents[1] / "k8s"))

from api_objects import Api
from control_plane import ControlPlane
from rendering import rendered
from verifying import Recorder

from dashcam.stack.tools import KUBE_APISERVER, KUBERNETES_VERSION


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory, ran: Recorder) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("control-plane") / "run") as started:
        ran("Kubernetes API server", version=KUBERNETES_VERSION, had=KUBE_APISERVER.had())
        yield started


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> Iterator[Api]:
    """The API with both namespaces. Custom resources get known to it when a test first uses one."""
    with control_plane.client() as client:
        found = Api(client)
        for each in rendered("local"):
            if each["kind"] == "Namespace":
                assert not found.apply(each).complaints(each)
        # Production's certificates are kept where cert-manager keeps those of cluster issuers.
        elsewhere = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cert-manager"}}
        assert found.apply(elsewhere).accepted
        yield found
