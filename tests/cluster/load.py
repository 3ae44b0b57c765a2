"""Requests from a pod of the cluster, as a client there makes them, and what became of each."""

from __future__ import annotations

import ast
from collections import Counter
from types import TracebackType
from typing import Any

from polling import until

from dashcam.cluster.kubectl import NAMESPACE, Kubectl

PROGRAM = """
import collections, os, sys, threading, time, urllib.request
clients, pause = int(sys.argv[1]), float(sys.argv[2])
outcomes, page = collections.Counter(), "http://web:5000/cars/bentz/e-class?discount=1"
def ask():
    while not os.path.exists("/tmp/end"):
        try:
            with urllib.request.urlopen(page, timeout=10) as answer:
                outcomes[answer.status] += 1
        except Exception as error:
            outcomes[repr(error)] += 1
        time.sleep(pause)
began = time.time()
while not outcomes[200] and time.time() < began + 60:
    outcomes.clear()
    try:
        outcomes[urllib.request.urlopen(page, timeout=10).status] += 1
    except Exception:
        time.sleep(0.5)
threads = [threading.Thread(target=ask) for _ in range(clients)]
[thread.start() for thread in threads]
print("asking", flush=True)
[thread.join() for thread in threads]
print(dict(outcomes))
"""
"""Asks `web` by its Service: a port-forward would hang on one pod. It counts from its first answer on, since
a policy engine takes a moment to know a new pod."""

PYTHON = "/opt/venv/bin/python"


class Load:
    """Asks from entering on, until :meth:`outcomes`. The pod and its own policy go with the block.

    Each of `clients` waits `pause` seconds between an answer and its next request.
    """

    def __init__(self, kubectl: Kubectl, clients: int = 4, pause: float = 0.02) -> None:
        self._kubectl = kubectl
        self._arguments = [str(clients), str(pause)]

    def __enter__(self) -> Load:
        web = self._kubectl.get("deployment", "web", "-n", NAMESPACE)
        image = web["spec"]["template"]["spec"]["containers"][0]["image"]
        self._kubectl.apply([_open_web(), _pod(image, self._arguments)])
        self._until("asking")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        names = ("pod/load", "networkpolicy/load")
        self._kubectl.run("delete", *names, "-n", NAMESPACE, "--grace-period=1", "--wait=true")

    def outcomes(self) -> Counter[Any]:
        """How many requests had which status, or failed in which way."""
        end = "open('/tmp/end', 'w')"
        self._kubectl.run("exec", "-n", NAMESPACE, "load", "--", PYTHON, "-c", end)
        return Counter(ast.literal_eval(self._until("{")))

    def lost_nothing(self, at_least: int = 100) -> None:
        """Stop asking, and assert that each of more than `at_least` requests was answered with 200."""
        outcomes = self.outcomes()
        assert set(outcomes) == {200}, outcomes
        assert outcomes[200] > at_least, outcomes

    def _until(self, beginning: str) -> str:
        """The first line of its output that begins so."""

        def said() -> str | None:
            lines = self._kubectl.run("logs", "load", "-n", NAMESPACE).splitlines()
            return next((line for line in lines if line.startswith(beginning)), None)

        return until(said, f"the load to say {beginning!r}", within=120, every=1)


def _open_web() -> dict[str, Any]:
    labels = {"matchLabels": {"dashcam/test": "load"}}
    web = {"matchLabels": {"app.kubernetes.io/name": "web"}}
    # Both sides in one policy: it selects the load's pod and `web`, and lets the one ask the other.
    either = {
        "matchExpressions": [{"key": "app.kubernetes.io/name", "operator": "In", "values": ["web", "load"]}]
    }
    port = [{"protocol": "TCP", "port": 5000}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "load", "namespace": NAMESPACE},
        "spec": {
            "podSelector": either,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"podSelector": labels}], "ports": port}],
            "egress": [{"to": [{"podSelector": web}], "ports": port}],
        },
    }


def _pod(image: str, arguments: list[str]) -> dict[str, Any]:
    """The `image` of `web` has Python; nothing else has to be fetched."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "load",
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/name": "load", "dashcam/test": "load"},
        },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "load",
                    "image": image,
                    "command": [PYTHON, "-c", PROGRAM, *arguments],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "64Mi"},
                        "limits": {"memory": "128Mi"},
                    },
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }
