"""`dashcam slo generate`: of anybody's objectives, ours or OpenSLO's, rules that promtool takes and tests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from ruleset import ROOT, run

from dashcam.cli.main import main
from dashcam.slo import generate
from dashcam.slo.objectives import ObjectiveError

OPENSLO = """
apiVersion: openslo/v1
kind: SLI
metadata: {name: mail-delivered}
spec:
  ratioMetric:
    counter: true
    bad: {metricSource: {type: Prometheus, spec: {query: 'jobs_total{queue="mail",outcome=~"failed|lost"}'}}}
    total: {metricSource: {type: Prometheus, spec: {query: 'jobs_total{queue="mail"}'}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: mail-sent}
spec:
  description: Mail is sent.
  service: mailer
  indicatorRef: mail-delivered
  timeWindow: [{duration: 28d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.995}]
"""
OURS = """
runbooks: https://wiki.example.com/runbooks
slos:
  - {name: shop-availability, service: shop, sli: availability, objective: 99.5, about: Orders are taken.}
  - {name: shop-latency, service: shop, sli: latency, objective: 99, threshold: 0.5, about: They are quick.}
  - name: jobs-done
    service: worker
    sli: availability
    objective: 99
    about: Jobs are done.
    total: jobs_started_total
    good: jobs_done_total{status="ok"}
"""


def _made(text: str, folder: Path) -> Path:
    page = folder / "page.yaml"
    page.write_text(text)
    done = CliRunner().invoke(main, ["slo", "generate", str(page), "--out", str(folder / "out")])
    assert done.exit_code == 0, done.output
    return folder / "out"


@pytest.mark.parametrize("text", [OURS, OPENSLO], ids=["a page of objectives", "OpenSLO"])
def test_the_rules_are_valid_and_pass_the_tests_that_come_with_them(text: str, tmp_path: Path) -> None:
    out = _made(text, tmp_path)
    checked = run("promtool", "check", "rules", "--lint=all", "--lint-fatal", *out.glob("rules/*.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = run("promtool", "test", "rules", out / "tests/slo_test.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("text", [OURS, OPENSLO], ids=["a page of objectives", "OpenSLO"])
def test_the_tests_that_come_with_them_notice_alerts_that_never_fire(text: str, tmp_path: Path) -> None:
    out = _made(text, tmp_path)
    path = out / "rules/slo.yml"
    rules = yaml.safe_load(path.read_text())
    rules["groups"] = [group for group in rules["groups"] if group["name"] != "slo-burn"]
    path.write_text(yaml.safe_dump(rules))
    assert run("promtool", "test", "rules", out / "tests/slo_test.yml").returncode != 0


def test_openslo_says_what_a_page_of_ours_would(tmp_path: Path) -> None:
    page = tmp_path / "openslo.yaml"
    page.write_text(OPENSLO)
    objectives = generate.read(page)
    (slo,) = objectives.slos
    assert (slo.name, slo.service, slo.objective, objectives.period) == ("mail-sent", "mailer", 99.5, "28d")
    assert slo.total == 'jobs_total{queue="mail"}'
    assert slo.bad == 'jobs_total{queue="mail",outcome=~"failed|lost"}'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("budgetingMethod: Occurrences", "budgetingMethod: Timeslices", "only Occurrences are counted"),
        ("isRolling: true", "isRolling: false", "only rolling windows are read"),
        ("indicatorRef: mail-delivered", "indicatorRef: other", "'other' is no SLI of this file"),
        ("ratioMetric", "thresholdMetric", "only a ratioMetric is read"),
        ("counter: true", "counter: false", "counter has to be true"),
        ("type: Prometheus, spec", "type: Datadog, spec", "only Prometheus is read"),
        ("openslo/v1\nkind: SLO", "openslo/v2alpha\nkind: SLO", "is not openslo/v1"),
        ("query: 'jobs_total{queue=\"mail\"}'", "query: 'rate(jobs_total[5m])'", "no selector of a counter"),
        ("service: mailer", "team: mailer", "'service'"),
        ("target: 0.995", "target: 1", "is not a percentage above 0 and below 100"),
    ],
)
def test_what_openslo_says_and_cannot_be_meant_here_is_refused_by_name(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    assert old in OPENSLO
    page = tmp_path / "openslo.yaml"
    page.write_text(OPENSLO.replace(old, new))
    with pytest.raises(ObjectiveError) as raised:
        generate.read(page)
    assert message in str(raised.value)
    assert "openslo.yaml" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slos: [", "no YAML"),
        ("just words", "no page of objectives"),
        ("period: 30d", "there is no key 'slos'"),
        (OURS.replace("good: ", "bad: x\n    good: "), "total and one of bad and good"),
    ],
)
def test_a_page_that_is_none_ends_in_a_sentence(text: str, message: str, tmp_path: Path) -> None:
    page = tmp_path / "page.yaml"
    page.write_text(text)
    done = CliRunner().invoke(main, ["slo", "generate", str(page), "--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert message in done.output
    assert "Traceback" not in done.output


def _board(out: Path) -> dict[str, Any]:
    board: dict[str, Any] = json.loads((out / "dashboard.json").read_text())
    return board


def test_the_dashboard_has_the_period_and_the_burn_rates_of_the_page(tmp_path: Path) -> None:
    rates = """
period: 7d
burn_rates:
  page: [{factor: 10, long: 30m, short: 5m}]
  ticket: [{factor: 2, long: 6h, short: 30m}]
"""
    board = _board(_made(rates + OURS, tmp_path))
    assert board["time"]["from"] == "now-7d"
    speeds = {panel["title"]: panel for panel in board["panels"] if " and " in panel["title"]}
    assert list(speeds) == ["Burn rate over 30m and 5m", "Burn rate over 6h and 30m"]
    first = speeds["Burn rate over 30m and 5m"]
    assert "slo:failures:ratio30m{" in first["targets"][0]["expr"]
    assert "slo:failures:ratio5m{" in first["targets"][0]["expr"]
    assert first["fieldConfig"]["defaults"]["thresholds"]["steps"][-1] == {"value": 10, "color": "red"}
    text = json.dumps(board)
    assert "30d" not in text
    assert "14.4" not in text
    assert "/d/dashcam-service" not in text, "a page that only Dashcam has"


def test_the_dashboard_asks_for_what_the_rules_record_and_nothing_else(tmp_path: Path) -> None:
    out = _made(OURS, tmp_path)
    rules = [yaml.safe_load(path.read_text()) for path in out.glob("rules/*.yml")]
    recorded = {
        rule["record"]
        for page in rules
        for group in page["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    asked = set(re.findall(r"slo:\w+:\w+", json.dumps(_board(out))))
    assert asked - recorded == set()


def test_the_wheel_of_the_tools_brings_the_dashboard_along() -> None:
    project = (ROOT / "dashcam/pyproject.toml").read_text()
    assert '"dashcam.slo" = ["board.json"]' in project
    assert '"dashcam.slo",' in project
