"""The registry for Weaver says what the code declares, in OpenTelemetry's names."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from opentelemetry.semconv.schemas import Schemas

from observability import schema
from observability.metrics.names import prometheus_name
from services.signals import METRICS
from telemetry_schema import conventions, registry

FILES = registry.files("1.2.3")
GROUPS = {group["id"]: group for text in FILES.values() for group in yaml.safe_load(text).get("groups", ())}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_the_prometheus_name_follows_from_the_name_in_the_registry(metric: schema.Metric) -> None:
    group = GROUPS[f"metric.{registry.metric_name(metric)}"]
    assert prometheus_name(group["metric_name"], metric.unit) == metric.name
    assert [each["ref"].replace(".", "_") for each in group.get("attributes", ())] == list(metric.labels)


def test_every_reference_is_defined_by_the_conventions_or_here() -> None:
    ours = {each["id"]: each for each in GROUPS["registry.dashcam"]["attributes"]}
    referred = {
        each["ref"] for group in GROUPS.values() for each in group.get("attributes", ()) if "ref" in each
    }
    assert not referred - set(conventions.attributes()) - set(ours)
    assert not set(ours) & set(conventions.attributes())
    assert not [name for name, each in ours.items() if not each["brief"]], (
        "say in LABELS_OF_OURS what it means"
    )


def test_what_the_conventions_call_stable_is_stable() -> None:
    assert GROUPS["metric.http.server.request.duration"]["stability"] == "stable"
    assert GROUPS["metric.http.server.active_requests"]["stability"] == "development"
    assert GROUPS["metric.http.server.active_requests"]["instrument"] == "updowncounter"


def test_the_manifest_names_the_version_and_the_conventions_it_builds_on() -> None:
    manifest = yaml.safe_load(FILES["manifest.yaml"])
    assert manifest["schema_url"].endswith("/1.2.3")
    assert manifest["dependencies"][0]["schema_url"].endswith(f"/v{conventions.VERSION}")


def test_what_is_emitted_names_the_newest_conventions_and_the_page_says_which() -> None:
    assert list(Schemas)[-1].value == schema.CONVENTIONS
    page = Path(__file__).parents[3] / "docs" / "semantic-conventions.md"
    assert f"of version {conventions.VERSION} " in page.read_text()
