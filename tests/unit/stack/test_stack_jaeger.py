"""`BACKEND=jaeger`: what of the manifests changes on this machine, and what is told when it cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from exampleservices import SERVICES

from dashcam.stack import jaeger, ports, programs, tool_recipes
from dashcam.stack.page_origins import page_origins
from dashcam.stack.settings import Settings, read
from observability.settings import SettingError

JAEGER = {"BACKEND": "jaeger"}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for variable in ("JAEGER_BINARY", "COLLECTOR_BINARY"):
        monkeypatch.setenv(variable, "true")  # any program: nothing is started
    return read({**JAEGER, "DASHCAM_STATE_DIR": str(tmp_path)})


def leaves(page: Any, path: str = "") -> dict[str, Any]:
    """Every value of a configuration by where it stands."""
    if isinstance(page, dict):
        return {k: v for name, inner in page.items() for k, v in leaves(inner, f"{path}/{name}").items()}
    if isinstance(page, list):
        return {k: v for n, inner in enumerate(page) for k, v in leaves(inner, f"{path}/{n}").items()}
    return {path: page}


def changed(settings: Settings, name: str) -> tuple[set[str], set[str]]:
    """Where the configuration on this machine has another value than the manifests', and what it lacks."""
    theirs = leaves(yaml.safe_load((jaeger.K8S / name / "config.yaml").read_text()))
    ours = leaves(yaml.safe_load(jaeger.configuration(settings, name).read_text()))
    assert not ours.keys() - theirs.keys() - {"/extensions/jaeger_query/grpc/endpoint"}
    return {k for k in ours if ours[k] != theirs.get(k)}, theirs.keys() - ours.keys()


def test_of_the_collectors_configuration_only_addresses_folders_and_pods_change(settings: Settings) -> None:
    jaeger.write_configurations(settings)
    page = yaml.safe_load(jaeger.configuration(settings, "collector").read_text())
    # Only here, since in a cluster whose pages may send is for its owner to say.
    cors = page["receivers"]["otlp"]["protocols"]["http"].pop("cors")
    assert cors == {"allowed_origins": list(page_origins(settings))}
    # In a cluster services are scraped, and their lines are read from their output.
    receiver = page["exporters"].pop("otlp_grpc/receiver")
    assert receiver["endpoint"] == "127.0.0.1:14316"
    for signal in ("metrics", "logs"):
        pushed = page["service"]["pipelines"].pop(f"{signal}/pushed")
        assert (pushed["receivers"], pushed["exporters"]) == (["otlp"], ["otlp_grpc/receiver"])
    jaeger.configuration(settings, "collector").write_text(yaml.safe_dump(page))

    different, missing = changed(settings, "collector")

    prometheus = "/service/telemetry/metrics/readers/0/pull/exporter/prometheus"
    assert different - {f"{prometheus}/port"} == {
        "/extensions/health_check/endpoint",
        "/extensions/file_storage/directory",
        "/extensions/file_storage/compaction/directory",
        "/receivers/otlp/protocols/grpc/endpoint",
        "/receivers/otlp/protocols/http/endpoint",
        "/exporters/prometheus/endpoint",
        f"{prometheus}/host",
    }
    assert {path for path in missing if not path.startswith("/processors/k8s_attributes/")} == {
        "/service/pipelines/traces/all/processors/1"
    }


def test_of_jaegers_configuration_only_addresses_change(settings: Settings) -> None:
    jaeger.write_configurations(settings)

    different, missing = changed(settings, "jaeger")

    prometheus = "/service/telemetry/metrics/readers/0/pull/exporter/prometheus"
    assert different == {
        "/extensions/healthcheckv2/http/endpoint",
        "/extensions/jaeger_storage/metric_backends/spans/prometheus/endpoint",
        "/extensions/jaeger_query/ui/config_file",
        "/extensions/jaeger_query/http/endpoint",
        "/extensions/jaeger_query/grpc/endpoint",
        "/receivers/otlp/protocols/grpc/endpoint",
        f"{prometheus}/host",
        f"{prometheus}/port",
    }
    assert not missing


def test_every_address_is_loopback(settings: Settings) -> None:
    jaeger.write_configurations(settings)

    for name in ("collector", "jaeger"):
        assert "0.0.0.0" not in jaeger.configuration(settings, name).read_text()


def test_the_ports_of_jaeger_count_only_with_jaeger() -> None:
    more = read(JAEGER).ports().keys() - read({}).ports().keys()

    assert more == {
        "JAEGER_PORT",
        "JAEGER_GRPC_PORT",
        "JAEGER_OTLP_PORT",
        "JAEGER_METRICS_PORT",
        "JAEGER_HEALTH_PORT",
        "COLLECTOR_METRICS_PORT",
        "COLLECTOR_SPANS_PORT",
        "COLLECTOR_HEALTH_PORT",
        "LOG_RECEIVER_PORT",
        "LOG_RECEIVER_GRPC_PORT",
    }
    assert read({"WEB_PORT": "16687"}).port("web") == 16687
    with pytest.raises(SettingError, match="JAEGER_PORT and WEB_PORT are both 16687"):
        read({**JAEGER, "WEB_PORT": "16687"})


def test_free_ports_are_chosen_for_jaeger_too() -> None:
    chosen = ports.choose_free(read({**JAEGER, **dict.fromkeys(read(JAEGER).ports(), "0")}))

    assert len({port for port in chosen.ports().values() if port}) == len(chosen.ports())


def test_collector_and_jaeger_stand_in_the_place_of_the_embedded_traces(settings: Settings) -> None:
    by_name = {program.name: program for program in programs.programs(settings)}

    beside = [name for name in by_name if name not in SERVICES]
    assert beside[:4] == ["collector", "jaeger", "receiver", "console"]
    assert by_name["collector"].listens == (4317, 4318)  # where the services send to, as ever
    assert by_name["collector"].environ["JAEGER_ENDPOINT"] == "127.0.0.1:14317"
    assert by_name["collector"].environ["SAMPLING_PERCENTAGE"] == "100"
    assert by_name["console"].environ["DASHCAM_JAEGER_URL"] == "http://127.0.0.1:16687"
    assert by_name["receiver"].environ["DASHCAM_RECEIVER_SPANS"] == "off"
    assert by_name["receiver"].environ["OTLP_GRPC_PORT"] == "14316"


def test_a_program_that_was_never_built_is_named_with_every_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(tool_recipes.MissingTool) as missing:
        programs.programs(read(JAEGER))

    for way in ("`make tools`", "Go ", "on PATH", "COLLECTOR_BINARY="):
        assert way in str(missing.value)
