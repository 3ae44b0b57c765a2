"""The commands that look into a cluster, as a person types them."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from asking import quote
from load import Load
from polling import until
from switches import fault

from dashcam.cluster.forwards import forwards

if TYPE_CHECKING:
    from conftest import Cluster

DASHCAM = str(Path(sys.executable).with_name("dashcam"))
# The first of all, which a diagnosis would find in its past.
pytestmark = pytest.mark.takes(200)

KUBERNETES = "Kubernetes node"
USUAL = 90.0
"""Seconds of requests without a fault, which a diagnosis learns from."""


def context(cluster: Cluster) -> str:
    return cluster.kubectl.context or cluster.kubectl.run("config", "current-context").strip()


@pytest.mark.verifies(component=KUBERNETES, claim="opens its services by `dashcam port-forward`")
def test_a_forward_opens_the_service_and_ends_with_the_command(cluster: Cluster) -> None:
    (web,) = (each for each in forwards() if each.service == "web")
    command = [DASHCAM, "port-forward", "--context", context(cluster), "web"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as forwarding:
        until(lambda: httpx.get(f"{web.address}/hello", timeout=5).status_code == 200, "web", within=60)
        forwarding.send_signal(signal.SIGINT)
        _, said = forwarding.communicate(timeout=30)
    assert forwarding.returncode == 0, said
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{web.address}/hello", timeout=5)


@pytest.mark.verifies(
    component=KUBERNETES,
    claim="shows a service's pods, lines, and a shell beside it by `dashcam debug`",
)
def test_debugging_shows_pods_and_lines_and_gives_a_shell_beside_the_service(cluster: Cluster) -> None:
    trace_id = quote(cluster)
    shown = typed([DASHCAM, "debug", "--context", context(cluster), "car"], "echo in-$((40 + 2)); exit\n")
    assert "Running" in shown
    assert trace_id in shown, "its last lines"
    assert "a shell beside car-" in shown
    assert "in-42" in shown, shown[-2000:]


def typed(command: list[str], words: str, within: float = 120) -> str:
    """What a command shows on a terminal where somebody types `words` once it offers a shell."""
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown, deadline = "", time.monotonic() + within
    try:
        while time.monotonic() < deadline:
            offered = words and "a shell beside" in shown
            if not select.select([terminal], [], [], 2.0)[0]:
                if offered:  # a prompt that came before anyone looked is shown again
                    os.write(terminal, b"\n")
                continue
            shown += os.read(terminal, 65536).decode(errors="replace")
            if offered and shown.rstrip().endswith(("#", "$")):
                os.write(terminal, words.encode())
                words = ""
    except OSError:  # the terminal is closed when the last program on it ends
        pass
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    return shown


@pytest.mark.verifies(
    component=KUBERNETES,
    claim="a fault of the catalogue, switched on by ConfigMap, is named by `dashcam --context … diagnose`",
)
def test_a_fault_that_is_switched_on_by_configmap_is_named(cluster: Cluster) -> None:
    with Load(cluster.kubectl):
        began = time.monotonic()
        until(lambda: time.monotonic() - began > USUAL, "what is usual", within=USUAL + 10, every=1)
        assert causes(cluster) == [], "nothing is wrong yet"
        with fault(cluster.kubectl, "minus-slow"):
            until(
                lambda: ("slow", "minus") in causes(cluster)[:1],
                lambda: f"minus to be named as slow; named are {causes(cluster)}",
                within=180,
                every=5,
            )


def causes(cluster: Cluster) -> list[tuple[str, str]]:
    """What the command names, the first first: kind and service."""
    command = [DASHCAM, "--context", context(cluster), "diagnose", "--json", "--since", "10m"]
    done = subprocess.run(command, env=sources(cluster), capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["causes"]
    return [(cause["kind"], cause["service"]) for cause in found]


def sources(cluster: Cluster) -> Mapping[str, str]:
    """Where the forwards of the tests are: at free ports, not at those of a person's."""
    return {
        **os.environ,
        "JAEGER_QUERY_URL": cluster.jaeger,
        "PROMETHEUS_URL": cluster.prometheus,
        "ALERTMANAGER_URL": cluster.alertmanager,
        "LOGS_URL": cluster.elasticsearch,
    }
