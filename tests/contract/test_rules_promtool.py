"""The generated rules, by Prometheus' own tool: valid, tested, and the tests themselves tested."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruleset import (
    GENERATED,
    RULE_FILES,
    RULE_TESTS,
    alert_names,
    alerts,
    read,
    recorded,
    rule_tests,
    rules,
    run,
    write,
)

from dashboards.src import promql
from dashboards.src.slos import load
from dashcam.slo.objectives import Slo

SLOS = load().slos
TESTED_BY = {path.name.removesuffix("_test.yml"): path for path in RULE_TESTS}


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.stem)
def test_a_rule_file_is_valid(path: Path) -> None:
    checked = run("promtool", "check", "rules", "--lint=all", "--lint-fatal", path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_prometheus_takes_the_rules_in_its_configuration(tmp_path: Path) -> None:
    page = write(tmp_path / "prometheus.yml", {"rule_files": [str(GENERATED / "rules" / "*.yml")]})
    checked = run("promtool", "check", "config", "--lint=all", page)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(RULE_FILES)} rule files found" in checked.stdout


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_the_alerts_fire_and_stay_quiet_as_described(path: Path, tmp_path: Path) -> None:
    tested = run("promtool", "test", "rules", write(tmp_path / path.name, rule_tests(path)))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_rule_file_has_its_tests() -> None:
    assert set(TESTED_BY) == {path.stem for path in RULE_FILES}


def test_rules_name_only_declared_metrics() -> None:
    unknown = {
        rule.get("alert") or rule["record"]: names
        for rule in rules()
        if (names := promql.undeclared(rule["expr"], recorded()))
    }
    assert not unknown, "declare them in observability/schema.py or dashboards/src/third_party.py"


def test_every_alert_says_how_urgent_it_is_and_what_to_read() -> None:
    for alert in alerts():
        assert alert["labels"]["severity"] in ("page", "ticket", "none"), alert["alert"]
        assert alert["labels"]["service"], f"{alert['alert']} blames nobody: grouping rests on `service`"
        summary = alert["annotations"]["summary"]
        assert summary.endswith("."), f"{alert['alert']}: the summary is a sentence"
        assert alert["annotations"]["description"]


# -- the tests of the rules notice when a rule is wrong --------------------------------------------


def _files_with(name: str, folder: Path, change: Any) -> Path:
    """The test file of an alert beside a copy of its rules, with `change` applied to each rule of it."""
    source = next(path for path in RULE_FILES if f"alert: {name}\n" in path.read_text())
    copy = _copy(source, folder, lambda rule: change(rule) if rule.get("alert") == name else _of_car(rule))
    tests = rule_tests(TESTED_BY[source.stem])
    tests["rule_files"] = [str(copy)]
    for test in tests["tests"]:
        checks = test.get("promql_expr_test", [])
        test["promql_expr_test"] = [check for check in checks if "ALERTS" in check["expr"]]
    # A case that asks for no alert by name asks for all of them. The other cases cannot tell the difference.
    tests["tests"] = [
        test for test in tests["tests"] if name in str(test) or "ALERTS{alertstate" in str(test)
    ]
    return write(folder / "mutant_test.yml", tests)


def _of_car(rule: dict[str, Any]) -> dict[str, Any] | None:
    """The rule, unless it is about an objective that the tests worked out by hand do not touch."""
    return rule if rule.get("labels", {}).get("slo", "car-").startswith("car-") else None


def _copy(source: Path, folder: Path, change: Any) -> Path:
    """The rule file with `change` applied to each rule."""
    document = read(source)
    for group in document["groups"]:
        group["rules"] = [rule for rule in map(change, group["rules"]) if rule]
    return write(folder / source.name, document)


@pytest.mark.parametrize("name", alert_names())
def test_an_alert_that_never_fires_is_noticed(name: str, tmp_path: Path) -> None:
    tested = run("promtool", "test", "rules", _files_with(name, tmp_path, lambda rule: None))
    assert tested.returncode != 0, f"no case in dashboards/tests/rules has {name} firing"


_THRESHOLD = re.compile(r"(>=|<=|==|>|<)(?=\s*(?:-?\d|on\b))")


def _blunted(rule: dict[str, Any]) -> dict[str, Any]:
    """The same alert with every threshold taken away: it fires for whatever it looks at."""
    if rule["expr"].startswith("absent("):
        return rule | {"expr": "vector(1)"}
    return rule | {"expr": _THRESHOLD.sub("!= bool", rule["expr"]).replace("unless", "or")}


WITHOUT_THRESHOLD = ("Watchdog", "RecentlyBroken")
"""The one always fires; the other looks at which alerts there are, not at how much of something there is."""


@pytest.mark.parametrize("name", [name for name in alert_names() if name not in WITHOUT_THRESHOLD])
def test_an_alert_that_always_fires_is_noticed(name: str, tmp_path: Path) -> None:
    tested = run("promtool", "test", "rules", _files_with(name, tmp_path, _blunted))
    assert tested.returncode != 0, f"no case in dashboards/tests/rules has {name} quiet"
    assert "parse error" not in tested.stderr, tested.stderr


# -- every objective, not only the ones worked out by hand -----------------------------------------


def _traffic(slo: Slo, bad: int) -> list[dict[str, str]]:
    """A thousand events a minute for an hour, `bad` of them bad by this objective."""
    if slo.good:
        good = slo.good.replace("{", f'{{job="{slo.service}",', 1)
        return [
            {"series": f'{slo.total}{{job="{slo.service}"}}', "values": "0+1000x60"},
            {"series": good, "values": f"0+{1000 - bad}x60"},
        ]
    route = "/cars/<maker>/<model>/quote" if slo.route else "/"
    family = "http_server_request_duration_seconds"
    labels = f'job="{slo.service}",http_route="{route}",http_response_status_code='
    if slo.sli == "availability":
        return [
            {"series": f'{family}_count{{{labels}"200"}}', "values": f"0+{1000 - bad}x60"},
            {"series": f'{family}_count{{{labels}"503"}}', "values": f"0+{bad}x60"},
        ]
    return [
        {"series": f'{family}_count{{{labels}"200"}}', "values": "0+1000x60"},
        {"series": f'{family}_bucket{{{labels}"200",le="{slo.threshold}"}}', "values": f"0+{1000 - bad}x60"},
    ]


def _case(slos: list[Slo], spent: int, *speeds: str) -> dict[str, Any]:
    """All of `slos` with the budget spent `spent` times too fast, and the alerts that must fire then."""
    names = "|".join(slo.name for slo in slos)
    firing = [
        {"labels": f'{{alertname="{slo.sli.capitalize()}Burn{speed}",slo="{slo.name}"}}', "value": 1}
        for slo in slos
        for speed in speeds
    ]
    query = f'count by (alertname, slo) (ALERTS{{slo=~"{names}",alertstate="firing"}})'
    return {
        "interval": "1m",
        "input_series": [row for slo in slos for row in _traffic(slo, round(1000 * slo.budget * spent))],
        "promql_expr_test": [{"expr": query, "eval_time": "1h", "exp_samples": firing}],
    }


@pytest.mark.parametrize("sli", ["availability", "latency"])
@pytest.mark.parametrize("part", ["whole services", "single routes"])
def test_each_objective_pages_well_above_its_budget_and_is_quiet_within_it(
    sli: str, part: str, tmp_path: Path
) -> None:
    slos = [slo for slo in SLOS if slo.sli == sli and bool(slo.route) == (part == "single routes")]
    assert slos
    rules_copy = _copy(GENERATED / "rules" / "slo.yml", tmp_path, lambda rule: rule)
    cases = [_case(slos, 16, "Fast"), _case(slos, 4, "Slow"), _case(slos, 0)]
    tests = {"rule_files": [str(rules_copy)], "evaluation_interval": "2m", "tests": cases}
    page = write(tmp_path / "objective_test.yml", tests)
    tested = run("promtool", "test", "rules", page)
    assert tested.returncode == 0, tested.stdout + tested.stderr
