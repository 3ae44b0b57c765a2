"""The services' images, built and run: `make test-images`.

ENGINE names the engine (docker or podman), BASE the base image, ENGINE_FLAGS and RUN_FLAGS what the
engine needs besides on this machine for building and for running.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import urllib.request
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from polling import until

from dashcam.registry.catalogue import load
from dashcam.stack.ports import free_port
from services.sbom import bill, inventory

ROOT = Path(__file__).parents[2]
SERVICES = {service.name: service.example for service in load().services}
"""Each service with an address that answers 200 without the others."""

REVISION = uuid.uuid4().hex
"""What these images call the source they were built from: never the same, so that a cached label shows."""

TAG = "test"
PYTHON = "/opt/venv/bin/python"
ALLOWED_BYTES = 150_000_000
"""What an image may add to its base, and what all of it may be when a node pulls it."""


def engine(*arguments: str, within: float = 60) -> str:
    """The output of an engine's command; fails with what it said."""
    command = [os.environ["ENGINE"], *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=within)
    assert done.returncode == 0, f"{shlex.join(command)} failed: {done.stderr}"
    return done.stdout.strip()


def run_flags() -> list[str]:
    return shlex.split(os.environ.get("RUN_FLAGS", ""))


@pytest.fixture(scope="session")
def images() -> None:
    """All images, freshly built."""
    if os.environ.get("ENGINE") not in ("docker", "podman"):
        pytest.fail(
            f"ENGINE={os.environ.get('ENGINE', '')!r} cannot run images: install docker or podman "
            "(Debian: apt-get install podman) and use `make test-images`"
        )
    make("images", f"TAG={TAG}", f"REVISION={REVISION}")


def make(*arguments: str) -> None:
    made = subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]


@pytest.fixture(scope="module", params=SERVICES)
def service(request: pytest.FixtureRequest, images: None) -> str:
    return str(request.param)


class Container:
    """A service in its image, locked down as in the cluster.

    No root, no capability, nothing writable but its state folder and /tmp.
    """

    def __init__(self, service: str, tag: str = TAG) -> None:
        self.port, self.admin_port = free_port(), free_port()
        self.name = f"dashcam-test-{service}-{uuid.uuid4().hex[:8]}"
        environment = {
            "HOST": "127.0.0.1",
            "PORT": self.port,
            "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
            "OTEL_EXPORTER_PROMETHEUS_PORT": self.admin_port,
            "OTEL_TRACES_EXPORTER": "none",
        }
        engine(
            *("run", "--detach", "--name", self.name, "--network", "host"),
            *("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--volume", "/var/lib/dashcam", "--tmpfs", "/tmp:mode=1777"),
            *(part for name, value in environment.items() for part in ("--env", f"{name}={value}")),
            *run_flags(),
            f"dashcam/{service}:{tag}",
        )

    def get(self, path: str, *, admin: bool = False) -> str:
        url = f"http://127.0.0.1:{self.admin_port if admin else self.port}{path}"
        with urllib.request.urlopen(url, timeout=5) as response:
            return str(response.read().decode())

    def python(self, code: str) -> str:
        return engine("exec", self.name, PYTHON, "-c", code)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in engine("logs", self.name).splitlines()]

    def remove(self) -> None:
        engine("rm", "--force", "--volumes", self.name)


@pytest.fixture(scope="module")
def container(service: str) -> Iterator[Container]:
    running = Container(service)
    try:
        until(
            lambda: running.get(SERVICES[service]),
            lambda: f"{service} to answer; its log: {engine('logs', running.name)[-2000:]}",
            within=60,
        )
        yield running
    finally:
        running.remove()


def inside(service: str, code: str) -> str:
    """What a Python program prints inside the image, without the service."""
    flags = ["--rm", "--network", "none", "--entrypoint", PYTHON, *run_flags()]
    return engine("run", *flags, f"dashcam/{service}:{TAG}", "-c", code)


def configuration(service: str) -> dict[str, Any]:
    (about,) = json.loads(engine("image", "inspect", f"dashcam/{service}:{TAG}"))
    return dict(about)


def test_the_service_answers_and_serves_its_metrics(service: str, container: Container) -> None:
    assert container.get(SERVICES[service])
    assert f'service_name="{service}"' in container.get("/metrics", admin=True)
    assert f'revision="{REVISION}"' in container.get("/metrics", admin=True)
    assert container.get("/livez", admin=True)


def test_it_runs_as_an_unprivileged_user(container: Container) -> None:
    assert container.python("import os; print(os.getuid(), os.getgid())") == "10001 10001"


