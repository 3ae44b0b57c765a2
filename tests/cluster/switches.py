"""The faults of the catalogue, switched on in the cluster as a person does it: by their ConfigMap."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from dashcam.cluster.kubectl import NAMESPACE, Kubectl


@contextmanager
def fault(kubectl: Kubectl, name: str) -> Iterator[None]:
    """The flag `name` is on for the block; pods see either with the next look of their kubelet."""
    before = kubectl.get("configmap", "faults", "-n", NAMESPACE)["data"]["flags.json"]
    flags = json.loads(before)
    flags["flags"][name]["state"] = "ENABLED"
    _write(kubectl, json.dumps(flags))
    try:
        yield
    finally:
        _write(kubectl, before)


def _write(kubectl: Kubectl, flags: str) -> None:
    patch = json.dumps({"data": {"flags.json": flags}})
    kubectl.run("patch", "configmap", "faults", "-n", NAMESPACE, "--type=merge", f"--patch={patch}")
