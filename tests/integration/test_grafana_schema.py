"""Grafana's own schema, as its release publishes it for TypeScript, reads the generated dashboards.

Each part of a dashboard is written down as a literal of its type; the compiler then names every field that
the schema does not have and every value that is none of a field's. Needs Node and npm, which takes the
locked packages of grafana_schema/ from its registry.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration import npm
from ruleset import GENERATED, ROOT
from verifying import Recorder

from dashboards.src.current import every_panel

FOLDER = Path(__file__).parent / "grafana_schema"
RAW = "./node_modules/@grafana/schema/dist/types/raw/composable/{}/panelcfg/x/types.gen"
# Enumerations are their values in JSON; a saved panel leaves out options that are as they are by default.
HEAD = """\
import type { Dashboard, Panel, RowPanel } from "@grafana/schema";
type Json<T> = T extends string ? `${T}` : T extends number ? number
  : T extends readonly (infer U)[] ? Json<U>[]
  : T extends object ? { [K in keyof T]: Json<T[K]> } : T;
type Part<T> = T extends readonly (infer U)[] ? Part<U>[]
  : T extends object ? { [K in keyof T]?: Part<T[K]> } : T;
"""
Board = dict[str, Any]


def _kind(kind: str, folder: Path) -> str:
    module = RAW.format(kind)
    declared = (folder / f"{module}.d.ts").read_text()
    has_custom = "interface FieldConfig" in declared
    custom = f"Part<Json<{kind}.FieldConfig>>" if has_custom else "Record<string, never>"
    return (
        f'import type * as {kind} from "{module}";\n'
        f"type {kind}Options = Part<Json<{kind}.Options>>;\ntype {kind}Custom = {custom};\n"
    )


def _source(boards: list[Board], folder: Path) -> str:
    panels = [panel for board in boards for panel in every_panel(board) if panel["type"] != "row"]
    lines = [HEAD, *(_kind(kind, folder) for kind in sorted({panel["type"] for panel in panels}))]
    for board in boards:
        for panel in board.pop("panels"):
            lines += _literals(panel)
        for annotation in board["annotations"].get("list", ()):
            for own in ("expr", "useValueForTime", "titleFormat"):
                annotation.pop(own, None)  # Prometheus' own, of which the schema of all sources knows nothing
        lines.append(_literal("Json<Dashboard>", board))
    return "\n".join([*lines, "export {};", ""])


def _literals(panel: Board) -> list[str]:
    if panel["type"] == "row":
        inside = [line for each in panel.pop("panels", None) or () for line in _literals(each)]
        return [*inside, _literal("Json<RowPanel>", panel | {"panels": []})]
    options = panel.pop("options", {})
    custom = panel.get("fieldConfig", {}).get("defaults", {}).pop("custom", {})
    kind = panel["type"]
    return [
        _literal("Json<Panel>", panel),
        _literal(f"{kind}Options", options),
        _literal(f"{kind}Custom", custom),
    ]


def _literal(kind: str, value: Any) -> str:
    return f"({json.dumps(value)}) satisfies {kind};"


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory, ran: Recorder) -> Path:
    """A folder with Grafana's schema and the compiler."""
    folder = npm.installed(FOLDER, tmp_path_factory.mktemp("schema") / "check")
    version = npm.locked(FOLDER, "@grafana/schema")
    ran("Grafana's dashboard schema", version=version, had="from npm, locked")
    return folder


def _boards() -> list[Board]:
    return [
        json.loads(path.read_text())
        for folder in ("dashboards", "runbooks")
        for path in sorted((GENERATED / "grafana" / folder).glob("*.json"))
    ]


def _complaints(boards: list[Board], folder: Path) -> list[str]:
    (folder / "boards.ts").write_text(_source(boards, folder))
    options = ("--strict", "--skipLibCheck", "--moduleResolution", "bundler", "--module", "esnext")
    command = ["node_modules/.bin/tsc", "--noEmit", *options, "--target", "es2022", "boards.ts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    return [line[:300] for line in done.stdout.splitlines()]


@pytest.mark.verifies(
    component="Grafana's dashboard schema",
    claim="has every field and value of the generated dashboards and of each panel's options",
)
def test_the_dashboards_are_what_grafana_s_schema_allows(schema: Path) -> None:
    assert _complaints(_boards(), schema) == []


def test_a_field_and_a_value_that_grafana_does_not_know_are_each_named(schema: Path) -> None:
    board = next(board for board in _boards() if board["uid"] == "dashcam-overview")
    graph = next(panel for panel in board["panels"] if panel["type"] == "timeseries")
    graph["options"]["tooltip"] = {"mode": "all"}
    graph["fieldConfig"]["defaults"]["custom"]["lineWeight"] = 2
    complaints = "\n".join(_complaints([board], schema))
    assert "lineWeight" in complaints
    assert '"all"' in complaints


def test_the_schema_is_that_of_the_grafana_in_the_cluster() -> None:
    deployment = (ROOT / "k8s/base/grafana/deployment.yaml").read_text()
    (image,) = (
        container["image"]
        for document in yaml.safe_load_all(deployment)
        if document["kind"] == "Deployment"
        for container in document["spec"]["template"]["spec"]["containers"]
    )
    version = npm.locked(FOLDER, "@grafana/schema")
    assert version.split(".")[:2] == image.rpartition(":")[2].split(".")[:2]
