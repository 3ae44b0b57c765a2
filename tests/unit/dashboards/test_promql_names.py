from __future__ import annotations

import pytest

from dashboards.src.promql import metrics, needs_cluster, selectors, undeclared
from dashboards.src.third_party import COMPONENTS
from dashcam.store.own_metrics import ReceiverMetrics


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('sum by (job, instance) (rate(up{job="car",x!~"a.b"}[5m] offset 1h)) > 3', {"up"}),
        ("a / on (job) group_left (version) b", {"a", "b"}),
        ("histogram_quantile(0.99, sum by (le) (rate(x_bucket[$__rate_interval])))", {"x_bucket"}),
        ("slo:failures:ratio1h > 14.4 * 0.001", {"slo:failures:ratio1h"}),
        ("count(ALERTS) or vector(0)", {"ALERTS"}),
        ("sum_over_time(slo:events:increase5m[3d:5m])", {"slo:events:increase5m"}),
        ('label_replace(up, "a", "$1", "b", "(.*)")', {"up"}),
        ("absent(up == 1) unless time() - start > 1e9", {"up", "start"}),
    ],
)
def test_the_metrics_of_an_expression_are_found(expression: str, names: set[str]) -> None:
    assert metrics(expression) == names


def test_the_selectors_of_an_expression_are_found_with_their_labels() -> None:
    assert selectors('sum by (up) (rate(up_total{a="b",c!~"d|e"}[5m])) / max(up) or x:y{}') == {
        'up_total{a="b",c!~"d|e"}',
        "up",
        "x:y{}",
    }
    assert selectors("vector(1)") == set()


def test_a_name_that_nobody_declares_is_told() -> None:
    assert undeclared(
        "rate(http_server_request_duration_seconds_count[5m]) / rate(http_requests_total[5m])"
    ) == {"http_requests_total"}
    assert undeclared("slo:x:ratio", frozenset({"slo:x:ratio"})) == set()
    assert undeclared("process_open_fds + python_info") == set()


def test_a_declared_family_is_known_only_by_the_names_it_is_exposed_under() -> None:
    assert undeclared("car_quotes") == {"car_quotes"}
    assert undeclared("car_quotes_total") == set()


def test_what_only_a_cluster_has_is_told_apart() -> None:
    assert needs_cluster("kube_pod_status_phase == 1")
    assert not needs_cluster("up == 1")


def test_every_listed_component_says_where_its_names_come_from() -> None:
    assert all(component.origin and component.names for component in COMPONENTS)
    names = [name for component in COMPONENTS for name in component.names]
    assert len(names) == len(set(names)), "a name has one origin"


def test_the_embedded_backend_exposes_what_is_listed_for_it() -> None:
    exposed = {
        sample
        for family in ReceiverMetrics().registry.collect()
        for sample in (
            [f"{family.name}_total"]
            if family.type == "counter"
            else [family.name, f"{family.name}_bucket", f"{family.name}_count"]
        )
    }
    listed = next(component for component in COMPONENTS if component.name == "embedded backend")
    assert listed.names - exposed == set()
