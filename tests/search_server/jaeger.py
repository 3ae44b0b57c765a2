"""Jaeger as the manifests run it on Elasticsearch: es-rollover, the collector and the query, as they are."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import urllib3
import yaml
from polling import until
from watchdog import Watchdog

from dashcam.stack.ports import free_port

FOLDER = Path(__file__).parents[2] / "k8s" / "base" / "jaeger-elasticsearch"


def make_indices(program: str, url: str, password: str) -> str:
    """Run the container of the Job `jaeger-indices` with its own arguments and variables, but for TLS."""
    job = next(
        each
        for each in yaml.safe_load_all((FOLDER / "indices.yaml").read_text())
        if each["kind"] == "Job" and each["metadata"]["name"] == "jaeger-indices"
    )
    (container,) = job["spec"]["template"]["spec"]["containers"]
    environ = {each["name"]: each.get("value", "") for each in container["env"]}
    environ |= {"ELASTICSEARCH_URL": url, "ES_PASSWORD": password}
    environ = {name: value for name, value in environ.items() if "_TLS_" not in name}
    arguments = [each.replace("$(ELASTICSEARCH_URL)", url) for each in container["args"]]
    done = subprocess.run([program, *arguments], env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


class JaegerOnElasticsearch:
    """One process of Jaeger with one of the two configurations; addresses and TLS alone are changed."""

    def __init__(self, program: str, name: str, folder: Path, url: str, password: str) -> None:
        self.ports = {inside: free_port() for inside in (13133, 4317, 16686, 8888)}
        self._folder = folder
        self._name = name
        (folder / "password").write_text(password)
        config = yaml.safe_load((FOLDER / "config" / f"{name}.yaml").read_text())
        backend = config["extensions"]["jaeger_storage"]["backends"]["traces"]["elasticsearch"]
        del backend["tls"]
        backend["auth"]["basic"]["password_file"] = str(folder / "password")
        if query := config["extensions"].get("jaeger_query"):
            query["ui"]["config_file"] = str(FOLDER / "config" / "ui.json")
            query["grpc"] = {"endpoint": "127.0.0.1:0"}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(self._here(config)))
        environ = {"PATH": os.environ["PATH"], "ELASTICSEARCH_URL": url, "JAEGER_BASE_PATH": "/"}
        command = [program, "--config", str(folder / f"{name}.yaml")]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=environ, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._watchdog = Watchdog([self._process.pid])
        self._http = urllib3.PoolManager(retries=False, timeout=30)

    @property
    def log(self) -> Path:
        return self._folder / f"{self._name}.log"

    def _here(self, config: Any) -> Any:
        """The configuration with every address of a pod's on loopback and a free port."""
        if isinstance(config, dict):
            here = {key: self._here(value) for key, value in config.items()}
            if here.get("host") == "0.0.0.0":
                here |= {"host": "127.0.0.1", "port": self.ports[here["port"]]}
            return here
        if isinstance(config, list):
            return [self._here(each) for each in config]
        if isinstance(config, str) and config.startswith("0.0.0.0:"):
            return f"127.0.0.1:{self.ports[int(config.rpartition(':')[2])]}"
        return config

    def wait(self) -> None:
        """Until it says that it is healthy."""
        url = f"http://127.0.0.1:{self.ports[13133]}/status"
        until(
            lambda: self._process.poll() is not None or self._http.request("GET", url).status == 200,
            lambda: f"Jaeger's {self._name}; it said:\n{self.log.read_text()[-3000:]}",
            within=120,
        )
        assert self._process.poll() is None, self.log.read_text()[-3000:]

    def get(self, path: str) -> Any:
        """The `data` of an answer of the query API, or None when it is not 200."""
        answer = self._http.request("GET", f"http://127.0.0.1:{self.ports[16686]}{path}")
        return answer.json()["data"] if answer.status == 200 else None

    def stop(self) -> None:
        self._process.terminate()
        # What is not gone by then is killed by the watchdog.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self._watchdog.close()
        self._process.wait(10)
        self._http.clear()
