"""Faults can be switched in a local cluster, and not in production."""

from __future__ import annotations

import json
from typing import Any

import pytest
from exampleservices import SERVICES
from rendering import COMBINATIONS, Object, combine

from dashcam.sources.switches import parse

FILE = "DASHCAM_FAULTS_FILE"


def services(objects: list[Object]) -> dict[str, Any]:
    """The pod's specification of each service."""
    component = "app.kubernetes.io/component"
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for each in objects
        if each["kind"] == "Deployment" and each["metadata"]["labels"].get(component) == "service"
    }


def test_every_service_of_the_local_overlay_reads_the_flags_and_all_are_off() -> None:
    objects = combine(*COMBINATIONS["local"])
    (flags,) = [o["data"] for o in objects if o["kind"] == "ConfigMap" and o["metadata"]["name"] == "faults"]
    assert not any(flag.enabled for flag in parse(flags["flags.json"]).values())

    pods = services(objects)
    assert set(pods) == {*SERVICES}
    for pod in pods.values():
        (container,) = pod["containers"]
        (file,) = [each["value"] for each in container["env"] if each["name"] == FILE]
        (mount,) = [each for each in container["volumeMounts"] if each["name"] == "faults"]
        assert file == f"{mount['mountPath']}/flags.json"
        assert "subPath" not in mount, "a file that is mounted alone is never updated"
        assert {"name": "faults", "configMap": {"name": "faults"}} in pod["volumes"]


@pytest.mark.parametrize("name", [name for name in COMBINATIONS if not name.startswith("local")])
def test_nowhere_else_can_a_fault_happen(name: str) -> None:
    objects = combine(*COMBINATIONS[name])
    assert FILE not in json.dumps(services(objects))
    assert not [o for o in objects if o["kind"] == "ConfigMap" and o["metadata"]["name"].startswith("faults")]
