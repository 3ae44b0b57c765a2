"""A service made from the template in a copy of the checkout, and taken away again: nothing is left of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from dashcam.registry.catalogue import ROOT, load
from dashcam.scaffold.checkout import GENERATORS

IGNORED = shutil.ignore_patterns(
    *(
        ".git",
        ".venv",
        ".tools",
        ".dashcam",
        "dist",
        "build",
        "*.egg-info",
        "node_modules",
        "expositions",
        "img",
    ),
    *("__pycache__", "*_cache", ".hypothesis", "mutants"),
)
SERVICES = load().services
# Of which there is none yet, for a checkout may have services of its own.
NAME, OTHER = [name for name in ("parcels", "letters", "crates") if name not in load().names][:2]
PORT = next(port for port in count(8310) if port not in {service.port for service in SERVICES})


class Checkout:
    """A copy of this one, in which programs are run; what they import is the copy's."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            command, cwd=self.root, env=environ, capture_output=True, text=True, timeout=300
        )

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, *arguments)

    def scaffold(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "dashcam.scaffold", *arguments)

    def contents(self) -> dict[str, bytes]:
        """Every file that a commit would have; what tests leave behind is none."""
        files = [path for path in self.root.rglob("*") if path.is_file()]
        left = {"__pycache__", ".pytest_cache", ".hypothesis", ".dashcam", ".ruff_cache"}
        kept = [path for path in files if not left & {*path.parts}]
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in kept}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    root = tmp_path_factory.mktemp("copy") / "checkout"
    shutil.copytree(ROOT, root, ignore=IGNORED, symlinks=True)
    return Checkout(root)


@pytest.fixture(scope="module")
def checkout(bare: Checkout) -> Iterator[Checkout]:
    """With a further service; each test leaves it as it was, and in the end nothing is left of it."""
    before = bare.contents()
    done = bare.scaffold("new", NAME, "--port", str(PORT), "--about", "Sends parcels: to wherever.")
    assert done.returncode == 0, done.stderr
    assert f"{NAME} is there, on port {PORT}" in done.stdout
    yield bare
    removed = bare.scaffold("remove", NAME)
    assert removed.returncode == 0, removed.stderr
    after = bare.contents()
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == set()


@pytest.fixture(autouse=True)
def unchanged(checkout: Checkout) -> Iterator[None]:
    before = checkout.contents()
    yield
    assert checkout.contents() == before