def test_its_file_system_cannot_be_written(container: Container) -> None:
    attempt = "import sys\ntry: open('/app/x', 'w')\nexcept OSError as error: print(error.strerror)"

    assert container.python(attempt) == "Read-only file system"


def test_it_writes_json_lines_only(container: Container, service: str) -> None:
    assert {line["service"] for line in container.lines()} == {service}


def test_it_ends_in_order_on_the_stop_signal(service: str) -> None:
    stopping = Container(service)
    try:
        until(lambda: stopping.get(SERVICES[service]), f"{service} to answer", within=60)

        engine("stop", "--time", "20", stopping.name)

        assert engine("inspect", "--format", "{{.State.ExitCode}}", stopping.name) == "0"
    finally:
        stopping.remove()


def test_no_other_service_and_no_tool_is_inside(service: str) -> None:
    listing = "import os; print(*os.listdir('/app'), *os.listdir('/app/services'))"

    found = inside(service, listing).split()

    assert {name for name in found if name in {*SERVICES, "faults", "dashcam"}} == {service, "faults"}


def test_its_request_path_is_compiled(container: Container) -> None:
    where = container.python("import observability.http._speedups as compiled; print(compiled.__file__)")

    assert where.startswith("/app/observability/http/_speedups.")
    assert where.endswith(".so")


def test_nothing_that_compiles_is_inside(service: str) -> None:
    compilers = "import shutil; print([n for n in ('cc', 'gcc', 'clang', 'cpp', 'ld') if shutil.which(n)])"
    sources = (
        "import importlib.util as u, pathlib as p; print(u.find_spec('Cython'), "
        "[str(f) for f in p.Path('/app').rglob('*') if f.suffix in ('.pyx', '.c', '.o')])"
    )
    base = ["run", "--rm", "--network", "none", "--entrypoint", "python3", *run_flags(), os.environ["BASE"]]

    assert inside(service, compilers) == engine(*base, "-c", compilers), "no more of them than in the base"
    assert inside(service, sources) == "None []"


def test_without_what_is_compiled_it_answers_all_the_same(images: None) -> None:
    flags = f"{os.environ.get('ENGINE_FLAGS', '')} --build-arg SPEEDUPS=no"
    name = list(SERVICES)[-1]
    make(f"image-{name}", "TAG=pure", f"REVISION={REVISION}", f"ENGINE_FLAGS={flags}")
    pure = Container(name, tag="pure")
    try:
        until(lambda: pure.get(SERVICES[name]), f"{name} in pure Python to answer", within=60)
        found = pure.python("import importlib.util as u; print(u.find_spec('observability.http._speedups'))")
    finally:
        pure.remove()

    assert found == "None"


def test_its_state_folder_belongs_to_the_user_it_runs_as(service: str) -> None:
    code = "import os; about = os.stat('/var/lib/dashcam'); print(about.st_uid, about.st_gid)"

    assert inside(service, code) == "10001 10001"


def test_no_installer_and_no_cache_is_inside(service: str) -> None:
    code = "import importlib.util as u; print([n for n in ('pip', 'setuptools') if u.find_spec(n)])"

    assert inside(service, code) == "[]"


def test_it_adds_little_to_its_base(service: str) -> None:
    base = json.loads(engine("image", "inspect", os.environ["BASE"]))[0]["Size"]

    assert configuration(service)["Size"] - base < ALLOWED_BYTES


def test_a_node_pulls_little(service: str) -> None:
    """All of it, the base too, about as a registry keeps it: compressed, here at the least level."""
    squeeze, packed = zlib.compressobj(1), 0
    save = [os.environ["ENGINE"], "save", f"dashcam/{service}:{TAG}"]
    with subprocess.Popen(save, stdout=subprocess.PIPE) as saving:
        assert saving.stdout
        while part := saving.stdout.read(1 << 20):
            packed += len(squeeze.compress(part))

    assert saving.returncode == 0
    assert 10_000_000 < packed < ALLOWED_BYTES


def test_its_bill_of_materials_names_what_is_inside(service: str) -> None:
    image = f"dashcam/{service}:{TAG}"
    said = inventory([os.environ["ENGINE"], "run", *run_flags()], image)
    listed = {each["name"].lower() for each in json.loads(bill(image, said))["components"]}

    assert {"flask", "granian", "python"} <= listed
    assert "pip" not in listed


def test_it_says_what_it_is(service: str) -> None:
    config = configuration(service)["Config"]
    labels = config["Labels"]

    assert labels["org.opencontainers.image.title"] == f"dashcam-{service}"
    assert labels["org.opencontainers.image.revision"] == REVISION
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == [PYTHON, "/app"]
    assert f"run_module('services.{service}'" in inside(service, "print(open('/app/__main__.py').read())")
    assert not config.get("Healthcheck")
