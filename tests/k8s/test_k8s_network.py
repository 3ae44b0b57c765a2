"""The flows that the policies allow are exactly those that the parts need, and both sides agree on each."""

from __future__ import annotations

import copy

import pytest
from exampleservices import CATALOGUE, LAST, SERVICES
from manifests import Manifests, ports
from network import Flow, Network
from rendering import COMBINATIONS, rendered

CALLS = {
    Flow(service.name, called.name, called.port)
    for service in CATALOGUE.services
    for called in CATALOGUE.called_by(service.name)
} | {
    Flow(name, resource.pods, resource.port)
    for resource in CATALOGUE.resources
    for name in CATALOGUE.callers(resource.name)
    if resource.pods
}
LOGS = {
    Flow("fluent-bit", "elasticsearch", 9200),
    Flow("elasticsearch-bootstrap", "elasticsearch", 9200),
    Flow("elasticsearch-exporter", "elasticsearch", 9200),
    Flow("kibana", "elasticsearch", 9200),
    Flow("kibana-bootstrap", "kibana", 5601),
    Flow("grafana", "elasticsearch", 9200),
}
METRICS = {
    Flow("grafana", "prometheus", 9090),
    Flow("grafana", "alertmanager", 9093),
    Flow("alertmanager", "alertmanager", 9094),
    Flow("alertmanager", "alertmanager", 9094, "UDP"),
}
SCRAPED = {
    *((name, 9464) for name in SERVICES),
    ("collector", 8888),
    ("collector", 8889),
    ("prometheus", 9090),
    ("alertmanager", 9093),
    ("grafana", 3000),
    ("elasticsearch-exporter", 9114),
    ("fluent-bit", 2020),
    ("kube-state-metrics", 8080),
    ("kube-state-metrics", 8081),
    ("node-exporter", 9100),
}
LOCAL = (
    CALLS
    | LOGS
    | METRICS
    | {Flow(service, "collector", 4318) for service in SERVICES}
    | {Flow("prometheus", name, port) for name, port in SCRAPED | {("jaeger", 8888)}}
    | {
        *(Flow(service, "postgres", 5432) for service in CATALOGUE.callers("database")),
        Flow("collector", "jaeger", 4317),
        Flow("grafana", "jaeger", 16686),
        Flow("jaeger", "prometheus", 9090),
    }
)
PRODUCTION = (
    CALLS
    | LOGS
    | METRICS
    | {Flow(service, "collector-router", 4318) for service in SERVICES}
    | {
        Flow("prometheus", name, port)
        for name, port in SCRAPED
        | {
            ("jaeger-collector", 8888),
            ("jaeger-query", 8888),
            ("collector-router", 8888),
            ("prometheus", 10902),
        }
    }
    | {
        Flow("collector-router", "collector", 4317),
        Flow("collector", "jaeger-collector", 4317),
        Flow("jaeger-collector", "elasticsearch", 9200),
        Flow("jaeger-query", "elasticsearch", 9200),
        Flow("jaeger-indices", "elasticsearch", 9200),
        Flow("jaeger-dependencies", "elasticsearch", 9200),
        Flow("jaeger-query", "prometheus", 9090),
        Flow("grafana", "jaeger-query", 16686),
        Flow("elasticsearch", "elasticsearch", 9300),
        Flow("nats", "nats", 6222),
        Flow("elasticsearch-snapshots", "elasticsearch", 9200),
    }
)
ELK = {Flow("fluent-bit", "logstash", 8480), Flow("logstash", "elasticsearch", 9200)}
LEAVING = {Flow("elasticsearch", "elasticsearch", 9200)}
"""ECK's: a node that ends takes leave of the others."""
DIRECT = {Flow("fluent-bit", "elasticsearch", 9200)}
OF_FLUENT_BIT = DIRECT | {Flow("prometheus", "fluent-bit", 2020)}
COLLECTOR_AGENT = {Flow("log-agent", "elasticsearch", 9200), Flow("prometheus", "log-agent", 8888)}

NOT_CALLED = {
    *((name, "http") for name in SERVICES if not CATALOGUE.callers(name)),
    ("logstash", "api"),
    ("collector", "otlp-grpc"),
    ("collector", "otlp-http"),
}
"""Ports that no pod calls: of a service that nobody calls, as web's, which is the Ingress' or a person's by
port-forward; Logstash's api is the kubelet's; and of the Collector's two for OTLP each overlay uses one."""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("local", LOCAL),
        ("production", PRODUCTION),
        ("local+elk-logstash", (LOCAL - DIRECT) | ELK),
        ("local+splunk-hec", LOCAL - DIRECT),
        ("local+log-agent-collector", (LOCAL - OF_FLUENT_BIT) | COLLECTOR_AGENT),
        (
            "production+log-agent-collector+log-agent-collector-tls",
            (PRODUCTION - OF_FLUENT_BIT) | COLLECTOR_AGENT,
        ),
        ("production+elk-logstash+elk-logstash-tls", (PRODUCTION - DIRECT) | ELK),
        ("production+prometheus-remote-write", PRODUCTION),
        ("production+eck", PRODUCTION | LEAVING),
    ],
)
def test_exactly_the_flows_that_are_needed_are_allowed(name: str, expected: set[Flow]) -> None:
    flows = Network(Manifests(rendered(name))).flows()
    assert {str(flow) for flow in flows - expected} == set(), "allowed, but not needed"
    assert {str(flow) for flow in expected - flows} == set(), "needed, but not allowed"


@pytest.mark.parametrize("name", COMBINATIONS)
def test_no_pod_is_open_because_no_policy_speaks_of_it(name: str) -> None:
    assert Network(Manifests(rendered(name))).undefended() == []


@pytest.mark.parametrize("name", [name for name in COMBINATIONS if name != "services alone"])
def test_what_one_side_allows_the_other_allows_too(name: str) -> None:
    network = Network(Manifests(rendered(name)))
    half = network.allowed("egress") ^ network.allowed("ingress")
    assert {str(flow) for flow in half} == set()


@pytest.mark.parametrize("name", ["local", "production", "local+elk-logstash"])
def test_every_port_that_is_opened_is_reached_by_someone(name: str) -> None:
    network = Network(Manifests(rendered(name)))
    reached = {(flow.server, flow.port) for flow in network.flows()}
    idle = {
        (workload.name, port)
        for workload in network.workloads
        for port, number, _ in ports(workload)
        if (workload.name, number) not in reached and port != "health"
    }
    assert idle - NOT_CALLED == set()


def test_a_policy_that_is_lost_is_seen() -> None:
    objects = [each for each in rendered("local") if each["metadata"]["name"] != "default-deny"]
    assert "Deployment grafana: Ingress" not in Network(Manifests(rendered("local"))).undefended()
    lost = [
        each
        for each in copy.deepcopy(objects)
        if not (each["kind"] == "NetworkPolicy" and each["metadata"]["name"] in ("grafana", "scrape"))
    ]
    assert "Deployment grafana: Ingress" in Network(Manifests(lost)).undefended()


def test_a_rule_on_one_side_only_is_seen() -> None:
    objects = copy.deepcopy(list(rendered("local")))
    policy = next(
        each for each in objects if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == LAST.name
    )
    policy["spec"]["ingress"] = []
    network = Network(Manifests(objects))
    assert Flow("car", LAST.name, LAST.port) in network.allowed("egress") ^ network.allowed("ingress")