def checks_of_generated_files() -> list[list[str]]:
    """The commands of `make check-generated`, without the program."""
    recipe = re.search(r"^check-generated:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    return [line.split("python ", 1)[1].split() for line in recipe.group(1).splitlines()]


def test_a_new_service_is_complete_and_green(checkout: Checkout) -> None:
    for check in checks_of_generated_files():
        done = checkout.python(*check)
        assert done.returncode == 0, done.stderr
    own = [
        f"tests/unit/{NAME}",
        f"tests/contract/test_{NAME}_api.py",
        f"tests/contract/test_{NAME}_openapi.py",
    ]
    every = [
        "tests/contract/test_every_service.py",
        "tests/contract/test_urls_rules.py",
        "tests/unit/registry",
    ]
    tests = checkout.python("-m", "pytest", "-q", "-p", "no:cacheprovider", *own, *every)
    assert tests.returncode == 0, tests.stdout[-3000:]
    for tool in (["ruff", "check"], ["ruff", "format", "--check"]):
        done = checkout.python("-m", *tool, "--no-cache", f"services/{NAME}", *own)
        assert done.returncode == 0, done.stdout
    walls = checkout.run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")
    assert walls.returncode == 0, walls.stdout


def test_every_list_of_services_has_it(checkout: Checkout) -> None:
    asked = (
        "from dashcam.stack.settings import read; from dashcam.stack import programs; from dashcam.cluster "
        f"import forwards; print(read({{}}).ports()['{NAME.upper()}_PORT'], read({{}}).admin_port('{NAME}'), "
        f"[each.local for each in forwards.forwards() if each.service == '{NAME}'], "
        f"[each.address for each in programs.programs(read({{}})) if each.name == '{NAME}'])"
    )
    done = checkout.python("-c", asked)
    address = f"http://127.0.0.1:{PORT}/{NAME}?limit=1"
    assert done.stdout.split() == [f"{PORT}", f"{PORT + 10000}", f"[{PORT}]", f"['{address}']"], done
    services = checkout.run("make", "-s", "services").stdout.split()
    assert services == [*load().names, NAME]
    for page in ("docs/configuration.md", "k8s/base/services/generated/kustomization.yaml"):
        assert NAME in (checkout.root / page).read_text().lower()
    assert f"{NAME}-latency" in (checkout.root / "dashboards/generated/rules/slo.yml").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["Parcels"], "NAME='Parcels' cannot be used"),
        (["car"], "NAME='car' is taken by a service of services/catalogue.yaml"),
        ([NAME], f"NAME='{NAME}' is taken by a service"),
        ([OTHER, "--port", "5001"], "PORT=5001 is taken: 5001 is the port of car"),
        ([OTHER, "--owner", "nobody"], "'nobody': not among the owners"),
        ([OTHER, "--about", "No full stop"], "give one line, a sentence with a full stop"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(checkout: Checkout, arguments: list[str], says: str) -> None:
    done = checkout.scaffold("new", *arguments)
    assert done.returncode == 1
    assert says in done.stderr


def test_a_generator_that_fails_leaves_nothing_behind(checkout: Checkout) -> None:
    generator = checkout.root / "dashboards" / "src" / "__main__.py"
    text = generator.read_text()
    ill = f'import sys\nif "{OTHER}:" in open("services/catalogue.yaml").read():\n    sys.exit("ill")\n'
    generator.write_text(text.replace("\nimport click", f"\n{ill}import click", 1))
    done = checkout.scaffold("new", OTHER)
    generator.write_text(text)
    assert done.returncode == 1
    assert "dashboards.src cannot make its files:\nill" in done.stderr


def test_what_was_changed_is_not_deleted_by_mistake(checkout: Checkout) -> None:
    folder = checkout.root / "services" / NAME
    text = (folder / "catalogue.py").read_text()
    (folder / "catalogue.py").write_text(text + "\n# mine\n")
    (folder / "notes.md").write_text("mine")
    before = checkout.contents()
    done = checkout.scaffold("remove", NAME)
    left = checkout.contents()
    (folder / "catalogue.py").write_text(text)
    (folder / "notes.md").unlink()
    assert done.returncode == 1
    assert f"services/{NAME}/catalogue.py\n  services/{NAME}/notes.md\nFORCE=1" in done.stderr
    assert left == before


def test_what_others_depend_on_is_not_deleted_at_all(checkout: Checkout) -> None:
    page = checkout.root / "services/catalogue.yaml"
    text = page.read_text()
    page.write_text(text.replace("depends_on: [", f"depends_on: [{NAME}, ", 1))
    done = checkout.scaffold("remove", NAME, "--force")
    page.write_text(text)
    assert done.returncode == 1
    first = next(service.name for service in SERVICES if service.depends_on)
    assert f"{first} depends on {NAME}: take {NAME} out of depends_on" in done.stderr


def test_an_unknown_service_cannot_be_removed(checkout: Checkout) -> None:
    done = checkout.scaffold("remove", "parcel")
    assert "NAME='parcel': there is no service 'parcel'; there are " in done.stderr


def test_make_generated_runs_the_same_generators() -> None:
    lines = (ROOT / "Makefile").read_text()
    (needed,) = re.findall(r"^generated: (.*?) ##", lines, re.MULTILINE)
    commands = [
        re.search(rf"^{target}:.*\n\t@?\$\(BIN\)/python -m (.*)$", lines, re.MULTILINE)
        for target in needed.split()
    ]
    assert [tuple(found.group(1).split()) for found in commands if found] == list(GENERATORS)
