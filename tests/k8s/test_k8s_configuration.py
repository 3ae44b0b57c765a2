"""The configurations inside the manifests, read by their own programs where these are at hand."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import exampleservices
import pytest
import yaml
from manifests import LONG_RUNNING, Manifests
from realprograms import record_prometheus_tools
from rendering import COMBINATIONS, K8S, ROOT, rendered
from verifying import Recorder

from observability import schema
from observability.configuration import TelemetrySettings
from observability.server.options import ServerSettings
from services.faults.points import FaultSettings

LOCAL, PRODUCTION = Manifests(rendered("local")), Manifests(rendered("production"))
SERVICES = {name: import_module(f"services.{name}.settings").Settings for name in exampleservices.SERVICES}
OVERLAYS = pytest.mark.parametrize("manifests", [LOCAL, PRODUCTION], ids=["local", "production"])


@pytest.fixture(scope="module")
def prometheus_tools(ran: Recorder) -> None:
    record_prometheus_tools(ran)


def tool(*command: str) -> str:
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


# -- the services -----------------------------------------------------------------------------------


def environment(manifests: Manifests, service: str) -> dict[str, Any]:
    """What the service is told: ConfigMaps first, then its own list."""
    workload = next(each for each in manifests.services() if each.name == service)
    (container,) = workload.pod["containers"]
    found: dict[str, Any] = {}
    for source in container["envFrom"]:
        found |= manifests.config_map(source["configMapRef"]["name"], "dashcam") or {}
    return found | {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


@OVERLAYS
@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_of_a_service_is_a_declared_setting(manifests: Manifests, service: str) -> None:
    declared = {
        field.metadata["env"]
        for settings in (SERVICES[service], TelemetrySettings, ServerSettings, FaultSettings)
        for field in dataclasses.fields(settings)
    }
    only_here = {name for name in environment(manifests, service) if name.startswith("K8S_")}
    assert environment(manifests, service).keys() - declared - only_here == {"DEPLOYMENT_ENVIRONMENT"}


@OVERLAYS
@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_has_time_for_its_end(manifests: Manifests, service: str) -> None:
    workload = next(each for each in manifests.services() if each.name == service)
    told = environment(manifests, service)
    before = workload.pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    own = float(told["DASHCAM_GRACE_PERIOD"]) + float(told["DASHCAM_SHUTDOWN_TIMEOUT"])
    assert before + own + 5 <= workload.pod["terminationGracePeriodSeconds"]


@OVERLAYS
@pytest.mark.parametrize("service", SERVICES)
def test_the_resource_attributes_name_pod_node_and_namespace(manifests: Manifests, service: str) -> None:
    attributes = environment(manifests, service)["OTEL_RESOURCE_ATTRIBUTES"]
    names = {pair.partition("=")[0] for pair in attributes.split(",")}
    assert {"k8s.pod.name", "k8s.node.name", "k8s.namespace.name", "deployment.environment.name"} <= names


ADDRESS = re.compile(r"\b(?:https?|nats)://(?:\S+@)?(?:[a-z]+-\d\.)?([a-z-]+)(?:\.dashcam)?:(\d+)\b")
"""What is asked inside of the cluster: a Service, or a pod of one, and a port."""


@pytest.mark.parametrize("name", [name for name in COMBINATIONS if name != "services alone"])
def test_every_address_that_is_told_to_someone_is_a_services(name: str) -> None:
    """With the operator's Prometheus, Grafana, Jaeger and the gates of roll-outs asked one not there."""
    manifests = Manifests(rendered(name))
    there = {each["metadata"]["name"]: each["spec"] for each in manifests.of("Service")}
    told = manifests.of("ConfigMap", "AnalysisTemplate", *LONG_RUNNING)
    asked = {found for each in told for found in ADDRESS.findall(json.dumps(each))}
    assert asked or "kept by" in name
    for host, port in sorted((host, port) for host, port in asked if host != "localhost"):
        assert host in there, f"nobody is called {host}"
        # Which ports another name's server has, nobody here knows.
        ports = {each["port"] for each in there[host].get("ports", [])}
        assert "externalName" in there[host] or int(port) in ports, f"{host} has no port {port}"


# -- metrics ----------------------------------------------------------------------------------------


REMOTE_WRITE = K8S / "components/prometheus-remote-write/remote-write.example.yml"


