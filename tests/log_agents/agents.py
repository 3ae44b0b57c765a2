"""The log agents as the manifests configure them: the rendered files, but for addresses and folders."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3
from integration.search.conftest import password
from k8s.manifests import Manifests, Workload
from k8s.rendering import rendered
from log_agents.gate import Gate
from polling import until
from watchdog import Watchdog

from dashcam.stack.ports import free_ports
from dashcam.stack.tools import COLLECTOR_AGENT

AGENTS = "dashcam-agents"


class Missing(AssertionError):
    """The program is not on this machine; the message says how to get it."""


class Agent:
    """One agent on one node. `logs` stands for the node's /var/log, `state` for the folder of its own."""

    workload: str
    """The name of its DaemonSet."""
    at_home: str
    """Where its state is in its container."""

    def __init__(self, folder: Path, logs: Path, gate: Gate, certificates: Path | None = None) -> None:
        self.state = folder / "state"
        self.state.mkdir(parents=True)
        self._logs = logs
        self._gate = gate
        self._ca = self._mounted(certificates, folder) if certificates else None
        self._folder = folder
        self._output = folder / "output"
        self._manifests = Manifests(rendered(self._combination(bool(certificates))))
        (self.metrics_port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: Watchdog | None = None
        self._config = folder / "config"
        self._config.mkdir()
        for name, text in self._manifests.config_files(self.workload, AGENTS).items():
            (self._config / name).write_text(self._addressed(text))

    def _combination(self, tls: bool) -> str:
        raise NotImplementedError

    def _mounted(self, certificates: Path, folder: Path) -> Path:
        """The folder of the CA as the pod has it: with what the workload takes of the Secret, and no more."""
        place = folder / "elasticsearch-ca"
        place.mkdir()
        shutil.copy(certificates / "ca.crt", place)
        return place

    def _addressed(self, text: str) -> str:
        for old, new in self._addresses().items():
            text = text.replace(old, new)
        return text

    def _addresses(self) -> dict[str, str]:
        raise NotImplementedError

    def environ(self) -> dict[str, str]:
        """The variables of the container in the manifest, with this machine's addresses."""
        (container,) = self._workload().containers
        given = {each["name"]: str(each.get("value", _from_elsewhere(each))) for each in container["env"]}
        return {"PATH": os.environ["PATH"], **given, **self._own_addresses(given)}

    def _own_addresses(self, given: Mapping[str, str]) -> dict[str, str]:
        raise NotImplementedError

    def _mounted_at(self, given: Mapping[str, str]) -> str:
        """Where the file of the CA is here, which the manifest names within the folder that it mounts."""
        assert self._ca is not None
        file = Path(given["ELASTICSEARCH_CA_FILE"])
        (container,) = self._workload().containers
        assert str(file.parent) in {each["mountPath"] for each in container["volumeMounts"]}, file
        return str(self._ca / file.name)

    def _workload(self) -> Workload:
        (found,) = [each for each in self._manifests.workloads("DaemonSet") if each.name == self.workload]
        return found

    def command(self) -> list[str]:
        """The program with its arguments."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it answers its probe. Raises AssertionError with what it said."""
        with self._output.open("ab") as out:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self._folder,
                env=self.environ(),
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._watchdog = Watchdog([self._process.pid])
        until(self._ready, lambda: f"{self.workload} is ready; it said:\n{self.said()}", within=60)

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self.workload} ended; it said:\n{self.said()}"
        return urllib3.request("GET", self.probe(), retries=False, timeout=5).status == 200

    def probe(self) -> str:
        """The address of its readiness probe."""
        raise NotImplementedError

    def metrics(self) -> dict[str, float]:
        """Each sample of its own page of metrics."""
        text = urllib3.request("GET", self.page(), retries=False, timeout=5).data.decode()
        rows = [row.rpartition(" ") for row in text.splitlines() if row and not row.startswith("#")]
        return {name: float(value) for name, _, value in rows}

    def page(self) -> str:
        """The address of its metrics."""
        raise NotImplementedError

    def kill(self) -> None:
        """What an OOM kill does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """What the kubelet does: asks it to end, and kills it when the grace period is over."""
        grace = self._workload().pod["terminationGracePeriodSeconds"]
        self._end(signal.SIGTERM, grace)

    def _end(self, how: signal.Signals, grace: float = 10) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        assert self._watchdog is not None
        self._watchdog.close()
        self._process = None

    def said(self) -> str:
        """The end of its output."""
        return self._output.read_text(errors="replace")[-4000:] if self._output.exists() else ""

    def has_read(self) -> bool:
        """Whether the last second has added nothing to its state."""
        before = self.buffered()
        time.sleep(1)
        return self.buffered() == before

    def buffered(self) -> int:
        """Bytes of its state on disk."""
        return sum(path.stat().st_size for path in self.state.rglob("*") if path.is_file())


def _from_elsewhere(variable: Mapping[str, Any]) -> str:
    """A value that the manifest does not state: Elasticsearch's password of a Secret, or the node."""
    source = variable.get("valueFrom", {})
    return password("fluent-bit") if "secretKeyRef" in source else "node-1"


