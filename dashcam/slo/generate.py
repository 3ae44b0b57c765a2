"""All that is made of a page of objectives, as `{path: text}`: the same page gives the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from dashcam.slo import board, burn_rates, objectives, openslo, rule_tests
from dashcam.slo.objectives import ObjectiveError, Objectives
from dashcam.slo.rules import rule_file
from dashcam.slo.yaml_text import dump

RULES, BUDGET, TESTS, BOARD = "rules/slo.yml", "rules/slo-budget.yml", "tests/slo_test.yml", "dashboard.json"


def read(path: Path) -> Objectives:
    """A page of objectives, ours or OpenSLO's. Raises ObjectiveError."""
    try:
        is_theirs = openslo.is_openslo(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ObjectiveError(f"{path}: no YAML: {error}") from None
    return openslo.load(path) if is_theirs else objectives.load(path)


def files(page: Objectives, source: str) -> dict[str, str]:
    """Recording rules and alerts, their tests, and the dashboard."""
    header = f"Generated from {source} by `dashcam slo generate`. Do not edit."
    groups = {RULES: burn_rates.groups(page), BUDGET: burn_rates.budget_groups(page)}
    tests = rule_tests.document(page, [f"../{RULES}"])
    return {
        **{name: dump(rule_file(each, page.runbooks), header) for name, each in groups.items()},
        TESTS: dump(tests, header),
        BOARD: json.dumps(board.board(page), indent=2, sort_keys=True, ensure_ascii=False) + "\n",
    }


def write(page: Objectives, source: str, folder: Path) -> list[Path]:
    """Write them below `folder`."""
    written = []
    for name, text in files(page, source).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written
