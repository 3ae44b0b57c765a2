"""kubectl as a function: one context, JSON in and out, errors in its own words."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

NAMESPACE = "dashcam"
AGENTS = "dashcam-agents"


class ClusterError(RuntimeError):
    """Something of the cluster cannot be done; the message says what, and what to do."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl for one context; None is the current one. Every method raises ClusterError when it fails."""

    context: str | None = None

    def command(self, *args: str) -> list[str]:
        """The whole command line, for whoever runs it in another way than :meth:`run` does."""
        return ["kubectl", *(["--context", self.context] if self.context else []), *args]

    def run(self, *args: str, text: str | None = None, show: bool = False) -> str:
        """What kubectl writes to stdout; `text` is its stdin. With `show` it writes to ours instead."""
        try:
            done = subprocess.run(  # noqa: S603 - a fixed program; arguments are never read by a shell
                self.command(*args),
                input=text,
                text=True,
                check=False,
                stdout=None if show else subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except FileNotFoundError:
            raise ClusterError("kubectl is not on PATH: https://kubernetes.io/docs/tasks/tools/") from None
        if done.returncode:
            raise ClusterError(
                f"kubectl {' '.join(args[:3])} failed: {done.stderr.strip() or done.returncode}"
            )
        return done.stdout or ""

    def get(self, *args: str) -> dict[str, Any]:
        """`kubectl get … -o json`."""
        answer: dict[str, Any] = json.loads(self.run("get", *args, "-o", "json"))
        return answer

    def apply(self, objects: Sequence[dict[str, Any]]) -> None:
        """Server-side apply; a field that somebody else set by hand becomes ours again."""
        page = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.run(
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager=dashcam",
            "-f",
            "-",
            text=page,
            show=True,
        )

    def check(self) -> str:
        """The cluster's version. Raises ClusterError where no cluster answers, or one that is too old."""
        try:
            server = json.loads(self.run("version", "-o", "json", "--request-timeout=10s"))["serverVersion"]
        except (ClusterError, KeyError) as error:
            named = f"the context {self.context}" if self.context else "the current context"
            raise ClusterError(
                f"no cluster answers for {named} ({error}); `kubectl config get-contexts` lists them, "
                "and `kind create cluster --config k8s/kind.yaml` makes one on this machine"
            ) from error
        minor = int("".join(c for c in server["minor"] if c.isdigit()))
        if (int(server["major"]), minor) < (1, 32):
            raise ClusterError(
                f"the cluster is Kubernetes {server['gitVersion']}; these manifests need 1.32 or newer"
            )
        version: str = server["gitVersion"]
        return version
