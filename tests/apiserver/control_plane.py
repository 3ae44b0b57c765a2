"""A real Kubernetes API on this machine: etcd, kube-apiserver and kube-controller-manager, all on loopback.

There is no scheduler and no kubelet: objects are admitted, kept, and turned into other objects (a Deployment
into pods, a deleted namespace into nothing), but no pod ever runs. `make apiserver` starts one by hand, and
tests/onenode adds a node to it.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import httpx
from polling import until

from dashcam.stack.ports import free_port
from dashcam.stack.tool_recipes import Tool
from dashcam.stack.tools import ETCD, KUBE_APISERVER, KUBE_CONTROLLER_MANAGER, KUBECTL, KUBERNETES_VERSION

CONTEXT = "dashcam-apiserver"
LOOPBACK = "127.0.0.1"
READY_SECONDS = 120.0
"""A cold start takes ten seconds on a quiet machine, and a multiple of it on a busy one."""


class ControlPlane:
    """Starts on entering, ends on leaving. `folder` keeps certificates, data and what each program says.

    The API listens on `host`; where that is not loopback, pods find it at the Service `kubernetes`. It is
    started with `flags` besides. A `port` of 0 is any free one.
    :attr:`kubeconfig` is then a file with the one context :data:`CONTEXT`, whose user may do everything.
    """

    def __init__(self, folder: Path, host: str = LOOPBACK, flags: Sequence[str] = (), port: int = 0) -> None:
        self.folder = folder
        self.host = host
        self._flags = flags
        self.url = f"https://{host}:{port or free_port()}"
        self.token = secrets.token_urlsafe(32)
        self.kubeconfig = folder / "kubeconfig"
        self._certificate = folder / "certificates" / "apiserver.crt"
        self._running: list[tuple[str, subprocess.Popen[bytes], IO[bytes]]] = []

    def __enter__(self) -> ControlPlane:
        try:
            self._prepare()
            etcd = self._start_etcd()
            self._start_apiserver(etcd)
            self._start_controllers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def environment(self) -> Mapping[str, str]:
        """For a program that shall speak to this API by kubectl."""
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "PATH": f"{Path(KUBECTL.path()).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),  # kubectl caches below it what this API offers
        }

    def client(self) -> httpx.Client:
        """An HTTP client that is that user."""
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.token}"},
            verify=ssl.create_default_context(cafile=str(self._certificate)),
            timeout=60,
        )

    def ended(self) -> list[str]:
        """Programs that were started and run no more."""
        return [name for name, process, _ in self._running if process.poll() is not None]

    def stop(self) -> None:
        """End all, the last started first; whoever is not gone within ten seconds is killed."""
        for _, process, log in reversed(self._running):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            log.close()
        self._running.clear()

    def _prepare(self) -> None:
        (self.folder / "certificates").mkdir(parents=True)
        tokens = self.folder / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(f'{self.token},admin,admin,"system:masters"\n')
        made = subprocess.run(
            ["openssl", "genrsa", "-out", str(self.folder / "accounts.key"), "2048"], capture_output=True
        )
        assert made.returncode == 0, made.stderr.decode()

    def _start_etcd(self) -> str:
        url, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self.start(
            ETCD,
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",  # nothing here outlives the test
        )
        until(
            lambda: httpx.get(f"{url}/health").json()["health"] == "true", self._state, within=READY_SECONDS
        )
        return url

    def _start_apiserver(self, etcd: str) -> None:
        self.start(
            KUBE_APISERVER,
            f"--etcd-servers={etcd}",
            f"--bind-address={self.host}",
            f"--secure-port={self.url.rpartition(':')[2]}",
            f"--cert-dir={self._certificate.parent}",  # it makes its own certificate there
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            f"--service-account-key-file={self.folder / 'accounts.key'}",
            f"--service-account-signing-key-file={self.folder / 'accounts.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/16",
            # A loopback address can be nobody's endpoint.
            *(["--endpoint-reconciler-type=none"] if self.host == LOOPBACK else []),
            "--allow-privileged=true",
            *self._flags,
        )
        until(self._certificate.exists, self._state, within=READY_SECONDS)
        self._write_kubeconfig()
        until(self._ready, self._state, within=READY_SECONDS, every=0.5)

    def _start_controllers(self) -> None:
        self.start(
            KUBE_CONTROLLER_MANAGER,
            f"--kubeconfig={self.kubeconfig}",
            f"--service-account-private-key-file={self.folder / 'accounts.key'}",
            f"--root-ca-file={self._certificate}",
            f"--cert-dir={self.folder / 'controllers'}",
            "--bind-address=127.0.0.1",
            f"--secure-port={free_port()}",
            "--leader-elect=false",
        )
        until(self._controlled, self._state, within=READY_SECONDS, every=0.5)

    def start(self, tool: Tool, *arguments: str) -> None:
        """One more program beside the API; what it says goes to `folder`."""
        log = (self.folder / f"{tool.name}.log").open("wb")
        command = [tool.path(), *arguments]
        # In a session of its own, so that Ctrl-C ends who uses it, and only then it.
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True)
        self._running.append((tool.name, process, log))

    def _ready(self) -> bool:
        with self.client() as client:
            return client.get("/readyz").status_code == 200

    def _controlled(self) -> bool:
        """Whether the controllers work: a namespace has got its account."""
        with self.client() as client:
            return client.get("/api/v1/namespaces/default/serviceaccounts/default").status_code == 200

    def _state(self) -> str:
        said = [
            f"{name} ({'running' if process.poll() is None else f'ended with {process.returncode}'}): "
            + (self.folder / f"{name}.log").read_text(errors="replace")[-1500:]
            for name, process, _ in self._running
        ]
        return "the API to be ready; " + "\n".join(said)

    def _write_kubeconfig(self) -> None:
        cluster = {"server": self.url, "certificate-authority": str(self._certificate)}
        context = {"cluster": "local", "user": "admin"}
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "local", "cluster": cluster}],
                    "users": [{"name": "admin", "user": {"token": self.token}}],
                    "contexts": [{"name": CONTEXT, "context": context}],
                    "current-context": CONTEXT,
                }
            )
        )


def main() -> None:
    """Run one until Ctrl-C."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with (
        tempfile.TemporaryDirectory(prefix="dashcam-apiserver-") as folder,
        ControlPlane(Path(folder)) as api,
    ):
        print(f"Kubernetes {KUBERNETES_VERSION} at {api.url}; what each program says is in {folder}")
        print(f"export KUBECONFIG={api.kubeconfig} PATH={Path(KUBECTL.path()).parent}:$PATH")
        print("Ctrl-C ends it", flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