class FluentBit(Agent):
    """`fluent-bit` from PATH."""

    workload = "fluent-bit"
    at_home = "/var/lib/fluent-bit"

    def _combination(self, tls: bool) -> str:
        return "production" if tls else "local"

    def _addresses(self) -> dict[str, str]:
        prefix = f"{self._logs}/".lstrip("/").replace("/", ".")
        return {
            "/var/log/": f"{self._logs}/",
            "services.var.log.": f"services.{prefix}",
            "cluster.var.log.": f"cluster.{prefix}",
            self.at_home: str(self.state),
            "http_port: 2020": f"http_port: {self.metrics_port}",
            "http_listen: 0.0.0.0": "http_listen: 127.0.0.1",
            "port: 9200": f"port: {self._gate.port}",
            # The files leave out where the cluster's API is, for it is where it always is.
            "kube_meta_cache_ttl": "\n      ".join(
                (
                    f"kube_url: {self._gate.api}",
                    f"kube_token_file: {self._token()}",
                    "kube_meta_cache_ttl",
                )
            ),
        }

    def _own_addresses(self, given: Mapping[str, str]) -> dict[str, str]:
        own = {"ELASTICSEARCH_HOST": "localhost"}
        return own | ({"ELASTICSEARCH_CA_FILE": self._mounted_at(given)} if self._ca else {})

    def _token(self) -> Path:
        token = self._config / "token"
        token.write_text("of the pod's account")
        return token

    @staticmethod
    def program() -> str:
        """Where it is. Raises Missing."""
        found = shutil.which("fluent-bit")
        if not found:
            raise Missing("fluent-bit is not on PATH: https://docs.fluentbit.io/manual/installation")
        return found

    def command(self) -> list[str]:
        return [self.program(), f"--config={self._config / 'fluent-bit.yaml'}"]

    def probe(self) -> str:
        return f"http://127.0.0.1:{self.metrics_port}/"

    def page(self) -> str:
        return f"http://127.0.0.1:{self.metrics_port}/api/v2/metrics/prometheus"


class Collector(Agent):
    """The OpenTelemetry Collector of the component log-agent-collector."""

    workload = "log-agent"
    at_home = "/var/lib/log-agent"

    def __init__(self, folder: Path, logs: Path, gate: Gate, certificates: Path | None = None) -> None:
        self._health, self._own = free_ports(2)
        super().__init__(folder, logs, gate, certificates)

    def _combination(self, tls: bool) -> str:
        with_it = "log-agent-collector"
        return f"production+{with_it}+{with_it}-tls" if tls else f"local+{with_it}"

    def _addresses(self) -> dict[str, str]:
        return {
            "/var/log/": f"{self._logs}/",
            self.at_home: str(self.state),
            "0.0.0.0:13133": f"127.0.0.1:{self._health}",
            "127.0.0.1:4317": f"127.0.0.1:{self._own}",
            "host: 0.0.0.0": "host: 127.0.0.1",
            "port: 8888": f"port: {self.metrics_port}",
        }

    def _own_addresses(self, given: Mapping[str, str]) -> dict[str, str]:
        scheme = given["ELASTICSEARCH_URL"].partition(":")[0]
        own = {"ELASTICSEARCH_URL": f"{scheme}://localhost:{self._gate.port}"}
        return own | ({"ELASTICSEARCH_CA_FILE": self._mounted_at(given)} if self._ca else {})

    def command(self) -> list[str]:
        (container,) = self._workload().containers
        features = [each for each in container["args"] if each.startswith("--feature-gates=")]
        return [COLLECTOR_AGENT.path(), f"--config={self._config / 'config.yaml'}", *features]

    def probe(self) -> str:
        return f"http://127.0.0.1:{self._health}/"

    def page(self) -> str:
        return f"http://127.0.0.1:{self.metrics_port}/metrics"
