"""What is declared in the code, as a registry of Weaver: files by their names.

Names of the semantic conventions are references to them; others are defined here. A metric has its
OpenTelemetry name; a test holds that the Prometheus name follows from it by OpenTelemetry's own rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from observability import schema
from observability.metrics.names import prometheus_name
from services.signals import METRICS
from telemetry_schema import conventions

HEADER = "# Generated from the code by `make telemetry-schema`; a check compares. Do not edit it by hand.\n"
INSTRUMENTS = {"counter": "counter", "histogram": "histogram", "gauge": "gauge", "info": "gauge"}
UNITS = {"": "1"}
TYPES = {"object": "any"}
LABELS_OF_OURS = {
    "dependency": "The name of what a service depends on, as on /readyz.",
    "outcome": "How it ended.",
    "reason": "Why it was counted.",
    "revision": "The source revision that was built.",
    "step": "The step of an order.",
    "stream": "A stream of the broker, which holds queues.",
    "severity": "DEBUG, INFO, WARN, ERROR or FATAL.",
    "version": "The version that was built.",
}
"""What the labels mean that no convention has; they are the same in OpenTelemetry's spelling."""


def files(version: str) -> dict[str, str]:
    """Each file of the registry, as text."""
    metrics = [_metric(each) for each in METRICS]
    fields = _group("dashcam.log_line", "The fields of a log line.", _names(schema.LOG_FIELDS))
    spans = _group(
        "dashcam.span", "The span attributes that Dashcam itself sets.", _names(schema.SPAN_ATTRIBUTES)
    )
    return {
        "manifest.yaml": _text(_manifest(version)),
        "attributes.yaml": _text({"groups": [_own()]}),
        "metrics.yaml": _text({"groups": metrics}),
        "logs.yaml": _text({"groups": [fields]}),
        "spans.yaml": _text({"groups": [spans]}),
    }


def metric_name(metric: schema.Metric) -> str:
    """The OpenTelemetry name of a declared family: the conventions', or ours with its namespace in front."""
    for name in conventions.metrics():
        if prometheus_name(name, metric.unit) == metric.name:
            return name
    namespace, _, rest = metric.name.partition("_")
    return f"{namespace}.{rest}" if rest else namespace


def attribute_name(label: str) -> str:
    """The OpenTelemetry name of a label."""
    return next((name for name in conventions.attributes() if name.replace(".", "_") == label), label)


def _manifest(version: str) -> dict[str, Any]:
    upstream = "https://github.com/open-telemetry/semantic-conventions"
    tag = f"v{conventions.VERSION}"
    return {
        "name": "dashcam",
        "description": "What Dashcam's services and library emit.",
        "schema_url": f"https://dashcam.example/schemas/{version}",
        "dependencies": [
            {
                "schema_url": f"{upstream}/{tag}",
                "registry_path": f"{upstream}/archive/refs/tags/{tag}.zip[model]",
            }
        ],
    }


def _metric(metric: schema.Metric) -> dict[str, Any]:
    name = metric_name(metric)
    return {
        "id": f"metric.{name}",
        "type": "metric",
        "metric_name": name,
        "instrument": _instrument(metric.kind, name),
        "unit": UNITS.get(metric.unit, metric.unit),
        "stability": conventions.metrics().get(name, "development"),
        "brief": metric.help,
        "annotations": {"prometheus": {"name": metric.sample}},
        **(
            {"attributes": [{"ref": attribute_name(label)} for label in metric.labels]}
            if metric.labels
            else {}
        ),
    }


def _instrument(kind: schema.Kind, name: str) -> str:
    # What the conventions count up and down is a gauge in Prometheus, and in our schema.
    return "updowncounter" if kind == "gauge" and name in conventions.metrics() else INSTRUMENTS[kind]


def _own() -> dict[str, Any]:
    """The definitions of every attribute, field and label that no convention has."""
    known = conventions.attributes()
    declared = {each.name: each for each in (*schema.LOG_FIELDS, *schema.SPAN_ATTRIBUTES)}
    fields = {name: (TYPES.get(each.type, each.type), each.help) for name, each in declared.items()}
    labels = {
        attribute_name(label): ("string", LABELS_OF_OURS.get(label, ""))
        for metric in METRICS
        for label in metric.labels
    }
    ours = {name: meaning for name, meaning in {**labels, **fields}.items() if name not in known}
    attributes = [
        {"id": name, "type": type_, "stability": "development", "brief": brief}
        for name, (type_, brief) in sorted(ours.items())
    ]
    return {
        "id": "registry.dashcam",
        "type": "attribute_group",
        "brief": "What the semantic conventions have no name for.",
        "attributes": attributes,
    }


def _group(identity: str, brief: str, names: Iterable[str]) -> dict[str, Any]:
    attributes = [{"ref": name} for name in names]
    return {"id": identity, "type": "attribute_group", "brief": brief, "attributes": attributes}


def _names(fields: Iterable[schema.Field]) -> list[str]:
    return [field.name for field in fields]


def _text(content: Any) -> str:
    return HEADER + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
