"""Where Grafana's links lead, what its variables choose, and what it is configured to show and to leave.

What no schema and no query test says; each was seen wrong in a real Grafana once.
"""

from __future__ import annotations

import configparser
import json
import re
from typing import Any

import pytest
import yaml
from boards import BOARDS, overrides, panels, queries, the_panel
from ruleset import GENERATED, ROOT, alert_names, alerts

from dashboards.src import promql
from dashboards.src.slos import load
from observability import schema

SOURCES = {
    source["uid"]: source
    for source in yaml.safe_load(
        (GENERATED / "grafana/provisioning/datasources/dashcam.yaml").read_text(encoding="utf-8")
    )["datasources"]
}
GRAFANA = configparser.ConfigParser()
GRAFANA.read(ROOT / "k8s/base/grafana/grafana.ini")

boards = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())


# -- from one signal to the others -----------------------------------------------------------------


def test_an_exemplar_opens_its_trace_by_an_address_and_not_in_tempo_s_language() -> None:
    (link,) = SOURCES["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert "datasourceUid" not in link
    path, _, left = link["url"].partition("?left=")
    assert path == "/explore"
    assert json.loads(left) == {"datasource": "jaeger", "queries": [{"query": "$${__value.raw}"}]}


def test_a_tag_that_only_a_cluster_has_is_one_that_the_collector_writes() -> None:
    """The others are of every process; that a trace finds its metrics by them, a query of a trace holds."""
    collector = yaml.safe_load((ROOT / "k8s/base/collector/config.yaml").read_text())
    written = collector["processors"]["k8s_attributes"]["extract"]["metadata"]
    tags = {tag["key"] for tag in SOURCES["jaeger"]["jsonData"]["tracesToMetrics"]["tags"]}
    assert {tag for tag in tags if tag.startswith("k8s.")} == tags & set(written) == {"k8s.deployment.name"}


@pytest.mark.parametrize("service", load().depends_on)
def test_a_deployment_is_called_like_the_job_of_its_pods(service: str) -> None:
    text = (ROOT / f"k8s/base/services/{service}/deployment.yaml").read_text()
    (deployment,) = (each for each in yaml.safe_load_all(text) if each["kind"] == "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["metadata"]["name"] == labels["app.kubernetes.io/name"] == service


def test_a_log_line_has_one_link_to_its_trace() -> None:
    source = SOURCES["elasticsearch"]
    assert len(source["jsonData"]["dataLinks"]) + len(source.get("correlations", ())) == 1


def test_failing_traces_are_those_that_the_service_failed_itself() -> None:
    (target,) = the_panel("service", "Failing traces")["targets"]
    assert dict(tag.split("=") for tag in target["tags"].split()) == {"error": "true", "span.kind": "server"}


# -- alerts ----------------------------------------------------------------------------------------


def test_grafana_shows_the_alerts_and_evaluates_none() -> None:
    assert "alertmanager" in SOURCES
    assert GRAFANA["unified_alerting"].getboolean("enabled")
    assert not GRAFANA["unified_alerting"].getboolean("execute_alerts")


@boards
def test_a_mark_is_a_line_where_something_began_and_no_region(board: dict[str, Any]) -> None:
    marks = {mark["name"]: mark for mark in board["annotations"]["list"] if mark.get("expr")}
    assert set(marks) == {"Pages began", "Deploys"}
    for mark in marks.values():
        assert mark["useValueForTime"] is True, "the value is the time of the one line"
        assert mark["expr"].endswith("* 1000"), "in milliseconds"
        assert mark["titleFormat"]
    assert 'severity="page"' in marks["Pages began"]["expr"]


def test_firing_alerts_lead_to_runbook_service_and_objective_and_leave_watchdog_out() -> None:
    panel = the_panel("overview", "Firing alerts")
    assert all('severity=~"page|ticket"' in query for query in queries(panel))
    urls = [link["url"] for column in overrides(panel).values() for link in column.get("links", ())]
    assert [url.split("?")[0] for url in urls] == [
        "/d/${__data.fields.alertname}",
        "/d/dashcam-service",
        "/d/dashcam-slo",
    ]


def test_every_alert_has_a_page_in_grafana_under_its_name() -> None:
    pages = {
        path.stem: json.loads(path.read_text()) for path in (GENERATED / "grafana/runbooks").glob("*.json")
    }
    assert set(pages) == set(alert_names())
    for name, page in pages.items():
        assert page["uid"] == name
        (panel,) = page["panels"]
        assert "## What to do" in panel["options"]["content"]


def test_objectives_lead_to_service_and_runbook() -> None:
    columns = overrides(the_panel("slo", "Objectives"))
    urls = {link["url"].split("?")[0] for column in columns.values() for link in column.get("links", ())}
    assert {"/d/dashcam-slo", "/d/dashcam-service", "/d/AvailabilityBurnFast"} <= urls


# -- variables -------------------------------------------------------------------------------------


@boards
def test_every_series_is_chosen_by_cluster_and_namespace(board: dict[str, Any]) -> None:
    names = {variable["name"] for variable in board["templating"]["list"]}
    assert {"cluster", "namespace"} <= names
    for panel in panels(board):
        for query in queries(panel):
            for selector in promql.selectors(query):
                assert 'cluster=~"$cluster"' in selector, f"{panel['title']}: {selector}"
                recorded = ":" in selector.split("{")[0] or selector.startswith("ALERTS")
                assert recorded or 'namespace=~"$namespace"' in selector, f"{panel['title']}: {selector}"


def test_one_service_is_chosen_down_to_version_and_instance() -> None:
    board = BOARDS["dashcam-service"]
    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names[-3:] == ["service", "version", "instance"]
    for panel in panels(board):
        for query in queries(panel):
            if schema.HTTP_SERVER_DURATION.name in query:
                assert 'instance=~"$instance"' in query, panel["title"]


def test_all_of_a_label_that_a_laptop_has_not_is_everything() -> None:
    for board in BOARDS.values():
        for variable in board["templating"]["list"]:
            if variable["name"] in ("cluster", "namespace"):
                assert variable["allValue"] == ".*"
                assert variable["current"]["value"] == "$__all"


# -- what Grafana does by itself -------------------------------------------------------------------


def test_grafana_fetches_nothing_from_its_maker() -> None:
    off = {
        ("analytics", "reporting_enabled"),
        ("analytics", "check_for_updates"),
        ("analytics", "check_for_plugin_updates"),
        ("news", "news_feed_enabled"),
        ("snapshots", "external_enabled"),
        ("plugins", "plugin_admin_enabled"),
    }
    on = {
        ("plugins", "preinstall_disabled"),
        ("plugins", "public_key_retrieval_disabled"),
        ("security", "disable_gravatar"),
    }
    assert {option: GRAFANA[option[0]].getboolean(option[1]) for option in off | on} == {
        **dict.fromkeys(off, False),
        **dict.fromkeys(on, True),
    }


# -- addresses -------------------------------------------------------------------------------------

PROMETHEUS = yaml.safe_load((ROOT / "k8s/base/prometheus/prometheus.yml").read_text())
PRODUCTION = yaml.safe_load((ROOT / "k8s/overlays/production/kustomization.yaml").read_text())


def _arguments(part: str) -> list[str]:
    text = (ROOT / f"k8s/base/{part}/statefulset.yaml").read_text()
    (workload,) = (each for each in yaml.safe_load_all(text) if each["kind"] == "StatefulSet")
    arguments: list[str] = workload["spec"]["template"]["spec"]["containers"][0]["args"]
    return arguments


def test_nothing_that_is_generated_names_an_address_of_one_machine() -> None:
    there = [path for path in GENERATED.rglob("*") if path.is_file()]
    files = [path for path in there if not {"runbooks", "kibana"} & set(path.parts)]
    assert [path.name for path in files if "localhost:16686" in path.read_text()] == []


def test_kibana_s_links_to_traces_lead_where_jaeger_is_found() -> None:
    """Its saved objects name the address of a laptop; the Job that loads them puts in the cluster's."""
    script = (ROOT / "k8s/base/kibana/bootstrap/bootstrap.sh").read_text()
    (expression,) = re.findall(r'sed "s\|(.*?)\|(.*?)\|g"', script)
    assert expression == ("http://localhost:16686", "$JAEGER_URL")
    assert expression[0] in (GENERATED / "kibana/saved-objects.ndjson").read_text()


def test_an_alert_names_runbook_and_dashboard_below_what_its_prometheus_says() -> None:
    labels = PROMETHEUS["global"]["external_labels"]
    assert labels["runbooks"] == labels["dashboards"] == "${GRAFANA_URL}/d"
    for alert in alerts():
        for annotation, label in (("runbook_url", "runbooks"), ("dashboard_url", "dashboards")):
            assert f"$externalLabels.{label} " in alert["annotations"][annotation], alert["alert"]


def test_the_dashboard_of_an_alert_exists_with_the_variable_that_is_set() -> None:
    for alert in alerts():
        found = re.search(
            r"/(dashcam-\w+)(?:\?var-(\w+)=.+)?{{ end }}$", alert["annotations"]["dashboard_url"]
        )
        assert found, alert["alert"]
        variables = {variable["name"] for variable in BOARDS[found[1]]["templating"]["list"]}
        assert not found[2] or found[2] in variables, alert["alert"]


def test_the_addresses_reach_no_label_of_an_alert() -> None:
    (drop,) = PROMETHEUS["alerting"]["alert_relabel_configs"]
    assert drop["action"] == "labeldrop"
    assert set(drop["regex"].split("|")) >= {"runbooks", "dashboards"}


@pytest.mark.parametrize("part", ["prometheus", "alertmanager"])
def test_a_notification_links_to_where_a_browser_finds_its_part(part: str) -> None:
    assert f"--web.external-url=$({part.upper()}_URL)" in _arguments(part)


def test_production_says_where_each_part_is_found() -> None:
    (merged,) = (each for each in PRODUCTION["configMapGenerator"] if each["name"] == "addresses")
    names = {line.partition("=")[0] for line in merged["literals"]}
    base = (ROOT / "k8s/base/addresses/addresses.env").read_text()
    assert names == {line.partition("=")[0] for line in base.splitlines()}
    assert all("=https://" in line for line in merged["literals"])
