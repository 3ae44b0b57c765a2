"""Inside of the namespaces: the cluster, and the command that it is for.

python -m onenode.cluster FOLDER CGROUP COMMAND...      # as the first process of all namespaces
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml
from control_plane import ControlPlane
from polling import until

from dashcam.stack.settings import ROOT
from onenode import autoscaling, containers, node, objects
from onenode.namespaces import ADDRESS, environment, reap_until, separate_files, separate_kernel

READY_SECONDS = 240.0
API_PORT = 6443
"""Where clusters have it; policies let pods ask the API there."""


@contextmanager
def cluster(folder: Path, cgroup: str) -> Iterator[ControlPlane]:
    """A cluster whose node, DNS and metrics are ready; what each program says is in `folder`/api."""
    began = time.monotonic()
    containers.start(folder)
    with ControlPlane(folder / "api", ADDRESS, node.make_certificate(folder), API_PORT) as api:
        containers.load(folder / "images.tar")
        _say(f"containerd and the API run, images are loaded ({time.monotonic() - began:.0f} s)")
        node.start(folder, api, cgroup)
        given = [*objects.dns(), *objects.volumes(folder), *autoscaling.objects()]
        kubectl(api, "apply", "--server-side", "-f", "-", given=given)
        until(lambda: kubectl(api, "get", "node", node.NAME), "the node", within=READY_SECONDS, every=0.5)
        health = node.enforce_policies(api)
        autoscaling.start(folder, api)
        until(
            lambda: httpx.get(health).status_code == 200 and _ready(api),
            lambda: f"the node, its policies, DNS and metrics: {_state(api)}",
            within=READY_SECONDS,
            every=1,
        )
        assert not api.ended(), f"{api.ended()} have ended; see {folder / 'api'}"
        _say(f"the node is ready ({time.monotonic() - began:.0f} s)")
        yield api


def kubectl(api: ControlPlane, *arguments: str, given: Sequence[dict[str, Any]] = ()) -> str:
    """What kubectl prints. Raises AssertionError with what it complains of."""
    done = subprocess.run(
        ["kubectl", *arguments],
        env=environment(api.environment()),
        input=yaml.safe_dump_all(given) if given else None,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _ready(api: ControlPlane) -> bool:
    path = "{.items[*].status.conditions[?(@.type=='Ready')].status}"
    available = "{.status.conditions[?(@.type=='Available')].status}"
    of_node = kubectl(api, "get", "nodes", "-o", f"jsonpath={path}")
    dns = kubectl(
        api, "get", "deployment/coredns", "-n", "kube-system", "-o", "jsonpath={.status.readyReplicas}"
    )
    metrics = kubectl(api, "get", "apiservice", autoscaling.API, "-o", f"jsonpath={available}")
    return (of_node, dns, metrics) == ("True", "1", "True")


def _state(api: ControlPlane) -> str:
    return kubectl(api, "get", "nodes,pods,events", "--all-namespaces", "-o", "wide")


def _say(text: str) -> None:
    print(f"node: {text}", file=sys.stderr, flush=True)


def main(folder: Path, cgroup: str, command: Sequence[str]) -> int:
    """Bring the cluster up, run the command, and answer its exit status."""
    separate_files(folder, [ROOT])
    separate_kernel(folder)
    with cluster(folder, cgroup) as api:
        running = subprocess.Popen(command, env=environment(api.environment()))
        # Ctrl-C is the command's to answer; we end when it has.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: running.terminate())
        return running.wait()


def first() -> int:
    """Be the first process: start this module again beside it, and bury what containers leave."""
    child = subprocess.Popen([sys.executable, "-m", "onenode.cluster", "beside", *sys.argv[1:]])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    return reap_until(child)


if __name__ == "__main__":
    if os.getpid() == 1:
        sys.exit(first())
    _, place, group, *words = sys.argv[1:]
    sys.exit(main(Path(place), group, words))
