"""The images that run on the node, built here by podman, since no image registry can be reached.

Everything is made of Debian's packages: a base by debootstrap, the services on it by their own Dockerfiles,
and the programs of tools.py under the names that the manifests call their published images by. podman keeps
its layers beside the tools' cache, so that a second run builds what has changed.

    python -m onenode.images FOLDER     # in namespaces: leaves FOLDER/images.tar
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from search_server import provide as elasticsearch

from dashcam.cli.cluster import DEBUG_IMAGE
from dashcam.stack.settings import ROOT
from dashcam.stack.tool_recipes import Tool, cache
from dashcam.stack.tools import (
    COLLECTOR,
    COLLECTOR_AGENT,
    COREDNS,
    ELASTICSEARCH_EXPORTER,
    JAEGER,
    JAEGER_ROLLOVER,
    KUBE_STATE_METRICS,
    KUSTOMIZE,
    NATS_SERVER,
    NODE_EXPORTER,
    PROMETHEUS,
)
from onenode.containers import PAUSE
from onenode.namespaces import separate_files
from onenode.objects import DNS_IMAGE

HERE = Path(__file__).parent
SUITE = "bookworm"
BASE = f"localhost/dashcam-base:{SUITE}"
PACKAGES = "localhost/dashcam-packages:1"
SERVICE = "dashcam/"
"""What the images of services begin with."""

BUILDING = ("--isolation", "chroot", "--network", "host")
"""How podman builds where it may do little."""

TELL_SECONDS = 5.0
KEPT = "168h"
LOG_AGENT = "localhost/otelcol-agent:1"
"""The published image of the Collector has its components and the gateway's; here each is built by itself."""


@dataclass(frozen=True)
class Program:
    """A program of tools.py under the name of its published image, as that image starts it."""

    image: str
    tool: Tool
    entrypoint: str

    def containerfile(self) -> str:
        return f'FROM {BASE}\nCOPY program {self.entrypoint}\nENTRYPOINT ["{self.entrypoint}"]\n'


PROGRAMS = (
    Program("jaegertracing/jaeger", JAEGER, "/cmd/jaeger/jaeger-linux"),
    Program("otel/opentelemetry-collector-contrib", COLLECTOR, "/otelcol-contrib"),
    Program("jaegertracing/jaeger-es-rollover", JAEGER_ROLLOVER, "/go/bin/es-rollover"),
    Program(LOG_AGENT, COLLECTOR_AGENT, "/otelcol-contrib"),
    Program("prom/prometheus", PROMETHEUS, "/bin/prometheus"),
    Program("nats", NATS_SERVER, "/nats-server"),
    Program("quay.io/prometheus/node-exporter", NODE_EXPORTER, "/bin/node_exporter"),
    Program(
        "quay.io/prometheuscommunity/elasticsearch-exporter",
        ELASTICSEARCH_EXPORTER,
        "/bin/elasticsearch_exporter",
    ),
    Program(
        "registry.k8s.io/kube-state-metrics/kube-state-metrics", KUBE_STATE_METRICS, "/kube-state-metrics"
    ),
)

OF_PACKAGES = {
    "prom/alertmanager": "alertmanager",
    "postgres": "postgres",
    "docker.elastic.co/elasticsearch/elasticsearch": "elasticsearch",
}
"""Images of Debian's packages, or of Maven's, each with its Containerfile in the folder images/."""


def provide(folder: Path) -> None:
    """Build everything and write `folder`/images.tar."""
    podman = Podman(cache().parent / "images")
    podman.base()
    manifests = wanted()
    names = [*_services(podman, manifests), *_programs(podman, manifests), *_of_packages(podman, manifests)]
    names += [
        podman.build(f'FROM {BASE}\nENTRYPOINT ["/bin/sleep", "infinity"]\n', PAUSE),
        podman.build(
            'FROM scratch\nCOPY program /coredns\nENTRYPOINT ["/coredns"]\n',
            DNS_IMAGE,
            program=COREDNS.path(),
        ),
    ]
    names.append(podman.named(docker(DEBUG_IMAGE), BASE))
    podman.save(names, folder / "images.tar")
    # What builds of other days left, which no image of today is made of: each change of a source leaves some.
    podman.run("image", "prune", "--force", "--filter", f"until={KEPT}")


def wanted() -> dict[str, str]:
    """The images of both overlays: the full name with its tag, by the name alone."""
    found = {}
    for overlay in ("local", "production"):
        command = [KUSTOMIZE.path(), "build", str(ROOT / "k8s" / "overlays" / overlay)]
        page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for line in page.splitlines():
            key, _, name = line.strip().removeprefix("- ").partition(": ")
            if key == "image":
                found[name.strip().rpartition(":")[0]] = name.strip()
    return found


