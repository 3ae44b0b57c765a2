"""Both distributions as somebody gets them who has no checkout: what is in them, and that it works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest
import urllib3
from backendkit import Request, Store, add_span
from distributions.conftest import PARTS, ROOT, Distributions, Environment, run, tracked
from polling import until

from dashcam.cli.main import COMMANDS
from dashcam.stack.ports import free_port
from dashcam.store.http_server import HttpServer
from dashcam.store.query import create_app
from observability.version import VERSION

pytestmark = pytest.mark.takes(120)

BUILD_FILES = {"setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "requirements.in"}
NOT_INSTALLED = BUILD_FILES | {
    "requirements-server.in",
    "requirements-clients.in",
    "requirements-database.in",
    "requirements-mcp.in",
    "_speedups.pyx",
}

THREE_LINES = """
from flask import Flask
from observability import instrument
app = Flask("orders"); telemetry = instrument(app, service="orders")
"""
ASKED = (
    THREE_LINES
    + """
import json, sys, urllib.request
app.add_url_rule("/orders", view_func=lambda: "[]")
answer = app.test_client().get("/orders")
answer.get_data()
host, port = telemetry.admin_address
metrics = urllib.request.urlopen(f"http://{host}:{port}/metrics").read().decode()
import observability.http.speedups as speedups
print(json.dumps({"status": answer.status_code, "trace": answer.headers["traceresponse"], "metrics": metrics,
    "compiled": speedups.available(), "modules": sorted(sys.modules), "home": speedups.__file__}))
"""
)


def members(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def metadata(wheel: Path) -> object:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


@pytest.mark.parametrize("part", PARTS)
def test_a_wheel_holds_its_part_and_nothing_else(distributions: Distributions, part: str) -> None:
    expected = {name for name in tracked(part) if Path(name).name not in NOT_INSTALLED}
    if part == "observability":
        expected.add(f"observability/http/_speedups{sysconfig.get_config_var('EXT_SUFFIX')}")
    assert members(distributions.wheels[part]) == expected


def test_what_is_compiled_is_compiled_anew_and_not_what_lay_around(distributions: Distributions) -> None:
    with zipfile.ZipFile(distributions.wheels["observability"]) as archive:
        (compiled,) = [name for name in archive.namelist() if name.endswith(".so")]
        assert archive.read(compiled).startswith(b"\x7fELF")


@pytest.mark.parametrize("part", PARTS)
def test_an_sdist_has_what_its_wheel_is_built_from_and_no_rubbish(
    distributions: Distributions, part: str
) -> None:
    with tarfile.open(distributions.sdists[part]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        assert not [member for member in archive.getmembers() if member.issym()]
    files = {name.removeprefix(f"{part}/") for name in tracked(part)}
    generated = {name for name in names if "egg-info" in name} | {"PKG-INFO", "setup.cfg"}
    folders = {str(parent) for name in files for parent in Path(name).parents} | {"", "."}
    assert names - folders - generated == files
    assert not [name for name in names if "left" in name]


@pytest.mark.parametrize("part", PARTS)
def test_the_metadata_are_whole(distributions: Distributions, part: str) -> None:
    twine = Path(sys.executable).with_name("twine")
    said = run(
        twine,
        "check",
        "--strict",
        distributions.wheels[part],
        distributions.sdists[part],
        cwd=distributions.folder,
    )
    assert said.count("PASSED") == 2
    about = metadata(distributions.wheels[part])
    assert about["Version"] == VERSION  # type: ignore[index]


def test_the_tools_require_the_library_of_their_own_release(distributions: Distributions) -> None:
    required = metadata(distributions.wheels["dashcam"]).get_all("Requires-Dist")  # type: ignore[attr-defined]
    assert f"dashcam-observability=={VERSION}" in required
    assert 'mcp; extra == "mcp"' in required


def test_three_lines_work_with_nothing_but_what_the_library_declares(library: Environment) -> None:
    (library.folder / "app.py").write_text(ASKED)
    printed = library.run("python", "app.py").splitlines()  # beside its log lines
    said = next(json.loads(line) for line in printed if line.startswith('{"status"'))
    assert said["status"] == 200
    assert said["trace"].endswith("-03")
    count = next(line for line in said["metrics"].splitlines() if "request_duration_seconds_count" in line)
    assert count.endswith('http_route="/orders"} 1.0')
    assert said["compiled"], "the wheel's compiled request path is not used"
    assert Path(said["home"]).is_relative_to(library.bin.parent)
    extras = {"granian", "sqlalchemy", "openfeature", "services", "dashcam"}
    assert not extras & {name.partition(".")[0] for name in said["modules"]}


def test_what_only_a_part_needs_is_not_installed(library: Environment) -> None:
    uv = Path(sys.executable).with_name("uv")
    listed = run(
        uv, "pip", "list", "--python", library.bin / "python", "--format", "json", cwd=library.folder
    )
    names = {package["name"] for package in json.loads(listed)}
    assert "dashcam-observability" in names
    assert not names & {"granian", "sqlalchemy", "openfeature-sdk", "dashcam", "grpcio", "cython"}
    run(uv, "pip", "check", "--python", library.bin / "python", cwd=library.folder)


def test_a_type_checker_reads_the_librarys_types(library: Environment) -> None:
    code = library.folder / "typed.py"
    code.write_text(THREE_LINES + "reveal_type(telemetry)\ninstrument(app, 5)\n")
    mypy = Path(sys.executable).with_name("mypy")
    done = subprocess.run(
        [mypy, "--python-executable", library.bin / "python", "--strict", code],
        cwd=library.folder,
        capture_output=True,
        text=True,
    )
    assert 'Revealed type is "observability.telemetry.Telemetry"' in done.stdout
    assert 'Argument 2 to "instrument" has incompatible type "int"' in done.stdout


EVERY_HELP = """
import click
from dashcam.cli.main import main

