"""`make deploy`, `undeploy`, `port-forward` and `debug` against a real Kubernetes API that has no nodes."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
from dataclasses import replace
from typing import Any

import pytest
from api_objects import Api, delete
from click.testing import CliRunner
from control_plane import CONTEXT, ControlPlane
from rendering import rendered

from dashcam.cli.cluster import debug
from dashcam.cli.cluster import deploy as deploy_command
from dashcam.cluster.deployment import deploy, undeploy
from dashcam.cluster.forwards import forward_all, forwards
from dashcam.cluster.kubectl import ClusterError, Kubectl
from dashcam.stack.ports import free_port

API = "Kubernetes API server"
KUBECTL = Kubectl(CONTEXT)


@pytest.fixture(autouse=True)
def ours(control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """kubectl speaks to the API that the tests started, and to no other."""
    for name, value in control_plane.environment().items():
        monkeypatch.setenv(name, value)


def secrets(api: Api) -> dict[str, Any]:
    found = api.client.get("/api/v1/namespaces/dashcam/secrets").raise_for_status().json()["items"]
    return {each["metadata"]["name"]: each["data"] for each in found}


@pytest.fixture(scope="module")
def said(control_plane: ControlPlane, api: Api) -> list[str]:
    """What a deployment of `local` says, twice, each time without nodes to run on."""
    patch, told = pytest.MonkeyPatch(), list[str]()
    for name, value in control_plane.environment().items():
        patch.setenv(name, value)
    with patch.context():
        for _ in range(2):
            with pytest.raises(ClusterError) as failure:
                deploy(KUBECTL, "local", told.append, timeout=10)
            told.append(str(failure.value))
    patch.undo()
    return told


@pytest.mark.verifies(
    component=API, claim="is deployed to by `make deploy`, which names what does not get ready"
)
def test_a_deployment_that_does_not_get_ready_names_each_part_and_why(said: list[str]) -> None:
    lines = said[-1].splitlines()
    assert "are not ready after 10 s" in lines[0]
    named = {line.split(":")[0].strip() for line in lines[1:]}
    assert {"dashcam/deployment/car", "dashcam/statefulset/postgres", "dashcam/job/kibana-bootstrap"} <= named
    assert (
        "  dashcam/deployment/car: 0 of 1 pods are ready; no node has been chosen for its pods yet" in lines
    )


def test_a_deployment_says_what_cluster_it_found_and_that_it_made_secrets(said: list[str]) -> None:
    assert said[0].startswith("cluster: Kubernetes v1.")
    assert "made 7 Secrets" in said


def test_secrets_are_made_once(said: list[str], api: Api) -> None:
    assert sum("Secrets" in each for each in said) == 1
    assert {"car-database", "elasticsearch-users", "grafana-admin"} <= secrets(api).keys()


def test_the_agents_have_the_password_of_their_user(said: list[str], api: Api) -> None:
    theirs = api.client.get("/api/v1/namespaces/dashcam-agents/secrets/elasticsearch-fluent-bit").json()
    assert theirs["data"]["password"] == secrets(api)["elasticsearch-users"]["fluent-bit"]


def test_the_database_is_addressed_with_the_password_it_has(said: list[str], api: Api) -> None:
    database = {key: base64.b64decode(value).decode() for key, value in secrets(api)["car-database"].items()}
    assert f":{database['POSTGRES_PASSWORD']}@postgres:5432/" in database["DATABASE_URL"]


def test_a_deployment_that_lacks_secrets_names_them_and_applies_nothing(said: list[str], api: Api) -> None:
    for each in rendered("production"):
        api.address(each)  # by which the operators' kinds get known
    with pytest.raises(ClusterError, match="dashcam/thanos-object-store") as failure:
        deploy(KUBECTL, "production", lambda _: None, timeout=10)
    assert "dashcam/grafana-database (GF_DATABASE_URL)" in str(failure.value)
    assert api.client.get("/apis/apps/v1/namespaces/dashcam/deployments/collector-router").status_code == 404


def test_a_lacking_operator_is_named_before_anything_is_applied(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    applied: list[object] = []
    without = json.loads(KUBECTL.run("get", "--raw", "/apis"))
    without["groups"] = [each for each in without["groups"] if each["name"] != "cert-manager.io"]
    run = Kubectl.run
    monkeypatch.setattr(Kubectl, "apply", lambda self, objects: applied.append(objects))
    monkeypatch.setattr(
        Kubectl, "run", lambda self, *a, **k: json.dumps(without) if "--raw" in a else run(self, *a, **k)
    )
    with pytest.raises(
        ClusterError, match=r"cert-manager\.io/v1 \(Certificate, ClusterIssuer\): cert-manager"
    ):
        deploy(KUBECTL, "production", lambda _: None)
    assert applied == []


def test_the_command_fails_with_the_names(said: list[str]) -> None:
    done = CliRunner().invoke(deploy_command, ["--context", CONTEXT, "--timeout", "1s", "local"])
    assert done.exit_code == 1
    assert "are not ready after 1 s" in done.output


def test_a_timeout_that_is_none_is_refused() -> None:
    done = CliRunner().invoke(deploy_command, ["--timeout", "soon"])
    assert done.exit_code == 2
    assert "'soon' is no length of time; write 90s, 15m or 1h30m" in done.output


def test_forwards_without_pods_say_so_and_go_on(said: list[str]) -> None:
    ended, told = threading.Event(), list[str]()

    def say(text: str) -> None:
        told.append(text)
        if "trying again" in text:
            ended.set()

    web = replace(forwards()[0], local=free_port())
    forward_all(KUBECTL, (web,), say, ended)
    assert any(each.startswith("web: ") and "trying again" in each for each in told), told


def test_debugging_a_service_without_pods_says_how_to_go_on(said: list[str]) -> None:
    done = CliRunner().invoke(debug, ["--context", CONTEXT, "car"])
    assert done.exit_code == 1
    assert "no pod of car is running; `kubectl describe pods -n dashcam" in done.output


@pytest.mark.verifies(component=API, claim="admits the container that `make debug` puts beside a service")
def test_the_container_for_debugging_is_admitted_beside_the_service(
    said: list[str], api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as it goes without a kubelet: the pod is called running, and nobody attaches to the shell."""
    pods = KUBECTL.get("pods", "-n", "dashcam", "-l", "app.kubernetes.io/name=car")["items"]
    running = api.patch(
        {"apiVersion": "v1", "kind": "Pod", "metadata": pods[0]["metadata"]},
        {"status": {"phase": "Running"}},
        manager="kubelet",
        part="/status",
    )
    assert running.accepted, running.body
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execvp", lambda _, command: commands.append(command))

    done = CliRunner().invoke(debug, ["--context", CONTEXT, "car"])

    assert done.exit_code == 0, done.output
    (command,) = commands
    put = subprocess.run([part for part in command if part != "-it"], capture_output=True, text=True)
    assert put.returncode == 0, put.stderr
    (beside,) = KUBECTL.get("pod", pods[0]["metadata"]["name"], "-n", "dashcam")["spec"][
        "ephemeralContainers"
    ]
    assert beside["targetContainerName"] == "app"
    assert beside["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_taking_it_out_leaves_secrets_and_volumes_and_then_nothing(said: list[str], api: Api) -> None:
    """The last test here: a namespace that has been deleted is not to be used again by the others."""
    undeploy(KUBECTL, "local", data=False)
    assert api.client.get("/apis/apps/v1/namespaces/dashcam/deployments").json()["items"] == []
    assert api.client.get("/api/v1/namespaces/dashcam/persistentvolumeclaims").json()["items"]
    assert "car-database" in secrets(api)

    undeploy(KUBECTL, "local", data=True)
    assert api.client.get("/api/v1/namespaces/dashcam").status_code == 404
    for each in rendered("local"):
        if each["kind"] == "Namespace":
            assert api.apply(each).accepted
    delete(api, [])
