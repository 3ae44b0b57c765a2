"""Alertmanager's generated configuration: valid, routed as meant, silent about symptoms of a known cause."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from exampleservices import LAST, SERVICES
from ruleset import GENERATED, alerts, run

from dashboards.src import alertmanager
from dashboards.src.slos import load
from dashcam.slo.durations import seconds

CONFIGURATION = GENERATED / "alertmanager.yml"
RULES = yaml.safe_load(CONFIGURATION.read_text())["inhibit_rules"]
URGENCY = {"page": 2, "ticket": 1, "none": 0}


def test_alertmanager_takes_the_configuration() -> None:
    checked = run("amtool", "check-config", CONFIGURATION)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_reaches_the_receiver_of_its_severity(alert: dict[str, Any]) -> None:
    severity = alert["labels"]["severity"]
    labels = [f"alertname={alert['alert']}", f"severity={severity}", "service=car"]
    routed = run("amtool", "config", "routes", "test", f"--config.file={CONFIGURATION}", *labels)
    wanted = {"Watchdog": "watchdog", "RecentlyBroken": "nobody"}.get(alert["alert"], severity)
    assert routed.stdout.strip() == wanted, routed.stderr


def test_alerts_of_one_service_come_in_one_message() -> None:
    shown = run("amtool", "config", "routes", "show", f"--config.file={CONFIGURATION}")
    assert yaml.safe_load(CONFIGURATION.read_text())["route"]["group_by"] == ["service"], shown.stdout


# -- inhibition, by the matchers themselves --------------------------------------------------------


def _matches(matchers: list[str], labels: dict[str, str]) -> bool:
    for matcher in matchers:
        name, operator, value = re.fullmatch(r'(\w+)(=~|!~|!=|=)"(.*)"', matcher).groups()  # type: ignore[union-attr]
        actual = labels.get(name, "")
        found = actual == value if operator in ("=", "!=") else bool(re.fullmatch(value, actual))
        if found == operator.startswith("!"):
            return False
    return True


def _silences(source: dict[str, str], target: dict[str, str]) -> bool:
    return any(
        _matches(rule["source_matchers"], source) and _silenced(rule, source, target) for rule in RULES
    )


def _silenced(rule: dict[str, Any], source: dict[str, str], target: dict[str, str]) -> bool:
    """Whether a rule whose source matches silences `target`."""
    same = all(source.get(name, "") == target.get(name, "") for name in rule.get("equal", ()))
    return same and _matches(rule["target_matchers"], target)


def _alert(name: str, service: str, **more: str) -> dict[str, str]:
    severity = next(alert["labels"]["severity"] for alert in alerts() if alert["alert"] == name)
    return {"alertname": name, "service": service, "severity": severity, **more}


LAST_DOWN = _alert("ServiceDown", LAST.name)
LAST_FAILS = _alert("AvailabilityBurnFast", LAST.name, slo=f"{LAST.name}-availability")
CIRCUIT = _alert("CircuitOpen", "car", dependency=LAST.name)
DATABASE = _alert("DependencyDown", "car", dependency="database")
QUOTES_FAIL = _alert("AvailabilityBurnFast", "car", slo="quote-availability")
PAGES_FAIL = _alert("AvailabilityBurnFast", "web", slo="web-availability")
MENDED = _alert("RecentlyBroken", LAST.name)
CLOSED = _alert("RecentlyBroken", "car", dependency=LAST.name)
PAGES_SLOW = _alert("LatencyBurnFast", "web", slo="web-latency")


BROKER = _alert("BrokerAway", "broker", dependency="broker")
UNDECIDED = _alert("OrdersUndecided", "orders", step="confirming")
LATE = _alert("AvailabilityBurnFast", "orders", slo="order-decided")


@pytest.mark.parametrize(
    ("cause", "symptoms"),
    [
        (BROKER, [UNDECIDED, LATE, _alert("ConsumerStopped", "dealer"), _alert("OutboxWaiting", "orders")]),
        (_alert("BrokerFull", "broker", dependency="broker"), [UNDECIDED, _alert("OutboxWaiting", "dealer")]),
        (_alert("ServiceDown", "dealer"), [UNDECIDED, _alert("ConsumerStopped", "dealer")]),
        (_alert("ServiceDown", "car"), [UNDECIDED, _alert("CompensationFailing", "orders")]),
        (LAST_DOWN, [CIRCUIT, QUOTES_FAIL, PAGES_FAIL, PAGES_SLOW]),
        (LAST_FAILS, [CIRCUIT, QUOTES_FAIL, PAGES_FAIL]),
        (CIRCUIT, [QUOTES_FAIL, PAGES_FAIL]),
        (DATABASE, [QUOTES_FAIL, PAGES_FAIL, PAGES_SLOW]),
        (_alert("LatencyBurnFast", LAST.name, slo=f"{LAST.name}-latency"), [PAGES_SLOW]),
        (MENDED, [QUOTES_FAIL, PAGES_FAIL, CIRCUIT]),
        (CLOSED, [QUOTES_FAIL, PAGES_FAIL]),
        (LAST_DOWN, [_alert("TargetDown", LAST.name), _alert("ServiceRestarting", LAST.name)]),
        (QUOTES_FAIL, [_alert("LogErrorsRising", "car")]),
        (QUOTES_FAIL, [_alert("AvailabilityBurnSlow", "car", slo="quote-availability")]),
    ],
)
def test_a_broken_part_silences_what_its_dependents_suffer(
    cause: dict[str, str], symptoms: list[dict[str, str]]
) -> None:
    assert [symptom for symptom in symptoms if not _silences(cause, symptom)] == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (PAGES_FAIL, LAST_DOWN),
        (QUOTES_FAIL, LAST_FAILS),
        (LAST_DOWN, _alert("ServiceDown", "web")),
        (LAST_DOWN, _alert("SpansDropped", "car")),
        (LAST_DOWN, DATABASE),
        (BROKER, _alert("DeadLetters", "dealer")),
        (_alert("RecentlyBroken", "broker", dependency="broker"), UNDECIDED),
        (CIRCUIT, LAST_DOWN),
        (MENDED, LAST_FAILS),
        (MENDED, LAST_DOWN),
        (CLOSED, CIRCUIT),
        (_alert("LatencyBurnFast", LAST.name, slo=f"{LAST.name}-latency"), PAGES_FAIL),
    ],
)
def test_what_the_one_does_not_explain_is_still_told(one: dict[str, str], other: dict[str, str]) -> None:
    assert not _silences(one, other)


def test_no_alert_is_silenced_by_a_less_urgent_one() -> None:
    """RecentlyBroken counts as the page that it stands for: it fires only after one."""
    causes = next(alert["expr"] for alert in alerts() if alert["alert"] == "RecentlyBroken")
    named = re.search(r'alertname=~"([^"]*)"', causes)
    assert named
    severities = {alert["alert"]: alert["labels"]["severity"] for alert in alerts()}
    assert {severities[name] for name in named[1].split("|")} == {"page"}
    known = [
        _alert(alert["alert"], service, slo=f"{service}-availability", dependency=dependency)
        for alert in alerts()
        for service in SERVICES
        for dependency in ("", "database", *SERVICES)
    ]
    wrong = {
        (source["alertname"], target["alertname"])
        for rule in RULES
        for source in known
        if source["alertname"] != "RecentlyBroken" and _matches(rule["source_matchers"], source)
        for target in known
        if URGENCY[source["severity"]] < URGENCY[target["severity"]] and _silenced(rule, source, target)
    }
    assert not wrong


def test_nothing_silences_watchdog() -> None:
    watchdog = _alert("Watchdog", "prometheus")
    assert not any(_silences(_alert(alert["alert"], "prometheus"), watchdog) for alert in alerts())


def test_no_two_pages_silence_each_other_so_that_nobody_is_told() -> None:
    pages = [LAST_DOWN, LAST_FAILS, CIRCUIT, DATABASE, QUOTES_FAIL, PAGES_FAIL, PAGES_SLOW]
    both = [(a, b) for a in pages for b in pages if a is not b and _silences(a, b) and _silences(b, a)]
    assert not both


def test_the_inhibition_rules_follow_the_declared_dependencies() -> None:
    objectives = load()
    alone = replace(objectives, depends_on=dict.fromkeys(objectives.depends_on, ()))
    rules = alertmanager.inhibit_rules(alone)
    assert all("dependency=" not in matcher for rule in rules for matcher in rule["source_matchers"])


def test_an_outage_is_noticed_before_anyone_hears_of_its_symptoms() -> None:
    """group_wait against the slowest notice: scrape, evaluation, ServiceDown's `for`, one evaluation more."""
    down = next(alert for alert in alerts() if alert["alert"] == "ServiceDown")
    wait = yaml.safe_load(CONFIGURATION.read_text())["route"]["group_wait"]
    assert seconds(wait) >= 15 + 15 + seconds(down["for"]) + 15