def names(command, path):
    yield path
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for name in command.list_commands(context):
                yield from names(command.get_command(context, name), [*path, name])

from click.testing import CliRunner
count = -1  # the command itself
for path in names(main, []):
    done = CliRunner().invoke(main, [*path, "--help"])
    assert done.exit_code == 0 and "Usage:" in done.output, (path, done.output, done.exception)
    count += 1
print(count)
"""


def test_the_command_and_every_subcommand_show_their_help(tools: Environment) -> None:
    assert "Commands:" in tools.run("dashcam", "--help")
    assert VERSION in tools.run("dashcam", "--version")
    assert int(tools.run("python", "-c", EVERY_HELP)) >= len(COMMANDS)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[str]:
    """The embedded backend of this checkout with one trace in it."""
    store = Store(tmp_path / "state")
    request = Request()
    add_span(request.resource("orders"), "GET /orders")
    store.spans(request)
    server = HttpServer(create_app(store.settings), host="127.0.0.1", port=0, threads=4)
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop(1.0)
    store.close()


def test_the_console_serves_its_pages_from_the_wheel(tools: Environment, backend: str) -> None:
    environ = {"JAEGER_QUERY_URL": backend, "LOGS_URL": backend, "PATH": os.environ["PATH"], "TZ": "UTC"}
    console = subprocess.Popen(
        [tools.bin / "dashcam", "console", "--port", str(free_port())],
        cwd=tools.folder,
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert console.stderr is not None
        address = console.stderr.readline().split()[0]
        http = urllib3.PoolManager()

        def page(path: str) -> urllib3.BaseHTTPResponse:
            return http.request("GET", address + path, timeout=20)

        first = until(lambda: page("/"), "the console to answer", within=60)
        assert first.status == 200
        assert b"orders" in first.data
        assert page("/search?service=orders").status == 200
        for name in sorted((ROOT / "dashcam/console/static").iterdir()):
            assert page(f"/console/static/{name.name}").data == name.read_bytes()
    finally:
        console.terminate()
        console.communicate(timeout=20)
