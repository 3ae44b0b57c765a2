"""The commands for a cluster, against a stand-in for kubectl that writes down what it is asked."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner
from exampleservices import SERVICES
from polling import until

from dashcam.cli.cluster import deploy, port_forward
from dashcam.cluster.deployment import folder_of
from dashcam.cluster.failing_trace import latest_failing_trace
from dashcam.cluster.forwards import Forward, forward_all, forwards
from dashcam.cluster.kubectl import ClusterError, Kubectl
from dashcam.stack.ports import free_port

STANDIN = """#!/bin/sh
echo "$@" >> {log}
case "$*" in
*version*) echo '{version}' ;;
*port-forward*) {forward} ;;
*) echo "Error from server (Forbidden): not you" >&2; exit 1 ;;
esac
"""


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of a kubectl that comes first on PATH. `write` makes it anew."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    write(tmp_path)
    return tmp_path / "log"


def write(folder: Path, minor: str = "34", forward: str = "exec sleep 60") -> None:
    version = json.dumps({"serverVersion": {"major": "1", "minor": minor, "gitVersion": f"v1.{minor}.0"}})
    program = folder / "kubectl"
    program.write_text(STANDIN.format(log=folder / "log", version=version, forward=forward))
    program.chmod(0o755)


def test_the_context_reaches_kubectl(standin: Path) -> None:
    Kubectl("kind-x").check()
    assert standin.read_text().startswith("--context kind-x version")


def test_a_cluster_that_is_too_old_is_refused_with_its_version(standin: Path) -> None:
    write(standin.parent, minor="31+")
    with pytest.raises(ClusterError, match=r"v1\.31\+\.0; these manifests need 1\.32"):
        Kubectl().check()


def test_a_missing_kubectl_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ClusterError, match="kubectl is not on PATH"):
        Kubectl().run("version")


def test_an_unknown_overlay_names_those_there_are(standin: Path) -> None:
    result = CliRunner().invoke(deploy, ["staging"])
    assert result.exit_code == 1
    assert "there is no overlay 'staging'; there are local, production" in result.output


def test_a_folder_of_ones_own_is_an_overlay_too(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"and any folder of yours with a kustomization\.yaml"):
        folder_of(str(tmp_path))
    (tmp_path / "kustomization.yaml").touch()
    assert folder_of(str(tmp_path)) == tmp_path
    assert (folder_of("local") / "kustomization.yaml").exists()


def test_an_unknown_service_names_those_there_are() -> None:
    result = CliRunner().invoke(port_forward, ["kabana"])
    assert result.exit_code == 2
    assert f"'kabana' is not one of {', '.join(SERVICES)}" in result.output


def test_a_taken_port_is_named_before_anything_starts(standin: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        forward = Forward("grafana", taken.getsockname()[1], 3000)
        with pytest.raises(ClusterError, match=rf"taken: {forward.local} \(grafana\)"):
            forward_all(Kubectl(), (forward,), print, threading.Event())
    assert not standin.exists()


def test_a_forward_that_ends_is_started_again_and_all_end_together(standin: Path) -> None:
    write(standin.parent, forward="echo 'lost connection to pod' >&2; exit 1")
    ended, said = threading.Event(), list[str]()
    forwards = (Forward("grafana", free_port(), 3000),)
    runner = threading.Thread(target=forward_all, args=(Kubectl(), forwards, said.append, ended))
    runner.start()
    until(lambda: standin.read_text().count("port-forward") >= 2, "the second attempt")
    ended.set()
    runner.join(timeout=10)
    assert not runner.is_alive()
    # The same reason is said once, however often it comes.
    assert said.count("grafana: lost connection to pod; trying again") == 1


def test_the_end_ends_a_forward_that_runs(standin: Path) -> None:
    ended = threading.Event()
    forwards = (Forward("grafana", free_port(), 3000), Forward("kibana", free_port(), 5601))
    runner = threading.Thread(target=forward_all, args=(Kubectl(), forwards, lambda text: None, ended))
    runner.start()
    until(lambda: standin.exists() and standin.read_text().count("port-forward") == 2, "both forwards")
    ended.set()
    runner.join(timeout=10)
    assert not runner.is_alive()


def test_every_page_has_a_port_of_its_own() -> None:
    assert len({each.local for each in forwards()}) == len(forwards())


def test_no_jaeger_is_a_sentence_and_not_a_failure() -> None:
    assert "run `make port-forward`" in latest_failing_trace("car", f"http://127.0.0.1:{free_port()}")
