"""All generated files, as `{path below dashboards/generated: text}`: the same input gives the same bytes."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.src import alertmanager, alerts, boards, datasources, kibana, kustomize, rollouts, runbooks
from dashboards.src.current import finished
from dashboards.src.slos import HERE, load
from dashcam.slo import burn_rates
from dashcam.slo.objectives import Objectives
from dashcam.slo.rules import Group, rule_file
from dashcam.slo.yaml_text import dump

GENERATED = HERE / "generated"
COPIED = "grafana/dashboards/dashcam-slo.json"
COPY = HERE.parent / "dashcam" / "slo" / "board.json"
"""The page of the objectives goes into the wheel of the tools, for `dashcam slo generate`."""


def rule_groups(objectives: Objectives) -> dict[str, list[Group]]:
    """Every rule group, by the name of its rule file."""
    return {
        "slo": burn_rates.groups(objectives),
        "slo-budget": burn_rates.budget_groups(objectives),
        **alerts.files(objectives),
    }


def rules(objectives: Objectives, scale: Fraction = Fraction(1)) -> dict[str, str]:
    """The rule files. `scale` shortens every window, wait and interval, and nothing else, for a live test."""
    sources = dict.fromkeys(("slo", "slo-budget"), "services/catalogue.yaml and dashboards/slos.yaml")
    return {
        f"rules/{name}.yml": dump(
            rule_file([group.scaled(scale) for group in groups], objectives.runbooks),
            _header(sources.get(name, f"dashboards/src/alerts/{name}.py")),
        )
        for name, groups in rule_groups(objectives).items()
    }


def receivers(path: Path = HERE / "receivers.yaml") -> dict[str, Any]:
    """receivers.yaml, which names the integrations of Alertmanager's three receivers."""
    page: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return page


def files() -> dict[str, str]:
    """Everything that belongs below dashboards/generated."""
    objectives = load()
    routing = dump(
        alertmanager.configuration(objectives, receivers()),
        _header("services/catalogue.yaml, dashboards/src/alertmanager.py and receivers.yaml"),
    )
    texts = {**rules(objectives), "alertmanager.yml": routing, **grafana(objectives)}
    texts["kibana/saved-objects.ndjson"] = kibana.saved_objects()
    return {**texts, **_for_kubernetes(objectives, texts)}


def _for_kubernetes(objectives: Objectives, texts: dict[str, str]) -> dict[str, str]:
    header = _header("dashboards/src/kustomize.py and the sources of what it names")
    pages = {
        **kustomize.kustomizations(texts),
        **kustomize.operator(
            {name: rule_file(groups, objectives.runbooks) for name, groups in rule_groups(objectives).items()}
        ),
    }
    gated = _header("services/catalogue.yaml, dashboards/slos.yaml and dashboards/src/rollouts.py")
    return {
        **{name: dump(page, header) for name, page in pages.items()},
        **{name: dump(page, gated) for name, page in rollouts.objects(objectives).items()},
    }


def grafana(objectives: Objectives) -> dict[str, str]:
    """The dashboards and runbooks, and the provisioning of data sources and dashboards."""
    header = _header("dashboards/src/datasources.py")
    return {
        **{f"grafana/dashboards/{board.uid}.json": _json(board) for board in boards.all_boards(objectives)},
        **{f"grafana/runbooks/{page.uid}.json": _json(page) for page in runbooks.all_runbooks()},
        "grafana/provisioning/datasources/dashcam.yaml": dump(datasources.provisioning(), header),
        "grafana/provisioning/dashboards/dashcam.yaml": dump(datasources.dashboard_provider(), header),
    }


def _json(board: Dashboard) -> str:
    document = finished(json.loads(json.dumps(board, cls=JSONEncoder)))
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _header(source: str) -> str:
    return f"Generated from {source} by `make dashboards`. Do not edit."


def write(folder: Path = GENERATED) -> list[Path]:
    """Write all files below `folder`, and delete what is there and no longer generated."""
    texts = files()
    for old in sorted(folder.rglob("*")):
        if old.is_file() and old.relative_to(folder).as_posix() not in texts:
            old.unlink()
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if folder == GENERATED:
        COPY.write_text(texts[COPIED], encoding="utf-8")
    return [folder / name for name in texts]


def differences(folder: Path = GENERATED) -> list[str]:
    """The files below `folder` that are missing, stale or no longer generated; empty when all is well."""
    texts = files()
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    stale = [
        name for name in texts if name in there and (folder / name).read_text(encoding="utf-8") != texts[name]
    ]
    if folder == GENERATED and (not COPY.exists() or COPY.read_text(encoding="utf-8") != texts[COPIED]):
        stale.append(f"../../{COPY.relative_to(HERE.parent).as_posix()}")
    return sorted([*stale, *(texts.keys() - there), *(there - texts.keys())])