def _services(podman: Podman, manifests: dict[str, str]) -> Iterable[str]:
    # Told where packages are as this machine is told; certificates come with the base.
    told = [f"--build-arg {name}={os.environ[name]}" for name in ("PIP_INDEX_URL",) if name in os.environ]
    names = sorted(full for name, full in manifests.items() if name.startswith(SERVICE))
    for name in names:
        service, _, tag = name.removeprefix(SERVICE).partition(":")
        make = [
            # Neither revision nor times of the commit, so that layers stay where the sources do.
            *("make", "--no-print-directory", f"image-{service}", f"BASE={BASE}", f"TAG={tag}"),
            *("REVISION=tests", "REPRODUCIBLE=", f"ENGINE={shlex.join(podman.command)}"),
            f"ENGINE_FLAGS={' '.join([*BUILDING, '--quiet', *told])}",
        ]
        with telling(name):
            _run(make, cwd=ROOT)
        yield podman.named(docker(name), f"localhost/{name}")


def _programs(podman: Podman, manifests: dict[str, str]) -> Iterable[str]:
    for each in PROGRAMS:
        yield podman.build(
            each.containerfile(), manifests.get(each.image, each.image), program=each.tool.path()
        )


def _of_packages(podman: Podman, manifests: dict[str, str]) -> Iterable[str]:
    podman.build((HERE / "images" / "packages").read_text(), PACKAGES)
    for image, name in OF_PACKAGES.items():
        server = str(elasticsearch.provide()) if name == "elasticsearch" else None
        text = (HERE / "images" / name).read_text()
        yield podman.build(text, manifests[image], context=server)


class Podman:
    """podman with a storage of its own, which knows no image of the machine's."""

    def __init__(self, storage: Path) -> None:
        storage.mkdir(parents=True, exist_ok=True)
        self.command = [
            *("podman", "--root", str(storage), "--runroot", "/run/podman", "--cgroup-manager", "cgroupfs"),
            *("--storage-driver", "overlay", "--events-backend", "none"),
        ]

    def run(self, *arguments: str) -> str:
        return _run([*self.command, *arguments])

    def base(self) -> None:
        """Have the base: Debian's smallest with Python, and with what this machine is told of registries."""
        if subprocess.run([*self.command, "image", "exists", BASE]).returncode == 0:
            return
        with telling(BASE):
            self._debootstrap()

    def _debootstrap(self) -> None:
        site = _run(["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)"])
        mirror = next(line.split()[0] for line in site.splitlines() if line.endswith(f" {SUITE}"))
        with tempfile.TemporaryDirectory(prefix="dashcam-base-") as made:
            root = Path(made)
            include = "--include=python3,python3-venv,ca-certificates"
            _run(["debootstrap", "--variant=minbase", include, SUITE, str(root), mirror])
            for told in ("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf", "/etc/apt/sources.list.d"):
                _copy(Path(told), root / told[1:])
            shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
            packed = subprocess.Popen(
                ["tar", "--create", "--directory", str(root), "."], stdout=subprocess.PIPE
            )
            subprocess.run(
                [*self.command, "import", "--quiet", "-", BASE], stdin=packed.stdout, check=True, stdout=2
            )
            assert packed.wait() == 0

    def build(self, text: str, name: str, program: str | None = None, context: str | None = None) -> str:
        """An image by the Containerfile `text`, with `program` or all of `context` to copy from; its name."""
        with tempfile.TemporaryDirectory(prefix="dashcam-image-") as made:
            (Path(made) / "Containerfile").write_text(text)
            if program:
                shutil.copy2(program, Path(made) / "program")
            file = ("--file", str(Path(made) / "Containerfile"))
            flags = (*BUILDING, "--quiet", "--layers")
            name = docker(name)
            with telling(name):
                self.run("build", *flags, *file, "--tag", name, context or made)
        return name

    def named(self, name: str, here: str) -> str:
        self.run("tag", here, name)
        return name

    def save(self, names: Sequence[str], archive: Path) -> None:
        """All of them in one file, each layer once."""
        self.run("save", "--quiet", "--multi-image-archive", "--output", str(archive), *names)


@contextmanager
def telling(name: str) -> Iterator[None]:
    """Say which image is made, where it takes more than a moment."""
    timer = threading.Timer(
        TELL_SECONDS, print, [f"node: making {name} …"], {"file": sys.stderr, "flush": True}
    )
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def docker(name: str) -> str:
    """The full name of an image, which may be short as manifests call it."""
    host = name.split("/")[0] if "/" in name else ""
    if host == "localhost" or "." in host:
        return name
    return f"docker.io/{name}" if host else f"docker.io/library/{name}"


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def _run(command: Sequence[str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def main(folder: Path) -> None:
    cache().mkdir(parents=True, exist_ok=True)
    separate_files(folder / "building", [cache().parent])
    began = time.monotonic()
    provide(folder)
    print(f"node: images ready in {time.monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
