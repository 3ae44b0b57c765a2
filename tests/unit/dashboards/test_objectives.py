"""slos.yaml: what may stand there, and the message for what may not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from dashboards.src.slos import load, page
from dashcam.registry import catalogue
from dashcam.slo import burn_rates
from dashcam.slo.objectives import ObjectiveError, Objectives, from_page

Change = Callable[[dict[str, Any]], Any]


def _load_with(change: Change) -> Objectives:
    whole = copy.deepcopy(page())
    change(whole)
    return from_page(whole, "slos.yaml")


def _set(**values: Any) -> Change:
    return lambda page: page["slos"][0].update(values)


def test_the_objectives_cover_availability_and_latency_of_each_service_and_of_the_quote() -> None:
    names = {slo.name for slo in load().slos}
    subjects = (*catalogue.load().names, "quote")
    assert names >= {f"{subject}-{sli}" for subject in subjects for sli in ("availability", "latency")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set(service="wheels"), "service 'wheels' is not listed under services"),
        (_set(sli="beauty"), "sli 'beauty' is not one of availability, latency"),
        (_set(objective=100), "objective 100 is not a percentage above 0 and below 100"),
        (_set(objective=90), "objective 90 can never burn 14.4 times too fast"),
        (
            _set(sli="latency", threshold=0.3),
            "threshold 0.3 is no boundary of the histogram; the nearest is 0.25",
        ),
        (_set(sli="latency"), "a latency objective needs a threshold"),
        (_set(threshold=0.5), "a latency objective needs a threshold in seconds, and no other has one"),
        (_set(name="car-latency"), "car-latency occurs twice"),
        (_set(objektive=99), "objektive"),
        (lambda page: page.pop("slos"), "slos"),
        (lambda page: page.update(period="a month"), "'a month' is not a Prometheus duration"),
        (lambda page: page["burn_rates"]["page"][0].update(short="2h"), "short 2h is not below long 1h"),
        (
            lambda page: page["services"].update(a={"depends_on": ["a"]}),
            "is a circle",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_value(change: Change, message: str) -> None:
    with pytest.raises(ObjectiveError) as raised:
        _load_with(change)
    assert message in str(raised.value)
    assert "slos.yaml" in str(raised.value)


def test_dependents_are_followed_through_the_whole_chain() -> None:
    needs = {"front": ["middle"], "middle": ["last", "database"], "last": []}
    services = {name: {"depends_on": each} for name, each in needs.items()}
    objectives = _load_with(lambda page: page.update(services=services, slos=[]))
    assert objectives.dependents("last") == ("front", "middle")
    assert objectives.dependents("database") == ("front", "middle")
    assert objectives.dependents("front") == ()


def test_a_changed_objective_changes_rule_and_threshold() -> None:
    objectives = _load_with(_set(objective=99.5))
    burn = next(group for group in burn_rates.groups(objectives) if group.name == "slo-burn")
    expression = burn.rules[0].expr
    assert 'ratio1h{slo="web-availability"} > 14.4 * 0.005' in expression


def test_windows_are_counted_from_recorded_counters_and_long_ones_from_recorded_counts() -> None:
    objectives = load()
    groups = [*burn_rates.groups(objectives), *burn_rates.budget_groups(objectives)]
    recorded = {rule.record: rule.expr for group in groups for rule in group.rules if hasattr(rule, "record")}
    raw = {name for name, expr in recorded.items() if "http_server_request" in expr}
    assert raw == {"slo:events:total", "slo:failures:total"}
    assert "slo:events:total" in recorded["slo:events:increase6h"]
    assert recorded["slo:events:increase3d"] == "sum_over_time(slo:events:increase5m[3d:5m])"
    assert recorded["slo:events:increase30d"] == "sum_over_time(slo:events:increase5m[30d:5m])"
