"""The generated rules as data, and promtool, for the tests about rules, runbooks and dashboards."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from exampleservices import LAST, SERVICES

ROOT = Path(__file__).resolve().parent.parent
GENERATED = ROOT / "dashboards" / "generated"
RULE_FILES = sorted((GENERATED / "rules").glob("*.yml"))
RUNBOOKS = ROOT / "dashboards" / "runbooks"
RULE_TESTS = sorted((ROOT / "dashboards" / "tests" / "rules").glob("*_test.yml"))


def read(path: Path) -> Any:
    """A YAML file, by the fast reader: these are read often."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def rule_tests(path: Path) -> dict[str, Any]:
    """A file of promtool's tests, with the services of the catalogue where it says OTHER and EVERY_OTHER."""
    others = [name for name in SERVICES if name not in ("web", "car")]
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        repeated = others if "EVERY_OTHER" in line else [LAST.name]
        lines += [re.sub(r"\b(EVERY_)?OTHER\b", name, line) for name in repeated]
    tests: dict[str, Any] = yaml.load("\n".join(lines), Loader=yaml.CSafeLoader)
    tests["rule_files"] = [str(path.parent / name) for name in tests["rule_files"]]
    return tests


def write(path: Path, document: Any) -> Path:
    """Write a document that YAML readers take: JSON is YAML, and much quicker to write."""
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool or amtool; a machine without them fails the test with the remedy."""
    program = str(command[0])
    assert shutil.which(program), f"{program} is missing: apt-get install prometheus prometheus-alertmanager"
    # It collects garbage for a quarter of its short life; four times as much room is still little.
    environ = {**os.environ, "GOGC": "400"}
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=600, env=environ
    )


@cache
def rules() -> list[dict[str, Any]]:
    """Every rule of every generated file, recording and alerting."""
    documents = [read(path) for path in RULE_FILES]
    return [rule for document in documents for group in document["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def alert_names() -> list[str]:
    return sorted({rule["alert"] for rule in alerts()})


@cache
def recorded() -> frozenset[str]:
    """The names of all recorded series."""
    return frozenset(rule["record"] for rule in rules() if "record" in rule)


def assert_promql_parses(expressions: list[str], folder: Path) -> None:
    """Every expression is PromQL: promtool reads them as recording rules."""
    listed = [{"record": f"test:expression:{n}", "expr": expr} for n, expr in enumerate(expressions)]
    page = write(folder / "expressions.yml", {"groups": [{"name": "expressions", "rules": listed}]})
    checked = run("promtool", "check", "rules", "--lint=none", page)
    assert checked.returncode == 0, checked.stdout + checked.stderr
