"""The walls of the house: who may import whom, what may happen at import, how large a part may grow.

The rules are read from the source with `ast`, so that an import inside a function counts too.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("car", "minus", "web")
TOOLS = ("local", "console", "diagnose", "stack", "sources", "cluster", "cli")
"""What stands beside the runtime part of `observability` and never enters a service."""

MODULE_LINES = 300
FUNCTION_LINES = 40
ABOUT = 1.1
"""The design says "about": a tenth is what that word is worth."""


def modules(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found, f"no module below {folders}: the test would prove nothing"
    return found


def runtime_modules() -> list[Path]:
    return [path for path in modules("observability") if tool_of(path) is None]


def tool_of(path: Path) -> str | None:
    part = path.relative_to(ROOT / "observability").parts[0].removesuffix(".py")
    return part if part in TOOLS else None


def imports(path: Path) -> Iterator[str]:
    """The absolute names of everything a module imports, relative imports resolved."""
    package = list(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield prefix
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


def forbidden(path: Path, *packages: str) -> list[str]:
    return [
        name
        for name in imports(path)
        if any(name == package or name.startswith(package + ".") for package in packages)
    ]


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_nothing_of_another_service(service: str) -> None:
    others = [f"services.{other}" for other in SERVICES if other != service]
    offences = {
        shown(path): names for path in modules(f"services/{service}") if (names := forbidden(path, *others))
    }
    assert not offences


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_only_the_runtime_part_of_observability(service: str) -> None:
    tools = [f"observability.{tool}" for tool in TOOLS]
    offences = {
        shown(path): names for path in modules(f"services/{service}") if (names := forbidden(path, *tools))
    }
    assert not offences


def test_the_runtime_part_imports_no_tool_and_no_service() -> None:
    walled = [*(f"observability.{tool}" for tool in TOOLS), "services", "dashboards", "scenarios"]
    offences = {shown(path): names for path in runtime_modules() if (names := forbidden(path, *walled))}
    assert not offences


@pytest.mark.parametrize("service", SERVICES)
def test_a_domain_imports_neither_flask_nor_opentelemetry_nor_sqlalchemy(service: str) -> None:
    path = ROOT / "services" / service / "catalogue.py"
    if service == "minus":
        path = next(
            (ROOT / "services" / "minus").glob("catalogue.py"), ROOT / "services/minus/subtraction.py"
        )
    assert not forbidden(path, "flask", "flask_restful", "werkzeug", "opentelemetry", "sqlalchemy", "urllib3")


def test_the_console_and_the_command_line_read_only_through_the_sources() -> None:
    walled = ("observability.local.store", "sqlite3")
    readers = [
        path
        for path in modules("observability")
        if tool_of(path) in ("console", "diagnose", "cli", "sources")
    ]
    offences = {shown(path): names for path in readers if (names := forbidden(path, *walled))}
    assert not offences


def test_no_module_reads_the_environment_while_it_is_imported() -> None:
    offences = []
    for path in modules("observability", "services"):
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
        for path in modules("observability", "services")
        if path.name != "__main__.py" and "migrations" not in path.parts and "traffic" not in path.parts
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
    long = {shown(path): len(path.read_text().splitlines()) for path in modules("observability", "services")}
    assert not {path: lines for path, lines in long.items() if lines > MODULE_LINES * ABOUT}


def test_functions_stay_small() -> None:
    long = {}
    for path in modules("observability", "services"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES * ABOUT:
                    long[f"{shown(path)}:{node.name}"] = lines
    assert not long