@pytest.mark.verifies(
    component="promtool",
    claim="accepts the manifests' Prometheus configuration with its rules, but for discovery by Kubernetes",
)
@pytest.mark.usefixtures("prometheus_tools")
@pytest.mark.parametrize("behind", ["", REMOTE_WRITE.read_text()], ids=["own", "with remote write behind it"])
def test_promtool_accepts_the_configuration(behind: str, tmp_path: Path) -> None:
    """Debian's promtool knows no discovery by Kubernetes; everything else is read as it is."""
    page = yaml.safe_load(LOCAL.config_files("prometheus")["prometheus.yml"] + behind)
    assert ("remote_write" in page) == bool(behind)
    for job in page["scrape_configs"]:
        assert job.pop("kubernetes_sd_configs")
        job["static_configs"] = [{"targets": ["127.0.0.1:1"]}]
        if "authorization" in job:
            (tmp_path / "token").touch()
            job["authorization"]["credentials_file"] = str(tmp_path / "token")
    rules = tmp_path / "rules"
    rules.mkdir()
    for name, text in LOCAL.config_files("prometheus-rules").items():
        (rules / name).write_text(text)
    page["rule_files"] = [f"{rules}/*.yml"]
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(page))
    assert "SUCCESS" in tool("promtool", "check", "config", str(path))


def test_remote_write_joins_what_prometheus_then_reads() -> None:
    manifests = Manifests(rendered("production+prometheus-remote-write"))
    (prometheus,) = [each for each in manifests.workloads("StatefulSet") if each.name == "prometheus"]
    mounts = {each["mountPath"]: each["name"] for each in prometheus.pod["containers"][0]["volumeMounts"]}
    (joining,) = prometheus.pod["initContainers"]
    written = {each["mountPath"]: each["name"] for each in joining["volumeMounts"]}

    assert mounts["/etc/prometheus/prometheus.yml"] == written["/config"]
    assert written["/etc/prometheus-own"] == "config"
    assert "rules" in mounts.values()


