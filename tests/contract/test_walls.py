"""The walls of the house: who may import whom, what may happen at import, how large a part may grow.

Who may import whom is declared in pyproject.toml and held by import-linter, for which an import inside a
function counts too; each contract is broken here once, to see that it would be noticed.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("observability", "dashcam", "services")
MODULE_LINES = 300
ABOUT = 1.1
"""The design says "about": a tenth is what that word is worth."""


def modules(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found, f"no module below {folders}: the test would prove nothing"
    return found


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
BREAKING = {
    "library": ("observability/redaction.py", "import dashcam.model.text"),
    "services-alone": ("services/car/fields.py", "import services.web.fields"),
    "services-without-tools": ("services/web/routes.py", "import dashcam.stack.ports"),
    "tools-without-services": ("dashcam/stack/ports.py", "import services.faults.points"),
    "domains": ("services/car/catalogue.py", "import flask"),
    "tools": ("dashcam/console/finding.py", "import dashcam.store.sqlite_file"),
    "store-alone": ("dashcam/store/values.py", "import dashcam.model.series"),
    "lab-on-top": ("dashcam/cli/fault.py", "import dashcam.lab.scenario"),
    "library-cycles": ("observability/redaction.py", "import observability.problems"),
    "tools-cycles": ("dashcam/model/text.py", "import dashcam.console.filters"),
}
"""For each contract in pyproject.toml a line that breaks it, and where."""


def test_every_contract_is_broken_once_below() -> None:
    assert {contract["id"] for contract in CONTRACTS} == set(BREAKING)


@cache
def lines_added(cycles: bool) -> dict[str, str]:
    """What import-linter says of each contract where all these lines have been added, by its name.

    Those that close a cycle have a copy of their own: of several, it names whichever opens the most.
    """
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for folder in PARTS:
            ignored = shutil.ignore_patterns("*.so", "__pycache__")
            shutil.copytree(ROOT / folder, root / folder, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", root)
        for contract, (module, line) in BREAKING.items():
            if contract.endswith("-cycles") is cycles:
                with (root / module).open("a") as file:
                    file.write(f"\n{line}\n")
        done = subprocess.run(
            [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=600,
        )
    assert done.returncode == 1, done.stdout + done.stderr
    parts = re.split(r"^(\S.*)\n-+$", done.stdout, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["id"])
def test_a_line_that_breaks_a_wall_is_seen(contract: dict[str, str]) -> None:
    path, line = BREAKING[contract["id"]]
    importer, imported = path.removesuffix(".py").replace("/", "."), line.removeprefix("import ")
    cycles = contract["type"] == "acyclic_siblings"
    if cycles:
        expected = f".{importer.split('.')[1]} -> .{imported.split('.')[1]} (1 import)"
    else:
        expected = f"{importer} -> {imported} (l."
    assert expected in lines_added(cycles)[contract["name"]]


def test_no_module_reads_the_environment_while_it_is_imported() -> None:
    offences = []
    for path in modules(*PARTS):
        for node in _import_time_nodes(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
                offences.append(f"{shown(path)}:{node.lineno}")
    assert not offences


def _import_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs when a module is imported: all but the bodies of functions and lambdas."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in [*node.decorator_list, *node.args.defaults, *node.args.kw_defaults]:
                if part is not None:
                    yield part
                    yield from _import_time_nodes(part)
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            continue
        yield node
        yield from _import_time_nodes(node)


def test_importing_every_module_starts_no_thread_and_opens_no_socket() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in modules(*PARTS)
        if path.name not in ("__main__.py", "setup.py") and "migrations" not in path.parts
    ]
    script = f"""
import socket, threading, importlib
def refuse(*args, **kwargs):
    raise AssertionError("a module opened a connection while it was imported")
socket.socket.connect = socket.socket.bind = refuse
for name in {names!r}:
    before = threading.active_count()
    importlib.import_module(name)
    assert threading.active_count() == before, f"importing {{name}} started a thread"
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_modules_stay_small() -> None:
    # ruff limits what a function does (PLR0915, C90) and has no rule for a module.
    long = {shown(path): len(path.read_text().splitlines()) for path in modules(*PARTS)}
    assert not {path: lines for path, lines in long.items() if lines > MODULE_LINES * ABOUT}
