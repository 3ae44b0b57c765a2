"""How often each alert began to fire on a day, by promtool's evaluation of the generated rules."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from ruleset import GENERATED, read, run, write

from dashboards.src.slos import load
from dashboards.tests.day.service import Series
from dashboards.tests.day.traffic import MINUTES

FILES = ("slo", "services", "messages", "telemetry", "kubernetes")
SERVICE = "car"
"""The objectives of one service stand for all: they are made by the same rules."""

_EVERY = "1m"
"""Between two evaluations: a quarter as often as in the rules, so that a day takes seconds."""

_FIRING = 'ALERTS{alertstate="firing",severity=~"page|ticket"}'
_BEGAN = f"({_FIRING} unless {_FIRING} offset {_EVERY})"
_SAMPLE = re.compile(r"(\{[^{}]*\}) ([^\s,]+)")


def firings(
    series: Iterable[Series], folder: Path, names: Iterable[str] = FILES, minutes: int = MINUTES
) -> Counter[str]:
    """How many times each alert of these files began to fire in the first `minutes`, over all its labels."""
    files = [str(_rules(name, folder)) for name in names]
    query = f"sum by (alertname) (count_over_time({_BEGAN}[{minutes}m:{_EVERY}]))"
    # What nobody expects: promtool then says what there is.
    expected = [{"labels": '{alertname="none"}', "value": 1}]
    check = {"expr": query, "eval_time": f"{minutes - 1}m", "exp_samples": expected}
    test = {"interval": "1m", "input_series": list(series), "promql_expr_test": [check]}
    page = write(
        folder / "day_test.yml", {"rule_files": files, "evaluation_interval": _EVERY, "tests": [test]}
    )
    return _counted(run("promtool", "test", "rules", page))


def _rules(name: str, folder: Path) -> Path:
    document = read(GENERATED / "rules" / f"{name}.yml")
    for group in document["groups"]:
        group["rules"] = [rule for rule in group["rules"] if _of_this(rule)]
    return write(folder / f"{name}.yml", document)


def _of_this(rule: dict[str, Any]) -> bool:
    labels = rule.get("labels", {})
    others = set(load().depends_on) - {SERVICE}
    return labels.get("slo", SERVICE).startswith(SERVICE) and labels.get("service") not in others


def _counted(tested: subprocess.CompletedProcess[str]) -> Counter[str]:
    said = tested.stdout + tested.stderr
    _, found, got = said.partition("got:")
    assert found, f"promtool counted nothing:\n{said}"
    counted: Counter[str] = Counter()
    for labels, value in _SAMPLE.findall(got):
        name = yaml.safe_load(re.sub(r'(\w+)="', r'\1: "', labels))["alertname"]
        counted[name] += round(float(value))
    return counted