@pytest.mark.verifies(component="amtool", claim="accepts the manifests' Alertmanager configuration")
@pytest.mark.usefixtures("prometheus_tools")
def test_amtool_accepts_the_routing(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(LOCAL.config_files("alertmanager")["alertmanager.yml"])
    assert "SUCCESS" in tool("amtool", "check-config", str(path))


@OVERLAYS
def test_each_pod_with_metrics_is_scraped_by_exactly_one_job(manifests: Manifests) -> None:
    jobs = yaml.safe_load(manifests.config_files("prometheus")["prometheus.yml"])["scrape_configs"]
    by_pod = [job for job in jobs if job["kubernetes_sd_configs"][0]["role"] == "pod"]
    for workload in manifests.workloads("Deployment", "StatefulSet", "DaemonSet"):
        for container in workload.pod["containers"]:
            for port in container["ports"]:
                meta = {
                    "__meta_kubernetes_pod_label_app_kubernetes_io_part_of": "dashcam",
                    "__meta_kubernetes_pod_label_app_kubernetes_io_name": workload.pod_labels[
                        "app.kubernetes.io/name"
                    ],
                    "__meta_kubernetes_pod_container_port_name": port["name"],
                    "__meta_kubernetes_pod_phase": "Running",
                }
                scraping = [job["job_name"] for job in by_pod if _keeps(job, meta, workload.namespace)]
                expected = 1 if port["name"].endswith("metrics") else 0
                assert len(scraping) == expected, f"{workload}, port {port['name']}: {scraping}"


def _keeps(job: dict[str, Any], meta: dict[str, str], namespace: str) -> bool:
    if namespace not in job["kubernetes_sd_configs"][0]["namespaces"]["names"]:
        return False
    for rule in job["relabel_configs"]:
        if rule.get("action") in ("keep", "drop"):
            value = ";".join(meta.get(name, "") for name in rule["source_labels"])
            if bool(re.fullmatch(rule["regex"], value)) != (rule["action"] == "keep"):
                return False
    return True


# -- traces -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in COMBINATIONS if name != "services alone"])
def test_the_collector_uses_what_it_defines(name: str) -> None:
    """Every pipeline names components that exist, and every component is in some pipeline."""
    manifests = Manifests(rendered(name))
    for config in ("collector", "collector-router", "jaeger", "jaeger-collector", "jaeger-query"):
        if any(each["metadata"]["name"].rsplit("-", 1)[0] == config for each in manifests.of("ConfigMap")):
            page = yaml.safe_load(manifests.config_files(config).get("config.yaml", ""))
            assert _unused_and_unknown(page) == (set(), set()), config


def _unused_and_unknown(page: dict[str, Any]) -> tuple[set[str], set[str]]:
    pipelines = page["service"]["pipelines"].values()
    used = {name for each in pipelines for kind in each.values() for name in kind}
    used |= set(page["service"]["extensions"])
    kinds = ("receivers", "processors", "exporters", "connectors", "extensions")
    defined = {name for kind in kinds for name in page.get(kind) or ()}
    return defined - used, used - defined


@OVERLAYS
@pytest.mark.parametrize(
    "config", ["collector", "collector-router", "jaeger", "jaeger-collector", "jaeger-query"]
)
def test_own_metrics_have_the_names_that_rules_read(manifests: Manifests, config: str) -> None:
    """Left to itself the Collector writes otelcol_exporter_sent_spans, no `_total`: rules would be blind."""
    there = [each["metadata"]["name"].rsplit("-", 1)[0] for each in manifests.of("ConfigMap")]
    for _ in range(there.count(config)):
        page = yaml.safe_load(manifests.config_files(config)["config.yaml"])
        for reader in page["service"]["telemetry"]["metrics"]["readers"]:
            told = reader["pull"]["exporter"]["prometheus"]
            assert (told["without_type_suffix"], told["without_units"]) == (False, False)


@OVERLAYS
def test_the_monitor_tab_asks_for_the_names_that_the_collector_writes(manifests: Manifests) -> None:
    connector = yaml.safe_load(manifests.config_files("collector")["config.yaml"])["connectors"][
        "span_metrics"
    ]
    config = "jaeger" if manifests is LOCAL else "jaeger-query"
    jaeger = yaml.safe_load(manifests.config_files(config)["config.yaml"])
    asked = jaeger["extensions"]["jaeger_storage"]["metric_backends"]["spans"]["prometheus"]
    assert asked["metric_namespace"] == connector["namespace"].replace(".", "_")
    assert asked["latency_unit"] == connector["histogram"]["unit"]


# -- logs -------------------------------------------------------------------------------------------

TYPES = {
    "string": {"keyword", "text", "date_nanos"},
    "int": {"long"},
    "double": {"double"},
    "object": {"flattened"},
}


def index_template() -> dict[str, Any]:
    template: dict[str, Any] = json.loads(LOCAL.config_files("elasticsearch-bootstrap")["template.json"])
    return template


@pytest.mark.parametrize("field", schema.LOG_FIELDS, ids=lambda field: field.name)
def test_elasticsearch_knows_the_type_of_each_declared_log_field(field: schema.Field) -> None:
    mapping = {"properties": index_template()["template"]["mappings"]["properties"]}
    for part in field.name.split("."):
        mapping = mapping["properties"][part]
    assert mapping["type"] in TYPES[field.type]


@pytest.mark.parametrize("name", ["trace_id", "span_id", "service", "severity"])
def test_what_lines_are_joined_by_is_a_keyword(name: str) -> None:
    assert index_template()["template"]["mappings"]["properties"][name]["type"] == "keyword"


def test_fields_are_bounded_and_a_strange_value_loses_no_line() -> None:
    settings = index_template()["template"]["settings"]["index"]["mapping"]
    assert settings["total_fields"] == {"limit": 200, "ignore_dynamic_beyond_limit": True}
    assert settings["ignore_malformed"] is True


AGENTS = "dashcam-agents"
FLUENT_BIT = {
    "tail": """alias tag path exclude_path multiline.parser db db.locking read_from_head refresh_interval
        rotate_wait skip_empty_lines skip_long_lines buffer_chunk_size buffer_max_size storage.type""",
    "kubernetes": """alias match kube_tag_prefix regex_parser merge_log keep_log labels annotations
        kube_meta_cache_ttl buffer_size""",
    "modify": "alias match condition rename remove_regex",
    "grep": "alias match exclude",
    "es": """alias match host port tls tls.verify tls.verify_hostname tls.ca_file http_user http_passwd index
        write_operation pipeline generate_id net.io_timeout suppress_type_name replace_dots time_key
        time_key_nanos compress buffer_size trace_error workers retry_limit storage.total_limit_size""",
    "http": """alias match host port uri format json_date_key json_date_format compress workers retry_limit
        net.io_timeout storage.total_limit_size""",
    "splunk": """alias match host port splunk_token event_source event_sourcetype tls tls.verify compress
        workers retry_limit net.io_timeout storage.total_limit_size""",
}
"""The properties we use of each plug-in, as docs.fluentbit.io (5.x) names them: a typo is ignored."""


def fluent_bit(name: str) -> dict[str, list[dict[str, Any]]]:
    files = Manifests(rendered(name)).config_files("fluent-bit", AGENTS)
    return {
        **yaml.safe_load(files["fluent-bit.yaml"])["pipeline"],
        **yaml.safe_load(files["outputs.yaml"])["pipeline"],
    }


@pytest.mark.parametrize("name", ["local", "production", "local+elk-logstash", "local+splunk-hec"])
def test_fluent_bit_is_told_only_what_it_documents(name: str) -> None:
    for plugins in fluent_bit(name).values():
        for plugin in plugins:
            assert set(plugin) - {"name"} <= set(FLUENT_BIT[plugin["name"]].split()), plugin


@pytest.mark.parametrize("name", ["local", "production", "local+elk-logstash", "local+splunk-hec"])
def test_no_restart_and_no_outage_loses_a_line(name: str) -> None:
    pipeline = fluent_bit(name)
    for source in pipeline["inputs"]:
        assert source["db"].startswith("/var/lib/fluent-bit/")
        assert source["storage.type"] == "filesystem"
        assert source["read_from_head"] is True
        # Each of these lost lines of a real one: ADR 100, and `make test-fluent-bit`.
        assert "storage.pause_on_chunks_overlimit" not in source
    service = yaml.safe_load(Manifests(rendered(name)).config_files("fluent-bit", AGENTS)["fluent-bit.yaml"])
    assert service["service"]["storage.checksum"] is False
    for output in pipeline["outputs"]:
        assert output["name"] != "es" or output["pipeline"].endswith("&filter_path=errors")
        assert output["name"] != "es" or output["generate_id"] is False
        assert output["retry_limit"] == "no_limits"
        assert output["storage.total_limit_size"]


def test_what_is_read_goes_out_once() -> None:
    pipeline = fluent_bit("local")
    tags = {each["tag"].removesuffix("*") for each in pipeline["inputs"]}
    assert sorted(each["match"].removesuffix("*") for each in pipeline["outputs"]) == sorted(tags)
    assert len({each["db"] for each in pipeline["inputs"]}) == len(tags)


@pytest.mark.parametrize("name", ["local", "production"])
def test_the_bootstrap_makes_the_users_that_the_parts_name(name: str) -> None:
    script = Manifests(rendered(name)).config_files("elasticsearch-bootstrap")
    made = set(re.search(r"for user in (.*); do", script["bootstrap.sh"])[1].split())  # type: ignore[index]
    assert made == {
        path.removeprefix("role-").removesuffix(".json") for path in script if path.startswith("role-")
    }
    from dashcam.cluster.secrets import ELASTICSEARCH_USERS

    assert made | {"elastic", "kibana_system"} == set(ELASTICSEARCH_USERS)


def test_scripts_are_valid_bash() -> None:
    scripts = sorted((ROOT / "k8s").rglob("*.sh"))
    assert len(scripts) == 4
    for script in scripts:
        tool("bash", "-n", str(script))


def test_kibanas_saved_objects_refer_to_what_is_loaded_with_them() -> None:
    lines = LOCAL.config_files("kibana-saved-objects")["saved-objects.ndjson"].splitlines()
    objects = [json.loads(line) for line in lines]
    loaded = {(each["type"], each["id"]) for each in objects}
    for each in objects:
        assert {(reference["type"], reference["id"]) for reference in each["references"]} <= loaded


# -- pages ------------------------------------------------------------------------------------------


@OVERLAYS
def test_grafanas_sources_are_services_that_exist(manifests: Manifests) -> None:
    page = yaml.safe_load(manifests.config_files("grafana-datasources")["dashcam.yaml"])
    told = manifests.config_files("grafana-sources")
    ports = {
        each["metadata"]["name"]: {port["port"] for port in each["spec"]["ports"]}
        for each in manifests.of("Service")
    }
    for source in page["datasources"]:
        url = source["url"].replace("$ELASTICSEARCH_URL", told["ELASTICSEARCH_URL"])
        host, port = re.fullmatch(r"https?://([a-z-]+):(\d+)", url).groups()  # type: ignore[union-attr]
        assert int(port) in ports[host], url
