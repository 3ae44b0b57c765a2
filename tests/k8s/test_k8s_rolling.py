"""A roll-out under load loses no request: with the preStop and the grace period that the manifests have."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
from exampleservices import LAST, QUOTE
from manifests import Manifests
from polling import until
from rendering import rendered
from rolling import Balancer, Ending, Pod
from verifying import Recorder

from dashcam.stack.ports import free_ports

SERVICES = tuple(reversed(QUOTE))
PAGE = "/cars/bentz/e-class?discount=1"
"""Its answer crosses all three."""

PRODUCTION = Manifests(rendered("production"))


class Cluster:
    """A Service for each of the three, and pods behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.balancers = {service: Balancer() for service in SERVICES}
        self.pods: dict[str, list[Pod]] = {service: [] for service in SERVICES}
        (nowhere,) = free_ports(1)
        self.environ = {
            **{f"{name.upper()}_URL": f"http://127.0.0.1:{self.balancers[name].port}" for name in SERVICES},
            # Nobody listens there: the end must not wait for a Collector that is away.
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{nowhere}",
            "DASHCAM_STATE_DIR": str(folder),
            "CAR_WRITE_TOKEN": "token",
            "SECRET_KEY": "secret" * 6,
            **self._told(),
        }

    @staticmethod
    def _told() -> dict[str, str]:
        """What all services are told of their end."""
        (workload,) = [each for each in PRODUCTION.services() if each.name == "car"]
        sources = [each["configMapRef"]["name"] for each in workload.pod["containers"][0]["envFrom"]]
        (shared,) = [name for name in sources if name.startswith("telemetry-")]
        told = PRODUCTION.config_map(shared, "dashcam") or {}
        return {name: told[name] for name in ("DASHCAM_GRACE_PERIOD", "DASHCAM_SHUTDOWN_TIMEOUT")}

    def start(self, service: str) -> Pod:
        """One more pod, in the Service once it is ready."""
        number = len(self.pods[service])
        pod = Pod(service, free_ports(2), self.environ, self.folder / f"{service}-{number}.log")
        self.pods[service].append(pod)
        pod.wait_until_ready()
        self.balancers[service].add(pod.port)
        return pod

    def roll(self, service: str, ending: Ending | None = None) -> None:
        """As with maxUnavailable 0 and maxSurge 1: the new pod first, then the old one ends in its time."""
        old = self.pods[service][-1]
        self.start(service)
        old.end(self.balancers[service], ending or Ending.of(PRODUCTION, service))

    def stop(self) -> None:
        for pod in (pod for pods in self.pods.values() for pod in pods):
            pod.kill()
        for balancer in self.balancers.values():
            balancer.close()


@pytest.fixture
def cluster(tmp_path: Path, ran: Recorder) -> Iterator[Cluster]:
    ran("Services", version=version("dashcam"), had="processes of this checkout, ended as the manifests say")
    made = Cluster(tmp_path)
    try:
        yield made
    finally:
        made.stop()


AGAIN = "asked again"
"""An outcome beside the status: a kept connection was closed just as a request went out on it."""

CONNECTING, ANSWERED = "connection.connect_tcp.started", "http11.receive_response_headers.complete"
"""Steps of a request (httpcore's names): it has a connection of its own; its answer has begun."""


class Load:
    """Four clients that ask until told to stop, two of them over connections that they keep.

    Those two do what RFC 9112 (9.3.1) says of a kept connection that ends without an answer, and what proxies
    and Go's client do: the idempotent request is sent again, once, on another connection. Whether the
    connection ends with a FIN or a RST is chance: the kernel sends a RST where the request came before it was
    closed and nobody had read it.
    """

    def __init__(self, url: str) -> None:
        self.url, self.outcomes = url, Counter[str]()
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(kept,), daemon=True)
            for kept in (True, True, False, False)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self, kept: bool) -> None:
        limits = httpx.Limits(max_keepalive_connections=int(kept))
        with httpx.Client(timeout=20, limits=limits) as client:
            while not self._stopped.wait(0.01):
                try:
                    self.outcomes[str(self._answer(client).status_code)] += 1
                except httpx.HTTPError as error:
                    self.outcomes[repr(error)] += 1

    def _answer(self, client: httpx.Client) -> httpx.Response:
        steps: set[str] = set()
        try:
            return client.get(self.url, extensions={"trace": lambda step, _: steps.add(step)})
        except (httpx.RemoteProtocolError, httpx.ReadError):
            if steps & {CONNECTING, ANSWERED}:
                raise
            self.outcomes[AGAIN] += 1
            return client.get(self.url)


@pytest.mark.verifies(
    component="Services",
    claim="lose no request while all three roll under load, as the manifests let pods end",
)
def test_a_rolling_restart_of_all_services_under_load_loses_no_request(cluster: Cluster) -> None:
    for service in SERVICES:
        cluster.start(service)
    url = f"http://127.0.0.1:{cluster.balancers['web'].port}{PAGE}"
    until(lambda: httpx.get(url, timeout=20).status_code == 200, "the page", within=30)

    with Load(url) as load, ThreadPoolExecutor() as pool:
        list(pool.map(cluster.roll, SERVICES))
        asked = load.outcomes["200"]
        until(lambda: load.outcomes["200"] > asked + 20, "answers of the new pods", within=30)

    assert set(load.outcomes) <= {"200", AGAIN}, load.outcomes
    assert load.outcomes["200"] > 100
    # No more than one for each connection that was kept to the pod that ended.
    assert load.outcomes[AGAIN] <= 2, load.outcomes


def test_without_the_pause_requests_are_lost(cluster: Cluster) -> None:
    """The test above sees a lost request; and the pause is what keeps them."""
    cluster.start(LAST.name)
    url = f"http://127.0.0.1:{cluster.balancers[LAST.name].port}{LAST.example}"

    with Load(url) as load:
        until(lambda: load.outcomes["200"] > 20, "the load", within=30)
        cluster.roll(LAST.name, Ending(pause=0, grace=30))

    assert set(load.outcomes) - {"200", AGAIN}, load.outcomes
